"""Figures of the published study and its audit."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl.plots.style import COLOURS, GREY, INK, styled

_MARKS = {"same": (COLOURS["blue"], "o"), "other file": (COLOURS["orange"], "^")}


@styled
def agreement(table: pd.DataFrame, names: dict[str, str]) -> plt.Figure:
    """Reproduced minus published score of every row, a strip a task.

    Args:
        table: ``task, difference, inputs`` as `replication.table` gives it.
        names: label of each task.
    """
    tasks = [task for task in names if task in set(table["task"])]
    figure, axis = plt.subplots(figsize=(6.4, 0.9 + 0.42 * len(tasks)))
    rng = np.random.default_rng(0)
    for inputs, (colour, mark) in _MARKS.items():
        rows = table[(table["inputs"] == inputs) & table["difference"].notna()]
        if len(rows):
            heights = rows["task"].map({task: i for i, task in enumerate(tasks)}) + rng.uniform(-0.22, 0.22, len(rows))
            axis.plot(100 * rows["difference"], heights, mark, color=colour, ms=5, alpha=0.75, mec="white", mew=0.4,
                      label=f"{inputs} ({len(rows)} rows)")
    axis.axvline(0, color=GREY, lw=0.8, zorder=1)
    _tasks(axis, [names[task] for task in tasks])
    reach = max(0.06, 1.15 * np.nanmax(np.abs(100 * table["difference"])))
    axis.set(xlabel="reproduced minus published, in points of 100", xlim=(-reach, reach))
    axis.legend(title="inputs", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


@styled
def subsets(table: pd.DataFrame, names: dict[str, str]) -> plt.Figure:
    """Score of every subset by the number of its layers, a panel a task."""
    tasks = [task for task in names if task in set(table["task"])]
    columns = min(4, len(tasks))
    lines = -(-len(tasks) // columns)
    size = (max(6.4, 2.5 * columns + 0.6), 2.5 * lines + 0.5 * (lines == 1))
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
    for axis, task in zip(axes.flat, tasks, strict=False):
        rows = table[table["task"] == task].set_index("features")["reproduced"].dropna()
        layers = rows[[feature for feature in rows.index if "mfcc" not in feature]]
        sizes = layers.index.str.len()
        axis.plot(sizes, layers, "o", color=COLOURS["blue"], alpha=0.5, ms=5, mec="white", mew=0.4, label="a subset")
        if "4" in layers:
            axis.plot(1, layers["4"], "D", color=COLOURS["red"], ms=7, mec="white", label="last layer")
        if "01234" in layers:
            axis.plot(5, layers["01234"], "s", color=COLOURS["green"], ms=7, mec="white", label="all five")
        for feature, dash, label in (("mfcc", ":", "MFCC"), ("mfcc+01234", "--", "MFCC + all, unscaled")):
            if feature in rows:
                axis.axhline(rows[feature], color=COLOURS["pink"], ls=dash, lw=1.5, label=label)
        axis.set(title=names[task], xticks=range(1, 6), xlim=(0.6, 5.4))
    for axis in axes.flat[len(tasks):]:
        axis.axis("off")
    figure.supxlabel("number of layers side by side", fontsize=10)
    handles = {label: handle for axis in axes.flat
               for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if len(tasks) < lines * columns:
        axes.flat[-1].legend(handles.values(), handles, loc="center")
    else:
        figure.legend(handles.values(), handles, loc="outside upper center", ncols=3)
    return figure


@styled
def forest(rows: pd.DataFrame, colour: str, value: str, names: dict[str, str], xlabel: str) -> plt.Figure:
    """Intervals by task, one colour and mark a series.

    Args:
        rows: ``task, ci_low, ci_high`` and the columns named by `colour` (series) and `value`.
    """
    tasks = [task for task in names if task in set(rows["task"])]
    series = list(dict.fromkeys(rows[colour]))
    figure, axis = plt.subplots(figsize=(6.4, 1.0 + (0.24 + 0.17 * len(series)) * len(tasks)))
    palette = [COLOURS["blue"], COLOURS["orange"], COLOURS["green"], COLOURS["pink"]]
    for k, (name, mark) in enumerate(zip(series, "os^D", strict=False)):
        part = rows[rows[colour] == name].set_index("task").reindex(tasks)
        heights = np.arange(len(tasks)) + (k - (len(series) - 1) / 2) * 0.22
        axis.hlines(heights, 100 * part["ci_low"], 100 * part["ci_high"], color=palette[k], lw=2)
        axis.plot(100 * part[value], heights, mark, color=palette[k], ms=6, mec="white", mew=0.6, label=name)
    axis.axvline(0, color=INK, lw=0.8, zorder=1)
    _tasks(axis, [names[task] for task in tasks])
    axis.set_xlabel(xlabel)
    figure.legend(loc="outside upper center", ncols=len(series))
    return figure


def _tasks(axis: plt.Axes, labels: list[str]) -> None:
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    axis.grid(True, axis="x")
    axis.grid(False, axis="y")
