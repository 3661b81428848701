"""YAMNet (Plakal and Ellis 2019): a MobileNet v1 that names 521 sounds of AudioSet.

The file holds its weights as 8-bit integers with a scale for each map; they run here as real
numbers. It hears patches of 0.96 s, 0.48 s apart, as 96 frames of 64 mel bands.
"""

import csv
from pathlib import Path

import torch
from torch import Tensor, nn

from audiotl.models.pretrained.network import PublishedNetwork, over_patches, pad_to, patches_of
from audiotl.models.pretrained.readers import read_tflite

WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
HALVING = (1, 3, 5, 7, 13)
"""Blocks, counted from 1, that halve both axes."""
PATCH, HOP = 96, 48
SPARE = 12
"""Frames at the end that may stay unheard: a clip of one second is one patch."""
CHUNK = 32
CLASSES = "yamnet_class_map.csv"


class LogMel(nn.Module):
    """``ln(mel + offset)`` of the magnitudes of an STFT 400/160 in 64 bands, 125 to 7,500 Hz.

    The bands are triangles on the mel axis (HTK), of height 1, as TensorFlow makes them; nothing is
    padded but a clip below one patch (``features.py`` of the authors).

    Shape:
        ``(batch, samples)`` at 16 kHz to ``(batch, 64, frames)``.
    """

    def __init__(self, offset: float = 1e-3):
        super().__init__()
        self.offset = offset
        corners = torch.linspace(*_mel(torch.tensor([125.0, 7500.0])).tolist(), 66,
                                 dtype=torch.float64)
        bins = _mel(torch.linspace(0, 8000, 257, dtype=torch.float64))[:, None]
        low, centre, high = corners[:-2], corners[1:-1], corners[2:]
        bank = torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
        self.register_buffer("bank", bank.clamp(min=0).float(), persistent=False)
        self.register_buffer("window", torch.hann_window(400), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        frames = pad_to(waveform, 400 + 160 * (PATCH - 1)).unfold(1, 400, 160) * self.window
        magnitude = torch.fft.rfft(frames, 512).abs()
        return torch.log(magnitude @ self.bank + self.offset).transpose(1, 2)


def _mel(hertz: Tensor) -> Tensor:
    return 1127 * torch.log1p(hertz.double() / 700)


class Yamnet(PublishedNetwork):
    """YAMNet: 3.7 million weights, one tap after each of its 14 blocks."""

    sample_rate = 16_000
    tap_names = tuple(f"layer{i}" for i in range(1, 15))
    seconds, shorter, longer = 0.975, "padded", "patches"
    alone = False

    def __init__(self, weights: list[Tensor], tags: tuple[str, ...]):
        super().__init__()
        self.tags, self.log_mel = tags, LogMel()
        self.blocks = nn.ModuleList(_block(i) for i in range(len(WIDTHS)))
        self.head = nn.Linear(WIDTHS[-1], len(tags))
        layers = [layer for block in self.blocks for layer in block if isinstance(layer, nn.Conv2d)]
        weight, bias = weights[::2], weights[1::2]
        for layer, w, b in zip([*layers, self.head], weight, bias, strict=True):
            if w.ndim == 4:  # (map, height, width, input); of one input each: (1, ..., map)
                w = w.permute((3, 0, 1, 2) if getattr(layer, "groups", 1) > 1 else (0, 3, 1, 2))
            layer.load_state_dict({"weight": w, "bias": b})
        self.to(memory_format=torch.channels_last)

    @classmethod
    def read(cls, path: Path, tags: tuple[str, ...] = ()) -> "Yamnet":
        """From the published file and the list of classes beside it."""
        with open(path.with_name(CLASSES), newline="", encoding="utf-8") as file:
            tags = tuple(row["display_name"] for row in csv.DictReader(file))
        return cls(read_tflite(path), tags)

    def forward(self, waveform: Tensor, pooling: str = "mean") -> tuple[dict[str, Tensor], Tensor]:
        patches = patches_of(self.log_mel(waveform), PATCH, HOP, SPARE)
        return over_patches(self.hear, patches, CHUNK, pooling)

    def hear(self, patches: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Maps ``{tap: (n, d, frequency, time)}`` and scores of patches ``(n, 64, 96)``."""
        x = patches.transpose(1, 2)[:, None].contiguous(memory_format=torch.channels_last)
        out = {}
        for name, block in zip(self.tap_names, self.blocks, strict=True):
            x = block(x)
            out[name] = x.transpose(2, 3)
        return out, torch.sigmoid(self.head(x.mean((2, 3))))


def _block(i: int) -> nn.Sequential:
    # TensorFlow's "same" puts the odd zero of a stride of two at the end.
    halves = i + 1 in HALVING
    before = [nn.ZeroPad2d((0, 1, 0, 1))] if halves else []
    how = {"stride": 2} if halves else {"padding": 1}
    if i == 0:
        return nn.Sequential(*before, nn.Conv2d(1, WIDTHS[0], 3, **how), nn.ReLU6(True))
    width = WIDTHS[i - 1]
    return nn.Sequential(*before, nn.Conv2d(width, width, 3, groups=width, **how), nn.ReLU6(True),
                         nn.Conv2d(width, WIDTHS[i], 1), nn.ReLU6(True))
