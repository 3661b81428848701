"""Taps of any torch module: by the names of its layers, or from the hidden states it returns."""

import contextlib
import difflib
import functools
import hashlib
from collections.abc import Iterable, Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from audiotl import AudiotlError, check_known
from audiotl.models.pooling import pool

LAYOUTS = ("auto", "channels_first", "channels_last")
ONE_D = (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.InstanceNorm1d, nn.GroupNorm)
"""Layers whose series are ``(batch, d, time)``."""


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
        """What the taps depend on beside the weights."""
        return {"taps": self.tap_names, "layout": self.layout, "sample_rate": self.sample_rate,
                "module": fingerprint(self.module)}

    def forward(self, x: Tensor):
        return self.module(x)

    @torch.no_grad()
    def taps(self, x: Tensor, pooling: str = "mean") -> dict[str, Tensor]:
        """``{layer: (batch, d)}`` of one forward pass, pooled (see `pooled`).

        A layer that runs several times gives its last output.

        Raises:
            AudiotlError: the network does not take such a batch, a layer did not run, or its output
                is no batch of vectors, sequences or maps.
        """
        found: dict[str, Tensor] = {}
        channels = [0]  # of the 1-d convolution that ran last, 0 once another layer has

        def watch(module: nn.Module, _inputs, out) -> None:
            one_d = isinstance(module, ONE_D) and isinstance(out, Tensor) and out.ndim == 3
            channels[0] = out.shape[1] if one_d else 0

        def keep(name: str, module: nn.Module, _inputs, out) -> None:
            auto = self.layout == "auto"
            layout = _layout(module, out, name, channels[0]) if auto else self.layout
            found[name] = pooled(out, layout, name, len(x), pooling)

        with contextlib.ExitStack() as hooks:
            for layer in self.module.modules() if self.layout == "auto" else ():
                if isinstance(layer, ONE_D) or any(True for _ in layer.parameters(recurse=False)):
                    hooks.enter_context(layer.register_forward_hook(watch))
            for name in self.tap_names:
                layer, hook = self.module.get_submodule(name), functools.partial(keep, name)
                hooks.enter_context(layer.register_forward_hook(hook))
            try:
                self.module(x)
            except RuntimeError as error:
                heard = "spectrograms" if self.sample_rate is None else "raw sound"
                raise AudiotlError(f"{type(self.module).__name__} does not take {heard} of shape "
                                   f"{tuple(x.shape)}: {error}.") from error
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
            numbers count the module's own parts, 1 the first and -1 the last; ``"all"`` is each.
        layout: how an output becomes one vector a clip. ``"auto"``: vectors ``(batch, d)`` stay,
            sequences ``(batch, time, d)`` are averaged over time, also those of 1-d convolutions
            ``(batch, d, time)``, maps ``(batch, d, frequency, time)`` over both.
            ``"channels_first"``: means over all axes after the second. ``"channels_last"``: means
            over all axes between the first and the last. Of a tuple the first tensor counts.
        sample_rate: in Hz, for a module that hears raw sound; None for one of spectrograms.

    Raises:
        AudiotlError: no layer, one not there (nearest names said) or twice, an unknown layout.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3))
    >>> taps = taps_of(net, [1, "2"]).taps(torch.zeros(5, 1, 64, 63))
    >>> {name: tuple(tap.shape) for name, tap in taps.items()}
    {'0': (5, 4), '2': (5, 8)}
    """
    there = [name for name, _ in module.named_modules() if name]
    parts = [name for name, _ in module.named_children()]
    numbered = {number: name for i, name in enumerate(parts) for number in (i + 1, i - len(parts))}
    names = parts if names == "all" else [numbered.get(name, name) for name in names]
    for name in names:
        if name not in there:
            near = difflib.get_close_matches(str(name), there, 4, 0.3) or there[:4]
            near = near if isinstance(name, str) else [f"1 to {len(parts)} and -1 to -{len(parts)}"]
            raise AudiotlError(f"{type(module).__name__} has no layer {name!r}; near it are "
                               f"{', '.join(near)}.")
    if not names or len(set(names)) < len(names):
        raise AudiotlError(f"Taps need one or more layers, each named once, not {list(names)}; "
                           "leave out what is double, or say 'all'.")
    check_known("layout", layout, LAYOUTS)
    return Tapped(module, names, layout, sample_rate)


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


def tap_table(module: nn.Module, x: Tensor,
              names: Sequence[str | int] | str = "all") -> pd.DataFrame:
    """What each layer is and gives, for a choice of taps.

    Args:
        x: a batch that the network hears.
        names: as in `taps_of`.

    Returns:
        A row a layer that ran: ``number`` (its place among the module's own parts, counted from 1,
        0 for a layer inside one), ``tap``, ``module`` (its class), ``shape`` of its output, and
        ``receptive_field``: input steps along the last axis that one value has heard, where the
        network is a plain chain of convolutions and pools, else missing.

    >>> net = nn.Sequential(nn.Conv1d(1, 4, 5, 2), nn.ReLU(), nn.MaxPool1d(3))
    >>> tap_table(net, torch.zeros(2, 1, 64))["receptive_field"].tolist()
    [5, 5, 9]
    """
    tapped, rows = taps_of(module, names), {}
    parts = [name for name, _ in module.named_children()]

    def keep(name: str, part: nn.Module, _inputs, out) -> None:
        number = parts.index(name) + 1 if name in parts else 0
        shape = tuple(getattr(_first(out), "shape", ()))
        rows[name] = number, name, type(part).__name__, shape

    with torch.no_grad(), contextlib.ExitStack() as hooks:
        for name in tapped.tap_names:
            hook = functools.partial(keep, name)
            hooks.enter_context(module.get_submodule(name).register_forward_hook(hook))
        module(x)
    table = pd.DataFrame([rows[name] for name in tapped.tap_names if name in rows],
                         columns=["number", "tap", "module", "shape"])
    fields = table["tap"].map(_receptive_fields(module)).astype("Int64")
    return table.assign(receptive_field=fields)


def _receptive_fields(module: nn.Module) -> dict[str, int]:
    # Along a chain every kernel adds (size - 1) * dilation steps of what strides have made of one.
    fields, field, jump = {}, 1, 1
    local = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.GELU, nn.ReLU6, nn.Tanh, nn.Sigmoid, nn.Dropout,
             nn.Identity, nn.BatchNorm1d, nn.BatchNorm2d, nn.ZeroPad2d)
    for name, part in module.named_modules():
        if isinstance(part, nn.Sequential):
            continue
        if hasattr(part, "kernel_size"):
            size, stride, dilation = (
                value[-1] if isinstance(value, tuple) else value for value in (
                    part.kernel_size, part.stride or part.kernel_size,
                    getattr(part, "dilation", 1)))
            field, jump = field + (size - 1) * dilation * jump, jump * stride
        elif not isinstance(part, local):
            break
        while name:  # a block has heard what its last part has
            fields[name] = field
            name = name.rpartition(".")[0]
    return fields


def _layout(layer: nn.Module, out, name: str, channels: int) -> str:
    # A series (batch, d, time) of a 1-d convolution looks like a sequence (batch, time, d): the
    # convolution that ran last says how many channels there are.
    out = _first(out)
    if not isinstance(out, Tensor) or out.ndim != 3:
        return "auto"
    first, last = (out.shape[axis] == channels for axis in (1, 2))
    if channels and first != last:
        return "channels_first" if first else "channels_last"
    if channels or any(isinstance(part, nn.Conv1d) for part in layer.modules()):
        raise AudiotlError(f"The layer {name!r} gives {tuple(out.shape)} after a 1-d convolution, "
                           "and either axis may be time; say layout='channels_first' for (batch, "
                           "d, time) or 'channels_last' for (batch, time, d).")
    return "channels_last"


def _first(out):
    while isinstance(out, (tuple, list)) and out:
        out = out[0]
    return out


def pooled(out, layout: str, name: str, batch: int, pooling: str = "mean") -> Tensor:
    """One vector a clip, ``(batch, d)``, of what a layer gave; see `taps_of` and `pool`."""
    out = _first(out)
    if (not isinstance(out, Tensor) or out.ndim < 2 or (layout == "auto" and out.ndim > 4)
            or len(out) != batch):
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise AudiotlError(f"The layer {name!r} gives {shape}, not (batch, d), (batch, time, d) or "
                           f"(batch, d, frequency, time) of {batch} clips; choose another layer or "
                           "a layout.")
    if not torch.isfinite(out).all():
        raise AudiotlError(f"The layer {name!r} gives values that are not numbers (NaN or "
                           "infinite); check the network's weights and input.")
    first = layout == "channels_first" or (layout == "auto" and out.ndim == 4)
    return pool(out.float() if first else out.float().movedim(-1, 1), pooling)


def fingerprint(module: nn.Module) -> str:
    """A digest of a network's build: equal weights do not make equal networks.

    Strides, activations and constants count, and buffers that are not saved with the weights.
    """
    text = repr(module)
    for name, part in module.named_modules():
        plain = {key: value for key, value in vars(part).items() if key != "training"
                 and isinstance(value, (bool, int, float, str, tuple, type(None)))}
        text += f"{name} {type(part).__module__}.{type(part).__qualname__} {sorted(plain.items())}"
    return _digest(text, module.named_buffers())


def weights_key(model: nn.Module) -> str:
    """A digest of the network's class, settings and weights: equal networks give equal keys."""
    text = repr((type(model).__name__, getattr(model, "settings", "")))
    return _digest(text, sorted(model.state_dict().items()))


def _digest(text: str, tensors: Iterable[tuple[str, Tensor]]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, value in tensors:
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:20]
