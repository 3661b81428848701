"""The published networks as a module of the HEAR benchmark: every tap, side by side.

``heareval audiotl.models.hear --model yamnet``; the model's path is the name of a network, or empty
for YAMNet. A timestamp's embedding is that of the `WINDOW` around it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiotl.models import pretrained

HOP = 0.05
WINDOW = 1.0
"""Seconds between timestamps, and heard around each."""
FEW = 64
"""Windows that go through the network at a time."""


class Model(nn.Module):
    """A network with the attributes that HEAR asks for."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.sample_rate = network, network.sample_rate
        size = get_scene_embeddings(torch.zeros(1, self.sample_rate), self).shape[1]
        self.scene_embedding_size = self.timestamp_embedding_size = size


def load_model(model_file_path: str = "") -> Model:
    """The network of that name; its weights are found as by `pretrained.load`.

    Raises:
        AudiotlError: unknown name, or weights that are missing.
    """
    return Model(pretrained.load(model_file_path or "yamnet"))


def get_scene_embeddings(audio: Tensor, model: Model) -> Tensor:
    """``(n, samples)`` to ``(n, scene_embedding_size)``: the means of all taps."""
    return torch.cat(list(model.network.taps(audio).values()), 1)


def get_timestamp_embeddings(audio: Tensor, model: Model) -> tuple[Tensor, Tensor]:
    """``(n, samples)`` to ``(n, times, timestamp_embedding_size)`` and times in ms ``(n, times)``.
    """
    hop, window = (round(seconds * model.sample_rate) for seconds in (HOP, WINDOW))
    padded = nn.functional.pad(audio, (window // 2, window - window // 2))
    windows = padded.unfold(1, window, hop)
    parts = [get_scene_embeddings(part, model) for part in windows.flatten(0, 1).split(FEW)]
    times = torch.arange(windows.shape[1]) * hop * 1000 / model.sample_rate
    return torch.cat(parts).unflatten(0, windows.shape[:2]), times.expand(len(audio), -1)
