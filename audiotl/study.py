"""What each profile of the study runs on: sources, targets, recipe; source networks and probes by name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from torch import nn

from audiotl import AudiotlError, datasets, probes
from audiotl.datasets.corpus import Corpus
from audiotl.features import Features, features
from audiotl.probes import Probe
from audiotl.probes.svm import SVM, grid
from audiotl.training import Recipe, Trained, train, untrained

ROLES = ("environment", "speech", "music")
RANDOM = "random"
DEEP = {"learning_rate": 1e-3, "weight_decay": 1e-2}
"""What suits networks of millions of weights: usual values of AdamW, fixed before the first run, not tuned."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The choices behind one profile.

    Args:
        sources: corpus of each role.
        targets: corpora on which the embeddings are probed.
        recipe: how ConvNet5 is trained on a source.
        deep: how the deeper networks are.
        probes: probes of the subset search.
        size: of the built-in corpora.
        data: folder of recordings, or None.
        seed: of networks and splits.
    """

    sources: dict[str, str]
    targets: tuple[str, ...]
    recipe: Recipe
    deep: Recipe
    probes: tuple[str, ...]
    size: str
    data: Path | None
    seed: int

    @property
    def synthetic(self) -> bool:
        """Whether any number of this plan comes from synthetic sound."""
        return any(name in (*datasets.BUILTIN, "music_family") for name in (*self.sources.values(), *self.targets))

    def corpus(self, name: str) -> Corpus:
        """A corpus of this plan, in its size and from its folder."""
        return datasets.load(name, self.data, self.size, self.seed)


def plan(profile: str, data: str = "", targets: str = "", sources: str = "", seed: int = 0, epochs: int = 0) -> Plan:
    """The plan of a profile: built-in corpora for ``smoke`` and ``quick``, recordings for ``full``.

    Args:
        data: folder of recordings; empty for ``AUDIOTL_DATA`` or none.
        targets: comma-separated corpora instead of the profile's own, e.g. ``"folder"`` for one's own sounds.
        sources: comma-separated roles instead of all three.
        epochs: training epochs instead of the profile's own; 0 keeps them.
    """
    full = profile == "full"
    where = {"environment": "urbansound8k", "speech": "speech_commands", "music": "philharmonia_tags"} if full else {
        role: role for role in ROLES}
    wanted = [role.strip() for role in sources.split(",") if role.strip()] or list(ROLES)
    for role in wanted:
        if role not in where:
            raise AudiotlError(f"There is no source {role!r}; choose among {', '.join(ROLES)}.")
    aims = tuple(name.strip() for name in targets.split(",") if name.strip()) or (
        ("esc50", "fsdd", "speech_commands_10") if full else ("environment", "speech", "music_family"))
    usual = {"smoke": Recipe(epochs=2, crop=64), "quick": Recipe(epochs=10, crop=64),
             "full": Recipe(epochs=32, crop=0, mixup=0.3, mask=0.2, tilt=8.0)}
    if profile not in usual:
        raise AudiotlError(f"There is no profile {profile!r}; choose among {', '.join(usual)}.")
    deeper = {"smoke": {}, "quick": {"epochs": 6}, "full": {"epochs": 15, "crop": 128}}
    own = {"seed": seed} | ({"epochs": epochs} if epochs else {})
    recipe = dataclasses.replace(usual[profile], **own)
    deep = dataclasses.replace(usual[profile], **{**DEEP, **deeper[profile], **own})
    return Plan({role: where[role] for role in wanted}, aims, recipe, deep, ("ridge",) if profile == "smoke" else
                ("ridge", "svm"), "smoke" if profile == "smoke" else "quick", datasets.data_root(data), seed)


def source_split(chosen: Plan, corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    """Training and test rows of a source corpus: its last official fold is the test (UrbanSound8K: fold 10)."""
    return corpus.splits(seed=chosen.seed)[-1]


def target(chosen: Plan, name: str) -> tuple[Corpus, int]:
    """A target corpus without the recordings that also occur in one of the sources, and how many clips went."""
    corpus = chosen.corpus(name)
    keep = np.ones(len(corpus), bool)
    for other in chosen.sources.values():
        source = chosen.corpus(other)
        if not datasets.related(corpus, source):
            keep &= ~datasets.shared(corpus, source)
    return corpus.subset(keep), int((~keep).sum())


def aims(chosen: Plan) -> tuple[dict[str, Features], dict[str, str]]:
    """Features of each target, as `target` leaves it, and a few words on each: clips, classes, what was left out."""
    found, about = {}, {}
    for name in chosen.targets:
        corpus, gone = target(chosen, name)
        found[name] = features(corpus)
        about[name] = found[name].corpus.describe() + (
            f"; {gone} clips left out, because their recording also occurs in a source" if gone else "")
    return found, about


def source_features(chosen: Plan, role: str) -> Features:
    """Features of the corpus that plays `role`."""
    return features(chosen.corpus(chosen.sources[role]))


def source_recipe(chosen: Plan, network: str = "convnet5") -> Recipe:
    """How a network of this name is trained on a source."""
    return chosen.recipe if network == "convnet5" else chosen.deep


def pretrained(chosen: Plan, role: str, network: str = "convnet5", **settings) -> Trained:
    """The network trained on the corpus of `role`, from the cache or trained on the spot.

    Args:
        **settings: of the network, e.g. ``multiscale=(1, 2, 3, 4)``.
    """
    sound = source_features(chosen, role)
    return train(sound, source_split(chosen, sound.corpus), source_recipe(chosen, network), network, **settings)


def source_model(chosen: Plan, role: str, network: str = "convnet5") -> nn.Module:
    """The model of a source: a role's trained network, or ``"random"``: weights drawn, nothing learnt."""
    if role == RANDOM:
        return untrained(source_features(chosen, next(iter(chosen.sources))), network, seed=chosen.seed)
    return pretrained(chosen, role, network).model


def pairs(chosen: Plan) -> list[tuple[str, str]]:
    """Every (source, target) worth scoring, random included.

    A source is not scored on its own corpus: the probe would be tested on clips that the network has seen.
    """
    out = []
    for target in chosen.targets:
        aim = chosen.corpus(target)
        out += [(role, target) for role, name in chosen.sources.items()
                if not datasets.related(chosen.corpus(name), aim)]
        out.append((RANDOM, target))
    return out


def probe(name: str) -> Probe:
    """The probe called `name`: ``ridge``, ``svm``, ``logistic`` or ``knn``.

    The SVM gets two cells of the 32 that the 2017 paper tried: C of 8 with gamma 1/d and 2^-9, which win or come
    close on standardised columns; the whole grid is ``svm.SVM()``.

    Raises:
        AudiotlError: no such probe.
    """
    makers = {"ridge": probes.Ridge, "logistic": probes.logistic, "knn": probes.nearest,
              "svm": lambda: SVM(grid(costs=(8.0,), gammas=(2.0**-9, "1/d"), linear=False))}
    if name not in makers:
        raise AudiotlError(f"There is no probe {name!r}; choose among {', '.join(makers)}.")
    return makers[name]()
