"""Damaged audio files decode or are named, each within 2 s of processor time and 1 GB."""

import os
import resource
import signal
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
    """Load one file in a process of its own: what came of it, processor seconds, bytes on top."""
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
            fine = samples.ndim == 1 and len(samples) and np.isfinite(samples).all()
            said = "decoded" if fine and samples.dtype == np.float32 else "decoded to nonsense"
        except AudioError as error:
            said = "named" if path.name in str(error) else f"unclear: {error}"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        # A fork counts its parent's pages as its own.
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


@linux
@pytest.mark.parametrize("n,seed", [(96, 0), pytest.param(1000, 1, marks=pytest.mark.long)])
def test_damaged_files_decode_or_are_named(tmp_path, n, seed):
    out = [(path, *alone(path)) for path in mutated_audio.make(tmp_path, n, seed)]
    bad = [row for row in out
           if row[1] not in ("decoded", "named") or row[2] > 2 or row[3] > GIGABYTE]
    assert not bad, "\n".join(map(str, bad))
    counts = {word: sum(said == word for _, said, _, _ in out) for word in ("decoded", "named")}
    assert min(counts.values()) > n / 5, counts


@linux
def test_a_long_file_of_many_channels_is_read_in_little_memory(tmp_path):
    """Ten minutes of 32 channels at 16 kHz are 1.2 GB as floats; only their mean is kept."""
    soundfile.write(tmp_path / "long.wav", np.zeros((1, 32)), 16_000, subtype="PCM_U8")
    content = bytearray((tmp_path / "long.wav").read_bytes())
    size = 32 * 16_000 * 600
    content[40:44] = size.to_bytes(4, "little")
    content[4:8] = (size + 36).to_bytes(4, "little")
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


def test_numbers_and_rates_that_are_no_sound_are_refused(tmp_path):
    samples = np.full(1000, 0.5, np.float32)
    soundfile.write(tmp_path / "scaled.wav", samples * 2**31, 16_000, subtype="FLOAT")
    assert load(tmp_path / "scaled.wav", 16_000).max() == 2**30
    samples[500] = 1e30
    soundfile.write(tmp_path / "huge.wav", samples, 16_000, subtype="FLOAT")
    content = bytearray(write_clip(tmp_path / "slow.wav").read_bytes())
    content[24:28] = (3).to_bytes(4, "little")
    (tmp_path / "slow.wav").write_bytes(content)
    for name in ("huge.wav", "slow.wav"):
        with pytest.raises(AudioError, match=name):
            load(tmp_path / name, 16_000)
