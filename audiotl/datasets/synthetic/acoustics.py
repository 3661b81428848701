"""What the built-in corpora share: generators, noise, wavetables, resonances, a room, a level.

All signals are float64 at 16 kHz, shape ``(n,)``; frequencies are in Hz, times in seconds. Every
function that draws takes its own `numpy.random.Generator`, so a clip depends on its seed alone.
"""

import zlib
from typing import NamedTuple

import numpy as np
from scipy import fft, signal

RATE = 16_000  # sample rate of every built-in clip, in Hz


class Clip(NamedTuple):
    """One finished clip: path in the corpus (no suffix), label, group, samples in [-1, 1]."""

    name: str
    label: str
    group: str
    samples: np.ndarray


def generator(seed: int, *words: str | int) -> np.random.Generator:
    """A generator of its own for each sequence of words, e.g. ``generator(0, "siren", 3)``."""
    return np.random.default_rng([seed, zlib.crc32("/".join(map(str, words)).encode())])


def log_uniform(rng: np.random.Generator, low: float, high: float, size: int | None = None):
    """Uniform over octaves, as pitch and loudness are heard."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def noise(rng: np.random.Generator, n: int, slope: float = 0.0) -> np.ndarray:
    """Noise of unit RMS whose power falls as ``f ** -slope``: 0 white, 1 pink, 2 brown."""
    size = fft.next_fast_len(n, real=True)
    bins = np.arange(size // 2 + 1, dtype=float)
    # Below 40 Hz the fall stops: a steep slope would put all power where no loudspeaker reaches.
    shape = np.maximum(bins, 40 * size / RATE) ** (-slope / 2)
    spectrum = shape * rng.standard_normal(2 * len(bins)).view(complex)
    spectrum[0] = 0
    out = fft.irfft(spectrum, size)[:n]
    return out / rms(out)


def contour(rng: np.random.Generator, n: int, rate: float) -> np.ndarray:
    """A smooth random curve of about unit size that turns some `rate` times a second."""
    knots = max(4, int(np.ceil(n / RATE * rate)) + 3)
    slow = signal.resample(rng.standard_normal(knots + 6), 8 * (knots + 6))[24:-24]
    return np.interp(np.linspace(0, len(slow) - 1, n), np.arange(len(slow)), slow)


def cycles(frequency: np.ndarray | float, n: int | None = None) -> np.ndarray:
    """Phase in cycles of an oscillator at `frequency` (an array, or a number and a length)."""
    return np.cumsum(np.full(n, frequency) if n else frequency) / RATE


def partials(rng: np.random.Generator, amplitudes: np.ndarray, size: int = 1024) -> np.ndarray:
    """One period, unit RMS, of the harmonics 1, 2, ... with these amplitudes and random phases."""
    spectrum = np.zeros(size // 2 + 1, dtype=complex)
    spectrum[1:len(amplitudes) + 1] = amplitudes * np.exp(2j * np.pi * rng.random(len(amplitudes)))
    period = fft.irfft(spectrum, size)
    return period / rms(period)


def harmonics(f0: float) -> np.ndarray:
    """Numbers 1, 2, ... of the harmonics of `f0` that lie below 0.45 of the sample rate."""
    return np.arange(1, max(1, int(0.45 * RATE / f0)) + 1)


def play(period: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Read one period at a phase in cycles, with linear interpolation.

    Caution: nothing limits the band; no harmonic of the highest frequency may pass ``RATE / 2``.
    """
    size = len(period)
    turn = phase - np.floor(phase)  # faster than ``% 1.0``, and the same bits
    return np.interp(turn * size, np.arange(size + 1), np.append(period, period[0]))


def vowel(rng: np.random.Generator, f0: float, formants: np.ndarray, tilt=1.2) -> np.ndarray:
    """One period of a voice at `f0`: harmonics fall as ``k ** -tilt``, lifted near each formant."""
    number = harmonics(f0)
    frequency = f0 * number
    width = 60 + 0.06 * formants[:, None]
    lift = (1 / (1 + ((frequency - formants[:, None]) / width) ** 2)).sum(0)
    return partials(rng, (0.02 + lift) * number**-tilt)


def ring(x: np.ndarray, modes: np.ndarray, decays: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Excite resonances: each mode is a two-pole filter that falls by 60 dB in its decay time."""
    out = np.zeros_like(x)
    for frequency, decay, gain in zip(modes, decays, gains, strict=True):
        radius, angle = np.exp(-6.9 / (decay * RATE)), 2 * np.pi * frequency / RATE
        # The numerator makes every mode peak at 1, whatever its decay.
        peak = (1 - radius) * np.abs(1 - radius * np.exp(-2j * angle))
        out += gain * signal.lfilter([peak], [1, -2 * radius * np.cos(angle), radius**2], x)
    return out


def impulses(times: np.ndarray, heights: np.ndarray, n: int) -> np.ndarray:
    """Impulses at these times; those outside the clip are dropped."""
    at = np.round(np.asarray(times) * RATE).astype(int)
    inside = (at >= 0) & (at < n)
    return np.bincount(at[inside], np.asarray(heights)[inside], minlength=n).astype(float)


def band(x: np.ndarray, low: float = 0.0, high: float = RATE, order: int = 1) -> np.ndarray:
    """Keep what lies between `low` and `high`: `order` one-pole filters (6 dB an octave) each."""
    for edge, keep_high in ((low, True), (high, False)):
        if 0 < edge < 0.49 * RATE:
            warped = np.tan(np.pi * edge / RATE)
            numerator = [1, -1] if keep_high else [warped, warped]
            for _ in range(order):
                x = signal.lfilter(numerator, [1 + warped, warped - 1], x)
    return x


def room(rng: np.random.Generator, x: np.ndarray, decay: float, wet: float) -> np.ndarray:
    """Add a tail: noise that falls by 60 dB in `decay`, with `wet` times the direct power."""
    n = int(decay * RATE)
    tail = band(rng.standard_normal(n), high=4000) * np.exp(-6.9 * np.arange(n) / n)
    tail[:int(0.004 * RATE)] = 0
    tail *= np.sqrt(wet / np.sum(tail**2))
    return x + signal.fftconvolve(x, tail)[:len(x)]


def fade(n: int, attack: float, release: float) -> np.ndarray:
    """An envelope over n samples that rises and falls as a raised cosine (times in seconds)."""
    t = np.arange(n) / RATE
    ends = np.minimum(t / max(attack, 1e-3), (t[-1] - t) / max(release, 1e-3))
    out, slope = np.ones(n), ends < 1
    out[slope] = 0.5 - 0.5 * np.cos(np.pi * ends[slope])
    return out


def rms(x: np.ndarray) -> float:
    """Root mean square, never below 1e-9."""
    return float(max(np.sqrt(np.mean(x * x)), 1e-9))


def loudness(x: np.ndarray, frame: int = 800) -> float:
    """RMS of the louder frames of 50 ms: a fair level for a bark as well as for rain."""
    power = np.mean(x[:len(x) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    return float(max(np.sqrt(np.percentile(power, 85)), np.sqrt(power.max() / 10), 1e-9))


def mix(x: np.ndarray, background: np.ndarray, snr: float) -> np.ndarray:
    """`x` over a background that lies `snr` dB below its louder frames."""
    return x / loudness(x) + background / rms(background) * 10 ** (-snr / 20)


def finish(x: np.ndarray, level: float) -> np.ndarray:
    """No DC, soft peaks as of a recorder's limiter, the highest `level` dB below full scale."""
    x = np.tanh((x - x.mean()) / (8 * loudness(x)))
    x -= x.mean()
    return x * (10 ** (-max(level, 0.5) / 20) / max(np.abs(x).max(), 1e-9))
