"""Networks of any depth, layer by layer: every subset of taps and MFCC scored, what each layer gives, the sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from torch import nn

from audiotl import comparisons, shapley, study
from audiotl.comparisons import MFCC
from audiotl.embedding import embed
from audiotl.features import Features
from audiotl.models import pretrained
from audiotl.probes.subset_search import Search, search

WIDTH = 32
"""Columns a block is brought down to: the width of the five-layer network, so that layers compete on equal terms."""

NETWORKS = {"smoke": "convnet5", "quick": "convnet5",
            "full": "convnet5,resnet18,densenet121,choi2017-keras2,musicnn-msd"}
TARGETS = {"smoke": "speech,music_family", "quick": "speech,music_family",
           "full": "esc50,speech_commands_10,fsdd,philharmonia"}
"""What each profile examines, if nothing else is asked for."""

TITLES = {"convnet5": "ConvNet5", "resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50",
          "densenet121": "DenseNet-121", "choi2017-keras2": "Choi 2017", "musicnn-msd": "musicnn"}


@dataclasses.dataclass(frozen=True)
class Layerwise:
    """One network on one target.

    Args:
        source: what the network was trained on (``environment``, ``speech``, ``music``).
        network: its name.
        target: the corpus that is probed.
        search: every subset of its layers and MFCC, nested, ridge.
        nobody: clips right when the most frequent class of the training folds is named, ``(n,)`` 0 or 1.
        random: clips right from all layers of the same network with random weights, ``(n,)``; None for a
            published network.
    """

    source: str
    network: str
    target: str
    search: Search
    nobody: np.ndarray
    random: np.ndarray | None

    @property
    def layers(self) -> tuple[str, ...]:
        """The taps, first to last, without MFCC."""
        return tuple(name for name in self.search.names if name != MFCC)

    @property
    def title(self) -> str:
        """Network and source, for figures."""
        return f"{TITLES.get(self.network, self.network)}, {self.source}"

    def right(self, subset: Sequence[str]) -> np.ndarray:
        """Clips right from one subset, nested, ``(n,)`` bool."""
        return self.search.unpack(self.search.nested_bits[self.search.position(subset)])

    def layers_only(self) -> list[int]:
        """Positions of the subsets without MFCC."""
        return [i for i, subset in enumerate(self.search.subsets) if MFCC not in subset]


def chosen(names: str, profile: str) -> list[str]:
    """Networks named in a comma-separated list; an empty one leaves the choice to the profile."""
    return [name.strip() for name in (names or NETWORKS[profile]).split(",") if name.strip()]


def networks(plan: study.Plan, names: Sequence[str]) -> Iterator[tuple[str, str, nn.Module]]:
    """Source, name and model of each network: trained on every source of the plan, or as its authors published it.

    A published network whose weights are not in the data folder is left out.
    """
    for name in names:
        if name in pretrained.NETWORKS:
            if plan.data is not None and (plan.data / pretrained.NETWORKS[name][0]).is_file():
                yield "music", name, pretrained.load(name, plan.data)
        else:
            for role in plan.sources:
                yield role, name, study.pretrained(plan, role, name).model


def guess(y: np.ndarray, splits: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Clips right when each fold is given the most frequent class of its training clips, ``(n,)`` float.

    >>> guess(np.array([0, 0, 1, 1, 1]), [(np.array([0, 1, 2]), np.array([3, 4])), (np.array([2, 3, 4]), np.arange(2))])
    array([0., 0., 0., 0., 0.])
    """
    out = np.zeros(len(y))
    for train, test in splits:
        out[test] = y[test] == np.bincount(y[train]).argmax()
    return out


def examine(plan: study.Plan, names: Sequence[str], aims: dict[str, Features], width: int = WIDTH) -> list[Layerwise]:
    """Every network on every target that is not its own source's corpus.

    Args:
        names: networks, trained or published.
        aims: features of each target.
        width: principal components that a wider block is brought down to.
    """
    out, pairs = [], study.pairs(plan)
    for source, name, model in networks(plan, names):
        trained = name not in pretrained.NETWORKS
        for target, aim in aims.items():
            if trained and (source, target) not in pairs:
                continue
            corpus = aim.corpus
            y, splits, title = corpus.targets(), corpus.splits(seed=plan.seed), f"{source} {name} -> {target}"
            found = search(embed(model, aim) | {MFCC: aim.mfcc}, y, splits, corpus.groups, study.probe("ridge"),
                           width=width, title=title)
            random = None
            if trained:
                blocks = embed(study.source_model(plan, study.RANDOM, name), aim)
                random = search(blocks, y, splits, corpus.groups, study.probe("ridge"), width=width,
                                subsets=[tuple(blocks)], title=f"random {name} -> {target}").nested()[0]
            out.append(Layerwise(source, name, target, found, guess(y, splits), random))
    return out


def subset_table(found: Sequence[Layerwise]) -> pd.DataFrame:
    """Nested score of every subset: ``source, network, target, subset, size, mfcc, score, title``."""
    parts = [pd.DataFrame({"source": one.source, "network": one.network, "target": one.target,
                           "subset": one.search.labels(), "size": [len(s) for s in one.search.subsets],
                           "mfcc": [MFCC in s for s in one.search.subsets], "score": one.search.scores(),
                           "title": one.title}) for one in found]
    return pd.concat(parts, ignore_index=True)


def attributions(found: Sequence[Layerwise]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Shapley values and interactions of layers and MFCC, with intervals over groups.

    Returns:
        ``source, network, target, layer, value, ci_low, ci_high`` and ``source, network, target, first, second,
        index, ci_low, ci_high``, each with a ``title``.
    """
    values, pairs = [], []
    for one in found:
        names = one.search.names
        tables = shapley.attribute(one.search.nested_bits, shapley.masks(one.search.subsets, names), one.nobody,
                                   one.search.groups, names)
        for table, home in zip(tables, (values, pairs), strict=True):
            for column, value in (("target", one.target), ("network", one.network), ("source", one.source)):
                table.insert(0, column, value)
            home.append(table.assign(title=one.title))
    return pd.concat(values, ignore_index=True), pd.concat(pairs, ignore_index=True)


def summary(found: Sequence[Layerwise]) -> pd.DataFrame:
    """Nested scores: ``source, network, target, layers, last, best, all, all_mfcc, mfcc, random, picked, title``.

    ``best`` is the subset of layers picked on the other folds, ``picked`` its mean size over folds.
    """
    rows = []
    for one in found:
        best, picks = one.search.nested_best(one.layers_only())
        rows.append({"source": one.source, "network": one.network, "target": one.target, "layers": len(one.layers),
                     "last": one.right(one.layers[-1:]).mean(), "best": best.mean(),
                     "all": one.right(one.layers).mean(), "all_mfcc": one.right(one.search.names).mean(),
                     "mfcc": one.right((MFCC,)).mean(),
                     "random": np.nan if one.random is None else one.random.mean(),
                     "picked": np.mean([len(pick) for pick in picks]), "title": one.title})
    return pd.DataFrame(rows)


def marks(scores: pd.DataFrame) -> pd.DataFrame:
    """`summary` with a row a score, for the figures: ``title, target, what, size, score``."""
    kinds = {"last layer": ("last", 1), "all layers": ("all", scores["layers"]),
             "picked on other folds": ("best", scores["picked"]), "all, random weights": ("random", scores["layers"]),
             "MFCC": ("mfcc", 1)}
    return pd.concat([scores[["title", "target"]].assign(what=what, size=size, score=scores[column])
                      for what, (column, size) in kinds.items()], ignore_index=True)


def paired(found: Sequence[Layerwise]) -> pd.DataFrame:
    """Differences on the same clips: ``comparison, source, network, target, difference, ci_low, ci_high, p, title``.

    All layers minus the last, minus the subset of layers picked on the other folds, minus all layers with random
    weights; and all layers with MFCC minus all layers without.
    """
    rows = []
    for one in found:
        everything = one.right(one.layers)
        pairs = {"all - last": (everything, one.right(one.layers[-1:])),
                 "all - best": (everything, one.search.nested_best(one.layers_only())[0]),
                 "with mfcc - all": (one.right(one.search.names), everything)}
        if one.random is not None:
            pairs["all - random"] = (everything, one.random)
        rows += [{"comparison": name, "source": one.source, "network": one.network, "target": one.target,
                  **comparisons.difference(a, b, one.search), "title": one.title} for name, (a, b) in pairs.items()]
    return pd.DataFrame(rows)


def say(table: pd.DataFrame, comparison: str, this: str, other: str) -> str:
    """`comparisons.say_paired` with the networks named."""
    return comparisons.say_paired(table.assign(source=table["title"]), comparison, this, other)


def say_values(values: pd.DataFrame) -> str:
    """Which layer is worth most in each network, and whether any is worth less than nothing."""
    layers = values[values["layer"] != MFCC]
    place = layers.groupby(["title", "target"]).cumcount() + 1
    count = layers.groupby(["title", "target"])["layer"].transform("size")
    layers = layers.assign(place=place, count=count)
    top = layers.loc[layers.groupby(["title", "target"], sort=False)["value"].idxmax()]
    lines = [f"- **{title}**: " + "; ".join(
        f"{row.target} layer {row.place} of {row.count} (+{100 * row.value:.1f} points, {100 * row.ci_low:.1f} to "
        f"{100 * row.ci_high:.1f})" for row in rows.itertuples()) for title, rows in top.groupby("title", sort=False)]
    last, below = int((top["place"] == top["count"]).sum()), int((layers["ci_high"] < 0).sum())
    above = int((layers["ci_low"] > 0).sum())
    return ("The layer worth most:\n\n" + "\n".join(lines)
            + f"\n\nIt is the last one in {last or 'none'} of {len(top)} cases. {above} of {len(layers)} values are "
              f"above zero by their interval, {below or 'none'} below it.")


def say_mfcc(values: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """What MFCC gives as one more block, and how it goes with the layers."""
    mine = values[values["layer"] == MFCC]
    rank = values.groupby(["title", "target"])["value"].rank(ascending=False)[mine.index]
    mixed = (pairs["first"] == MFCC) | (pairs["second"] == MFCC)
    up, down = int((pairs[mixed]["ci_low"] > 0).sum()), int((pairs[mixed]["ci_high"] < 0).sum())
    means = 100 * pairs["index"].groupby(mixed).mean()
    most = ""
    if max(up, down) > mixed.sum() / 2:
        most = f": for the most part MFCC and a layer {'need' if up > down else 'can in part stand in for'} each other"
    return (f"The value of MFCC is above zero in {int((mine['ci_low'] > 0).sum()) or 'none'} of {len(mine)} cases, and "
            f"it is the block worth most in {int((rank == 1).sum()) or 'none'}. Of its {mixed.sum()} interactions with "
            f"single layers, {up or 'none'} are above zero and {down or 'none'} below, by their intervals (on average "
            f"{means[True]:+.1f} points, and {means[False]:+.1f} between two layers){most}.")


def finding(table: pd.DataFrame, scores: pd.DataFrame) -> str:
    """The chapter's answer in two sentences."""
    def count(comparison: str) -> tuple[int, int, int]:
        rows = table[table["comparison"] == comparison]
        return int((rows["ci_low"] > 0).sum()), int((rows["ci_high"] < 0).sum()), len(rows)

    last, best = count("all - last"), count("all - best")
    gain = 100 * table.loc[table["comparison"] == "all - last", "difference"].mean()
    few, many = scores["layers"].min(), scores["layers"].max()
    return (f"In networks of {f'{few} to {many}' if few < many else few} layers, all of them side by side beat the "
            f"last one in {last[0] or 'none'} of {last[2]} cases and lose in {last[1] or 'none'} (mean difference "
            f"{gain:+.1f} points, ridge, nested). A subset picked on other folds beats all of them in "
            f"{best[1] or 'none'} of {best[2]} and loses in {best[0] or 'none'}.")
