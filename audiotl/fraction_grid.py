"""Accuracy against the share of a target's training clips: a grid of runs, each kept, so that hours of them resume.

What is kept of a run is which test clips were right. The networks themselves (45 MB each for a ResNet-18) are not.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from audiotl import AudiotlError, cache, study
from audiotl.datasets.corpus import Corpus, deal_groups
from audiotl.features import Features
from audiotl.training import Recipe, network_key, train
from audiotl.transfer import (
    FEW_GROUPS,
    FINE_TUNED,
    HEAD,
    ONE_RATE,
    PROBE,
    SCRATCH,
    Source,
    budget,
    fraction_rows,
    transfer,
)

VERSION = 1
"""Raised whenever the same run would give other answers."""

ROLE = "environment"
PLAIN, MULTISCALE = "plain", "multiscale"
INPUTS = {PLAIN: {}, MULTISCALE: {"multiscale": [1, 2, 3, 4]}}
"""What a network reads: the spectrogram, or four dilated convolutions of it (see `models.Multiscale`)."""

FACTORIAL = tuple((heard, mode) for heard in INPUTS for mode in (SCRATCH, FINE_TUNED, ONE_RATE))
"""The 2 x 2: from scratch or transferred, plain or multiscale; transferred in two ways."""

FRACTIONS = {"smoke": "0.3,1", "quick": "0.1,0.3,1", "full": "0.05,0.1,0.2,0.4,0.7,1"}
TARGETS = {"smoke": "speech", "quick": "speech", "full": "speech_commands_10,fsdd"}
SEEDS = {"smoke": "0", "quick": "0,1", "full": "0,1,2"}
"""What each profile runs, if nothing else is asked for."""

STEPS = {"convnet5": 300, "resnet18": 100, "resnet34": 80, "resnet50": 60, "densenet121": 60}
SHORT = {"smoke": 4, "quick": 60}
"""Optimiser steps of every trained mode, on recordings and on the built-in sounds."""

COST = {"convnet5": 1.0, "resnet18": 8.0, "resnet34": 14.0, "resnet50": 20.0, "densenet121": 20.0}
"""About how long a step takes beside the five-layer network's, for the remaining time of a mixed grid."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of the grid.

    Args:
        target, network: names.
        input: one of `INPUTS`.
        mode: one of `transfer.MODES`.
        fraction: of the target's training clips.
        seed: of weights, order, the clips drawn, and of the fold that is tested.
    """

    target: str
    network: str
    input: str
    mode: str
    fraction: float
    seed: int

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


def target_split(corpus: Corpus, seed: int, plan_seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Training and test rows of a seed: every seed tests another fold, in turn.

    Folds are the corpus's own (five of whole groups where it has none); a corpus of fewer than `FEW_GROUPS` groups
    is dealt to three, so that each tests more than one group.
    """
    if len(np.unique(corpus.groups)) >= FEW_GROUPS:
        splits = corpus.splits(seed=plan_seed)
        return splits[seed % len(splits)]
    place = deal_groups(corpus.groups, corpus.targets(), 3, plan_seed, corpus.name)
    return np.flatnonzero(place != seed % 3), np.flatnonzero(place == seed % 3)


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
    """Runs cells, or finds those that were run before.

    Args:
        plan: of the study; its role ``environment`` is the source.
        aims: features of each target.
        steps: optimiser steps of each network.

    One source network, of the plan's seed, serves all seeds of a network and input: pretraining takes longer than
    the runs that follow.
    """

    def __init__(self, plan: study.Plan, aims: dict[str, Features], steps: dict[str, int]):
        self.plan, self.aims, self.steps = plan, aims, steps
        self.sound = study.source_features(plan, ROLE)
        self.heard = study.source_split(plan, self.sound.corpus)
        self.splits: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}
        self.sources: dict[tuple[str, str], Source] = {}

    def run(self, wanted: Sequence[Cell], only_finished: bool = False) -> tuple[list[Done], list[Cell]]:
        """Results of the cells, and the cells that are missing.

        A run that was cut off goes on from its last checkpoint.

        Args:
            only_finished: start nothing; report what is there.
        """
        out = {cell: self.find(cell) for cell in wanted}
        todo = [cell for cell, done in out.items() if done is None]
        if only_finished or not todo:
            return [done for done in out.values() if done is not None], todo
        # Plain text to stderr: seen in a notebook and, with a report, on the terminal.
        bar = tqdm(total=sum(self._cost(cell) for cell in todo), file=sys.stderr, mininterval=5,
                   bar_format="{desc}{percentage:3.0f}% of the grid, {elapsed} gone, {remaining} left")
        for i, cell in enumerate(todo):
            bar.set_description(f"{i + 1} of {len(todo)}, {cell}")
            out[cell] = self.make(cell)
            bar.update(self._cost(cell))
        bar.close()
        return list(out.values()), []

    def find(self, cell: Cell) -> Done | None:
        """A run from the cache, or None."""
        folder = cache.find("fractions", self.key(cell))
        return None if folder is None else self._read(cell, folder)

    def make(self, cell: Cell) -> Done:
        """A run from the cache, or run on the spot."""
        aim, split = self.aims[cell.target], self._rows(cell)

        def fill(folder: Path) -> None:
            source = None if cell.mode == SCRATCH else self._source(cell)
            started = time.perf_counter()
            made = transfer(cell.mode, aim, split, self._recipe(cell), self.steps[cell.network],
                            cell.network, source, progress=False,
                            **({} if cell.mode == PROBE else INPUTS[cell.input]))
            np.save(folder / "right.npy", made.right)
            (folder / "run.json").write_text(json.dumps(
                {"clips": len(split[0]), "steps": made.steps, "seconds": time.perf_counter() - started,
                 "network": made.key}))

        folder = cache.entry("fractions", self.key(cell), fill)
        network = json.loads((folder / "run.json").read_text())["network"]
        if network:
            cache.drop(cache.cache_root() / "networks" / network)
        return self._read(cell, folder)

    def key(self, cell: Cell) -> str:
        """What determines a run; no network is loaded or trained for it."""
        aim, (rows, test_rows) = self.aims[cell.target], self._rows(cell)
        source = "" if cell.mode == SCRATCH else network_key(
            self.sound, self.heard, study.source_recipe(self.plan, cell.network), cell.network, **INPUTS[cell.input])
        how = [] if cell.mode == PROBE else self._how(cell, rows)
        return cache.key_of("fractions", VERSION, aim.key, [list(aim.corpus.classes), list(aim.corpus.clips["label"])],
                            rows.tolist(), test_rows.tolist(), cell.network, cell.input, cell.mode, how, source)

    def _read(self, cell: Cell, folder: Path) -> Done:
        about = json.loads((folder / "run.json").read_text())
        groups = self.aims[cell.target].corpus.groups[self._split(cell)[1]]
        return Done(cell, about["clips"], about["steps"], np.load(folder / "right.npy"), groups, about["seconds"])

    def _split(self, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
        which = cell.target, cell.seed
        if which not in self.splits:
            self.splits[which] = target_split(self.aims[cell.target].corpus, cell.seed, self.plan.seed)
        return self.splits[which]

    def _rows(self, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
        train_rows, test_rows = self._split(cell)
        return fraction_rows(self.aims[cell.target].corpus, train_rows, cell.fraction, cell.seed), test_rows

    def _recipe(self, cell: Cell) -> Recipe:
        # Nothing is chosen on an inner split, so no training clip is kept aside for one.
        usual = study.source_recipe(self.plan, cell.network)
        return dataclasses.replace(usual, seed=cell.seed, validation=0.0, patience=0)

    def _how(self, cell: Cell, rows: np.ndarray) -> list:
        recipe, steps = self._recipe(cell), self.steps[cell.network]
        within, _ = budget(recipe, self.aims[cell.target].corpus.groups, rows, steps)
        return [recipe.key(), steps] + ["cut short"] * (within.steps > 0)

    def _source(self, cell: Cell) -> Source:
        which = cell.network, cell.input
        if which not in self.sources:
            made = train(self.sound, self.heard, study.source_recipe(self.plan, cell.network), cell.network,
                         progress=False, **INPUTS[cell.input])
            self.sources[which] = Source(made.model, self.sound.corpus.subset(self.heard[0]))
        return self.sources[which]

    def _cost(self, cell: Cell) -> float:
        return 1.0 if cell.mode == PROBE else COST.get(cell.network, 10.0) * self.steps[cell.network]
