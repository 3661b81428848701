"""Taps of any torch module by the names of its layers: one's own network in the same search."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiotl import AudiotlError
from audiotl.models.pooling import pool

LAYOUTS = ("auto", "channels_first", "channels_last")


class Tapped(nn.Module):
    """Any module with taps at some of its layers; made by `taps_of`.

    Attributes:
        tap_names: the layers, in the order given.
        sample_rate: in Hz where the module hears raw sound ``(batch, samples)``; None where it
            hears spectrograms ``(batch, 1, bands, frames)`` in decibels.
    """

    def __init__(self, module: nn.Module, names: Sequence[str], layout: str,
                 sample_rate: int | None):
        super().__init__()
        self.module, self.layout, self.sample_rate = module, layout, sample_rate
        self.tap_names = tuple(names)

    @property
    def settings(self) -> dict:
        """What the taps depend on beside the weights: layers, layout, and all that shows of it."""
        return {"taps": self.tap_names, "layout": self.layout, "sample_rate": self.sample_rate,
                "module": _fingerprint(self.module)}

    def forward(self, x: Tensor):
        return self.module(x)

    @torch.no_grad()
    def taps(self, x: Tensor, pooling: str = "mean") -> dict[str, Tensor]:
        """``{layer: (batch, d)}`` of one forward pass, pooled (see `pooled`).

        A layer that runs several times gives its last output.

        Raises:
            AudiotlError: a layer did not run, or its output is no batch of vectors, sequences or
                maps.
        """
        found: dict[str, Tensor] = {}

        def keep(name: str):
            return lambda _module, _inputs, out: found.update(
                {name: pooled(out, self.layout, name, len(x), pooling)})

        layers = dict(self.module.named_modules())
        with contextlib.ExitStack() as hooks:
            for name in self.tap_names:
                hooks.callback(layers[name].register_forward_hook(keep(name)).remove)
            self.module(x)
        for name in self.tap_names:
            if name not in found:
                raise AudiotlError(f"The layer {name!r} did not run in the forward pass; choose "
                                   "layers that do.")
        return {name: found[name] for name in self.tap_names}


def taps_of(module: nn.Module, names: Sequence[str | int] | str, layout: str = "auto",
            sample_rate: int | None = None) -> Tapped:
    """Any torch module with taps at the named layers, for ``embedding.embed``.

    Args:
        module: a network; nothing in it is changed, and its hooks are removed after each pass.
        names: dotted names as ``module.named_modules()`` has them, e.g. ``"encoder.layers.3"``;
            numbers count the module's own parts, 1 is the first and -1 the last; ``"all"`` is each
            of those.
        layout: how an output becomes one vector a clip. ``"auto"``: vectors ``(batch, d)`` stay,
            sequences ``(batch, time, d)`` are averaged over time, maps
            ``(batch, d, frequency, time)`` over both. ``"channels_first"``: means over all axes
            after the second, as 1-d convolutions ``(batch, d, time)`` want it.
            ``"channels_last"``: means over all axes between the first and the last. Of a tuple the
            first tensor counts.
        sample_rate: in Hz, for a module that hears raw sound; None for one of spectrograms.

    Raises:
        AudiotlError: a layer that is not there (with the nearest names), or an unknown layout.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3))
    >>> taps = taps_of(net, [1, "2"]).taps(torch.zeros(5, 1, 64, 63))
    >>> {name: tuple(tap.shape) for name, tap in taps.items()}
    {'0': (5, 4), '2': (5, 8)}
    """
    there = [name for name, _ in module.named_modules() if name]
    parts = [name for name, _ in module.named_children()]
    numbered = {number: name for i, name in enumerate(parts)
                for number in (i + 1, i - len(parts))}
    names = parts if names == "all" else [numbered.get(name, name) for name in names]
    for name in names:
        if name not in there:
            near = difflib.get_close_matches(str(name), there, 4, 0.3) or there[:4]
            raise AudiotlError(f"{type(module).__name__} has no layer {name!r}; near it are "
                               f"{', '.join(near)}.")
    if layout not in LAYOUTS:
        raise AudiotlError(f"There is no layout {layout!r}; choose among {', '.join(LAYOUTS)}.")
    return Tapped(module, names, layout, sample_rate)


def pooled(out, layout: str, name: str, batch: int, pooling: str = "mean") -> Tensor:
    """One vector a clip, ``(batch, d)``, of what a layer gave; see `taps_of` and `pool`.

    >>> pooled((torch.ones(2, 50, 8), None), "auto", "encoder", 2).shape
    torch.Size([2, 8])
    """
    while isinstance(out, (tuple, list)) and out:
        out = out[0]
    if (not isinstance(out, Tensor) or out.ndim < 2 or (layout == "auto" and out.ndim > 4)
            or len(out) != batch):
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise AudiotlError(f"The layer {name!r} gives {shape}, not (batch, d), (batch, time, d) or "
                           f"(batch, d, frequency, time) of {batch} clips; choose another layer or "
                           "a layout.")
    first = layout == "channels_first" or (layout == "auto" and out.ndim == 4)
    return pool(out.float() if first else out.float().movedim(-1, 1), pooling)


def _fingerprint(module: nn.Module) -> str:
    # Equal weights do not make equal networks: strides, activations and constants count, and
    # buffers that are not saved with the weights.
    digest = hashlib.sha256(repr(module).encode())
    for name, part in module.named_modules():
        plain = {key: value for key, value in vars(part).items() if key != "training"
                 and isinstance(value, (bool, int, float, str, tuple, type(None)))}
        kind = f"{type(part).__module__}.{type(part).__qualname__}"
        digest.update(f"{name} {kind} {sorted(plain.items())}".encode())
    for name, value in module.named_buffers():
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:20]
