"""Transfer: a target learnt from scratch or on a source's weights, from a part of its clips.

Five modes. ``scratch`` starts from random weights; ``head`` trains the head on frozen layers;
``fine-tuned`` trains everything, early layers at a lower rate; ``fine-tuned at one rate`` trains
all layers alike. These four take the same number of optimiser steps on the same clips. ``probe``
reads the frozen taps, all side by side, with a ridge probe that is solved exactly and takes none.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn
from tqdm import tqdm

from audiotl import AudiotlError, cache, datasets
from audiotl.datasets.corpus import Corpus, LeakError, check_split, deal_groups
from audiotl.embedding import embed
from audiotl.features import Features
from audiotl.models.weights import weights_key
from audiotl.probes import Blocks, Probe, Ridge, standardise
from audiotl.sources import SourceNetwork, source_network
from audiotl.stats import Scored
from audiotl.training import Recipe, Split, budget, network_key, train

SCRATCH, PROBE, HEAD, FINE_TUNED, ONE_RATE = MODES = (
    "scratch", "probe", "head", "fine-tuned", "fine-tuned at one rate")
RATES = {HEAD: 0.0, FINE_TUNED: 0.1, ONE_RATE: 1.0}
"""Rate of the first layers as a fraction of the head's (see `Start`)."""

INPUTS = {"plain": {}, "multiscale": {"multiscale": [1, 2, 3, 4]}}
"""What a network reads: the spectrogram, or dilated convolutions of it (`models.Multiscale`)."""

INNER_FOLDS = 3
FEW_GROUPS = 20
"""Groups from which a fraction of one in twenty is at least a group."""


@dataclasses.dataclass(frozen=True)
class Start:
    """Weights to start from instead of random ones, and how far each layer may move from them.

    Args:
        model: a network of the same kind; all of it but the head is copied.
        early: learning rate of the first stage as a fraction of the head's, with equal ratios
            between; 1 trains all layers alike, 0 freezes all but the head, batch-norm statistics
            too.
    """

    model: nn.Module
    early: float = RATES[FINE_TUNED]

    @property
    def key(self) -> list:
        """What of it determines a network, for keys."""
        return [weights_key(self.model), self.early]

    def copy_to(self, model: nn.Module) -> None:
        """Copy every weight and statistic but the head's.

        Raises:
            AudiotlError: the two are not the same kind of network.
        """
        try:
            if _kind(model) != _kind(self.model):
                raise RuntimeError
            for mine, theirs in zip(model.stages[:-1], self.model.stages[:-1], strict=True):
                mine.load_state_dict(theirs.state_dict())
        except RuntimeError:
            raise AudiotlError(
                f"The weights to start from are those of {_kind(self.model)}, and the network to "
                f"train is {_kind(model)}; train a source of the same kind.") from None

    def rates(self, model: nn.Module, peak: float) -> list[dict]:
        """Parameter groups for the optimiser, one a stage, with `peak` for the head.

        Where `early` is 0 every weight but the head's is frozen.
        """
        if self.early == 0:
            model.requires_grad_(False)
            head = model.stages[-1].requires_grad_(True)
            return [{"params": list(head.parameters()), "lr": peak}]
        last = len(model.stages) - 1
        return [{"params": list(stage.parameters()), "lr": peak * self.early ** (1 - i / last)}
                for i, stage in enumerate(model.stages)]

    def hold(self, model: nn.Module) -> None:
        """In training mode, keep the batch-norm statistics of frozen stages as they are."""
        if self.early == 0:
            for stage in model.stages[:-1]:
                stage.eval()


def _kind(model: nn.Module) -> str:
    settings = {key: value for key, value in model.settings.items()
                if key not in ("n_classes", "dropout")}
    return f"{type(model).__name__} {settings}"


def transfer(mode: str, target: Features, split: Split, recipe: Recipe, steps: int,
             network: str = "convnet5", source: SourceNetwork | None = None, *,
             keep: bool = True, progress: bool = True, **settings) -> Scored:
    """Train one network on one target in one mode, and score the test clips.

    Args:
        mode: one of `MODES`; all but ``scratch`` need a `source`.
        target: features of the target corpus, one class a clip.
        split: training and test rows.
        recipe: of the trained modes; its epochs and steps are set by `steps` (`training.budget`).
        network: what to train; in a mode of `RATES` of the same kind as the source's.
        source: its `corpus` is every clip it has heard.
        keep: whether the trained network stays in the cache.
        **settings: of the network.

    Returns:
        1 or 0 for each test clip named rightly or not, with the keys ``mode, network, train_clips,
        steps``.

    Raises:
        LeakError: a group is on both sides of the split, or the source has heard a recording that
            is tested.
        AudiotlError: an unknown mode, a mode without its source, or a corpus of tags.
    """
    corpus, classes = target.corpus, target.corpus.targets()
    _check(mode, corpus, split, source)
    train_rows, test_rows = split
    if mode == PROBE:
        taken, blocks = 0, embed(source.model, target, progress=progress)
        answers = probed(blocks, classes, corpus.groups, split, Ridge())
    else:
        recipe, taken = budget(recipe, corpus.groups, train_rows, steps)
        start = None if mode == SCRATCH else Start(source.model, RATES[mode])
        made = train(target, split, recipe, network, progress, start, **settings)
        answers = made.outputs.argmax(1)
        if not keep:
            cache.drop(cache.cache_root() / "networks" / made.key)
    return Scored.of(answers == classes[test_rows], np.zeros(len(test_rows), int),
                     corpus.groups[test_rows], mode=mode, network=network,
                     train_clips=len(train_rows), steps=taken)


def _check(mode: str, corpus: Corpus, split: Split, source: SourceNetwork | None) -> None:
    if mode not in MODES:
        raise AudiotlError(f"There is no mode {mode!r}; choose among {', '.join(MODES)}.")
    if corpus.multilabel:
        raise AudiotlError(f"{corpus.name} has several tags a clip; transfer is scored on corpora "
                           "of classes.")
    if mode != SCRATCH and source is None:
        raise AudiotlError(f"The mode {mode!r} needs the network of a source; without one there "
                           f"is only {SCRATCH!r}.")
    check_split(corpus.groups, *split, where=f"the split of {corpus.name}")
    if mode != SCRATCH and source.corpus is not None:
        check_source(source.corpus, corpus, split[1])


def check_source(source: Corpus, target: Corpus, test_rows: np.ndarray) -> None:
    """Refuse a source that holds a recording of the target's test clips.

    Recordings are told as by `datasets.shared`, and by group within one corpus.

    Raises:
        LeakError: names the first such clip.
    """
    heard = datasets.shared(target, source)
    if source.name == target.name:
        heard |= np.isin(target.groups, source.groups)
    leaked = test_rows[heard[test_rows]]
    if len(leaked):
        raise LeakError(
            f"The source was trained on {source.name}, which holds the recording of "
            f"{target.clips['path'].iloc[leaked[0]]} ({len(leaked)} test clips of {target.name} "
            "in all); leave those clips out of one of the two (or, if they are other recordings "
            "under the same group names, give the corpora different names).")


def probed(blocks: Blocks, y: np.ndarray, groups: np.ndarray, split: Split,
           probe: Probe) -> np.ndarray:
    """Predictions ``(n_test,)`` of a probe on all blocks, its cell chosen inside the training rows.

    Chosen is the cell that is best over `INNER_FOLDS` folds of whole groups.
    """
    train_rows, test_rows = split
    everything = [tuple(blocks)]

    def fold(fit: np.ndarray, test: np.ndarray) -> np.ndarray:
        fitted, tested = standardise({name: block[fit] for name, block in blocks.items()},
                                     {name: block[test] for name, block in blocks.items()})
        return probe.fold(fitted, y[fit], tested, everything)[0]

    place = deal_groups(groups[train_rows], y[train_rows], INNER_FOLDS, 0, "the training part")
    correct = np.zeros(len(probe.cells))
    for k in range(INNER_FOLDS):
        inner, held = train_rows[place != k], train_rows[place == k]
        correct += (fold(inner, held) == y[held]).sum(1)
    return fold(train_rows, test_rows)[int(correct.argmax())]


def fraction_rows(corpus: Corpus, rows: np.ndarray, fraction: float, seed: int = 0) -> np.ndarray:
    """About `fraction` of `rows`, sorted: whole groups, each class in its share, small in large.

    The groups of each class (of several, the most frequent one) come in a seeded order, and those
    before `fraction` are taken, at least the first. Fewer than `FEW_GROUPS` cannot make up small
    fractions: then single clips are drawn (those that are tested are of other groups in any case).
    """
    if not 0 < fraction <= 1:
        raise AudiotlError("A fraction of the training clips lies above 0 and up to 1, not at "
                           f"{fraction:g}.")
    names, member = np.unique(corpus.groups[rows], return_inverse=True)
    if len(names) < FEW_GROUPS:
        names = member = np.arange(len(rows))
    labels, label = np.unique(corpus.clips["label"].to_numpy(str)[rows], return_inverse=True)
    counts = np.zeros((len(names), len(labels)), int)
    np.add.at(counts, (member, label), 1)
    main, sizes = counts.argmax(1), counts.sum(1)
    order = np.random.default_rng(seed).permutation(len(names))
    kept = np.zeros(len(names), bool)
    for k in range(len(labels)):
        mine = order[main[order] == k]
        end = np.cumsum(sizes[mine])
        # A group belongs to the set if its middle does.
        kept[mine[(end - sizes[mine] / 2) <= fraction * end[-1:].sum()]] = True
        kept[mine[:1]] = True
    return np.sort(rows[kept[member]])


def target_split(corpus: Corpus, seed: int, corpus_seed: int = 0) -> tuple[int, Split]:
    """The fold that a seed tests, each another one in turn, and its training and test rows.

    Folds are the corpus's own (five of whole groups where it has none); a corpus of fewer than
    `FEW_GROUPS` groups is dealt to three, so that each tests more than one group.
    """
    if len(np.unique(corpus.groups)) >= FEW_GROUPS:
        splits = corpus.splits(seed=corpus_seed)
        return seed % len(splits), splits[seed % len(splits)]
    place = deal_groups(corpus.groups, corpus.targets(), 3, corpus_seed, corpus.name)
    return seed % 3, (np.flatnonzero(place != seed % 3), np.flatnonzero(place == seed % 3))


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a `Grid`; the seed is of weights, order, clips drawn, and of the fold tested."""

    target: str
    network: str  # one of `models.NETWORKS`
    input: str  # one of `INPUTS`
    mode: str  # one of `MODES`
    fraction: float  # of the target's training clips
    seed: int


class Grid:
    """Scores runs, or finds those that were scored before; one that was cut off goes on.

    Args:
        targets: features of each target.
        sound: features of the source corpus.
        recipes: of each network, on source and target.
        steps: optimiser steps of each network on a target.
        source_seed: of the source networks. One serves all seeds of a network and input, since it
            takes longer to train than the runs that follow.
        corpus_seed: of folds.
    """

    def __init__(self, targets: dict[str, Features], sound: Features, recipes: dict[str, Recipe],
                 steps: dict[str, int], source_seed: int = 0, corpus_seed: int = 0):
        self.targets, self.sound, self.recipes, self.steps = targets, sound, recipes, steps
        self.source_seed, self.corpus_seed = source_seed, corpus_seed
        self.heard = sound.corpus.splits()[-1]
        self.splits: dict[tuple[str, int], tuple[int, Split]] = {}

    def run(self, wanted: Sequence[Run], only_finished: bool = False,
            progress: bool = True) -> tuple[list[Scored], list[Run]]:
        """Scores of the runs, and the runs that are missing.

        Which test clips were correct is kept; the network (45 MB for a ResNet-18) is not.

        Args:
            only_finished: start nothing; report what is there.
        """
        found = {run: _kept.find(*self.content(run)) for run in wanted}
        missing = [run for run, folder in found.items() if folder is None]
        if not only_finished:
            for run in tqdm(missing, desc="runs", disable=not progress or not missing):
                found[run] = _kept(*self.content(run), grid=self, run=run)
            missing = []
        return [self._read(run, folder) for run, folder in found.items() if folder], missing

    def content(self, run: Run) -> list:
        """What determines a run, for its key; no network is loaded or trained for it."""
        target, (_, (rows, test_rows)) = self.targets[run.target], self._rows(run)
        recipe, steps = self._recipe(run), self.steps[run.network]
        within, _ = budget(recipe, target.corpus.groups, rows, steps)
        how = [recipe.key(), steps] + ["cut short"] * (within.steps > 0)
        source = "" if run.mode == SCRATCH else network_key(
            self.sound, self.heard,
            dataclasses.replace(self.recipes[run.network], seed=self.source_seed), run.network,
            **INPUTS[run.input])
        labels = [list(target.corpus.classes), list(target.corpus.clips["label"])]
        return [target.key, labels, rows.tolist(), test_rows.tolist(), run.network, run.input,
                run.mode, [] if run.mode == PROBE else how, source]

    def _read(self, run: Run, folder: Path) -> Scored:
        about = json.loads((folder / "run.json").read_text())
        correct, (fold, (_, test_rows)) = np.load(folder / "right.npy"), self._rows(run)
        groups = self.targets[run.target].corpus.groups[test_rows]
        return Scored.of(correct, np.full(len(correct), fold), groups, **dataclasses.asdict(run),
                         train_clips=about["clips"], steps=about["steps"],
                         seconds=about["seconds"])

    def _rows(self, run: Run) -> tuple[int, Split]:
        corpus, which = self.targets[run.target].corpus, (run.target, run.seed)
        if which not in self.splits:
            self.splits[which] = target_split(corpus, run.seed, self.corpus_seed)
        fold, (rows, test_rows) = self.splits[which]
        return fold, (fraction_rows(corpus, rows, run.fraction, run.seed), test_rows)

    def _recipe(self, run: Run) -> Recipe:
        # Nothing is chosen on an inner split, so no training clip is kept aside for one.
        return dataclasses.replace(self.recipes[run.network], seed=run.seed, validation=0.0,
                                   patience=0)


@cache.step("fractions", version=1)
def _kept(folder: Path, *_, grid: Grid, run: Run) -> None:
    how, recipe = INPUTS[run.input], grid.recipes[run.network]
    source = None
    if run.mode != SCRATCH:
        source = source_network(grid.sound, recipe, run.network, seed=grid.source_seed,
                                progress=False, **how)
    started = time.perf_counter()
    made = transfer(run.mode, grid.targets[run.target], grid._rows(run)[1], grid._recipe(run),
                    grid.steps[run.network], run.network, source, keep=False, progress=False,
                    **({} if run.mode == PROBE else how))
    np.save(folder / "right.npy", made.values[0, 0] > 0)
    (folder / "run.json").write_text(json.dumps(
        {"clips": made.keys["train_clips"], "steps": made.keys["steps"],
         "seconds": time.perf_counter() - started}))
