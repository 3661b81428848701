"""Figures of the layer-combination search."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl.plots.style import GREY, INK, SOURCES, styled


@styled
def combinations(table: pd.DataFrame, baselines: dict[str, float], chance: dict[str, float]) -> plt.Figure:
    """Every subset's score against its size, a column a target and a colour a source, as figure 3 of the paper does.

    Args:
        table: columns ``source, target, subset, size, score``, one probe and one protocol.
        baselines: MFCC score of each target (a dashed line).
        chance: score of the most frequent class (a dotted line).
    """
    targets = list(dict.fromkeys(table["target"]))
    figure, axes = plt.subplots(1, len(targets), figsize=(3.3 * len(targets), 4.4), squeeze=False)
    for axis, target in zip(axes[0], targets, strict=True):
        here = table[table["target"] == target]
        sources = [source for source in SOURCES if source in set(here["source"])]
        for k, source in enumerate(sources):
            rows = here[here["source"] == source]
            shift = (k - (len(sources) - 1) / 2) * 0.2
            spread = rows.groupby("size").cumcount() / rows.groupby("size")["size"].transform("size") - 0.5
            axis.plot(rows["size"] + shift + 0.12 * spread, rows["score"], "o", ms=3.5, alpha=0.65, mew=0,
                      color=SOURCES[source], label=source)
            best = rows.loc[rows.groupby("size")["score"].idxmax()]
            axis.plot(best["size"] + shift, best["score"], color=SOURCES[source], lw=1, alpha=0.8)
        axis.axhline(baselines[target], color=SOURCES["mfcc"], ls="--", lw=1.3)
        axis.axhline(chance[target], color=GREY, ls=":", lw=1.3)
        axis.text(5.45, baselines[target], "MFCC ", color=SOURCES["mfcc"], fontsize=8, va="bottom", ha="right")
        axis.text(5.45, chance[target], "chance ", color=GREY, fontsize=8, va="bottom", ha="right")
        axis.set(xlabel="layers concatenated", xticks=range(1, 6), xlim=(0.5, 5.5))
        axis.set_title(target.replace("_", " "))
    axes[0, 0].set_ylabel("accuracy")
    _shared_legend(figure, axes[0])
    return figure


def _shared_legend(figure: plt.Figure, axes: np.ndarray) -> None:
    handles = {l: h for a in axes for h, l in zip(*a.get_legend_handles_labels(), strict=True)}
    names = [source for source in SOURCES if source in handles]
    figure.legend([handles[name] for name in names], [f"{name} network" for name in names], ncols=len(names),
                  loc="outside lower center")


@styled
def forest(table: pd.DataFrame, label: str) -> plt.Figure:
    """Paired differences with intervals, one row a comparison.

    Args:
        table: columns ``row`` (text at the left), ``group`` (a source, for the colour), ``difference, ci_low,
            ci_high``.
        label: of the horizontal axis, with its direction.
    """
    figure, axis = plt.subplots(figsize=(7, 0.3 * len(table) + 1.1))
    places = np.arange(len(table))[::-1]
    for place, row in zip(places, table.itertuples(), strict=True):
        sure = row.ci_low > 0 or row.ci_high < 0
        colour = SOURCES.get(row.group, INK)
        axis.plot([row.ci_low, row.ci_high], [place, place], color=colour, lw=2, alpha=1 if sure else 0.45)
        axis.plot(row.difference, place, "o", color=colour, ms=6, mfc=colour if sure else "white")
    axis.axvline(0, color=GREY, lw=1)
    axis.set_yticks(places, table["row"])
    axis.set(ylim=(-0.7, len(table) - 0.3))
    axis.set_xlabel(label, loc="right")
    axis.grid(axis="x")
    axis.grid(False, axis="y")
    axis.tick_params(axis="y", length=0)
    return figure


@styled
def single_layers(table: pd.DataFrame) -> plt.Figure:
    """Score of each layer alone, a panel a target, a line a source, with intervals.

    Args:
        table: columns ``source, target, layer`` (1 to 5), ``score, ci_low, ci_high``.
    """
    targets = list(dict.fromkeys(table["target"]))
    figure, axes = plt.subplots(1, len(targets), figsize=(3.1 * len(targets), 3.3), squeeze=False)
    for axis, target in zip(axes[0], targets, strict=True):
        for k, (source, rows) in enumerate(table[table["target"] == target].groupby("source", sort=False)):
            x = rows["layer"] + 0.07 * (k - 1)
            axis.errorbar(x, rows["score"], [rows["score"] - rows["ci_low"], rows["ci_high"] - rows["score"]],
                          color=SOURCES[source], marker="o", ms=4, lw=1.4, elinewidth=1, label=source)
        axis.set(xlabel="layer", xticks=range(1, 6))
        axis.set_title(target.replace("_", " "))
    axes[0, 0].set_ylabel("accuracy of one layer alone")
    _shared_legend(figure, axes[0])
    return figure
