import errno
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import write_clip

from audiotl import AudiotlError, cache
from audiotl.degrade import Degradation


def write(folder, content=bytes(range(256)) * 10):
    (folder / "data.bin").write_bytes(content)


def test_an_entry_appears_whole_or_not_at_all(fresh_cache):
    with pytest.raises(RuntimeError), cache.making("step", "a") as folder:
        write(folder)
        raise RuntimeError
    assert cache.find("step", "a") is None and not any((fresh_cache / "step").iterdir())
    with cache.making("step", "a") as folder:
        write(folder, b"whole")
        assert cache.find("step", "a") is None
    assert (cache.find("step", "a") / "data.bin").read_bytes() == b"whole"
    with cache.making("step", "b") as one, cache.making("step", "b") as two:
        write(one, b"one")
        write(two, b"two")
    assert (cache.find("step", "b") / "data.bin").read_bytes() == b"two"  # it ended first


def test_a_step_is_made_once_for_equal_content_however_it_is_made(fresh_cache):
    made = []

    @cache.step("sums", version=2, home="numbers")
    def sums(folder, numbers, how=None, *, threads=1):
        made.append((numbers.tolist(), how, threads))
        np.save(folder / "sum.npy", numbers.sum())

    first = sums(np.arange(4), threads=2)
    assert first == sums(np.arange(4), threads=3) == sums.find(np.arange(4))
    assert first == fresh_cache / "numbers" / cache.key_of("sums", 2, cache.array_key(np.arange(4)))
    noise = Degradation("noise", 10.0)
    assert sums.find(np.arange(4.0)) is None and sums.find(np.arange(4), noise) is None
    assert np.load(sums(np.arange(4), noise) / "sum.npy") == 6
    assert sums.key(np.arange(4), noise) != sums.key(np.arange(4), Degradation("noise", 20.0))
    (first / "sum.npy").write_bytes(b"damage")
    with pytest.warns(UserWarning):
        assert np.load(sums(np.arange(4)) / "sum.npy") == 6
    assert made == [([0, 1, 2, 3], None, 2), ([0, 1, 2, 3], noise, 1), ([0, 1, 2, 3], None, 1)]


@pytest.mark.parametrize(("file", "content"), [
    ("data.bin", b"\1" + bytes(2559)), ("data.bin", b"short"), ("data.bin", None),
    *(("manifest.json", text) for text in (None, b"", b"{", b"{}", b"[]", b"null", b"\xff\xfe",
                                           b'{"data.bin": 3}', b'{"data.bin": [1]}'))])
def test_a_damaged_entry_is_named_removed_and_made_again(fresh_cache, file, content):
    path = cache.entry("step", "a", write) / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.warns(UserWarning, match=file if file == "data.bin" or content is None else ""):
        assert cache.find("step", "a") is None
    assert not path.parent.exists()
    folder = cache.entry("step", "a", lambda folder: write(folder, b"again"))
    assert (folder / "data.bin").read_bytes() == b"again"


def test_no_flipped_bit_is_read(fresh_cache):
    rng = np.random.default_rng(0)
    for _ in range(100):
        folder = cache.entry("step", "a", lambda folder: write(folder, bytes(range(200))))
        path = folder / ("data.bin" if rng.random() < 0.5 else "manifest.json")
        content = bytearray(path.read_bytes())
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        with pytest.warns(UserWarning):
            assert cache.find("step", "a") is None


def test_a_full_disk_is_named_and_other_errors_pass(fresh_cache):
    with pytest.raises(AudiotlError, match=str(fresh_cache)), cache.making("step", "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    if Path("/dev/full").exists():  # Linux: every write to it finds the disk full
        with (pytest.raises(AudiotlError, match=str(fresh_cache)), cache.making("step", "a"),
              open("/dev/full", "wb") as full):
            np.zeros(10**6).tofile(full)
    for other in (OSError("of another kind"), FileExistsError(errno.EEXIST, "there")):
        with pytest.raises(type(other)), cache.making("step", "a"):
            raise other


def test_a_disk_that_forgets_is_named_instead_of_asked_for_ever(fresh_cache, monkeypatch):
    monkeypatch.setattr(cache, "_damage", lambda folder: "data.bin")
    with pytest.warns(UserWarning), pytest.raises(AudiotlError, match=str(fresh_cache)):
        cache.entry("step", "a", write)


def test_what_killed_processes_left_is_swept_after_a_week(fresh_cache):
    for name, days in (("old", 8), ("new", 1)):
        left = fresh_cache / "step" / f".{name}.0123456789ab"
        left.mkdir(parents=True)
        write(left)
        for path in (left / "data.bin", left):
            os.utime(path, (time.time() - days * 86_400,) * 2)
    cache.entry("step", "a", write)
    assert {path.name for path in (fresh_cache / "step").iterdir()} == {".new.0123456789ab", "a"}


def test_the_fingerprint_follows_the_bytes(fresh_cache, tmp_path):
    paths = [write_clip(tmp_path / "a.wav"), write_clip(tmp_path / "b.wav", seed=1)]
    first = cache.fingerprint(paths)
    assert cache.fingerprint(paths) == first != cache.fingerprint(paths[::-1])
    index = next((fresh_cache / "digests").iterdir())
    for content in ("", "[]", "3", '{"X": 1}', '{"X": [1, 2]}'):
        index.write_text(content.replace("X", str(paths[0])))
        assert cache.fingerprint(paths) == first
    content = paths[0].read_bytes()
    paths[0].write_bytes(content[:-2] + b"\x01\x02")
    os.utime(paths[0], ns=(1, 1))
    assert cache.fingerprint(paths) != first
    paths[0].write_bytes(content)
    assert cache.fingerprint(paths) == first
    assert cache.digests([paths[0], tmp_path / "gone.wav"])[1] == ""


def test_the_cost_of_what_was_found_counts_once(fresh_cache):
    def spin(seconds):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    @cache.step("inner", version=1)
    def inner(folder, n):
        spin(0.05)
        (folder / "x").write_text("x")

    @cache.step("outer", version=1)
    def outer(folder, n):
        inner(0)
        spin(0.1)
        (folder / "x").write_text("x")

    before = cache.spared()
    for n in (1, 2):
        outer(n)
    assert cache.spared() == before  # it was all made here
    cost = json.loads((outer(2) / "cost.json").read_text())
    assert sorted(cost) == sorted([f"inner/{inner.key(0)}", f"outer/{outer.key(2)}"])
    assert cost[f"inner/{inner.key(0)}"] >= 0.05
    cache._made.clear()
    assert cache.spared() - before >= 0.25  # inner once, outer twice
