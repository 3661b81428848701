"""Weights of one network as the start of another."""

import dataclasses

from torch import nn

from audiotl import AudiotlError
from audiotl.models.taps import weights_key


@dataclasses.dataclass(frozen=True)
class Start:
    """Weights to start from instead of random ones, and how far each layer may move from them.

    All but the head is copied. The learning rate of the first stage is `early` times the head's,
    with equal ratios between; 1 trains all layers alike.
    """

    model: nn.Module
    early: float = 0.1

    @property
    def key(self) -> list:
        """What of it determines a network, for keys."""
        return [weights_key(self.model), self.early]

    def copy_to(self, model: nn.Module) -> None:
        """Copy every weight and statistic but the head's, to a network of the same kind."""
        if _kind(model) != _kind(self.model):
            raise AudiotlError(
                f"The weights to start from are those of {_kind(self.model)}, and the network to "
                f"train is {_kind(model)}; train a source of the same kind.")
        for mine, theirs in zip(model.stages[:-1], self.model.stages[:-1], strict=True):
            mine.load_state_dict(theirs.state_dict())

    def rates(self, model: nn.Module, peak: float) -> list[dict]:
        """Parameter groups for the optimiser, one a stage, with `peak` for the head."""
        last = len(model.stages) - 1
        return [{"params": list(stage.parameters()), "lr": peak * self.early ** (1 - i / last)}
                for i, stage in enumerate(model.stages)]


def _kind(model: nn.Module) -> str:
    settings = {key: value for key, value in model.settings.items()
                if key not in ("n_classes", "dropout")}
    return f"{type(model).__name__} {settings}"
