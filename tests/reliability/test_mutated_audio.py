"""Damaged audio files decode or are named, each within 2 s of processor time and 1 GB, and none crashes or hangs."""

import os
import resource
import signal
import time
from pathlib import Path

import mutated_audio
import numpy as np
import pytest
import soundfile
from conftest import write_clip

from audiotl.audio import AudioError, load

GIGABYTE = 1 << 30
linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(),
                           reason="limits and memory are read from /proc, which is Linux's")


def alone(path: Path, wall: int = 300) -> tuple[str, float, float]:
    """Load one file in a process of its own: ``(what came of it, processor seconds, peak bytes)``.

    The bytes are those beyond what it began with: a forked process counts the pages of its parent as its own.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(wall)
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
        # Address space: what the process has now, and 1 GB for the file.
        pages = Path("/proc/self/statm").read_text().split()
        mapped, resident = (int(n) * os.sysconf("SC_PAGE_SIZE") for n in pages[:2])
        resource.setrlimit(resource.RLIMIT_AS, (mapped + GIGABYTE, mapped + GIGABYTE))
        try:
            samples = load(path, 16_000)
            fine = samples.ndim == 1 and len(samples) and np.isfinite(samples).all() and samples.dtype == np.float32
            said = "decoded" if fine else "decoded to nonsense"
        except AudioError as error:
            said = "named" if path.name in str(error) and "memory" not in str(error).lower() else f"unclear: {error}"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - resident
        os.write(writing, f"{peak} {said}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        peak, _, said = pipe.read().partition(" ")
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        peak, said = 0, f"ended by {status}"
    return said, usage.ru_utime + usage.ru_stime, int(peak)


def check(folder: Path, n: int, seed: int) -> str:
    paths, started = mutated_audio.make(folder, n, seed), time.time()
    out = [(path, *alone(path)) for path in paths]
    bad = [f"{path.name}: {said} ({seconds:.1f} s, {size / 1e6:.0f} MB)" for path, said, seconds, size in out
           if said not in ("decoded", "named") or seconds > 2 or size > GIGABYTE]
    assert not bad, "\n".join(bad)
    counts = {word: sum(said == word for _, said, _, _ in out) for word in ("decoded", "named")}
    assert min(counts.values()) > n / 5, counts
    return (f"{n} files in {time.time() - started:.0f} s: {counts}, at most {max(row[2] for row in out):.2f} s of "
            f"processor time and {max(row[3] for row in out) / 1e6:.0f} MB each")


@linux
@pytest.mark.parametrize("n,seed", [(96, 0), pytest.param(1000, 1, marks=pytest.mark.long)])
def test_damaged_files_decode_or_are_named(tmp_path, n, seed):
    print(check(tmp_path, n, seed))


@linux
def test_a_long_file_of_many_channels_is_read_in_little_memory(tmp_path):
    """Ten minutes of 32 channels at 16 kHz are 1.2 GB as floats; only their mean is kept."""
    soundfile.write(tmp_path / "long.wav", np.zeros((1, 32)), 16_000, subtype="PCM_U8")
    content, size = bytearray((tmp_path / "long.wav").read_bytes()), 32 * 16_000 * 600
    content[40:44], content[4:8] = size.to_bytes(4, "little"), (size + 36).to_bytes(4, "little")
    (tmp_path / "long.wav").write_bytes(content)
    os.truncate(tmp_path / "long.wav", 44 + size)  # a hole in the file: no disk is used
    said, _, peak = alone(tmp_path / "long.wav")
    assert said == "decoded" and peak < GIGABYTE / 2, (said, peak)


def test_what_is_no_plain_file_is_named_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "headerless.raw").write_bytes(bytes(1000))
    for name in ("pipe.wav", "folder.wav", "headerless.raw"):
        assert alone(tmp_path / name)[0] == "named"


def test_absurd_numbers_are_refused_before_they_reach_a_network(tmp_path):
    samples = np.full(1000, 0.5, np.float32)
    samples[500] = 1e30
    soundfile.write(tmp_path / "huge.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"huge\.wav.*beyond"):
        load(tmp_path / "huge.wav", 16_000)
    soundfile.write(tmp_path / "scaled.wav", samples.clip(0, 1) * 2**31, 16_000, subtype="FLOAT")
    assert load(tmp_path / "scaled.wav", 16_000).max() == 2**31


def test_a_rate_that_is_no_rate_of_sound_is_refused(tmp_path):
    path = write_clip(tmp_path / "slow.wav")
    content = bytearray(path.read_bytes())
    content[24:28] = (3).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"slow\.wav.*3 Hz"):
        load(path, 16_000)
