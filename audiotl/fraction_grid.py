"""Chapter 04's choices of runs, until its notebook makes them itself; the runs are `transfer.Grid`'s."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from audiotl import AudiotlError, study, transfer
from audiotl.features import Features
from audiotl.stats import Scored
from audiotl.transfer import FINE_TUNED, HEAD, INPUTS, ONE_RATE, PROBE, SCRATCH

ROLE = "environment"
PLAIN, MULTISCALE = "plain", "multiscale"

FACTORIAL = tuple((heard, mode) for heard in INPUTS for mode in (SCRATCH, FINE_TUNED, ONE_RATE))
"""The 2 x 2: from scratch or transferred, plain or multiscale; transferred in two ways."""

FRACTIONS = {"smoke": "0.3,1", "quick": "0.1,0.3,1", "full": "0.05,0.1,0.2,0.4,0.7,1"}
TARGETS = {"smoke": "speech", "quick": "speech", "full": "speech_commands_10,fsdd"}
SEEDS = {"smoke": "0", "quick": "0,1", "full": "0,1,2"}
"""What each profile runs, if nothing else is asked for."""

STEPS = {"convnet5": 300, "resnet18": 100, "resnet34": 80, "resnet50": 60, "densenet121": 60}
SHORT = {"smoke": 4, "quick": 60}
"""Optimiser steps of every trained mode, on recordings and on the built-in sounds."""


class Cell(transfer.Run):
    """One run."""

    def __str__(self) -> str:
        return (f"{self.network} on {100 * self.fraction:g} % of {self.target}, {self.input}, {self.mode}, "
                f"seed {self.seed}")


@dataclasses.dataclass(frozen=True)
class Done:
    """A finished run.

    Args:
        cell: which.
        clips: training clips.
        steps: optimiser steps taken.
        right: which test clips were named rightly, ``(n_test,)`` bool.
        groups: group of each test clip, ``(n_test,)``.
        seconds: it took, on the machine that ran it.
    """

    cell: Cell
    clips: int
    steps: int
    right: np.ndarray
    groups: np.ndarray
    seconds: float


def cells(targets: Sequence[str], networks: Sequence[str], inputs: Sequence[str], fractions: Sequence[float],
          seeds: Sequence[int]) -> list[Cell]:
    """Every run, those that serve one comparison together: all clips first, then ever fewer.

    The 2 x 2 at every fraction; beside it, on the plain input, the ridge probe at every fraction and the head alone
    at the largest.

    Raises:
        AudiotlError: an unknown input, or a fraction that is none.
    """
    for name in inputs:
        if name not in INPUTS:
            raise AudiotlError(f"There is no input {name!r}; choose among {', '.join(INPUTS)}.")
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise AudiotlError(f"A fraction of the training clips lies above 0 and up to 1, not at {fraction:g}.")
    out = []
    for network in networks:
        for target in targets:
            for seed in seeds:
                for fraction in sorted(fractions, reverse=True):
                    kinds = [kind for kind in FACTORIAL if kind[0] in inputs]
                    if PLAIN in inputs:
                        kinds += [(PLAIN, PROBE)] + [(PLAIN, HEAD)] * (fraction == max(fractions))
                    out += [Cell(target, network, *kind, fraction, seed) for kind in kinds]
    return out


def listed(given, usual: str) -> list[str]:
    """The items of a comma-separated list; an empty one is the usual one. A command line may have made it a tuple.

    >>> listed((0, 1), "0"), listed(0.5, "1"), listed("", "plain, multiscale")
    (['0', '1'], ['0.5'], ['plain', 'multiscale'])
    """
    text = usual if given == "" else str(given).strip("()[]")
    return [part.strip(" '\"") for part in text.split(",") if part.strip()]


def budgets(networks: Sequence[str], profile: str, steps: int = 0) -> dict[str, int]:
    """Optimiser steps of each network: `steps`, or the profile's own where it is 0.

    Raises:
        AudiotlError: no such network.
    """
    for network in networks:
        if network not in STEPS:
            raise AudiotlError(f"There is no network {network!r} here; choose among {', '.join(STEPS)}.")
    return {network: steps or SHORT.get(profile) or STEPS[network] for network in networks}


class Grid:
    """`transfer.Grid` for a plan of the study."""

    def __init__(self, plan: study.Plan, aims: dict[str, Features], steps: dict[str, int]):
        recipes = {network: study.source_recipe(plan, network) for network in steps}
        self.grid = transfer.Grid(aims, study.source_features(plan, ROLE), recipes, steps, plan.seed, plan.seed)
        self.sound, self.heard = self.grid.sound, self.grid.heard

    def run(self, wanted: Sequence[Cell], only_finished: bool = False) -> tuple[list[Done], list[Cell]]:
        """Results of the cells, and the cells that are missing."""
        found, missing = self.grid.run(wanted, only_finished)
        finished = [cell for cell in wanted if cell not in missing]
        return [_done(cell, one) for cell, one in zip(finished, found, strict=True)], missing


def _done(cell: Cell, scored: Scored) -> Done:
    keys = scored.keys
    return Done(cell, keys["train_clips"], keys["steps"], scored.values[0, 0] > 0, scored.groups, keys["seconds"])
