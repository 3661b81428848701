"""Figures of training: curves, confusion, first filters."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from audiotl.plots.style import FAINT, GREY, bare, colour_of, styled, title_of


@styled
def curves(histories: dict[str, pd.DataFrame], measures: dict[str, str],
           chance: dict[str, float], until: int | None = None) -> plt.Figure:
    """Training and inner validation loss, and the validation score, one column a source.

    Args:
        histories: per source the table of `training.Trained.history`.
        measures: per source the name of its score (accuracy or mean AUC).
        chance: per source the score of guessing, dotted.
        until: an epoch after which the curves are faint.
    """
    figure, axes = plt.subplots(2, len(histories), figsize=(0.8 + 3 * len(histories), 4.2),
                                sharex="col", squeeze=False)
    for column, (source, history) in zip(axes.T, histories.items(), strict=True):
        colour = colour_of(source)
        _curve(column[0], history, "train_loss", 1, until, color=colour, label="training")
        _curve(column[0], history, "validation_loss", 1, until, color=colour, ls=":",
               label="inner validation")
        _curve(column[1], history, "validation_score", 100, until, color=colour, ls=":")
        column[1].axhline(100 * chance[source], color=GREY, ls=":", lw=1.3)
        column[1].annotate("chance", (1, 100 * chance[source]), (-2, 2), fontsize=8, color=GREY,
                           xycoords=("axes fraction", "data"), textcoords="offset points",
                           ha="right")
        column[0].set_title(source if until is None else f"{source}, epoch {until}")
        column[0].set_ylim(bottom=0)
        column[1].set(xlabel="epoch", ylim=(0, 100), ylabel=f"{measures[source]} (%)")
        column[1].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes[0, 0].set_ylabel("loss")
    axes[0, 0].legend()
    return figure


def _curve(axis: plt.Axes, history: pd.DataFrame, name: str, scale: float, until: int | None,
           **how) -> None:
    if name not in history:
        return
    epochs, values = history["epoch"], scale * history[name]
    if until is not None:
        axis.plot(epochs, values, color=FAINT, ls=how.get("ls"))
        epochs, values = epochs[epochs <= until], values[epochs <= until]
        end = epochs.iloc[-1], values.iloc[-1]
        axis.plot(*end, "o", color=how["color"], ms=5)
        axis.annotate(f"{end[1]:.2f}" if scale == 1 else f"{end[1]:.0f} %", end, (5, 5),
                      textcoords="offset points", fontsize=9)
    axis.plot(epochs, values, **how)


@styled
def confusion(counts: np.ndarray, classes: list[str], title: str = "") -> plt.Figure:
    """Confusion matrix, each row in percent of its true class; empty where none was tested.

    Args:
        counts: ``(n_classes, n_classes)``, rows true, columns predicted.
    """
    with np.errstate(invalid="ignore"):
        share = 100 * counts / counts.sum(1, keepdims=True)
    size = 2.2 + (0.42 if len(classes) <= 12 else 0.24) * len(classes)
    figure, axis = plt.subplots(figsize=(size + 0.6, size))
    names = [name.replace("_", " ") for name in classes]
    sns.heatmap(pd.DataFrame(share, names, names), ax=axis, cmap="Greens", vmin=0, vmax=100,
                cbar=False, square=True, linewidths=0.5, linecolor="white",
                annot=len(classes) <= 12, fmt=".0f", annot_kws={"size": 8})
    axis.set(xlabel="heard as (% of the row)", ylabel="true class", title=title)
    axis.tick_params(length=0)
    axis.set_xticklabels(axis.get_xticklabels(), rotation=45, ha="right")
    axis.set_yticklabels(axis.get_yticklabels(), rotation=0)
    return figure


@styled
def per_tag(table: pd.DataFrame) -> plt.Figure:
    """AUC of each tag as a dot on a line from chance; columns ``tag, auc``."""
    table = table.sort_values("auc")
    figure, axis = plt.subplots(figsize=(6, 0.24 * len(table) + 0.9))
    axis.hlines(table["tag"].str.replace("_", " "), 0.5, table["auc"], color=FAINT)
    axis.plot(table["auc"], table["tag"].str.replace("_", " "), "o", color=colour_of("music"), ms=5)
    axis.set(xlabel="AUC on held-out clips (0.5 is chance)")
    axis.set_xlim(min(0.45, table["auc"].min() - 0.02), 1.0)
    axis.grid(axis="x")
    axis.grid(False, axis="y")
    return figure


@styled
def filters(kernels: dict[str, np.ndarray], shown: int = 32) -> plt.Figure:
    """First-layer kernels of each network as small images (red positive, blue negative).

    Args:
        kernels: per source ``(width, 1, 3, 3)``; a row of the figure each.
    """
    figure, axes = plt.subplots(len(kernels), 1, figsize=(8, 1.35 * len(kernels)), squeeze=False)
    for axis, (source, kernel) in zip(axes[:, 0], kernels.items(), strict=True):
        kernel = kernel[:shown, 0]
        kernel = kernel / np.abs(kernel).max((1, 2), keepdims=True)
        half = -(-len(kernel) // 2)
        canvas = np.full((7, half * 4 - 1), np.nan)
        for i, k in enumerate(kernel):
            top, left = 4 * (i // half), 4 * (i % half)
            canvas[top:top + 3, left:left + 3] = k[::-1]
        axis.imshow(canvas, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        bare(axis)
        axis.set(xticks=[], yticks=[])
        axis.set_ylabel(title_of(source), color=colour_of(source), fontweight="bold")
    return figure
