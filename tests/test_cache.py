import errno
import os
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import write_clip

from audiotl import AudiotlError, cache


def test_an_entry_appears_whole_or_not_at_all(fresh_cache):
    with pytest.raises(RuntimeError), cache.making("step", "a") as folder:
        (folder / "half.txt").write_text("half")
        raise RuntimeError
    assert cache.find("step", "a") is None
    assert not any((fresh_cache / "step").iterdir())
    with cache.making("step", "a") as folder:
        (folder / "whole.txt").write_text("whole")
        assert cache.find("step", "a") is None
    assert (cache.find("step", "a") / "whole.txt").read_text() == "whole"


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest"])
def test_a_damaged_entry_is_noticed_and_removed(fresh_cache, damage):
    with cache.making("step", "a") as folder:
        (folder / "data.bin").write_bytes(bytes(range(256)) * 10)
    path = cache.find("step", "a") / "data.bin"
    if damage == "flip":
        content = bytearray(path.read_bytes())
        content[1000] ^= 1
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "remove":
        path.unlink()
    else:
        (path.parent / "manifest.json").write_text("{")
    with pytest.warns(UserWarning, match="damaged"):
        assert cache.find("step", "a") is None
    assert not path.parent.exists()


def test_the_first_of_two_writers_wins_and_neither_fails(fresh_cache):
    with cache.making("step", "a") as one, cache.making("step", "a") as two:
        (one / "x").write_text("one")
        (two / "x").write_text("two")
    assert (cache.find("step", "a") / "x").read_text() == "two"  # the inner block ended first


def test_a_full_disk_is_one_clear_sentence(fresh_cache):
    with pytest.raises(AudiotlError, match="No space left"), cache.making("step", "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    if Path("/dev/full").exists():  # Linux: every write to it finds the disk full
        with (pytest.raises(AudiotlError, match="No space left"), cache.making("step", "a"),
              open("/dev/full", "wb") as full):
            np.zeros(10**6).tofile(full)
    with pytest.raises(OSError, match="of another kind"), cache.making("step", "a"):
        raise OSError("an error of another kind")


def test_the_fingerprint_follows_the_bytes(fresh_cache, tmp_path):
    paths = [write_clip(tmp_path / "a.wav"), write_clip(tmp_path / "b.wav", seed=1)]
    first = cache.fingerprint(paths)
    assert cache.fingerprint(paths) == first
    assert cache.fingerprint(paths[::-1]) != first
    content = paths[0].read_bytes()
    paths[0].write_bytes(content[:-2] + b"\x01\x02")
    os.utime(paths[0], ns=(1, 1))
    assert cache.fingerprint(paths) != first
    paths[0].write_bytes(content)
    assert cache.fingerprint(paths) == first


@pytest.mark.parametrize("manifest", ["", "{}", "[]", "null", '{"data.bin": 3}', '{"data.bin": [1]}', "\\xff"])
def test_a_manifest_of_any_make_is_survived(fresh_cache, manifest):
    with cache.making("step", "a") as folder:
        (folder / "data.bin").write_bytes(b"content")
    (fresh_cache / "step" / "a" / "manifest.json").write_bytes(manifest.encode().replace(b"\\xff", b"\xff\xfe"))
    with pytest.warns(UserWarning, match="damaged"):
        entry = cache.entry("step", "a", lambda folder: (folder / "data.bin").write_bytes(b"again"))
    assert (entry / "data.bin").read_bytes() == b"again"


def test_no_flipped_bit_is_read(fresh_cache):
    rng = np.random.default_rng(0)
    for _ in range(100):
        entry = cache.entry("step", "a", lambda folder: (folder / "data.bin").write_bytes(bytes(range(200))))
        path = entry / ("data.bin" if rng.random() < 0.5 else "manifest.json")
        content = bytearray(path.read_bytes())
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        with pytest.warns(UserWarning, match="damaged"):
            assert cache.find("step", "a") is None


def test_an_entry_without_its_manifest_is_made_again(fresh_cache):
    (fresh_cache / "step" / "a").mkdir(parents=True)
    (fresh_cache / "step" / "a" / "data.bin").write_bytes(b"half")
    with pytest.warns(UserWarning, match=r"damaged \(manifest.json\)"):
        entry = cache.entry("step", "a", lambda folder: (folder / "data.bin").write_bytes(b"whole"))
    assert (entry / "data.bin").read_bytes() == b"whole"


def test_a_disk_that_forgets_is_named_instead_of_asked_for_ever(fresh_cache, monkeypatch):
    monkeypatch.setattr(cache, "_damage", lambda folder: "data.bin")
    with pytest.warns(UserWarning), pytest.raises(AudiotlError, match="does not keep what is written"):
        cache.entry("step", "a", lambda folder: (folder / "data.bin").write_bytes(b"content"))


def test_what_killed_processes_left_is_swept_after_a_week(fresh_cache):
    for name, days in (("old", 8), ("new", 1)):
        left = fresh_cache / "step" / f".{name}.0123456789ab"
        left.mkdir(parents=True)
        (left / "half.bin").write_bytes(b"half")
        for path in (left / "half.bin", left):
            os.utime(path, (time.time() - days * 86_400,) * 2)
    cache.entry("step", "a", lambda folder: (folder / "data.bin").write_bytes(b"content"))
    assert sorted(path.name for path in (fresh_cache / "step").iterdir()) == [".new.0123456789ab", "a"]


@pytest.mark.parametrize("content", ["", "[]", "3", '{"X": 1}', '{"X": [1, 2]}'])
def test_a_damaged_list_of_digests_is_made_again(fresh_cache, tmp_path, content):
    paths = [write_clip(tmp_path / "a.wav")]
    first = cache.fingerprint(paths)
    index = next((fresh_cache / "digests").iterdir())
    index.write_text(content.replace("X", str(paths[0])))
    assert cache.fingerprint(paths) == first
