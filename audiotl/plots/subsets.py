"""Figures of a whole search over subsets: what size buys, what each layer gives, which go together.

Tables hold fractions; figures show points of 100.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl import stats
from audiotl.plots.compare import legend_below
from audiotl.plots.style import COLOURS, INK, styled, title_of

MFCC = "mfcc"


@styled
def sizes(table: pd.DataFrame, scores: pd.DataFrame) -> plt.Figure:
    """Range and median of the score over all subsets of a size; a row a target, a column a network.

    Args:
        table: ``network, target, size, score``, a row a subset.
        scores: ``network, target, layers, last, all, best, picked_layers``, marked in the panels.
    """
    networks, targets = (list(dict.fromkeys(table[name])) for name in ("network", "target"))
    shape = len(targets), len(networks)
    figure, axes = plt.subplots(*shape, squeeze=False, sharey="row",
                                figsize=(1.8 + 2 * shape[1], 1.3 + 1.7 * shape[0]))
    for row, target in zip(axes, targets, strict=True):
        for axis, network in zip(row, networks, strict=True):
            here = (table["network"] == network) & (table["target"] == target)
            marks = scores[(scores["network"] == network) & (scores["target"] == target)]
            if here.any():
                _sizes(axis, table[here], marks.iloc[0])
            else:
                axis.axis("off")
    for axis, network in zip(axes[0], networks, strict=True):
        axis.set_title(title_of(network))
    for axis, target in zip(axes[:, 0], targets, strict=True):
        axis.set_ylabel(f"{title_of(target)}\n%".replace(", ", "\n"), fontsize=9)
    axes[-1, len(networks) // 2].set_xlabel("layers side by side")
    legend_below(figure, axes)
    return figure


def _sizes(axis: plt.Axes, rows: pd.DataFrame, marks: pd.Series) -> None:
    spread = 100 * rows.groupby("size")["score"].agg(["min", "median", "max"])
    axis.fill_between(spread.index, spread["min"], spread["max"], color=COLOURS["sky"], alpha=0.35,
                      lw=0, label="worst to best subset")
    axis.plot(spread.index, spread["median"], color=COLOURS["blue"], lw=1.6,
              label="median subset")
    for what, label, size, mark, colour in (
            ("last", "last layer", 1, "D", "red"),
            ("all", "all layers", marks["layers"], "s", "green"),
            ("best", "picked on other folds", marks["picked_layers"], "*", "black")):
        axis.plot(size, 100 * marks[what], mark, color=COLOURS[colour], ms=8, mec="white",
                  label=label, clip_on=False, zorder=4)
    most = int(spread.index.max())
    axis.set_xticks(sorted({1, (most + 1) // 2, most}))


@styled
def shapley_values(table: pd.DataFrame) -> plt.Figure:
    """Shapley value of each layer of one network along depth; a panel a target.

    Args:
        table: ``target, layer, value, ci_low, ci_high, groups``, layers first to last, ``mfcc``
            after them.
    """
    targets = list(dict.fromkeys(table["target"]))
    columns = min(2, len(targets))
    lines = -(-len(targets) // columns)
    figure, axes = plt.subplots(lines, columns, squeeze=False, sharey=True,
                                figsize=(0.8 + 3.2 * columns, 0.6 + 1.9 * lines))
    for axis, target in zip(axes.flat, targets, strict=False):
        _bars(axis, table[table["target"] == target])
        axis.set_title(title_of(target))
    for axis in axes.flat[len(targets):]:
        axis.axis("off")
    for axis in axes[:, 0]:
        axis.set_ylabel("points")
    for axis in axes[-1]:
        axis.set_xlabel("layer, from input to output")
    return figure


def _bars(axis: plt.Axes, rows: pd.DataFrame) -> None:
    mfcc = (rows["layer"] == MFCC).to_numpy()
    n = int((~mfcc).sum())
    places = np.arange(1, len(rows) + 1) + np.where(mfcc, 0.1 * n, 0.0)
    colours = [COLOURS["pink"] if other else COLOURS["blue"] for other in mfcc]
    axis.bar(places, 100 * rows["value"], color=colours, alpha=0.85, width=0.8)
    if rows["groups"].min() >= stats.FEWEST_GROUPS:
        axis.vlines(places, 100 * rows["ci_low"], 100 * rows["ci_high"], color=INK, lw=1.4)
    axis.axhline(0, color=INK, lw=0.8)
    shown = sorted({1, (n + 1) // 2, n})
    axis.set_xticks([*shown, *places[mfcc]], [*map(str, shown), *["MFCC"] * int(mfcc.sum())])


@styled
def interactions(table: pd.DataFrame) -> plt.Figure:
    """Interaction index of every pair as a heat map; a row a network, a column a target.

    Args:
        table: ``network, target, first, second, index``, blocks from input to output, then MFCC.
    """
    networks, targets = (list(dict.fromkeys(table[name])) for name in ("network", "target"))
    figure, axes = plt.subplots(len(networks), len(targets), squeeze=False,
                                figsize=(1.2 + 2.3 * len(targets), 1.4 + 2.2 * len(networks)))
    reach = max(100 * np.nanpercentile(table["index"].abs(), 99), 1e-9)
    for row, network in zip(axes, networks, strict=True):
        for axis, target in zip(row, targets, strict=True):
            here = table[(table["network"] == network) & (table["target"] == target)]
            if here.empty:
                axis.axis("off")
            else:
                image = _pairs(axis, here, reach)
    for axis, target in zip(axes[0], targets, strict=True):
        axis.set_title(title_of(target).replace(", ", "\n"))
    for axis, network in zip(axes[:, 0], networks, strict=True):
        axis.set_ylabel(title_of(network))
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=30)
    bar.set_label("points\n← stand in for each other      need each other →")
    return figure


def _pairs(axis: plt.Axes, rows: pd.DataFrame, reach: float):
    names = list(dict.fromkeys([*rows["first"], *rows["second"]]))
    grid = rows.pivot(index="second", columns="first", values="index").reindex(names)
    image = axis.imshow(100 * grid.reindex(columns=names), cmap="PuOr", vmin=-reach, vmax=reach)
    step = max(1, -(-len(names) // 6))
    ticks = [i for i, name in enumerate(names) if name == MFCC or i % step == 0]
    texts = ["MFCC" if names[i] == MFCC else str(i + 1) for i in ticks]
    axis.set_xticks(ticks, texts, fontsize=8, rotation=90)
    axis.set_yticks(ticks, texts, fontsize=8)
    axis.grid(False)
    axis.tick_params(length=0)
    return image
