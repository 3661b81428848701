"""What a network learns from: a source by corpus, clips, classes, labels and optimiser steps.

Corpora differ in more than what they sound like. With `clips`, `classes` and `steps`, networks of
two corpora hear equally many clips of equally many classes for as many steps. Shuffled labels leave
the sound and take away what it is called; no labels at all leave random weights.
"""

import copy
import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from audiotl import AudiotlError, check_known
from audiotl.datasets.corpus import Corpus
from audiotl.features import Features
from audiotl.training import Recipe, budget, calibrated, score, train, untrained

LABELS = ("true", "shuffled", "none")
SECOND = 63  # frames of one second, all that is heard of a clip where `steps` are set


@dataclasses.dataclass(frozen=True)
class SourceNetwork:
    """A network and what it learnt from; see `training.Trained` for the last three.

    Args:
        domain: of the sound it heard (`Corpus.domain`), ``"random"`` where it learnt nothing.
        network: its kind, as in `models.NETWORKS`.
        labels: one of `LABELS`.
        seed: of weights, order, and draws of clips and labels.
        corpus: the clips it heard, under true labels; None where there are none, or not known.
        classes: how many classes (tags) they have.
        steps: optimiser steps it took.
        score: accuracy (mean AUC for tags) on test clips of its classes; NaN where there are none.
    """

    domain: str
    network: str
    labels: str
    seed: int
    model: nn.Module
    corpus: Corpus | None
    classes: int = 0
    steps: int = 0
    score: float = np.nan
    history: pd.DataFrame | None = None
    outputs: np.ndarray | None = None
    test_rows: np.ndarray | None = None

    @property
    def clips(self) -> int:
        """How many it learnt from."""
        return 0 if self.corpus is None else len(self.corpus)


def source_network(sound: Features, recipe: Recipe, network: str = "convnet5", *,
                   labels: str = "true", clips: int = 0, classes: Sequence[str] = (),
                   steps: int = 0, seed: int = 0, progress: bool = True, device: str = "cpu",
                   **settings) -> SourceNetwork:
    """A network trained on a corpus, whose last fold is the test; from the cache where it is there.

    Args:
        recipe: how it is trained; its seed is replaced by `seed`.
        labels: ``"true"``; ``"shuffled"``: the labels of the training clips change places once;
            ``"none"``: random weights, batch norm measured on the sound (`training.untrained`).
        clips: how many it learns from, see `cut`; 0 is all.
        classes: only clips of these; none is all.
        steps: 0 takes the recipe as it is. Else so many optimiser steps, each on one second of each
            clip, and no clip is set aside: nothing is chosen by a validation score.
        **settings: of the network, e.g. ``multiscale=(1, 2, 3, 4)``.
    """
    check_known("kind of labels", labels, LABELS)
    if labels == "none":
        model = untrained(sound, network, seed, **settings)
        return SourceNetwork("random", network, labels, seed, model, None)
    corpus = sound.corpus
    rows, test_rows = corpus.splits()[-1]
    known = corpus.clips["label"].isin(list(classes)).to_numpy() | (not len(classes))
    rows = rows[known[rows]]
    rows = cut(corpus, rows, clips, seed) if clips else rows
    recipe = dataclasses.replace(recipe, seed=seed)
    if steps:
        recipe = dataclasses.replace(recipe, crop=SECOND, validation=0.0, patience=0)
    recipe, taken = budget(recipe, corpus.groups, rows, steps)
    told = shuffled(sound, rows, seed) if labels == "shuffled" else sound
    made = train(told, (rows, test_rows), recipe, network, progress, device=device, **settings)
    heard, tested = corpus.subset(rows), known[test_rows]
    own = (score(made.outputs[tested], corpus.targets()[test_rows[tested]]) if tested.any()
           else np.nan)
    present = {tag for label in heard.clips["label"].unique() for tag in label.split(";")}
    return SourceNetwork(corpus.domain, network, labels, seed, made.model, heard, len(present),
                         taken, own, made.history, made.outputs, test_rows)


def shuffled(sound: Features, rows: np.ndarray, seed: int = 0) -> Features:
    """The same sound, but the labels of these clips have changed places among them."""
    label = sound.corpus.clips["label"].to_numpy(copy=True)
    label[rows] = np.random.default_rng(seed).permutation(label[rows])
    clips = sound.corpus.clips.assign(label=label)
    return dataclasses.replace(sound, corpus=dataclasses.replace(sound.corpus, clips=clips))


def weights_permuted(model: nn.Module, sound: Features, seed: int = 0) -> nn.Module:
    """The weights of every layer in random order, batch norm measured anew on the sound.

    What is left of training is how large the weights are, layer by layer.
    """
    model = copy.deepcopy(model)
    draw = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        if weight.ndim > 1:
            order = torch.randperm(weight.numel(), generator=draw)
            weight.data = weight.data.flatten()[order].reshape(weight.shape).contiguous()
    return calibrated(model, sound, seed)


def cut(corpus: Corpus, rows: np.ndarray, clips: int, seed: int = 0) -> np.ndarray:
    """Exactly `clips` of `rows`, sorted: each class in its proportion, recording after recording.

    Within a class the groups come in a seeded order and are taken whole, but for the last one,
    which may be cut (the clips left over are not used at all). Smaller draws of one seed lie within
    larger ones. Tagged clips are drawn by their first tag.
    """
    if not 0 < clips <= len(rows):
        raise AudiotlError(f"{corpus.name} has {len(rows)} clips to draw from, not {clips}; ask "
                           "for fewer.")
    rng = np.random.default_rng(seed)
    labels = corpus.clips["label"].str.split(";").str[0].to_numpy()[rows]
    names, member = np.unique(corpus.groups[rows], return_inverse=True)
    turn = rng.permutation(len(names))[member]
    place = np.empty(len(rows))
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        here = here[np.argsort(turn[here], kind="stable")]
        # A class's clips lie evenly from 0 to 1, at an offset of its own: small classes are not all
        # drawn at once.
        place[here] = (np.arange(len(here)) + rng.random()) / len(here)
    return np.sort(rows[np.argsort(place, kind="stable")[:clips]])
