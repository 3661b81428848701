"""The ConvNet of Choi, Fazekas, Sandler and Cho (ISMIR 2017), in its authors' two releases.

Both hear the first 29 s of a clip at 12 kHz (shorter clips are repeated) as a 96 x 1360 mel
spectrogram in decibels, and have five blocks of [convolution 3x3, batch norm, ELU, max pool] with
32 maps.

- `OriginalRelease`, behind every published score. Its features **depend on the batch**: the decibel
  reference is the loudest point of the whole batch, and batch norm takes the batch's own statistics
  at test time too.
- `KerasTwoRelease`, made by the authors later for that reason: running statistics, each spectrogram
  brought to zero mean and unit variance. The decibel reference is the clip's own maximum.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, elu_, max_pool2d, pad

from audiotl.models.convnet5 import PAPER_POOLS
from audiotl.models.pooling import pool
from audiotl.models.pretrained.network import PublishedNetwork, band_power, in_parts, repeat_to
from audiotl.models.pretrained.readers import KERAS_EPSILON, keras_dense, keras_norm

SAMPLES = 29 * 12_000
FRAMES = 1360
RANGE_DB = 80.0
CHUNK = 8
"""Clips worked on at a time, so that memory does not grow with the batch: 17 MB a clip and
layer."""


class MelSpectrogram(nn.Module):
    """The authors' mel spectrogram in decibels, before its reference is taken off.

    STFT 512/256 with a periodic Hann window, power, 96 Slaney mel bands from 0 to 6 kHz, ``10
    log10`` of at least 1e-10. Both releases carry the mel matrix and the DFT kernels; the kernels
    equal an STFT's to 1e-7.

    Args:
        bank: mel matrix, ``(257, 96)``.
        left: zeros before the first sample, which depend on the framework's idea of "same" padding.
        flipped: run the window backwards, as Theano's convolution does.

    Shape:
        ``(batch, samples)`` to ``(batch, 96, 1360)``.
    """

    def __init__(self, bank: Tensor, left: int, flipped: bool = False):
        super().__init__()
        window = torch.hann_window(512)
        self.left = left
        self.register_buffer("bank", bank)
        self.register_buffer("window", window.flip(0) if flipped else window)

    def forward(self, waveform: Tensor) -> Tensor:
        right = 256 * (FRAMES - 1) + 512 - self.left - SAMPLES
        framed = pad(repeat_to(waveform, SAMPLES), (self.left, right))
        power = band_power(framed, self.bank, self.window, 256, center=False)
        return 10 * torch.log10(power.clamp(min=1e-10))


class OriginalRelease(PublishedNetwork):
    """Keras 1 on Theano: give it the batch whose statistics you mean.

    The published features come from batches of 256 consecutive rows of the authors' tables. The
    taps are those after each pool; ``layer1`` is the authors' layer 0.

    Theano's convolution flips its kernels; they are flipped once, on loading. 256 clips take 2 GB.
    """

    sample_rate = 12_000
    tap_names = tuple(f"layer{i}" for i in range(1, 6))
    seconds, shorter, longer = 29.0, "repeated", "cut"

    def __init__(self, weights: dict[str, Tensor], tags: tuple[str, ...]):
        super().__init__()
        self.tags = tags
        block = "ConvBNEluDr"
        self.spectrogram = MelSpectrogram(weights["melgram/param_2"], left=256, flipped=True)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(32 if i else 1, 32, 3, padding=1) for i in range(5))
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(32, KERAS_EPSILON, track_running_stats=False) for _ in range(5))
        self.head = nn.Linear(32, 50)
        for i in range(5):
            self.convolutions[i].load_state_dict({
                "weight": weights[f"{block}/convolution2d_{i + 1}_W"].flip(2, 3),
                "bias": weights[f"{block}/convolution2d_{i + 1}_b"]})
            self.norms[i].load_state_dict({
                "weight": weights[f"{block}/batchnormalization_{i + 1}_gamma"],
                "bias": weights[f"{block}/batchnormalization_{i + 1}_beta"]})
        self.head.load_state_dict({"weight": weights["dense_1/dense_1_W"].T,
                                   "bias": weights["dense_1/dense_1_b"]})

    def forward(self, waveform: Tensor, pooling: str = "mean") -> tuple[dict[str, Tensor], Tensor]:
        level = torch.cat([self.spectrogram(part) for part in waveform.split(CHUNK)])
        x = (level - level.amax()).clamp(min=-RANGE_DB)[:, None]
        out = {}
        for name, convolution, norm, size in zip(self.tap_names, self.convolutions, self.norms,
                                                 PAPER_POOLS, strict=True):
            x = batch_norm_block(x, convolution, norm, size)
            out[name] = pool(x, pooling)
        return out, torch.sigmoid(self.head(x.flatten(1)))


def batch_norm_block(x: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d,
                     size: tuple[int, int]) -> Tensor:
    """Convolution, batch norm by the statistics of all of `x`, ELU and max pool.

    The statistics need every convolved clip, which would not fit in memory (4 GB for 256 clips), so
    only the pooled values are kept. That is exact: batch norm and ELU are monotone in each map,
    rising where gamma is positive and falling where it is negative, so the pool may come first on
    the map times the sign of gamma.
    """
    sign = torch.where(norm.weight < 0, -1.0, 1.0)[:, None, None]
    pooled = x.new_empty(len(x), len(sign), x.shape[2] // size[0], x.shape[3] // size[1])
    total, squares, count = 0.0, 0.0, 0
    for part, room in zip(x.split(CHUNK), pooled.split(CHUNK), strict=True):
        y = conv2d(part, convolution.weight, convolution.bias, padding=1)
        # Single precision within a chunk, double over the chunks.
        n = y[:, 0].numel()
        total = total + y.mean((0, 2, 3)).double() * n
        squares = squares + y.square().mean((0, 2, 3)).double() * n
        count += n
        room.copy_(max_pool2d(y * sign, size))
    mean = total / count
    scale = norm.weight / torch.sqrt(squares / count - mean.square() + norm.eps)
    shift = norm.bias - mean * scale
    scaled = pooled.mul_(sign * scale.float()[:, None, None])
    return elu_(scaled.add_(shift.float()[:, None, None]))


class KerasTwoRelease(PublishedNetwork):
    """Keras 2 on TensorFlow (December 2017): the one for new clips.

    The stored configuration says 12 kHz (a comment in the authors' notebook says 16). The taps are
    those of the authors' own feature extractor: after each ELU, before the pool.
    """

    sample_rate = 12_000
    tap_names = tuple(f"layer{i}" for i in range(1, 6))
    seconds, shorter, longer = 29.0, "repeated", "cut"

    def __init__(self, weights: dict[str, Tensor], tags: tuple[str, ...]):
        super().__init__()
        self.tags = tags
        self.spectrogram = MelSpectrogram(weights["melgram/Variable"], left=208)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(32 if i else 1, 32, 3, padding=1),
                          nn.BatchNorm2d(32, KERAS_EPSILON), nn.ELU()) for i in range(5))
        self.head = nn.Linear(32, 50)
        for i, (convolution, norm, _) in enumerate(self.blocks, 1):
            convolution.load_state_dict({
                "weight": weights[f"conv2d_{i}/kernel"].permute(3, 2, 0, 1),
                "bias": weights[f"conv2d_{i}/bias"]})
            norm.load_state_dict(keras_norm(weights, f"batch_normalization_{i}"))
        self.head.load_state_dict(keras_dense(weights, "dense_1"))

    def forward(self, waveform: Tensor, pooling: str = "mean") -> tuple[dict[str, Tensor], Tensor]:
        return in_parts(lambda part: self._few(part, pooling), waveform, CHUNK)

    def _few(self, waveform: Tensor, pooling: str) -> tuple[dict[str, Tensor], Tensor]:
        level = self.spectrogram(waveform)[:, None]
        x = (level - level.amax((1, 2, 3), keepdim=True)).clamp(min=-RANGE_DB)
        mean = x.mean((1, 2, 3), keepdim=True)
        x = (x - mean) / (x.std((1, 2, 3), keepdim=True, correction=0) + 1e-10)
        out = {}
        for name, block, size in zip(self.tap_names, self.blocks, PAPER_POOLS, strict=True):
            x = block(x)
            out[name] = pool(x, pooling)
            x = max_pool2d(x, size)
        return out, torch.sigmoid(self.head(x.amax((-2, -1))))
