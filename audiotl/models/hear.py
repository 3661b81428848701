"""The interface of the HEAR benchmark (Turian et al. 2022, arXiv 2203.03022), both ways.

This file is a HEAR module of the published networks, ``heareval audiotl.models.hear --model
yamnet``: every tap, side by side; the model's path is the name of a network, or empty for YAMNet. A
timestamp's embedding is that of the `WINDOW` around it. `FromHear` takes others' HEAR modules.
"""

import types

import torch
from torch import Tensor, nn

from audiotl import AudiotlError
from audiotl.models import pretrained
from audiotl.models.taps import fingerprint, pooled

HOP = 0.05
WINDOW = 1.0  # seconds between timestamps, and heard around each
FEW = 64  # windows that go through the network at a time


class Model(nn.Module):
    """A network with the attributes that HEAR asks for."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.sample_rate = network, network.sample_rate
        size = get_scene_embeddings(torch.zeros(1, self.sample_rate), self).shape[1]
        self.scene_embedding_size = self.timestamp_embedding_size = size


def load_model(model_file_path: str = "") -> Model:
    """The network of that name, as by `pretrained.load`."""
    return Model(pretrained.load(model_file_path or "yamnet"))


def get_scene_embeddings(audio: Tensor, model: Model) -> Tensor:
    """``(n, samples)`` to ``(n, scene_embedding_size)``: the means of all taps."""
    return torch.cat(list(model.network.taps(audio).values()), 1)


def get_timestamp_embeddings(audio: Tensor, model: Model) -> tuple[Tensor, Tensor]:
    """``(n, samples)`` to ``(n, times, timestamp_embedding_size)``, times in ms ``(n, times)``."""
    hop, window = (round(seconds * model.sample_rate) for seconds in (HOP, WINDOW))
    padded = nn.functional.pad(audio, (window // 2, window - window // 2))
    windows = padded.unfold(1, window, hop)
    parts = [get_scene_embeddings(part, model) for part in windows.flatten(0, 1).split(FEW)]
    times = torch.arange(windows.shape[1]) * hop * 1000 / model.sample_rate
    return torch.cat(parts).unflatten(0, windows.shape[:2]), times.expand(len(audio), -1)


class FromHear(nn.Module):
    """A network behind the HEAR interface.

    Taps: ``scene``, one vector a clip, and ``timestamps``, pooled over time.

    Args:
        module: with ``load_model``, ``get_scene_embeddings`` and ``get_timestamp_embeddings``.
        path: of its weights, handed to ``load_model``.

    Raises:
        AudiotlError: a module without these functions, or a model without `sample_rate`.
    """

    def __init__(self, module: types.ModuleType, path: str = ""):
        super().__init__()
        wanted = ("load_model", "get_scene_embeddings", "get_timestamp_embeddings")
        missing = [name for name in wanted if not hasattr(module, name)]
        if missing:
            raise AudiotlError(f"{module.__name__} has no {', '.join(missing)}, so it is no HEAR "
                               "module; name the layers of its network with taps_of.")
        self.hear, self.path = module, str(path)
        self.model = module.load_model(str(path))
        if not hasattr(self.model, "sample_rate"):
            raise AudiotlError(f"The model of {module.__name__} has no sample_rate, which HEAR "
                               "asks for; set it.")
        self.sample_rate = self.model.sample_rate

    @property
    def settings(self) -> dict:
        inside = fingerprint(self.model) if isinstance(self.model, nn.Module) else ""
        return {"hear": self.hear.__name__, "path": self.path, "module": inside}

    @torch.no_grad()
    def taps(self, x: Tensor, pooling: str = "mean") -> dict[str, Tensor]:
        """``{tap: (batch, d)}`` of waveforms ``(batch, samples)``; see `pool`."""
        series, _ = self.hear.get_timestamp_embeddings(x, self.model)
        out = {"scene": self.hear.get_scene_embeddings(x, self.model), "timestamps": series}
        return {name: pooled(value, "channels_last", name, len(x), pooling)
                for name, value in out.items()}
