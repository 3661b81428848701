"""What happens to sound on its way: noise, another gain, a telephone, a larger or smaller source.

A probe is trained on clean clips and tested on degraded ones. What happens to a clip depends on the
clip and the seed alone, not on its batch.
"""

import dataclasses
import zlib

import numpy as np
import soxr
from scipy import signal

from audiotl import check_known

NAMES = {"noise": "noise {:g} dB", "gain": "gain {:+g} dB", "telephone": "telephone",
         "speed": "speed x{:g}"}
"""How tables name each kind of degradation with its amount."""


@dataclasses.dataclass(frozen=True)
class Degradation:
    """One degradation and how much of it.

    Args:
        kind: ``"noise"`` (white Gaussian; amount is the signal-to-noise ratio in dB), ``"gain"``
            (amount in dB), ``"telephone"`` (300 to 3400 Hz; no amount) or ``"speed"`` (amount is
            the factor by which the clip plays faster).
        amount: see `kind`.
        seed: of the noise.
    """

    kind: str
    amount: float = 0.0
    seed: int = 0

    def __post_init__(self):
        check_known("degradation", self.kind, NAMES)

    @property
    def name(self) -> str:
        """How tables name it, e.g. ``"noise 10 dB"``, ``"telephone"`` or ``"speed x1.25"``."""
        return NAMES[self.kind].format(self.amount)

    def __call__(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """The degraded sound: float32 ``(n,)`` to ``(m,)``; m = n but for another speed."""
        if self.kind == "noise":
            return add_noise(samples, self.amount, self.seed)
        if self.kind == "gain":
            return (samples * 10 ** (self.amount / 20)).astype(np.float32)
        if self.kind == "telephone":
            return telephone(samples, sample_rate)
        # A smaller body sounds higher and faster.
        return soxr.resample(np.ascontiguousarray(samples, np.float32), self.amount, 1.0)


def add_noise(samples: np.ndarray, snr_db: float, seed: int = 0) -> np.ndarray:
    """White Gaussian noise, drawn from a clip's samples ``(n,)`` and a seed, at an exact ratio."""
    mark = zlib.crc32(np.ascontiguousarray(samples, np.float32).tobytes())
    noise = np.random.default_rng([seed, mark]).standard_normal(len(samples), dtype=np.float32)
    wanted = np.mean(np.square(samples, dtype=np.float64)) / 10 ** (snr_db / 10)
    scale = np.sqrt(wanted / np.mean(np.square(noise, dtype=np.float64)))
    return (samples + noise * scale).astype(np.float32)


def telephone(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Band-pass of ``(n,)`` samples from 300 to 3400 Hz, 60 dB down within 100 Hz of either edge.

    The phase is linear, and the delay taken away.
    """
    taps, beta = signal.kaiserord(60.0, 100.0 / (sample_rate / 2))
    taps += 1 - taps % 2
    window = signal.firwin(taps, (250, 3450), pass_zero=False, window=("kaiser", beta),
                           fs=sample_rate)
    padded = np.pad(samples, taps // 2)
    return signal.oaconvolve(padded, window, mode="valid").astype(np.float32)
