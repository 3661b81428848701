"""What an MFCC is, step by step, and what it throws away: forward, truncated, and back to sound."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.fft import dct, idct

from audiotl import stats

N_FFT, HOP, N_BANDS = 2048, 512, 128
"""librosa's own settings, which are also those of the study's MFCC statistics."""


@dataclasses.dataclass(frozen=True)
class Steps:
    """One sound on its way to cepstra; frames lie along the last axis.

    Args:
        waveform: ``(n,)``.
        sample_rate: in Hz.
        power: STFT power, ``(1025, frames)``.
        mel: band powers, ``(128, frames)``.
        level: decibels from the loudest point down to -80, ``(128, frames)``.
        cepstra: all 128 coefficients of the orthonormal DCT-II, ``(128, frames)``.
    """

    waveform: np.ndarray
    sample_rate: int
    power: np.ndarray
    mel: np.ndarray
    level: np.ndarray
    cepstra: np.ndarray


def steps(waveform: np.ndarray, sample_rate: int) -> Steps:
    """Waveform, spectrogram, mel, logarithm, DCT, by librosa.

    >>> made = steps(np.random.default_rng(0).standard_normal(16_000).astype(np.float32), 16_000)
    >>> made.cepstra.shape, bool(np.allclose(back(made.cepstra, 128), made.level, atol=1e-3))
    ((128, 32), True)
    """
    import librosa

    power = np.abs(librosa.stft(waveform, n_fft=N_FFT, hop_length=HOP)) ** 2
    mel = librosa.filters.mel(sr=sample_rate, n_fft=N_FFT, n_mels=N_BANDS) @ power
    level = librosa.power_to_db(mel, ref=np.max, top_db=80)
    return Steps(waveform, sample_rate, power, mel, level, dct(level, axis=0, norm="ortho"))


def back(cepstra: np.ndarray, count: int) -> np.ndarray:
    """The log-mel spectrogram that the first `count` coefficients still hold: ``(bands, frames)`` in and out."""
    kept = cepstra.copy()
    kept[count:] = 0
    return idct(kept, axis=0, norm="ortho")


def resynthesise(made: Steps, count: int, iterations: int = 32) -> np.ndarray:
    """Sound from the first `count` coefficients: inverse DCT, mel bands to STFT, phases by Griffin and Lim (librosa).

    Phases are lost at the first step already, so even with all coefficients the copy is not the original. Bands are
    spread over the bins by least squares, cut at zero: enough for the ear, and in a hundredth of the time that exact
    non-negative least squares take.

    Returns:
        Samples ``(n,)`` float32, brought to the original's loudness (root mean square).
    """
    import librosa

    mel = librosa.db_to_power(np.minimum(back(made.cepstra, count), 0.0), ref=float(made.mel.max()))
    bank = librosa.filters.mel(sr=made.sample_rate, n_fft=N_FFT, n_mels=N_BANDS)
    magnitudes = np.sqrt(np.maximum(np.linalg.pinv(bank) @ mel, 0.0))
    sound = librosa.griffinlim(magnitudes, n_iter=iterations, n_fft=N_FFT, hop_length=HOP, random_state=0,
                               length=len(made.waveform))
    loudness = np.sqrt(np.mean(np.square(made.waveform)) / max(np.mean(np.square(sound)), 1e-12))
    return (sound * loudness).astype(np.float32)


def survival(levels: np.ndarray, groups: np.ndarray, counts: Sequence[int]) -> pd.DataFrame:
    """What survives the first coefficients, over many clips.

    Args:
        levels: decibels ``(n, bands, frames)``.
        groups: group of each clip, for the intervals.

    Returns:
        ``coefficients, detail_kept, ci_low, ci_high, error_db``: the share of the variance across bands (about each
        frame's own mean) that is kept, averaged over clips, with an interval; and the root mean square of what is
        lost in dB.
    """
    squares = dct(levels.astype(np.float64), axis=1, norm="ortho") ** 2
    detail = squares[:, 1:].sum((1, 2))
    rows = []
    for count in counts:
        kept = squares[:, 1:count].sum((1, 2)) / np.maximum(detail, 1e-12)
        share, low, high = stats.bootstrap_mean(kept, groups)
        rows.append({"coefficients": count, "detail_kept": share, "ci_low": low, "ci_high": high,
                     "error_db": float(np.sqrt(squares[:, count:].sum(1).mean(1) / levels.shape[1]).mean())})
    return pd.DataFrame(rows)
