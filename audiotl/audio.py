"""From a file to samples: decode (soundfile), mix to mono, resample (soxr), fit to a length."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from audiotl import AudiotlError

MAX_DURATION = 600.0
"""Seconds read at most when no duration is asked for: a lying header cannot fill the memory."""

RATES = (1000, 1_000_000)  # sample rates in Hz that a file may claim
LARGEST = 1e10  # samples beyond this are damage; integers kept as floats stay below


class AudioError(AudiotlError):
    """A file that cannot be used as sound; names the file and the cause."""


def load(path: str | Path, sample_rate: int, duration: float | None = None) -> np.ndarray:
    """Decode one file to mono at a sample rate.

    Args:
        path: any format that libsndfile reads (wav, flac, ogg, mp3, ...).
        sample_rate: in Hz.
        duration: seconds read at most, from the start; `MAX_DURATION` if not given.

    Returns:
        float32 samples, shape ``(n,)``, n >= 1; full scale is 1.

    Raises:
        AudioError: missing, empty, unreadable or non-finite sound.
    """
    path = Path(path)
    if not path.is_file():  # opening a pipe would wait for ever
        what = "no file" if path.exists() else "not there"
        raise AudioError(f"{path} is {what}; check the path.")
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate = file.samplerate
            wanted = int(np.ceil((duration or MAX_DURATION) * rate))
            if not RATES[0] <= rate <= RATES[1]:
                raise ValueError(f"its header claims {rate} Hz")
            mono = _read(file, wanted)
    except (RuntimeError, TypeError, ValueError, OSError, MemoryError) as error:
        cause = "it is empty" if path.is_file() and path.stat().st_size == 0 else _plain(error)
        raise AudioError(f"{path} cannot be decoded ({cause}); replace or remove it.") from None
    fault = _fault(mono)
    if rate != sample_rate and not fault:
        mono = soxr.resample(mono, rate, sample_rate)
        fault = "too few samples to resample" if len(mono) == 0 else None
    if fault:
        raise AudioError(f"{path} holds {fault}; replace or remove it.")
    return np.ascontiguousarray(mono, dtype=np.float32)


def _fault(mono: np.ndarray) -> str | None:
    if len(mono) == 0:
        return "no samples"
    if not np.isfinite(mono).all():
        return "samples that are not numbers (NaN or infinite)"
    largest = max(mono.max(), -mono.min())
    return "samples far beyond full scale" if largest > LARGEST else None


def _read(file: soundfile.SoundFile, wanted: int, block: int = 1 << 18) -> np.ndarray:
    # Block by block and mixed at once: a damaged header may promise hours that are not there.
    parts, left = [np.zeros(0, np.float32)], wanted
    while left > 0:
        frames = min(max(1, block // file.channels), left)
        part = file.read(frames, dtype="float32", always_2d=True)
        if len(part) == 0:
            break
        parts.append(part.mean(axis=1) if part.shape[1] > 1 else part[:, 0])
        left -= len(part)
    return np.concatenate(parts)


def _plain(error: Exception) -> str:
    text = getattr(error, "error_string", None) or str(error) or type(error).__name__
    return text.strip().rstrip(".")


def fit(samples: np.ndarray, length: int) -> np.ndarray:
    """Cut to `length` samples, or repeat up to it (Choi et al. 2017, section 3).

    >>> fit(np.array([1., 2., 3.]), 5).tolist()
    [1.0, 2.0, 3.0, 1.0, 2.0]
    """
    return np.tile(samples, -(-length // len(samples)))[:length]
