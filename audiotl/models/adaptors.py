"""Networks of other families, so that they can be embedded as ours are.

`HiddenStates` takes what Hugging Face's audio encoders give, `FromHear` what a module of the HEAR
benchmark offers (Turian et al. 2022, arXiv 2203.03022); `audiotl.models.hear` is such a module.
"""

from __future__ import annotations

import types

import torch
from torch import Tensor, nn

from audiotl import AudiotlError
from audiotl.models.taps import fingerprint, pooled


class HiddenStates(nn.Module):
    """A torch module whose forward pass returns `hidden_states`, as those of ``transformers`` do.

    Taps: ``input``, what the first layer hears, then ``layer1`` and so on, each averaged over time.

    Args:
        module: called as ``module(waveforms, output_hidden_states=True)``.
        sample_rate: in Hz.
    """

    def __init__(self, module: nn.Module, sample_rate: int):
        super().__init__()
        self.module, self.sample_rate = module, sample_rate

    @property
    def settings(self) -> dict:
        """What the taps depend on beside the weights."""
        return {"sample_rate": self.sample_rate, "module": fingerprint(self.module)}

    @torch.no_grad()
    def taps(self, x: Tensor, pooling: str = "mean") -> dict[str, Tensor]:
        """``{tap: (batch, d)}`` of waveforms ``(batch, samples)``; see `pool`.

        Raises:
            AudiotlError: no hidden states, or some that are not ``(batch, time, d)`` of numbers.
        """
        out = self.module(x, output_hidden_states=True)
        states = out.get("hidden_states") if isinstance(out, dict) else \
            getattr(out, "hidden_states", None)
        if not states:
            raise AudiotlError(f"{type(self.module).__name__} returns no hidden_states; name its "
                               "layers with taps_of.")
        names = ["input", *(f"layer{i}" for i in range(1, len(states)))]
        return {name: pooled(state, "channels_last", name, len(x), pooling)
                for name, state in zip(names, states, strict=True)}


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
        """What the taps depend on beside the weights."""
        inside = fingerprint(self.model) if isinstance(self.model, nn.Module) else ""
        return {"hear": self.hear.__name__, "path": self.path, "module": inside}

    @torch.no_grad()
    def taps(self, x: Tensor, pooling: str = "mean") -> dict[str, Tensor]:
        """``{tap: (batch, d)}`` of waveforms ``(batch, samples)``; see `pool`."""
        series, _ = self.hear.get_timestamp_embeddings(x, self.model)
        out = {"scene": self.hear.get_scene_embeddings(x, self.model), "timestamps": series}
        return {name: pooled(value, "channels_last", name, len(x), pooling)
                for name, value in out.items()}
