"""speech_embedding (Lin et al. 2020, arXiv 2002.01322), which heard spoken keywords on YouTube.

Rebuilt from the two ONNX graphs of openWakeWord: the mel spectrogram and the network of plain
convolutions. It pads nothing in time, so a clip goes through whole, half a window of silence around
it, with the values that the authors' windows of 76 frames, 8 apart, have.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from audiotl.models.pooling import pool
from audiotl.models.pretrained.network import PublishedNetwork, in_parts, pad_to
from audiotl.models.pretrained.readers import read_onnx

WIDTHS = (1, 24, 24, 24, *[48] * 4, *[72] * 4, *[96] * 9)
POOLS = {3: (2, 2), 7: (1, 2), 11: (2, 2), 15: (1, 2), 19: (2, 2)}
"""Max pools (time, frequency) after these convolutions, counted from 1."""
LEAST = 512 + 75 * 160
AROUND = LEAST // 2
"""Zeros before and after each clip, so that every moment of it lies in the middle of a window."""
CHUNK = 2**18
"""Samples that go through at a time: the first maps of one second fill 0.3 MB."""


class SpeechEmbedding(PublishedNetwork):
    """Twenty convolutions along frequency or time in turn: 0.33 million weights.

    Input: 32 mel bands in decibels, floored 80 below each clip's loudest, over samples of 16 bits,
    divided by 10, plus 2 (openWakeWord's scale). Taps: the 19 activations and the embedding.
    """

    sample_rate = 16_000
    tap_names = (*(f"layer{i}" for i in range(1, 20)), "embedding")
    seconds, shorter, longer = LEAST / 16_000, "padded", "whole"
    alone = False

    def __init__(self, front: dict[str, Tensor], weights: dict[str, Tensor]):
        super().__init__()
        kernels = [front[f"0.stft.conv_{part}.weight"][:, 0].T for part in ("real", "imag")]
        self.register_buffer("kernels", torch.cat(kernels, 1))
        self.register_buffer("bank", front["1.melW"])
        self.blocks = nn.ModuleList(_convolution(i) for i in range(1, 20))
        self.last = nn.Conv2d(96, 96, (3, 1), bias=False)
        for i, block in enumerate(self.blocks):
            layer = "model/conv2d" + (f"_{i}" if i else "") + "/Conv2D"
            block.load_state_dict({"weight": weights[f"{layer}_weights_fused_bn"],
                                   "bias": weights[f"{layer}_bias_fused_bn"]})
        self.last.load_state_dict({"weight": weights["model/conv2d_19/Conv2D/ReadVariableOp:0"]})

    @classmethod
    def read(cls, path: Path, tags: tuple[str, ...] = ()) -> "SpeechEmbedding":
        """From the published network and the mel spectrogram beside it."""
        return cls(read_onnx(path.with_name("melspectrogram.onnx")), read_onnx(path))

    def forward(self, waveform: Tensor, pooling: str = "mean") -> tuple[dict[str, Tensor], Tensor]:
        clips = max(1, CHUNK // waveform.shape[1])
        return in_parts(lambda part: self._few(part, pooling), waveform, clips)

    def _few(self, waveform: Tensor, pooling: str) -> tuple[dict[str, Tensor], Tensor]:
        x, out = self.log_mel(waveform)[:, None], {}
        for i, (name, block) in enumerate(zip(self.tap_names, self.blocks, strict=False), 1):
            x = nn.functional.leaky_relu(block(x), 0.2).clamp(min=-0.4)
            out[name] = pool(x.transpose(2, 3), pooling)
            if i in POOLS:
                x = nn.functional.max_pool2d(x, POOLS[i])
        out["embedding"] = pool(self.last(x).transpose(2, 3), pooling)
        return out, waveform.new_zeros(len(waveform), 0)

    def log_mel(self, waveform: Tensor) -> Tensor:
        """``(batch, samples)`` to ``(batch, frames, 32)``, as the network hears it."""
        padded = nn.functional.pad(pad_to(waveform, LEAST), (AROUND, AROUND))
        frames = 32_768 * padded.unfold(1, 512, 160)
        real, imaginary = (frames @ self.kernels).chunk(2, 2)
        level = 10 * torch.log10(((real.square() + imaginary.square()) @ self.bank).clamp(1e-10))
        return torch.maximum(level, level.amax((1, 2), keepdim=True) - 80) / 10 + 2


def _convolution(i: int) -> nn.Conv2d:
    # The first spans both axes, then frequency and time take turns; only frequency is padded.
    if i == 1:
        return nn.Conv2d(1, 24, 3, padding=(0, 1))
    along_time = i % 2 == 1
    return nn.Conv2d(WIDTHS[i - 1], WIDTHS[i], (3, 1) if along_time else (1, 3),
                     padding=0 if along_time else (0, 1))
