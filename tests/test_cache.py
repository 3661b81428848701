import errno
import os

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
