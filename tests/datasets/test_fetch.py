import functools
import hashlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from audiotl import AudiotlError
from audiotl.datasets import fetch as room
from audiotl.datasets.fetch import SETS, fetch


class Quiet(SimpleHTTPRequestHandler):
    cut = False

    def log_message(self, *_):
        pass

    def copyfile(self, source, outputfile):
        if type(self).cut and self.path.endswith("b.bin"):
            outputfile.write(source.read(1000))
            self.connection.close()
        else:
            super().copyfile(source, outputfile)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server on the loopback address with two files, and the set "toy" that lists them."""
    home = tmp_path / "served"
    (home / "deep").mkdir(parents=True)
    files = {"a.txt": b"first", "deep/b.bin": bytes(range(256)) * 400}
    for name, content in files.items():
        (home / name).write_bytes(content)
    listing = tmp_path / "toy.sha256"
    listing.write_text("".join(f"{hashlib.sha256(c).hexdigest()} {n}\n" for n, c in files.items()))
    handler = type("Handler", (Quiet,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(home)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setitem(room.SETS, "toy", (address, listing))
    yield home, listing, handler
    server.shutdown()


def test_files_arrive_whole_and_are_not_fetched_twice(server, tmp_path):
    home, _, _ = server
    out = fetch("toy", tmp_path / "data", progress=False)
    assert (out / "deep" / "b.bin").read_bytes() == (home / "deep" / "b.bin").read_bytes()
    (home / "a.txt").unlink()
    assert fetch("toy", tmp_path / "data", progress=False) == out


def test_a_wrong_checksum_is_refused_and_not_kept(server, tmp_path):
    home, _, _ = server
    (home / "deep" / "b.bin").write_bytes(b"something else")
    with pytest.raises(AudiotlError, match="checksum"):
        fetch("toy", tmp_path / "data", progress=False)
    assert [p.name for p in (tmp_path / "data").rglob("*") if p.is_file()] == ["a.txt"]


def test_a_cut_connection_is_one_sentence_and_the_next_run_goes_on(server, tmp_path):
    _, _, handler = server
    handler.cut = True
    with pytest.raises(AudiotlError, match="b.bin"):
        fetch("toy", tmp_path / "data", progress=False)
    assert [p.name for p in (tmp_path / "data").rglob("*") if p.is_file()] == ["a.txt"]
    handler.cut = False
    assert (fetch("toy", tmp_path / "data", progress=False) / "deep" / "b.bin").is_file()


def test_a_listing_that_leads_out_of_the_folder_is_refused(server, tmp_path):
    _, listing, _ = server
    listing.write_text(f"{'0' * 64} ../../outside.txt\n")
    with pytest.raises(AudiotlError, match="leads out"):
        fetch("toy", tmp_path / "data", progress=False)
    with pytest.raises(AudiotlError, match="nothing to fetch called 'x'"):
        fetch("x", tmp_path)


def test_the_published_set_lists_what_is_here(recordings):
    home = recordings / "choi2017"
    if not home.is_dir():
        pytest.skip("choi2017 is not among the recordings")
    for line in SETS["choi2017"][1].read_text().splitlines():
        digest, name = line.split(maxsplit=1)
        assert hashlib.sha256((home / name).read_bytes()).hexdigest() == digest
