"""Starting from another network's weights: what is copied, what is frozen, and how fast each layer may move."""

from __future__ import annotations

import dataclasses

from torch import nn

from audiotl import AudiotlError

EARLY = 0.1
"""Usual rate of the first stage as a fraction of the head's."""


@dataclasses.dataclass(frozen=True)
class Start:
    """Weights to start from instead of random ones, and how far each layer may move from them.

    Args:
        model: a network of the same kind; all of it but the head is copied.
        early: learning rate of the first stage as a fraction of the head's, with equal ratios between; 1 trains
            all layers alike, 0 freezes all but the head (batch-norm statistics too).
    """

    model: nn.Module
    early: float = EARLY


def rates(model: nn.Module, peak: float, early: float) -> list[dict]:
    """Parameter groups for the optimiser, one a stage, with `peak` for the head; see `Start` for `early`.

    At 0 every weight but the head's is frozen.
    """
    if early == 1:
        return [{"params": list(model.parameters()), "lr": peak}]
    if early == 0:
        model.requires_grad_(False)
        return [{"params": list(model.stages[-1].requires_grad_(True).parameters()), "lr": peak}]
    last = len(model.stages) - 1
    return [{"params": list(stage.parameters()), "lr": peak * early ** (1 - depth / last)}
            for depth, stage in enumerate(model.stages)]


def adopt(model: nn.Module, source: nn.Module) -> None:
    """Copy every weight and statistic of `source` but the head's into `model`.

    Raises:
        AudiotlError: the two are not the same kind of network.
    """
    try:
        if _kind(model) != _kind(source):
            raise RuntimeError
        for mine, theirs in zip(model.stages[:-1], source.stages[:-1], strict=True):
            mine.load_state_dict(theirs.state_dict())
    except RuntimeError:
        raise AudiotlError(f"The weights to start from are those of {_kind(source)}, and the network to train is "
                           f"{_kind(model)}; train a source of the same kind.") from None


def _kind(model: nn.Module) -> str:
    settings = {key: value for key, value in model.settings.items() if key not in ("n_classes", "dropout")}
    return f"{type(model).__name__} {settings}"
