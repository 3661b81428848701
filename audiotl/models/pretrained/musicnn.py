"""musicnn (Pons and Serra, 2019), trained on MagnaTagATune and the Million Song Dataset.

It hears patches of 187 frames (3 s at 16 kHz) of a mel spectrogram. Its filters are shaped by
music: tall ones for timbre, flat and long ones for rhythm, then three dense layers in time.

The authors tag patches side by side and leave a rest unheard. Here the patches are the fewest that
cover the clip, evenly placed, so that every frame is heard; where the clip is a whole number of
patches the two agree.
"""

import torch
from torch import Tensor, nn

from audiotl.frontend import Settings, filterbank
from audiotl.models.pretrained.network import (
    PublishedNetwork,
    band_power,
    over_patches,
    patches_of,
    repeat_to,
)
from audiotl.models.pretrained.readers import KERAS_EPSILON, keras_dense, keras_norm

PATCH = 187
CHUNK = 16
"""Patches worked on at a time, so that memory does not grow with the batch."""


class LogMel(nn.Module):
    """The authors' front end: ``log10(10000 mel + 1)`` of 96 Slaney mel bands, STFT 512/256.

    Power, reflected ends. They round the mel powers to half precision; that is left out.

    Shape:
        ``(batch, samples)`` at 16 kHz to ``(batch, 96, frames)``; a clip below one patch is
        repeated up to it.
    """

    def __init__(self):
        super().__init__()
        bank = filterbank(Settings(sample_rate=16_000, n_fft=512, hop=256, n_bands=96))
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("window", torch.hann_window(512), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        waveform = repeat_to(waveform, max(waveform.shape[1], (PATCH - 1) * 256))
        return torch.log10(10_000 * band_power(waveform, self.bank, self.window, 256) + 1)


class Musicnn(PublishedNetwork):
    """musicnn: 787,000 weights.

    ``max_pool`` (maxima over time) and the dense layer have one value a patch, the other taps one a
    frame. The authors also name a ``mean_pool``; it holds nothing but the means of the first five
    taps side by side, and is left out.
    """

    sample_rate = 16_000
    tap_names = ("timbral", "temporal", "cnn1", "cnn2", "cnn3", "max_pool", "penultimate")
    seconds, shorter, longer = (PATCH - 1) * 256 / 16_000, "repeated", "patches"

    def __init__(self, weights: dict[str, Tensor], tags: tuple[str, ...]):
        super().__init__()
        self.tags, self.log_mel = tags, LogMel()

        def branch(maps: int, bands: int, frames: int) -> nn.Sequential:
            # "Same" in time and "valid" in frequency; an even kernel has its odd zero right.
            return nn.Sequential(nn.ZeroPad2d(((frames - 1) // 2, frames // 2, 0, 0)),
                                 nn.Conv2d(1, maps, (bands, frames)), nn.ReLU(),
                                 nn.BatchNorm2d(maps, KERAS_EPSILON))

        def layer(maps: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv1d(maps, 64, 7, padding=3), nn.ReLU(),
                                 nn.BatchNorm1d(64, KERAS_EPSILON))

        self.norm = nn.BatchNorm2d(1, KERAS_EPSILON)
        self.timbral = nn.ModuleList(branch(204, bands, 7) for bands in (38, 67))
        self.temporal = nn.ModuleList(branch(51, 1, frames) for frames in (128, 64, 32))
        self.middle = nn.ModuleList((layer(561), layer(64), layer(64)))
        self.pool_norm = nn.BatchNorm1d(1506, KERAS_EPSILON)
        self.dense = nn.Sequential(nn.Linear(1506, 200), nn.ReLU(),
                                   nn.BatchNorm1d(200, KERAS_EPSILON))
        self.head = nn.Linear(200, 50)
        self._fill(weights)

    def _fill(self, weights: dict[str, Tensor]) -> None:
        _norm(self.norm, weights, "batch_normalization")
        for i, block in enumerate((*self.timbral, *self.temporal)):
            layer = "conv2d" + (f"_{i}" if i else "")
            # Keras has (time, frequency, input, map), this package (map, input, frequency, time).
            block[1].load_state_dict({"weight": weights[f"{layer}/kernel"].permute(3, 2, 1, 0),
                                      "bias": weights[f"{layer}/bias"]})
            _norm(block[3], weights, f"batch_normalization_{i + 1}")
        for i, block in enumerate(self.middle, 1):
            # Keras has a 2-d convolution whose kernel spans all features: (time, feature, 1, map).
            kernel = weights[f"midend_conv{i}/kernel"][:, :, 0].permute(2, 1, 0)
            block[0].load_state_dict({"weight": kernel, "bias": weights[f"midend_conv{i}/bias"]})
            _norm(block[2], weights, f"bn_midend_conv{i}")
        _norm(self.pool_norm, weights, "bn_flatpool")
        self.dense[0].load_state_dict(keras_dense(weights, "dense"))
        _norm(self.dense[2], weights, "bn_dense")
        self.head.load_state_dict(keras_dense(weights, "dense_1"))

    def forward(self, waveform: Tensor, pooling: str = "mean") -> tuple[dict[str, Tensor], Tensor]:
        patches = patches_of(self.log_mel(waveform), PATCH, PATCH)
        return over_patches(self.hear, patches, CHUNK, pooling)

    def hear(self, patches: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Series or vectors of each tap, and tag probabilities, of patches ``(n, 96, 187)``."""
        x = self.norm(patches[:, None])
        timbral = torch.cat([block(x).amax(2) for block in self.timbral], 1)
        temporal = torch.cat([block(x).amax(2) for block in self.temporal], 1)
        front = torch.cat([timbral, temporal], 1)
        first = self.middle[0](front)
        second = first + self.middle[1](first)
        third = second + self.middle[2](second)
        every = torch.cat([front, first, second, third], 1)
        # Maximum and mean of each feature lie side by side, in this order.
        pooled = torch.stack([every.amax(-1), every.mean(-1)], -1).flatten(1)
        penultimate = self.dense(self.pool_norm(pooled))
        taps = (timbral, temporal, first, second, third, every.amax(-1), penultimate)
        return (dict(zip(self.tap_names, taps, strict=True)), torch.sigmoid(self.head(penultimate)))


def _norm(module: nn.Module, weights: dict[str, Tensor], layer: str) -> None:
    module.load_state_dict(keras_norm(weights, layer))
