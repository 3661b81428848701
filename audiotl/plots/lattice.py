"""Figures of a whole search over subsets: what size buys, what each layer gives, which layers go together."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl.plots.style import COLOURS, FAINT, GREY, INK, styled

MFCC = "mfcc"


_MARKS = {"last layer": {"marker": "D", "color": COLOURS["red"], "ms": 8, "mec": "white"},
          "all layers": {"marker": "s", "color": COLOURS["green"], "ms": 11, "mec": "white"},
          "picked on other folds": {"marker": "*", "color": COLOURS["black"], "ms": 9, "mec": "white", "zorder": 5},
          "all, random weights": {"marker": "o", "color": GREY, "ms": 5, "mec": "white"},
          "MFCC": {"marker": "|", "color": COLOURS["pink"], "ms": 11, "mew": 2.5}}


@styled
def answer(table: pd.DataFrame, chance: dict[str, float]) -> plt.Figure:
    """Last layer, all layers and the picked subset of every network on one line; a panel a target.

    Args:
        table: ``title, target, what, score`` with `what` as in ``last layer``, ``all layers``, ``picked on other
            folds``, ``all, random weights``, ``MFCC``.
        chance: score of the most frequent class of each target.
    """
    titles, targets = list(dict.fromkeys(table["title"])), list(dict.fromkeys(table["target"]))
    columns = min(2, len(targets))
    lines = -(-len(targets) // columns)
    figure, axes = plt.subplots(lines, columns, squeeze=False, sharey=True,
                                figsize=(1.6 + 2.9 * columns, 0.9 + (0.7 + 0.3 * len(titles)) * lines))
    for axis, target in zip(axes.flat, targets, strict=False):
        here = table[table["target"] == target]
        for place, title in enumerate(titles):
            scores = 100 * here[here["title"] == title].set_index("what")["score"].dropna()
            if len(scores):
                axis.hlines(place, scores.min(), scores.max(), color=FAINT, lw=3, zorder=1)
            for what, value in scores.items():
                axis.plot(value, place, ls="none", label=what, **{"zorder": 4, "mew": 0.6, **_MARKS[what]})
        axis.axvline(100 * chance[target], color=GREY, ls=":", lw=1.3)
        axis.set(ylim=(len(titles) - 0.4, -0.6))
        axis.set_yticks(range(len(titles)), titles)
        axis.set_title(target.replace("_", " "))
        axis.grid(axis="x")
        axis.grid(False, axis="y")
    for axis in axes.flat[len(targets):]:
        axis.axis("off")
    for axis in axes[-1]:
        axis.set_xlabel("accuracy (%), dotted: most frequent class", fontsize=9)
    _legend_below(figure, axes)
    return figure


@styled
def sizes(table: pd.DataFrame, marks: pd.DataFrame, chance: dict[str, float]) -> plt.Figure:
    """Range and median of the score over all subsets of a size; a row a target, a column a network.

    Args:
        table: ``title, target, size, score``, a row a subset.
        marks: ``title, target, what, size, score``; ``all layers``, ``last layer`` and ``picked on other folds`` are
            drawn.
        chance: score of the most frequent class of each target.
    """
    titles, targets = list(dict.fromkeys(table["title"])), list(dict.fromkeys(table["target"]))
    marks = marks[marks["what"].isin(list(_MARKS)[:3])]
    figure, axes = plt.subplots(len(targets), len(titles), squeeze=False, sharey="row",
                                figsize=(1.6 + 1.8 * len(titles), 1.2 + 1.6 * len(targets)))
    for row, target in zip(axes, targets, strict=True):
        for axis, title in zip(row, titles, strict=True):
            here = table[(table["title"] == title) & (table["target"] == target)]
            if here.empty:
                axis.axis("off")
                continue
            spread = 100 * here.groupby("size")["score"].agg(["min", "median", "max"])
            axis.fill_between(spread.index, spread["min"], spread["max"], color=COLOURS["sky"], alpha=0.35, lw=0,
                              label="worst to best subset")
            axis.plot(spread.index, spread["median"], color=COLOURS["blue"], lw=1.6, label="median subset")
            for point in marks[(marks["title"] == title) & (marks["target"] == target)].to_dict("records"):
                axis.plot(point["size"], 100 * point["score"], ls="none", label=point["what"], clip_on=False,
                          **{"zorder": 4, "mew": 0.6, **_MARKS[point["what"]]})
            axis.axhline(100 * chance[target], color=GREY, ls=":", lw=1.3, label="most frequent class")
            most = int(spread.index.max())
            axis.set(xlim=(0.6, most + 0.4), xticks=sorted({1, (most + 1) // 2, most}))
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title.replace(", ", "\n"), fontsize=10)
    for axis, target in zip(axes[:, 0], targets, strict=True):
        axis.set_ylabel(f"{target.replace('_', ' ')}\naccuracy (%)", fontsize=9)
    axes[-1, len(titles) // 2].set_xlabel("layers put side by side")
    _legend_below(figure, axes)
    return figure


@styled
def values(table: pd.DataFrame) -> plt.Figure:
    """Shapley value of each layer of one network along depth, with its interval; a panel a target.

    Args:
        table: ``title, target, layer, value, ci_low, ci_high``, layers first to last, ``mfcc`` after them.
    """
    targets = list(dict.fromkeys(table["target"]))
    columns = min(2, len(targets))
    lines = -(-len(targets) // columns)
    figure, axes = plt.subplots(lines, columns, squeeze=False, sharey=True,
                                figsize=(0.8 + 3.2 * columns, 0.8 + 1.9 * lines))
    for axis, target in zip(axes.flat, targets, strict=False):
        here = table[table["target"] == target]
        is_mfcc, n = here["layer"] == MFCC, int((here["layer"] != MFCC).sum())
        places = np.arange(1, len(here) + 1) + np.where(is_mfcc, 0.1 * n, 0.0)
        colours = [COLOURS["pink"] if other else COLOURS["blue"] for other in is_mfcc]
        axis.bar(places, 100 * here["value"], color=colours, alpha=0.85, width=0.8)
        axis.vlines(places, 100 * here["ci_low"], 100 * here["ci_high"], color=INK, lw=1.4)
        axis.axhline(0, color=INK, lw=0.8)
        shown = sorted({1, (n + 1) // 2, n})
        axis.set_xticks([*shown, *places[is_mfcc]], [*map(str, shown), *["MFCC"] * int(is_mfcc.sum())])
        axis.set_title(target.replace("_", " "))
    for axis in axes.flat[len(targets):]:
        axis.axis("off")
    for axis in axes[:, 0]:
        axis.set_ylabel("points of accuracy")
    for axis in axes[-1]:
        axis.set_xlabel("layer, from input to output")
    figure.suptitle(f"What each layer gives: {table['title'].iloc[0]}", fontsize=11, x=0.02, ha="left")
    return figure


@styled
def interactions(table: pd.DataFrame, layers: dict[str, list[str]]) -> plt.Figure:
    """Interaction index of every pair of layers as a heat map; a row a network, a column a target.

    A dot marks a pair whose interval leaves zero out.

    Args:
        table: ``title, target, first, second, index, ci_low, ci_high``.
        layers: the layers of each network, first to last, MFCC after them.
    """
    titles, targets = list(dict.fromkeys(table["title"])), list(dict.fromkeys(table["target"]))
    figure, axes = plt.subplots(len(titles), len(targets), squeeze=False,
                                figsize=(0.9 + 2.2 * len(targets), 1.4 + 2.2 * len(titles)))
    reach = 100 * np.nanpercentile(table["index"].abs(), 99)
    image = None
    for row, title in zip(axes, titles, strict=True):
        names = layers[title]
        for axis, target in zip(row, targets, strict=True):
            here = table[(table["title"] == title) & (table["target"] == target)]
            if here.empty:
                axis.axis("off")
                continue
            at = {name: i for i, name in enumerate(names)}
            grid = np.full((len(names), len(names)), np.nan)
            first, second = here["first"].map(at).to_numpy(), here["second"].map(at).to_numpy()
            grid[second, first] = 100 * here["index"]
            image = axis.imshow(grid, cmap="PuOr", vmin=-reach, vmax=reach, interpolation="nearest")
            sure = ((here["ci_low"] > 0) | (here["ci_high"] < 0)).to_numpy()
            axis.plot(first[sure], second[sure], ".", color=INK, ms=2.5)
            step = max(1, -(-len(names) // 6))
            ticks = [i for i in range(len(names)) if names[i] == MFCC or i % step == 0]
            texts = ["MFCC" if names[i] == MFCC else str(i + 1) for i in ticks]
            axis.set_xticks(ticks, texts, fontsize=8, rotation=90 if MFCC in names else 0)
            axis.set_yticks(ticks, texts, fontsize=8)
            axis.grid(False)
            axis.tick_params(length=0)
    for axis, target in zip(axes[0], targets, strict=True):
        axis.set_title(target.replace("_", " "))
    for axis, title in zip(axes[:, 0], titles, strict=True):
        axis.set_ylabel(title.replace(", ", "\n"))
    if image is not None:
        bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=30)
        bar.set_label("points of accuracy\n← stand in for each other      need each other →")
    return figure


@styled
def choice(scores: np.ndarray, sizes: np.ndarray, at: int, interval: tuple[float, float], title: str) -> plt.Figure:
    """All subsets by size, and the one that is chosen with its interval.

    Args:
        scores: of every subset, ``(n_subsets,)``.
        sizes: blocks in each.
        at: position of the chosen one.
        interval: of its score.
        title: what was chosen.
    """
    figure, axis = plt.subplots(figsize=(5.2, 3.0))
    rng = np.random.default_rng(0)
    shown = np.arange(len(scores)) if len(scores) <= 4000 else rng.choice(len(scores), 4000, replace=False)
    axis.plot(sizes[shown] + rng.uniform(-0.25, 0.25, len(shown)), 100 * scores[shown], "o", ms=3, mew=0, alpha=0.4,
              color=COLOURS["sky"], label="every subset", rasterized=True)
    axis.plot([sizes[at]] * 2, [100 * v for v in interval], color=COLOURS["red"], lw=2.5)
    axis.plot(sizes[at], 100 * scores[at], "o", color=COLOURS["red"], mec="white", ms=8, label="yours, 95 % interval")
    axis.set(xlabel="blocks", ylabel="accuracy (%)", xlim=(0.5, sizes.max() + 0.5))
    axis.set_xticks(range(1, int(sizes.max()) + 1))
    axis.set_title(title, fontsize=9)
    _legend_below(figure, np.array([axis]))
    return figure


def _legend_below(figure: plt.Figure, axes: np.ndarray) -> None:
    handles = {text: handle for axis in axes.flat for handle, text in zip(*axis.get_legend_handles_labels(),
                                                                         strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=3 if figure.get_figwidth() > 5 else 1)


@styled
def cost(table: pd.DataFrame) -> plt.Figure:
    """Milliseconds for one subset against the number of taps.

    Args:
        table: ``taps, seconds, who``.
    """
    figure, axis = plt.subplots(figsize=(5.6, 3.2))
    for (who, rows), (colour, marker) in zip(table.sort_values("taps").groupby("who"),
                                             ((COLOURS["blue"], "o"), (COLOURS["orange"], "s")), strict=False):
        axis.plot(rows["taps"], 1000 * rows["seconds"], marker=marker, color=colour, label=who)
    axis.set(yscale="log", xlabel="taps", ylabel="one subset (ms)", xticks=sorted(set(table["taps"])))
    axis.legend(loc="center left", bbox_to_anchor=(0, 0.55), frameon=False)
    return figure
