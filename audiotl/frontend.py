"""Front ends as batched ``torch.nn.Module``s: waveform in, spectrogram or cepstra out.

Conventions are librosa's (centred frames padded with zeros, periodic Hann window, power spectrum,
Slaney mel scale and area normalisation), and tests compare with it.
"""

import dataclasses
import importlib
import math
import sys
import types

import torch
from torch import Tensor, nn

from audiotl import AudiotlError

AXES = ("mel", "log", "linear")
CHUNK = 2**17  # samples whose STFT is taken at a time: two clips of 4 s, which make 4 MB
WIDTH = 16  # bands that one product makes: fewer keep the processor idle, more meet zeros


def _import_torchaudio() -> types.ModuleType:
    # torchaudio 2.11 loads an extension that wants CUDA and raises OSError beside a CPU-only torch.
    # The transforms used here are pure Python: a stub may take the extension's place.
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
    stub = types.ModuleType("torchaudio._extension")
    for flag in ("_IS_TORCHAUDIO_EXT_AVAILABLE", "_IS_RIR_AVAILABLE", "_IS_ALIGN_AVAILABLE"):
        setattr(stub, flag, False)
    stub.fail_if_no_align = lambda function: function
    stub._check_cuda_version = lambda: None
    sys.modules[stub.__name__] = stub
    return importlib.import_module("torchaudio")


torchaudio = _import_torchaudio()


@dataclasses.dataclass(frozen=True)
class Settings:
    """What defines a front end; equal settings give equal features.

    Args:
        sample_rate: in Hz.
        n_fft, hop: window and step of the STFT in samples.
        n_bands: bands of the frequency axis.
        low, high: band limits in Hz; `high` None is half the sample rate.
        axis: ``"mel"`` (Slaney), ``"log"`` (a constant number of bands an octave) or ``"linear"``.
        range_db: decibels kept below the loudest point of a clip.
    """

    sample_rate: int = 16_000
    n_fft: int = 1024
    hop: int = 256
    n_bands: int = 64
    low: float = 0.0
    high: float | None = None
    axis: str = "mel"
    range_db: float = 80.0


def band_edges(settings: Settings) -> Tensor:
    """Corner frequencies of the ``log`` and ``linear`` axes in Hz, shape ``(n_bands + 2,)``.

    Band i rises from corner i to i+1 and falls to i+2. The logarithmic axis starts at `low`, or at
    one STFT bin if `low` is below that, and has equal ratios up to `high`.
    """
    corners = settings.n_bands + 2
    high = settings.high or settings.sample_rate / 2
    if settings.axis == "linear":
        return torch.linspace(settings.low, high, corners, dtype=torch.float64)
    if settings.axis == "log":
        low = max(settings.low, settings.sample_rate / settings.n_fft)
        return torch.logspace(math.log10(low), math.log10(high), corners, dtype=torch.float64)
    raise ValueError(f"axis must be 'mel', 'log' or 'linear', not {settings.axis!r}")


def filterbank(settings: Settings) -> Tensor:
    """Triangular filters of equal area, ``(n_fft // 2 + 1, n_bands)``.

    Where a band of the ``log`` or ``linear`` axis is narrower than an STFT bin, it takes the value
    between the two bins around its centre, so that no band is empty.
    """
    n_bins = settings.n_fft // 2 + 1
    high = settings.high or settings.sample_rate / 2
    if settings.axis == "mel":
        return torchaudio.functional.melscale_fbanks(
            n_bins, settings.low, high, settings.n_bands, settings.sample_rate, norm="slaney",
            mel_scale="slaney")
    edges = band_edges(settings)
    bins = torch.linspace(0, settings.sample_rate / 2, n_bins, dtype=torch.float64)[:, None]
    width = (bins[1] - bins[0]).item()
    centre = edges[1:-1]
    rise = (centre - edges[:-2]).clamp(min=width)
    fall = (edges[2:] - centre).clamp(min=width)
    up = (bins - (centre - rise)) / rise
    down = ((centre + fall) - bins) / fall
    return (torch.minimum(up, down).clamp(min=0) * 2 / (rise + fall)).float()


def band_centres(settings: Settings) -> Tensor:
    """Centre of gravity of each band's filter in Hz, shape ``(n_bands,)``."""
    bank = filterbank(settings)
    return torch.linspace(0, settings.sample_rate / 2, len(bank)) @ bank / bank.sum(0)


class PowerSpectrum(nn.Module):
    """Band powers of an STFT: ``(batch, samples)`` to ``(batch, bands, frames)``.

    Three things make it quick. Neighbouring bands are gathered by small products over their own
    range of bins, since a band covers few. Real and imaginary parts are squared as they lie, side
    by side, and added up by the same products. And few clips at a time stay near the processor.
    """

    def __init__(self, settings: Settings):
        super().__init__()
        self.settings = settings
        self.ranges = []
        self.register_buffer("window", torch.hann_window(settings.n_fft), persistent=False)
        parts = filterbank(settings).T.tensor_split(max(1, settings.n_bands // WIDTH))
        for i, part in enumerate(parts):
            bins = part.any(0).nonzero()[:, 0]
            low, high = bins[0].item(), bins[-1].item() + 1
            self.ranges.append((2 * low, 2 * high))
            bank = part[:, low:high].T.repeat_interleave(2, 0)
            self.register_buffer(f"bank{i}", bank.contiguous(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        clips = max(1, CHUNK // waveform.shape[1])
        return torch.cat([self._few(part) for part in waveform.split(clips)])

    def _few(self, waveform: Tensor) -> Tensor:
        s = self.settings
        padded = nn.functional.pad(waveform, (s.n_fft // 2, s.n_fft // 2))
        framed = padded.unfold(1, s.n_fft, s.hop) * self.window
        squares = torch.view_as_real(torch.fft.rfft(framed)).square().flatten(2)
        bands = [squares[:, :, low:high] @ getattr(self, f"bank{i}")
                 for i, (low, high) in enumerate(self.ranges)]
        return torch.cat(bands, 2).transpose(1, 2).contiguous()


class LogSpectrogram(nn.Module):
    """Spectrogram in decibels below each clip's loudest point.

    So it depends neither on its batch nor on its gain. A clip of pure silence is 0 dB throughout.

    Shape:
        ``(batch, samples)`` to ``(batch, 1, bands, frames)``, in dB from ``-range_db`` to 0.

    >>> LogSpectrogram(Settings())(torch.randn(2, 16_000)).shape
    torch.Size([2, 1, 64, 63])
    """

    def __init__(self, settings: Settings = Settings()):  # noqa: B008 (frozen)
        super().__init__()
        self.settings = settings
        self.power = PowerSpectrum(settings)

    def forward(self, waveform: Tensor) -> Tensor:
        level = 10 * torch.log10(self.power(waveform).clamp(min=1e-10))
        level = level - level.amax(dim=(-2, -1), keepdim=True)
        return level.clamp(min=-self.settings.range_db)[:, None]


LIBROSA = Settings(n_fft=2048, hop=512, n_bands=128)
"""What librosa's MFCC see unless told otherwise."""


def dct(n_out: int, n_bands: int) -> Tensor:
    """The first rows of the orthonormal DCT-II, ``(n_out, n_bands)``, which make cepstra."""
    return torchaudio.functional.create_dct(n_out, n_bands, norm="ortho").T.contiguous()


class MFCC(nn.Module):
    """Mel-frequency cepstral coefficients: orthonormal DCT-II of the decibel mel spectrogram.

    Equal to ``librosa.feature.mfcc`` (absolute decibels, 80 dB range) at the same settings.

    Shape:
        ``(batch, samples)`` to ``(batch, n_mfcc, frames)``.
    """

    def __init__(self, settings: Settings = LIBROSA, n_mfcc: int = 20):
        super().__init__()
        self.settings = settings
        self.power = PowerSpectrum(settings)
        self.register_buffer("dct", dct(n_mfcc, settings.n_bands), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        level = 10 * torch.log10(self.power(waveform).clamp(min=1e-10))
        floor = level.amax(dim=(-2, -1), keepdim=True) - self.settings.range_db
        return self.dct @ torch.maximum(level, floor)


def statistics(series: Tensor) -> Tensor:
    """Mean and standard deviation over time of a series and its first two differences.

    Shape:
        ``(..., d, frames)``, three frames or more, to ``(..., 6 * d)``: means, then deviations.
    """
    if series.shape[-1] < 3:
        raise AudiotlError("Statistics over time need three frames or more, not "
                           f"{series.shape[-1]}; use longer clips.")
    parts = (series, series.diff(dim=-1), series.diff(2, dim=-1))
    means = [part.mean(-1) for part in parts]
    variances = [(part - mean[..., None]).square().mean(-1)
                 for part, mean in zip(parts, means, strict=True)]
    # The clamp keeps the gradient of a constant series finite.
    return torch.cat(means + [variance.clamp(min=1e-12).sqrt() for variance in variances], -1)


class MFCCStatistics(MFCC):
    """The MFCC baseline of Choi et al. 2017: `statistics` of the MFCC.

    Shape:
        ``(batch, samples)`` to ``(batch, 6 * n_mfcc)``.
    """

    def forward(self, waveform: Tensor) -> Tensor:
        return statistics(super().forward(waveform))
