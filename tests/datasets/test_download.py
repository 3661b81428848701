import functools
import hashlib
import io
import socket
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from audiotl import AudiotlError
from audiotl.datasets import download

fetch = functools.partial(download.fetch, progress=False)
CLIPS = {"./yes/a.wav": b"one", "./no/b.wav": b"two" * 50_000}


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, whole or from an offset on, and may cut a connection after some bytes."""

    cut_after = None
    ranges = True
    asked: list = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        asked, path = self.headers.get("Range"), Path(self.translate_path(self.path))
        self.asked.append((self.path, asked))
        if not path.is_file():
            return self.send_error(404)
        content, start = path.read_bytes(), 0
        if asked and self.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut = None if self.cut_after is None or path.suffix == ".txt" else start + self.cut_after
        self.wfile.write(content[start:cut])
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


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
    handler = type("Handler", (Quiet,), {"asked": []})
    serving = functools.partial(handler, directory=str(home))
    server = ThreadingHTTPServer(("127.0.0.1", 0), serving)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setitem(download.SETS, "toy", (address, listing))
    yield home, listing, handler
    server.shutdown()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_is_one_sentence_and_the_next_run_goes_on(server, tmp_path, ranges):
    home, _, handler = server
    handler.cut_after, handler.ranges = 40_000, ranges
    whole = (home / "deep" / "b.bin").read_bytes()
    with pytest.raises(AudiotlError, match=r"b\.bin .*62400"):
        fetch("toy", tmp_path / "data")
    assert names(tmp_path / "data") == ["a.txt", "b.bin.part"]
    kept = (tmp_path / "data" / "toy" / "deep" / "b.bin.part").read_bytes()
    assert len(kept) > 30_000 and whole.startswith(kept)
    handler.cut_after = None
    out = fetch("toy", tmp_path / "data")
    assert (out / "deep" / "b.bin").read_bytes() == whole and names(out) == ["a.txt", "b.bin"]
    assert handler.asked[-1] == ("/deep/b.bin", f"bytes={len(kept)}-")
    (home / "a.txt").unlink()  # nothing is fetched twice
    assert fetch("toy", tmp_path / "data") == out


def test_a_wrong_checksum_or_a_part_of_another_file_is_refused_and_not_kept(server, tmp_path):
    served, part = server[0] / "deep" / "b.bin", tmp_path / "data" / "toy" / "deep" / "b.bin.part"
    whole = served.read_bytes()
    part.parent.mkdir(parents=True)
    for path, junk in ((served, b"else"), (part, b"x" * 10), (part, b"x" * 500_000)):
        path.write_bytes(junk)
        with pytest.raises(AudiotlError, match=r"b\.bin"):
            fetch("toy", tmp_path / "data")
        assert names(tmp_path / "data") == ["a.txt"]
        served.write_bytes(whole)
    assert fetch("toy", tmp_path / "data")


def test_a_server_that_is_not_there_is_one_sentence(server, tmp_path):
    with pytest.raises(AudiotlError, match=r"127\.0\.0\.1:9"):
        download.download("http://127.0.0.1:9/x", tmp_path / "x", "0" * 64)
    (server[0] / "a.txt").unlink()
    with pytest.raises(AudiotlError, match="404"):
        fetch("toy", tmp_path / "data")


def pack(path: Path, members: dict[str, bytes | str]) -> Path:
    """An archive of files (bytes) and links (str: where they lead)."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            item = tarfile.TarInfo(name)
            if isinstance(content, str):
                item.type = tarfile.SYMTYPE if content[0] == "/" else tarfile.LNKTYPE
                item.linkname, content = content, b""
            item.size = len(content)
            archive.addfile(item, io.BytesIO(content))
    return path


@pytest.fixture
def serve(server, monkeypatch):
    """Makes a corpus that comes as an archive from the loopback server."""
    def serving(members: dict) -> None:
        path = pack(server[0] / "toy.tar.gz", members)
        address = download.SETS["toy"][0] + "toy.tar.gz"
        packed = download.Archive(address, pooch.file_hash(path), "Toy/v1")
        monkeypatch.setitem(download.ARCHIVES, "packed", packed)

    return serving


def test_an_archive_is_unpacked_whole(server, serve, tmp_path):
    serve(CLIPS)
    out = fetch("packed", tmp_path / "data")
    assert out == tmp_path / "data" / "Toy" / "v1"
    assert (out / "no" / "b.wav").read_bytes() == b"two" * 50_000
    assert names(tmp_path / "data") == ["a.wav", "b.wav"]
    assert fetch("packed", tmp_path / "data") == out
    assert len(server[2].asked) == 1


@pytest.mark.parametrize("evil", ["../outside.wav", "yes/../../outside.wav", "link", "hard"])
def test_an_archive_that_leads_out_is_refused_whole(serve, tmp_path, evil):
    serve(CLIPS | {evil: {"link": "/etc", "hard": "../../a.txt"}.get(evil, b"evil")})
    with pytest.raises(AudiotlError, match=r"toy.*outside|toy.*link"):
        fetch("packed", tmp_path / "data")
    assert names(tmp_path / "data") == ["toy.tar.gz"] and not list(tmp_path.rglob("outside*"))


def test_an_archive_that_swells_is_refused_before_it_fills_the_disk(tmp_path):
    path = pack(tmp_path / "toy.tar.gz", {f"yes/{i}.wav": bytes(4_000_000) for i in range(5)})
    assert path.stat().st_size < 100_000
    with pytest.raises(AudiotlError, match="toy.*100 times"):
        download.unpack(path, tmp_path / "out" / "v1")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_archive_is_one_sentence(tmp_path):
    path = pack(tmp_path / "toy.tar.gz", CLIPS)
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[:len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(AudiotlError, match="toy"):
            download.unpack(path, tmp_path / "out" / "v1")
        assert list((tmp_path / "out").iterdir()) == []


def test_a_listing_that_leads_out_of_the_folder_is_refused(server, tmp_path):
    server[1].write_text(f"{'0' * 64} ../../outside.txt\n")
    with pytest.raises(AudiotlError, match="outside"):
        fetch("toy", tmp_path / "data")
    with pytest.raises(AudiotlError, match="'x'"):
        fetch("x", tmp_path)
