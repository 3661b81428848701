"""Figures of a whole search over subsets: what size buys, what each layer gives, which go together.

Tables hold fractions; figures show points of 100.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl import stats
from audiotl.plots.compare import legend_below
from audiotl.plots.style import COLOURS, INK, styled, title_of

MARKS = {"last": ("last layer", "D", "red"), "all": ("all layers", "s", "green"),
         "best": ("picked on other folds", "*", "black")}


def _grid(rows: Sequence[str], columns: Sequence[str], height: float,
          **how) -> tuple[plt.Figure, dict[tuple[str, str], plt.Axes]]:
    # A panel for each row and column, named above and on the left.
    size = 1.5 + 2.1 * len(columns), 1.3 + height * len(rows)
    figure, axes = plt.subplots(len(rows), len(columns), squeeze=False, figsize=size, **how)
    for axis, column in zip(axes[0], columns, strict=True):
        axis.set_title(title_of(column).replace(", ", "\n"))
    for axis, row in zip(axes[:, 0], rows, strict=True):
        axis.set_ylabel(title_of(row).replace(", ", "\n"), fontsize=9)
    return figure, {(row, column): axes[i, j] for i, row in enumerate(rows)
                    for j, column in enumerate(columns)}


@styled
def sizes(table: pd.DataFrame, scores: pd.DataFrame) -> plt.Figure:
    """Range and median of the score over all subsets of a size; a row a target, a column a network.

    Args:
        table: ``network, target, size, score``, a row a subset.
        scores: ``network, target, layers, last, all, best, picked_layers``, marked in the panels.
    """
    networks = table["network"].unique()
    figure, axes = _grid(table["target"].unique(), networks, 1.7, sharey="row")
    marks = scores.set_index(["target", "network"])
    for place, axis in axes.items():
        rows = table[(table["target"] == place[0]) & (table["network"] == place[1])]
        if rows.empty:
            axis.set_axis_off()
            continue
        spread = 100 * rows.groupby("size")["score"].agg(["min", "median", "max"])
        axis.fill_between(spread.index, spread["min"], spread["max"], color=COLOURS["sky"],
                          alpha=0.35, lw=0, label="worst to best subset")
        axis.plot(spread["median"], color=COLOURS["blue"], label="median subset")
        here = marks.loc[place]
        across = {"last": 1, "all": here["layers"], "best": here["picked_layers"]}
        for name, (label, mark, colour) in MARKS.items():
            axis.plot(across[name], 100 * here[name], mark, color=COLOURS[colour], ms=8,
                      mec="white", label=label, clip_on=False, zorder=4)
        most = int(spread.index.max())
        axis.set_xticks(sorted({1, (most + 1) // 2, most}))
    for axis in list(axes.values())[-len(networks):]:
        axis.set_xlabel("layers side by side")
    figure.supylabel("%", fontsize=10)
    legend_below(figure, np.array(list(axes.values())))
    return figure


@styled
def shapley_values(table: pd.DataFrame) -> plt.Figure:
    """Shapley value of each layer of one network along depth; a panel a target.

    Args:
        table: ``target, layer, value, ci_low, ci_high, groups``, layers first to last, ``mfcc``
            after them.
    """
    targets = table["target"].unique()
    figure, axes = plt.subplots(len(targets), 1, squeeze=False, sharex=True, sharey=True,
                                figsize=(5.6, 0.6 + 1.7 * len(targets)))
    for axis, target in zip(axes[:, 0], targets, strict=True):
        rows = table[table["target"] == target]
        colours = np.where(rows["layer"] == "mfcc", COLOURS["pink"], COLOURS["blue"])
        axis.bar(np.arange(len(rows)), 100 * rows["value"], color=colours, alpha=0.85)
        if rows["groups"].min() >= stats.FEWEST_GROUPS:
            axis.vlines(np.arange(len(rows)), 100 * rows["ci_low"], 100 * rows["ci_high"],
                        color=INK, lw=1.4)
        axis.axhline(0, color=INK, lw=0.8)
        axis.set(title=title_of(target), ylabel="points")
        axis.set_xticks(np.arange(len(rows)), _short(rows["layer"]))
    axes[-1, 0].set_xlabel("layer, from input to output")
    return figure


@styled
def interactions(table: pd.DataFrame) -> plt.Figure:
    """Interaction index of every pair as a heat map; a row a network, a column a target.

    Args:
        table: ``network, target, first, second, index``, blocks from input to output, then MFCC.
    """
    figure, axes = _grid(table["network"].unique(), table["target"].unique(), 2.2)
    reach = max(100 * np.nanpercentile(table["index"].abs(), 99), 1e-9)
    for (network, target), axis in axes.items():
        rows = table[(table["network"] == network) & (table["target"] == target)]
        if rows.empty:
            axis.set_axis_off()
            continue
        names = list(dict.fromkeys([*rows["first"], *rows["second"]]))
        grid = rows.pivot(index="second", columns="first", values="index")
        image = axis.imshow(100 * grid.reindex(index=names, columns=names), cmap="PuOr",
                            vmin=-reach, vmax=reach)
        axis.set_xticks(range(len(names)), _short(names), fontsize=7, rotation=90)
        axis.set_yticks(range(len(names)), _short(names), fontsize=7)
        axis.grid(False)
    figure.colorbar(image, ax=list(axes.values()), location="bottom", shrink=0.6, aspect=30,
                    label="points\n← stand in for each other      need each other →")
    return figure


def _short(layers: Sequence[str]) -> list[str]:
    return ["MFCC" if name == "mfcc" else str(i) for i, name in enumerate(layers, 1)]
