"""Figures for comparisons: differences with intervals, dots by size, a heat map, curves.

Scores and differences come as fractions, as the tables of `stats` hold them, and are drawn in
points of 100. An interval is drawn where at least `stats.FEWEST_GROUPS` groups were tested; a
filled mark is a clear difference (`stats.clear`).
"""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl import stats
from audiotl.plots.style import GREY, INK, colour_of, styled, title_of

WIDTH = 7.0
"""Inches that a figure of one panel is wide."""


@styled
def forest(frame: pd.DataFrame, row: str, colour: str | None = None, panel: str | None = None,
           xlabel: str = "difference, in points", margin: float | None = None) -> plt.Figure:
    """Paired differences, a line each, largest on top.

    Args:
        frame: rows of `stats.compare`; a column ``clear`` is used where there is one.
        row: column that names a line.
        colour: column that chooses the colour, or None.
        panel: column that makes a panel of each of its values; all panels have the same axis.
        margin: half width of a band of equivalence around zero, as a fraction.
    """
    frame = frame.assign(clear=frame["clear"] if "clear" in frame else stats.clear(frame))
    panels = _panels(frame, panel)
    heights = [len(rows) + 1.4 for _, rows in panels]
    figure, axes = plt.subplots(len(panels), 1, figsize=(WIDTH, 0.27 * sum(heights) + 0.8),
                                sharex=True, squeeze=False, height_ratios=heights)
    for axis, (name, rows) in zip(axes[:, 0], panels, strict=True):
        _forest(axis, rows.sort_values("difference"), row, colour, margin)
        axis.set_title(name)
    axes[-1, 0].set_xlabel(xlabel)
    return figure


def _forest(axis: plt.Axes, rows: pd.DataFrame, row: str, colour: str | None,
            margin: float | None) -> None:
    for place, line in enumerate(rows.to_dict("records")):
        shade = colour_of(line[colour]) if colour else INK
        if line["groups"] >= stats.FEWEST_GROUPS:
            axis.plot([100 * line["ci_low"], 100 * line["ci_high"]], [place, place], color=shade,
                      lw=2, alpha=1 if line["clear"] else 0.45)
        axis.plot(100 * line["difference"], place, "o", color=shade, ms=6,
                  mfc=shade if line["clear"] else "white")
    if margin is not None:
        axis.axvspan(-100 * margin, 100 * margin, color=GREY, alpha=0.15, lw=0)
    axis.axvline(0, color=GREY, lw=1)
    axis.set_yticks(range(len(rows)), [title_of(name) for name in rows[row]])
    axis.set_ylim(-0.7, len(rows) - 0.3)
    axis.grid(True, axis="x")
    axis.grid(False, axis="y")
    axis.tick_params(axis="y", length=0)


@styled
def by_size(frame: pd.DataFrame, panel: str = "target", colour: str = "source",
            lines: Mapping[str, Mapping[str, float]] | None = None) -> plt.Figure:
    """Every subset's score against its size, a dot each; a line joins the best of every size.

    Args:
        frame: columns ``size, score`` and those named here.
        panel, colour: columns that make a panel and a colour.
        lines: per panel horizontal lines, e.g. ``{"esc50": {"MFCC": 0.4, "chance": 0.02}}``.
    """
    names = list(dict.fromkeys(frame[panel]))
    figure, axes = plt.subplots(1, len(names), figsize=(0.6 + 3.1 * len(names), 4.2),
                                sharey=True, squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        parts = list(frame[frame[panel] == name].groupby(colour, sort=False))
        for k, (value, part) in enumerate(parts):
            shift = 0.2 * (k - (len(parts) - 1) / 2)
            _dots(axis, part, shift, colour_of(value), title_of(value))
        for label, height in (lines or {}).get(name, {}).items():
            _level(axis, 100 * height, label)
        axis.set(xlabel="layers side by side", title=title_of(name))
        axis.set_xticks(sorted(frame["size"].unique()))
    axes[0, 0].set_ylabel("score (%)")
    legend_below(figure, axes)
    return figure


def _dots(axis: plt.Axes, rows: pd.DataFrame, shift: float, shade: str, label: str) -> None:
    sizes = rows.groupby("size")["size"]
    spread = sizes.cumcount() / sizes.transform("size") - 0.5
    axis.plot(rows["size"] + shift + 0.12 * spread, 100 * rows["score"], "o", ms=3.5, alpha=0.65,
              mew=0, color=shade, label=label)
    best = rows.groupby("size")["score"].max()
    axis.plot(best.index + shift, 100 * best, color=shade, lw=1, alpha=0.8)


def _level(axis: plt.Axes, height: float, label: str) -> None:
    shade = GREY if label == "chance" else colour_of(label)
    axis.axhline(height, color=shade, ls=":" if label == "chance" else "--", lw=1.3)
    axis.annotate(label, (1, height), (-2, 2), xycoords=("axes fraction", "data"),
                  textcoords="offset points", color=shade, fontsize=8, ha="right")


@styled
def heat_map(frame: pd.DataFrame, rows: str, columns: str, value: str = "difference",
             label: str = "points", panel: str | None = None) -> plt.Figure:
    """Values of two keys as colours, each with its number; bold where ``clear`` is true.

    Args:
        frame: columns `rows`, `columns`, `value` (a fraction), and ``clear`` where there is one.
        label: of the colour bar.
        panel: column that makes a panel of each of its values.
    """
    panels = _panels(frame, panel)
    down, across = (list(dict.fromkeys(frame[name])) for name in (rows, columns))
    size = 2.2 + 1.25 * len(across), 1.2 + (0.5 * len(down) + 0.6) * len(panels)
    figure, axes = plt.subplots(len(panels), 1, figsize=size, squeeze=False, sharex=True)
    reach = max(100 * frame[value].abs().max(), 1e-9)
    signed = bool((frame[value] < 0).any())
    for axis, (name, part) in zip(axes[:, 0], panels, strict=True):
        table = part.pivot(index=rows, columns=columns, values=value).reindex(down)[across]
        image = axis.imshow(100 * table, cmap="RdBu" if signed else "Blues", aspect="auto",
                            vmin=-reach if signed else 0, vmax=reach)
        for line in part.to_dict("records"):
            at = across.index(line[columns]), down.index(line[rows])
            _number(axis, at, 100 * line[value], reach, signed, bool(line.get("clear")))
        short = [title_of(name).replace(", ", "\n") for name in across]
        axis.set_xticks(range(len(across)), short, fontsize=8.5)
        axis.set_yticks(range(len(down)), [title_of(name) for name in down])
        axis.set_title(name)
        axis.grid(False)
        axis.tick_params(length=0)
    figure.colorbar(image, ax=axes[:, 0], label=label, shrink=0.8, pad=0.02)
    return figure


def _number(axis: plt.Axes, at: tuple[int, int], value: float, reach: float, signed: bool,
            clear: bool) -> None:
    axis.text(*at, f"{value:+.1f}" if signed else f"{value:.1f}", ha="center", va="center",
              color="white" if abs(value) > 0.6 * reach else INK,
              fontweight="bold" if clear else "normal")


@styled
def curves(frame: pd.DataFrame, x: str, y: str = "score", colour: str = "source",
           panel: str = "target", xlabel: str = "", ylabel: str = "score (%)",
           chance: Mapping[str, float] | None = None, log: bool = False) -> plt.Figure:
    """Scores along `x`, a colour a series and a panel a target, with intervals.

    Args:
        frame: columns `x`, `y` (a fraction), ``ci_low, ci_high, groups`` and those named here.
        chance: per panel the score of guessing, dotted.
        log: whether `x` has a logarithmic axis.
    """
    names = list(dict.fromkeys(frame[panel]))
    figure, axes = plt.subplots(1, len(names), figsize=(0.8 + 3.1 * len(names), 3.6),
                                sharey=True, squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        rows = frame[frame[panel] == name]
        for value, part in rows.groupby(colour, sort=False):
            _curve(axis, part.sort_values(x), x, y, value)
        if chance and name in chance:
            _level(axis, 100 * chance[name], "chance")
        if log:
            axis.set_xscale("log")
            axis.minorticks_off()
        ticks = np.unique(rows[x])
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set(xlabel=xlabel or x, title=title_of(name))
    axes[0, 0].set_ylabel(ylabel)
    legend_below(figure, axes)
    return figure


def _curve(axis: plt.Axes, part: pd.DataFrame, x: str, y: str, name: str) -> None:
    axis.plot(part[x], 100 * part[y], color=colour_of(name), marker="o", ms=4, label=title_of(name))
    if "groups" in part and (part["groups"] >= stats.FEWEST_GROUPS).all():
        axis.vlines(part[x], 100 * part["ci_low"], 100 * part["ci_high"], color=colour_of(name),
                    lw=1, alpha=0.7)


def _panels(frame: pd.DataFrame, panel: str | None) -> list[tuple[str, pd.DataFrame]]:
    if panel is None:
        return [("", frame)]
    return [(title_of(name), rows) for name, rows in frame.groupby(panel, sort=False)]


def legend_below(figure: plt.Figure, axes: np.ndarray) -> None:
    """One legend for all axes, below them."""
    handles = {}
    for axis in axes.flat:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    columns = min(len(handles), 4 if figure.get_figwidth() > 5 else 1)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=max(columns, 1))
