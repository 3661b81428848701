"""Figures of training: curves, confusion, first filters."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from audiotl.plots.style import FAINT, bare, colour_of, styled


@styled
def curves(histories: dict[str, pd.DataFrame], measures: dict[str, str]) -> plt.Figure:
    """Training and inner validation loss, and the validation score, one column a source.

    Args:
        histories: per source the table of `training.Trained.history`.
        measures: per source the name of its score (accuracy or mean AUC).
    """
    figure, axes = plt.subplots(2, len(histories), figsize=(3 * len(histories), 4.2),
                                sharex="col", squeeze=False)
    for column, (source, history) in zip(axes.T, histories.items(), strict=True):
        colour = colour_of(source)
        column[0].plot(history["epoch"], history["train_loss"], color=colour, label="training")
        if "validation_loss" in history:
            column[0].plot(history["epoch"], history["validation_loss"], color=colour, ls=":",
                           label="inner validation")
            column[1].plot(history["epoch"], history["validation_score"], color=colour, ls=":")
        column[0].set_title(source)
        column[0].set_ylim(bottom=0)
        column[1].set(xlabel="epoch", ylim=(0, 1), ylabel=measures[source])
    axes[0, 0].set_ylabel("loss")
    axes[0, 0].legend()
    return figure


@styled
def until(source: str, history: pd.DataFrame, epoch: int, measure: str) -> plt.Figure:
    """The curves of one source up to an epoch, and what was to come, faint.

    Args:
        history: table of `training.Trained.history`.
        epoch: the last one that is drawn full.
        measure: name of the score (accuracy or mean AUC).
    """
    figure, axes = plt.subplots(1, 2, figsize=(6.2, 2.7))
    now = history[history["epoch"] <= epoch]
    lines = [(axes[0], "train_loss", "-", "training"),
             (axes[0], "validation_loss", ":", "inner validation"),
             (axes[1], "validation_score", ":", "inner validation")]
    for axis, column, dashes, label in [line for line in lines if line[1] in history]:
        axis.plot(history["epoch"], history[column], color=FAINT, ls=dashes)
        axis.plot(now["epoch"], now[column], color=colour_of(source), ls=dashes, label=label)
        end = now["epoch"].iloc[-1], now[column].iloc[-1]
        axis.plot(*end, "o", color=colour_of(source), ms=5)
        axis.annotate(f"{end[1]:.2f}", end, (5, 5), textcoords="offset points", fontsize=9)
    axes[0].set(title=f"{source}, epoch {epoch}", xlabel="epoch", ylabel="loss")
    axes[0].set_ylim(bottom=0)
    axes[0].legend()
    axes[1].set(xlabel="epoch", ylabel=measure, ylim=(0, 1))
    return figure


@styled
def confusion(counts: np.ndarray, classes: list[str]) -> plt.Figure:
    """Confusion matrix, each row in percent of its true class.

    Args:
        counts: ``(n_classes, n_classes)``, rows true, columns predicted.
    """
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = 2.2 + (0.42 if len(classes) <= 12 else 0.24) * len(classes)
    figure, axis = plt.subplots(figsize=(size + 0.6, size))
    names = [name.replace("_", " ") for name in classes]
    sns.heatmap(pd.DataFrame(share, names, names), ax=axis, cmap="Greens", vmin=0, vmax=100,
                cbar=False, square=True, linewidths=0.5, linecolor="white",
                annot=len(classes) <= 12, fmt=".0f", annot_kws={"size": 8})
    axis.set(xlabel="heard as (% of the row)", ylabel="true class")
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
        axis.set_ylabel(source, color=colour_of(source), fontweight="bold")
    return figure
