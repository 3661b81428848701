"""Source networks made to be compared: as many clips, of as many classes, for as many optimiser steps as one says.

Corpora differ in more than what they sound like. Here their number of clips and of classes is set by a draw, every
network takes the same number of steps, and every step hears one second of each clip of its batch, so that neither a
larger corpus nor longer clips buy more training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from torch import nn

from audiotl import AudiotlError, study
from audiotl.datasets.corpus import Corpus
from audiotl.sources import cut
from audiotl.training import budget, score, train, untrained

ALL, MATCHED = "all", "matched"
SECOND = 63
"""Frames of the one second that a training step hears of a clip."""

STEPS = {"smoke": (4, 2), "quick": (60, 20), "full": (800, 400)}
"""Optimiser steps of ConvNet5 and of the deeper networks, by profile."""


@dataclasses.dataclass(frozen=True)
class SourceNetwork:
    """A network and what it was taught.

    Args:
        source: the role of its corpus, ``"random"``, or a name for a published network.
        draw: how its clips were drawn: ``"all"``, ``"matched"`` (as many as of every other source), or words.
        network: its kind.
        seed: of its weights, of the order of clips, and of their draw.
        model: in evaluation mode.
        corpus: the clips it was taught; None for random weights and for published networks.
        classes: how many classes (tags) they have.
        steps: optimiser steps it took.
        own: accuracy (mean AUC for tags) on the test clips of its classes in its own corpus; NaN where there are none.
    """

    source: str
    draw: str
    network: str
    seed: int
    model: nn.Module
    corpus: Corpus | None
    classes: int
    steps: int
    own: float

    @property
    def clips(self) -> int:
        """Number of clips it was taught."""
        return 0 if self.corpus is None else len(self.corpus)


def class_order(corpus: Corpus, rows: np.ndarray, clips: int, seed: int = 0) -> list[str]:
    """The classes in a seeded order; those with less than half of `clips` come last, any two before
    hold enough.

    Raises:
        AudiotlError: fewer than two classes are so large.
    """
    labels, counts = np.unique(corpus.clips["label"].to_numpy()[rows], return_counts=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    large = [k for k in order if 2 * counts[k] >= clips]
    if len(large) < 2:
        raise AudiotlError(f"{corpus.name} has fewer than two classes of {-(-clips // 2)} clips; "
                           "ask for fewer clips.")
    return [str(labels[k]) for k in (*large, *(k for k in order if k not in large))]


def smallest(plan: study.Plan) -> int:
    """Training clips of the smallest source: what the matched draws have."""
    return min(len(study.source_split(plan, study.source_features(plan, role).corpus)[0]) for role in plan.sources)


def taught(plan: study.Plan, role: str, network: str, seed: int, steps: int, *, clips: int = 0,
           classes: Sequence[str] = (), draw: str = ALL, progress: bool = True) -> SourceNetwork:
    """A network taught a part of the source of `role`, from the cache or on the spot.

    Args:
        steps: optimiser steps, see `transfer.budget`.
        clips: how many; 0 is all of its training split.
        classes: only clips of these; none is all.
        draw: name of the draw.
    """
    sound = study.source_features(plan, role)
    corpus = sound.corpus
    rows, test_rows = study.source_split(plan, corpus)
    known = corpus.clips["label"].isin(list(classes)).to_numpy() if classes else np.ones(len(corpus), bool)
    rows = rows[known[rows]]
    rows = cut(corpus, rows, clips, seed) if clips else rows
    # No clip is set aside: every network hears all of its clips, and nothing is chosen by a validation score.
    usual = dataclasses.replace(plan.recipe if network == "convnet5" else plan.deep, seed=seed, crop=SECOND,
                                validation=0.0, patience=0)
    recipe, taken = budget(usual, corpus.groups, rows, steps)
    made = train(sound, (rows, test_rows), recipe, network, progress)
    heard = corpus.subset(rows)
    present = {tag for label in heard.clips["label"].unique() for tag in label.split(";")}
    tested = known[test_rows]
    own = score(made.outputs[tested], corpus.targets()[test_rows[tested]]) if tested.any() else np.nan
    return SourceNetwork(role, draw, network, seed, made.model, heard, len(present), taken, own)


def random_network(plan: study.Plan, network: str, seed: int) -> SourceNetwork:
    """A network that was taught nothing (see `training.untrained`)."""
    sound = study.source_features(plan, next(iter(plan.sources)))
    return SourceNetwork(study.RANDOM, ALL, network, seed, untrained(sound, network, seed), None, 0, 0, np.nan)


def compared(plan: study.Plan, network: str, seed: int, steps: int, progress: bool = True) -> Iterator[SourceNetwork]:
    """Every source with all of its clips, with as many as the smallest has, and random weights.

    The smallest source is its own matched draw, and comes under both names.
    """
    fewest = smallest(plan)
    for draw, clips in ((ALL, 0), (MATCHED, fewest)):
        for role in plan.sources:
            yield taught(plan, role, network, seed, steps, clips=clips, draw=draw, progress=progress)
    yield random_network(plan, network, seed)


def diverse(plan: study.Plan, role: str, seed: int, steps: int, counts: Sequence[int] = (2, 5, 10),
            whole: bool = False, progress: bool = True) -> Iterator[SourceNetwork]:
    """ConvNet5 taught a fifth of a source's clips of 2, 5, ... classes, and fewer or more clips of all classes.

    Classes are added to each other and clips to each other, in an order drawn with the seed; one is held fixed while
    the other varies. The draw of a fifth from all classes belongs to both series.

    Args:
        whole: of the clip series only the whole source, which `compared` has trained.
    """
    corpus = study.source_features(plan, role).corpus
    rows, _ = study.source_split(plan, corpus)
    fixed = len(rows) // 5
    order = class_order(corpus, rows, fixed, seed)
    for count in counts:
        # With every class the test fold is the whole one, as for the clip series.
        chosen = order[:count] if count < len(order) else ()
        yield taught(plan, role, "convnet5", seed, steps, clips=fixed, classes=chosen, draw=f"{count} classes",
                     progress=progress)
    for clips in (*(() if whole else (fixed // 3, smallest(plan))), len(rows)):
        yield taught(plan, role, "convnet5", seed, steps, clips=clips, draw=f"{clips} clips", progress=progress)
