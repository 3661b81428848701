"""What pretraining saves: a network from scratch, or on another's weights, taught by a part of the target's clips.

Five modes. ``scratch`` starts from random weights; ``head`` trains the head on frozen layers; ``fine-tuned`` trains
everything, early layers at a lower rate; ``fine-tuned at one rate`` trains all layers alike. These four take the same
number of optimiser steps on the same clips. ``probe`` reads the frozen taps, all side by side, with a ridge probe that
is solved exactly and takes none.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from torch import nn

from audiotl import AudiotlError, datasets
from audiotl.datasets.corpus import Corpus, LeakError, check_split, deal_groups
from audiotl.embedding import embed
from audiotl.features import Features
from audiotl.finetuning import EARLY, Start
from audiotl.probes import Blocks, Probe, Ridge, standardise
from audiotl.training import Recipe, inner_split, train

SCRATCH, PROBE, HEAD, FINE_TUNED, ONE_RATE = MODES = (
    "scratch", "probe", "head", "fine-tuned", "fine-tuned at one rate")
RATES = {HEAD: 0.0, FINE_TUNED: EARLY, ONE_RATE: 1.0}
"""Rate of the first layers as a fraction of the head's (see `finetuning.Start`)."""

INNER_FOLDS = 3
NEAR = 0.05
"""How far whole passes may be from a budget of steps, as a part of it."""

FEW_GROUPS = 20
"""Groups from which a fraction of one in twenty is at least a group."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A pretrained network and what it has heard.

    Args:
        model: any network of this package; the mode ``probe`` also takes others with taps.
        corpus: every clip it was trained on, or might have been; None for random weights.
    """

    model: nn.Module
    corpus: Corpus | None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One mode on one set of training clips.

    Args:
        mode: one of `MODES`.
        rows: training rows of the target corpus.
        test_rows: rows that were tested.
        right: which of them were named rightly, ``(n_test,)`` bool.
        steps: optimiser steps taken.
        key: of the trained network in the cache; none of a probe.
    """

    mode: str
    rows: np.ndarray
    test_rows: np.ndarray
    right: np.ndarray
    steps: int
    key: str = ""


def transfer(mode: str, aim: Features, split: tuple[np.ndarray, np.ndarray], recipe: Recipe, steps: int,
             network: str = "convnet5", source: Source | None = None, *, probe: Probe | None = None,
             progress: bool = True, **settings) -> Outcome:
    """Teach one network one target in one mode.

    Args:
        mode: one of `MODES`; all but ``scratch`` need a `source`.
        aim: features of the target corpus, one class a clip.
        split: training and test rows; no group on both sides.
        recipe: of the trained modes; its epochs and steps are set by `steps`.
        steps: optimiser steps of a trained mode, see `budget`.
        network: what to train; in a mode of `RATES` of the same kind as the source's.
        probe: of the mode ``probe``, its cell chosen by folds inside the training clips; None for ridge.
        **settings: of the network.

    Raises:
        LeakError: a group is on both sides of the split, or the source has heard a recording that is tested.
        AudiotlError: an unknown mode, a mode without its source, or a corpus of tags.
    """
    train_rows, test_rows = split
    corpus, classes = aim.corpus, aim.corpus.targets()
    if mode not in MODES:
        raise AudiotlError(f"There is no mode {mode!r}; choose among {', '.join(MODES)}.")
    if corpus.multilabel:
        raise AudiotlError(f"{corpus.name} has several tags a clip; transfer is scored on corpora of classes.")
    if mode != SCRATCH and source is None:
        raise AudiotlError(f"The mode {mode!r} needs the network of a source; without one there is only {SCRATCH!r}.")
    check_split(corpus.groups, train_rows, test_rows, where=f"the split of {corpus.name}")
    if mode != SCRATCH and source.corpus is not None:
        check_source(source.corpus, corpus, test_rows)
    if mode == PROBE:
        blocks = embed(source.model, aim, progress=progress)
        answers = probed(blocks, classes, corpus.groups, split, probe or Ridge())
        return Outcome(mode, train_rows, test_rows, answers == classes[test_rows], 0)
    recipe, taken = budget(recipe, corpus.groups, train_rows, steps)
    start = None if mode == SCRATCH else Start(source.model, RATES[mode])
    made = train(aim, split, recipe, network, progress, start, **settings)
    return Outcome(mode, train_rows, test_rows, made.outputs.argmax(1) == classes[test_rows], taken, made.key)


def check_source(source: Corpus, target: Corpus, test_rows: np.ndarray) -> None:
    """Refuse a source that holds a recording of the target's test clips.

    Recordings are told by file, by group within one corpus (two corpora of one's own that number their groups
    alike must have different names), and by Freesound number between UrbanSound8K and ESC-50.

    Raises:
        LeakError: names the first such clip.
    """
    heard = datasets.shared(target, source)
    if source.name == target.name:
        heard |= np.isin(target.groups, source.groups)
    leaked = test_rows[heard[test_rows]]
    if len(leaked):
        raise LeakError(f"The source was trained on {source.name}, which holds the recording of "
                        f"{target.clips['path'].iloc[leaked[0]]} ({len(leaked)} test clips of {target.name} in all); "
                        "leave those clips out of one of the two (or, if they are other recordings under the same "
                        "group names, give the corpora different names).")


def budget(recipe: Recipe, groups: np.ndarray, rows: np.ndarray, steps: int) -> tuple[Recipe, int]:
    """The recipe with `steps` optimiser steps on these rows, and how many it takes.

    Whole passes over the rows where some number of them comes within `NEAR` of `steps`, else the last pass is cut.
    With 0 `steps` the recipe stays as it is.
    """
    fitted, _ = inner_split(groups, rows, recipe.validation, recipe.seed)
    a_pass = -(-len(fitted) // recipe.batch)
    if steps == 0:
        return recipe, recipe.epochs * a_pass
    epochs = max(1, round(steps / a_pass))
    if abs(epochs * a_pass - steps) <= NEAR * steps:
        return dataclasses.replace(recipe, epochs=epochs), epochs * a_pass
    return dataclasses.replace(recipe, epochs=-(-steps // a_pass), steps=steps), steps


def fraction_rows(corpus: Corpus, rows: np.ndarray, fraction: float, seed: int = 0) -> np.ndarray:
    """About `fraction` of `rows`: whole groups, every class in its proportion, and each set within the larger ones.

    Groups come in a seeded order, those of each class spread evenly along it (a group of several classes counts
    for its most frequent one), and the set is what comes before `fraction`. Every class keeps at least
    its first group. Fewer than `FEW_GROUPS` cannot make up small fractions: then single clips are drawn (those
    that are tested are of other groups in any case).

    Returns:
        Sorted rows.
    """
    if not 0 < fraction <= 1:
        raise AudiotlError(f"A fraction of the training clips lies above 0 and up to 1, not at {fraction:g}.")
    label = corpus.clips["label"].to_numpy()[rows].astype(str)
    groups = corpus.groups[rows]
    if len(np.unique(groups)) < FEW_GROUPS:
        groups = np.arange(len(rows))
    return np.sort(rows[_first(groups, label, fraction, seed)])


def _first(groups: np.ndarray, label: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    # Whole groups, class by class, up to the fraction: a mask.
    names, member = np.unique(groups, return_inverse=True)
    labels, label = np.unique(label, return_inverse=True)
    counts = np.zeros((len(names), len(labels)), int)
    np.add.at(counts, (member, label), 1)
    main, sizes = counts.argmax(1), counts.sum(1)
    order, kept = np.random.default_rng(seed).permutation(len(names)), np.zeros(len(names), bool)
    for k in range(len(labels)):
        mine = order[main[order] == k]
        end = np.cumsum(sizes[mine])
        # A group belongs to the set if its middle does.
        kept[mine[(end - sizes[mine] / 2) <= fraction * end[-1:].sum()]] = True
        kept[mine[:1]] = True
    return kept[member]


def probed(blocks: Blocks, y: np.ndarray, groups: np.ndarray, split: tuple[np.ndarray, np.ndarray],
           probe: Probe) -> np.ndarray:
    """Predictions ``(n_test,)`` of a probe on all blocks, its cell chosen by group-safe folds of the training rows."""
    train_rows, test_rows = split
    everything = [tuple(blocks)]

    def fold(fit: np.ndarray, test: np.ndarray) -> np.ndarray:
        left, right = standardise({n: b[fit] for n, b in blocks.items()}, {n: b[test] for n, b in blocks.items()})
        return probe.fold(left, y[fit], right, everything)[0]

    place = deal_groups(groups[train_rows], y[train_rows], INNER_FOLDS, 0, "the training part")
    right = np.zeros(len(probe.cells))
    for k in range(INNER_FOLDS):
        inner, held = train_rows[place != k], train_rows[place == k]
        right += (fold(inner, held) == y[held]).sum(1)
    return fold(train_rows, test_rows)[int(right.argmax())]
