"""What happens to sound on its way: noise, another gain, a telephone, a larger or smaller source.

A probe is trained on clean clips and tested on degraded ones. What happens to a clip depends on the
clip and the seed alone, not on its batch.
"""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np
import soxr
from scipy import signal

from audiotl import AudiotlError

TELEPHONE = (300.0, 3400.0)
"""Pass band of a telephone line in Hz."""


@dataclasses.dataclass(frozen=True)
class Degradation:
    """One degradation and how much of it.

    Args:
        kind: ``"noise"`` (white Gaussian; amount is the signal-to-noise ratio in dB), ``"gain"``
            (amount in dB), ``"telephone"`` (300 to 3400 Hz; no amount) or ``"speed"`` (amount is
            the factor by which the clip plays faster).
        amount: see `kind`.
        seed: of the noise.

    >>> Degradation("gain", -6.0)(np.ones(3, np.float32), 16_000).round(3).tolist()
    [0.5009999871253967, 0.5009999871253967, 0.5009999871253967]
    """

    kind: str
    amount: float = 0.0
    seed: int = 0

    def __post_init__(self):
        if self.kind not in ("noise", "gain", "telephone", "speed"):
            raise AudiotlError(f"There is no degradation {self.kind!r}; choose noise, gain, "
                               "telephone or speed.")

    @property
    def name(self) -> str:
        """How tables name it, e.g. ``"noise 10 dB"``, ``"telephone"`` or ``"speed x1.25"``."""
        return {"noise": f"noise {self.amount:g} dB", "gain": f"gain {self.amount:+g} dB",
                "telephone": "telephone", "speed": f"speed x{self.amount:g}"}[self.kind]

    def __call__(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """The degraded sound: float32 ``(..., n)`` to ``(..., m)``; m = n but for another speed."""
        if self.kind == "noise":
            return add_noise(samples, self.amount, self.seed)
        if self.kind == "gain":
            return (samples * 10 ** (self.amount / 20)).astype(np.float32)
        if self.kind == "telephone":
            return telephone(samples, sample_rate)
        return change_speed(samples, self.amount)


USUAL = (Degradation("noise", 20.0), Degradation("noise", 10.0), Degradation("noise", 0.0),
         Degradation("gain", -12.0), Degradation("telephone"), Degradation("speed", 0.8),
         Degradation("speed", 1.25))
"""The degradations of the study."""


def add_noise(samples: np.ndarray, snr_db: float, seed: int = 0) -> np.ndarray:
    """White Gaussian noise at an exact signal-to-noise ratio over each clip; silence stays silent.

    The noise is drawn from the clip's own samples and the seed, so it is the same in every batch.

    Shape:
        ``(..., n)`` in and out.
    """
    rows = samples.reshape(-1, samples.shape[-1])
    out = np.empty(rows.shape, np.float32)
    for row, clean in zip(out, rows, strict=True):
        mark = zlib.crc32(np.ascontiguousarray(clean, np.float32).tobytes())
        rng = np.random.default_rng([seed, mark])
        noise = rng.standard_normal(len(clean), dtype=np.float32)
        wanted = np.mean(np.square(clean, dtype=np.float64)) / 10 ** (snr_db / 10)
        row[:] = clean + noise * np.sqrt(wanted / np.mean(np.square(noise, dtype=np.float64)))
    return out.reshape(samples.shape)


def telephone(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Band-pass from 300 to 3400 Hz: linear phase, 60 dB down within 100 Hz of either edge.

    Shape:
        ``(..., n)`` in and out, without delay.
    """
    taps, beta = signal.kaiserord(60.0, 100.0 / (sample_rate / 2))
    taps += 1 - taps % 2
    edges = TELEPHONE[0] - 50, TELEPHONE[1] + 50
    window = signal.firwin(taps, edges, pass_zero=False, window=("kaiser", beta), fs=sample_rate)
    before = samples.ndim - 1
    padded = np.pad(samples, [(0, 0)] * before + [(taps // 2, taps // 2)])
    kernel = window.reshape((1,) * before + (-1,))
    return signal.oaconvolve(padded, kernel, mode="valid", axes=-1).astype(np.float32)


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Play `factor` times as fast: the length divided and every frequency multiplied by it.

    A smaller body sounds higher and faster, so this mimics a change in the size of the source.

    Shape:
        ``(..., n)`` to ``(..., about n / factor)``.
    """
    rows = np.ascontiguousarray(samples.reshape(-1, samples.shape[-1]).T, dtype=np.float32)
    moved = soxr.resample(rows, factor, 1.0).T
    return np.ascontiguousarray(moved.reshape(*samples.shape[:-1], -1))
