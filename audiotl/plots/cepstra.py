"""Figures of the MFCC chapter: the steps, what survives, axis by transform, degradations, interactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl.plots.style import COLOURS, GREY, INK, SOURCES, bare, styled

BLOCKS = {"mfcc": SOURCES["mfcc"], "network": COLOURS["blue"], "both": COLOURS["black"]}
AXES = {"mel": (COLOURS["blue"], "o"), "log": (COLOURS["orange"], "s"), "linear": (COLOURS["green"], "^")}
_TITLES = ("waveform", "power spectrogram", "mel bands", "logarithm (dB)", "DCT: the MFCCs", "back from {}")


@styled
def steps(sounds: dict[str, tuple[str, Any]], rebuilt: dict[str, np.ndarray], count: int) -> plt.Figure:
    """From waveform to cepstra and back, a row a domain.

    Args:
        sounds: per domain ``(label, cepstrum.Steps)``.
        rebuilt: per domain the log-mel spectrogram from the first `count` coefficients, ``(bands, frames)``.
    """
    figure, axes = plt.subplots(len(sounds), 6, figsize=(13, 2.1 * len(sounds) + 0.4), squeeze=False)
    for row, (domain, (label, made)) in zip(axes, sounds.items(), strict=True):
        seconds = np.arange(len(made.waveform)) / made.sample_rate
        row[0].plot(seconds, made.waveform, color=SOURCES.get(domain, INK), lw=0.5)
        row[0].set(xlim=(0, seconds[-1]), xticks=[], yticks=[])
        row[0].set_ylabel(domain, color=SOURCES.get(domain, INK), fontweight="bold")
        row[0].set_xlabel(f"{label.replace('_', ' ')}, {seconds[-1]:.1f} s", loc="left", fontsize=8)
        reach = np.abs(made.cepstra[1:20]).max()
        pictures = ((made.power, {}), (made.mel, {}), (made.level, {"vmin": -80, "vmax": 0}),
                    (made.cepstra[1:20], {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}),
                    (rebuilt[domain], {"vmin": -80, "vmax": 0}))
        for axis, (picture, how) in zip(row[1:], pictures, strict=True):
            axis.imshow(picture, origin="lower", aspect="auto", **how)
            axis.set(xticks=[], yticks=[])
        for axis in row:
            bare(axis)
    for axis, title in zip(axes[0], _TITLES, strict=True):
        axis.set_title(title.format(count), fontsize=9)
    axes[-1, 1].set_xlabel("0 to 8 kHz upwards", loc="left", fontsize=8)
    axes[-1, 2].set_xlabel("128 bands", loc="left", fontsize=8)
    axes[-1, 4].set_xlabel("coefficients 1 to 19", loc="left", fontsize=8)
    return figure


@styled
def survivors(pictures: dict[str, dict[int, np.ndarray]], bands: int) -> plt.Figure:
    """Log-mel spectrograms rebuilt from ever fewer coefficients, a row a domain.

    Args:
        pictures: per domain ``{coefficients: (bands, frames)}``, all of them first.
    """
    counts = list(next(iter(pictures.values())))
    figure, axes = plt.subplots(len(pictures), len(counts), figsize=(2.7 * len(counts), 1.8 * len(pictures) + 0.3),
                                squeeze=False)
    for row, (domain, by_count) in zip(axes, pictures.items(), strict=True):
        for axis, (count, level) in zip(row, by_count.items(), strict=True):
            axis.imshow(level, origin="lower", aspect="auto", vmin=-80, vmax=0)
            axis.set(xticks=[], yticks=[])
            bare(axis)
            if axis in axes[0]:
                axis.set_title(f"all {bands}" if count == bands else f"{count} coefficients", fontsize=10)
        row[0].set_ylabel(domain, color=SOURCES.get(domain, INK), fontweight="bold")
    return figure


@styled
def detail(table: pd.DataFrame) -> plt.Figure:
    """Share of the spectral detail that the first coefficients keep, a line a domain.

    Args:
        table: ``domain, coefficients, detail_kept, ci_low, ci_high``.
    """
    figure, axis = plt.subplots(figsize=(5.6, 3.2))
    for domain, rows in table.groupby("domain", sort=False):
        colour = SOURCES.get(domain, INK)
        axis.fill_between(rows["coefficients"], 100 * rows["ci_low"], 100 * rows["ci_high"], color=colour, alpha=0.2,
                          linewidth=0)
        axis.plot(rows["coefficients"], 100 * rows["detail_kept"], "o-", ms=4, color=colour, label=domain)
    axis.set(xscale="log", xlabel="coefficients kept", ylabel="detail across bands kept (%)", ylim=(0, 102))
    counts = sorted(table["coefficients"].unique())
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.minorticks_off()
    axis.legend(loc="lower right")
    return figure


@styled
def grid(table: pd.DataFrame, transforms: dict[str, str]) -> plt.Figure:
    """Scores of axis by transform: a panel a target, a dot a seed, a tick at their mean.

    Args:
        table: ``axis, transform, target, seed, score``.
        transforms: what to call each of them.
    """
    targets = list(dict.fromkeys(table["target"]))
    figure, axes = plt.subplots(1, len(targets), figsize=(2.7 * len(targets) + 0.4, 3.3), squeeze=False)
    for panel, target in zip(axes[0], targets, strict=True):
        here = table[table["target"] == target]
        for a, (axis, (colour, mark)) in enumerate(AXES.items()):
            for t, transform in enumerate(transforms):
                scores = here[(here["axis"] == axis) & (here["transform"] == transform)]["score"]
                x = t + 0.24 * (a - 1)
                panel.plot(np.full(len(scores), x), scores, mark, color=colour, ms=4.5, alpha=0.6, mew=0,
                           label=f"{axis} axis" if t == 0 else None)
                panel.hlines(scores.mean(), x - 0.1, x + 0.1, color=colour, lw=2)
        panel.set_xticks(range(len(transforms)), transforms.values())
        panel.set_title(target.replace("_", " "))
    axes[0, 0].set_ylabel("accuracy")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def degradations(table: pd.DataFrame) -> plt.Figure:
    """Scores under each degradation: a panel a pair of source and target, a colour a choice of blocks.

    Args:
        table: ``source, target, blocks, degradation, score, ci_low, ci_high``, ``clean`` first.
    """
    pairs = list(dict.fromkeys(zip(table["source"], table["target"], strict=True)))
    names = list(dict.fromkeys(table["degradation"]))
    columns = min(2, len(pairs))
    lines = -(-len(pairs) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4.6 * columns, 3 * lines + 0.4), squeeze=False, sharex=True)
    for axis, (source, target) in zip(axes.flat, pairs, strict=False):
        here = table[(table["source"] == source) & (table["target"] == target)].set_index("degradation")
        for k, (blocks, colour) in enumerate(BLOCKS.items()):
            rows = here[here["blocks"] == blocks].loc[names]
            x = np.arange(len(names)) + 0.16 * (k - 1)
            axis.errorbar(x, rows["score"], [rows["score"] - rows["ci_low"], rows["ci_high"] - rows["score"]],
                          color=colour, fmt="o", ms=4.5, elinewidth=1.2, label={"mfcc": "MFCC"}.get(blocks, blocks))
        axis.set_xticks(range(len(names)), names, rotation=35, ha="right")
        axis.set_title(f"{source} network on {target.replace('_', ' ')}", fontsize=10)
        axis.set_ylim(bottom=0)
    for axis in axes.flat[len(pairs):]:
        axis.set_visible(False)
    for row in axes:
        row[0].set_ylabel("accuracy")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def interactions(table: pd.DataFrame, partners: Sequence[str]) -> plt.Figure:
    """MFCC's share of the score and its interaction with every layer, in points, a row a source and target.

    Args:
        table: ``source, target, player, kind, value, ci_low, ci_high`` with kind ``"value"`` (the player ``mfcc``) or
            ``"interaction"`` (with the layer `player`).
        partners: the layers, in order.
    """
    pairs = list(dict.fromkeys(zip(table["target"], table["source"], strict=True)))
    columns = ["mfcc", *partners]
    values = np.full((len(pairs), len(columns)), np.nan)
    sure = np.zeros(values.shape, bool)
    for row in table.itertuples():
        at = pairs.index((row.target, row.source)), columns.index(row.player)
        values[at], sure[at] = 100 * row.value, row.ci_low > 0 or row.ci_high < 0
    reach = np.nanmax(np.abs(values[:, 1:]))
    figure, axis = plt.subplots(figsize=(7.2, 0.34 * len(pairs) + 1.1))
    shown = values.copy()
    shown[:, 0] = np.nan
    axis.imshow(shown, cmap="RdBu", vmin=-reach, vmax=reach, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        dark = j and abs(value) > 0.6 * reach
        axis.text(j, i, f"{value:+.1f}", ha="center", va="center", fontsize=9, color="white" if dark else INK,
                  fontweight="bold" if sure[i, j] else "normal", alpha=1 if sure[i, j] else 0.6)
    axis.axvline(0.5, color=GREY, lw=1)
    axis.set_xticks(range(len(columns)), ["MFCC's\nshare", *(f"with\n{name}" for name in partners)])
    axis.set_yticks(range(len(pairs)), [f"{source} → {target.replace('_', ' ')}" for target, source in pairs])
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    bare(axis)
    return figure
