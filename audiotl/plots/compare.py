"""Figures for comparisons: differences with intervals, a heat map, curves.

Scores and differences come as fractions, as the tables of `stats` hold them, and are drawn in
points of 100. An interval is drawn where at least `stats.FEWEST_GROUPS` groups were tested; a
filled mark is a clear difference (`stats.clear`).
"""

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl import stats
from audiotl.plots.style import GREY, INK, colour_of, colours_of, styled, title_of


@styled
def forest(frame: pd.DataFrame, row: str, colour: str | None = None, panel: str | None = None,
           xlabel: str = "difference, in points", margin: float = 0.0) -> plt.Figure:
    """Paired differences, a line each, largest on top.

    Args:
        frame: rows of `stats.compare`; a column ``clear`` is used where there is one.
        row, colour, panel: columns that name a line, choose its colour, and make panels.
        margin: half width of a band of equivalence around zero, as a fraction.
    """
    frame = frame.assign(clear=frame["clear"] if "clear" in frame else stats.clear(frame))
    panels = _panels(frame, panel)
    heights = [len(rows) + 1.4 for _, rows in panels]
    figure, axes = plt.subplots(len(panels), 1, figsize=(7, 0.27 * sum(heights) + 0.8),
                                sharex=True, squeeze=False, height_ratios=heights)
    for axis, (name, rows) in zip(axes[:, 0], panels, strict=True):
        rows = rows.sort_values("difference")
        for place, line in enumerate(rows.to_dict("records")):
            _difference(axis, place, line, colour_of(line[colour]) if colour else INK)
        axis.axvspan(-100 * margin, 100 * margin, color=GREY, alpha=0.15, lw=0)
        axis.axvline(0, color=GREY, lw=1)
        axis.set_yticks(range(len(rows)), [title_of(name) for name in rows[row]])
        axis.set(title=name, ylim=(-0.7, len(rows) - 0.3))
        axis.grid(True, axis="x")
        axis.tick_params(axis="y", length=0, grid_alpha=0)
    axes[-1, 0].set_xlabel(xlabel)
    return figure


def _difference(axis: plt.Axes, place: int, line: dict, shade: str) -> None:
    if line["groups"] >= stats.FEWEST_GROUPS:
        axis.plot([100 * line["ci_low"], 100 * line["ci_high"]], [place, place], color=shade,
                  lw=2, alpha=1 if line["clear"] else 0.45)
    axis.plot(100 * line["difference"], place, "o", color=shade, ms=6,
              mfc=shade if line["clear"] else "white")


def level(axis: plt.Axes, height: float, label: str) -> None:
    """A named horizontal line; ``"chance"`` is dotted."""
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
    """
    panels = _panels(frame, panel)
    down, across = (list(dict.fromkeys(frame[name])) for name in (rows, columns))
    named = max(len(title_of(name)) for name in down)
    size = (1.2 + 0.08 * named + 1.35 * len(across), 1.2 + (0.5 * len(down) + 0.6) * len(panels))
    figure, axes = plt.subplots(len(panels), 1, figsize=size, squeeze=False, sharex=True)
    reach = max(100 * frame[value].abs().max(), 1e-9)
    signed = bool((frame[value] < 0).any())
    for axis, (name, part) in zip(axes[:, 0], panels, strict=True):
        table = part.pivot(index=rows, columns=columns, values=value).reindex(down)[across]
        image = axis.imshow(100 * table, cmap="RdBu" if signed else "Blues", aspect="auto",
                            vmin=-reach if signed else 0, vmax=reach)
        for line in part.to_dict("records"):
            points = 100 * line[value]
            axis.text(across.index(line[columns]), down.index(line[rows]),
                      f"{points:+.1f}" if signed else f"{points:.1f}", ha="center", va="center",
                      color="white" if abs(points) > 0.6 * reach else INK,
                      fontweight="bold" if line.get("clear") else "normal")
        short = [textwrap.fill(title_of(name), 16) for name in across]
        axis.set_xticks(range(len(across)), short, fontsize=8.5)
        axis.set_yticks(range(len(down)), [title_of(name) for name in down])
        axis.set_title(name)
        axis.grid(False)
        axis.tick_params(length=0)
    figure.colorbar(image, ax=axes[:, 0], label=label, shrink=0.8, pad=0.02)
    return figure


@styled
def curves(frame: pd.DataFrame, x: str, y: str = "score", colour: str = "source",
           panel: str = "target", xlabel: str = "", ylabel: str = "score (%)",
           chance: Mapping[str, float] | None = None, log: bool = False) -> plt.Figure:
    """Scores along `x`, a colour a series and a panel a target, with intervals.

    Args:
        frame: columns `x`, `y` (a fraction), ``ci_low, ci_high, groups`` and those named here.
        chance: per panel the score of guessing, dotted.
    """
    panels, shades = list(frame.groupby(panel, sort=False)), colours_of(frame[colour])
    down = -(-len(panels) // 3)
    across = -(-len(panels) // down)
    figure, axes = plt.subplots(down, across, figsize=(0.7 + 3.1 * across, 1.3 + 2.6 * down),
                                sharex=True, sharey=True, squeeze=False)
    for axis, (name, rows) in zip(axes.flat, panels, strict=False):
        for value, part in rows.groupby(colour, sort=False):
            part, shade = part.sort_values(x), shades[value]
            axis.plot(part[x], 100 * part[y], color=shade, marker="o", ms=4, label=title_of(value))
            if "groups" in part and (part["groups"] >= stats.FEWEST_GROUPS).all():
                axis.vlines(part[x], 100 * part["ci_low"], 100 * part["ci_high"], color=shade,
                            lw=1, alpha=0.7)
        if chance and name in chance:
            level(axis, 100 * chance[name], "chance")
        axis.set(title=title_of(name), xlabel=xlabel or x, xscale="log" if log else "linear")
        axis.tick_params(labelbottom=True)
    axis.set_xticks(ticks := np.unique(frame[x]), [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    plt.setp(axes.flat[len(panels):], visible=False)
    plt.setp(axes[:, 0], ylabel=ylabel)
    legend_below(figure, axes)
    return figure


def _panels(frame: pd.DataFrame, panel: str | None) -> list[tuple[str, pd.DataFrame]]:
    if panel is None:
        return [("", frame)]
    return [(title_of(name), rows) for name, rows in frame.groupby(panel, sort=False)]


def legend_below(figure: plt.Figure, axes: np.ndarray) -> None:
    """One legend for all axes, below them."""
    series = (zip(*axis.get_legend_handles_labels(), strict=True) for axis in axes.flat)
    handles = {label: handle for each in series for handle, label in each}
    inches = 0.55 + 0.07 * max(map(len, handles), default=0)
    columns = max(int(figure.get_figwidth() / inches), 1)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns)
