"""Figures that show sound: waveforms, spectrograms, the map of the study."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from audiotl.plots.style import COLOURS, GREY, INK, SOURCES, bare, styled


@styled
def gallery(clips: dict[str, list[tuple[str, np.ndarray]]], seconds: dict[str, float], top_hz: float) -> plt.Figure:
    """Spectrograms in rows of one domain each.

    Args:
        clips: per domain ``(label, decibels)`` with decibels of shape ``(bands, frames)``.
        seconds: length of each domain's clips.
        top_hz: upper edge of the frequency axis in Hz.
    """
    columns = max(map(len, clips.values()))
    figure, axes = plt.subplots(len(clips), columns, figsize=(2.3 * columns, 1.9 * len(clips)), squeeze=False)
    for row, (domain, shown) in zip(axes, clips.items(), strict=True):
        for axis in row:
            bare(axis)
            axis.set(xticks=[], yticks=[])
        for axis, (label, decibels) in zip(row, shown, strict=False):
            axis.imshow(decibels, origin="lower", aspect="auto", vmin=-80, vmax=0,
                        extent=(0, seconds[domain], 0, decibels.shape[0]))
            axis.set_title(label.replace("_", " "), fontsize=9, fontweight="normal")
        row[0].set_ylabel(domain, color=SOURCES.get(domain, INK), fontweight="bold", fontsize=11)
        row[0].set_xlabel(f"{seconds[domain]:g} s", loc="left")
    figure.supylabel(f"mel bands, 0 to {top_hz / 1000:g} kHz", fontsize=9, color=GREY)
    return figure


@styled
def front_ends(title: str, pictures: dict[str, tuple[np.ndarray, np.ndarray | None]], seconds: float) -> plt.Figure:
    """One clip through several front ends, side by side.

    Args:
        title: what the clip is.
        pictures: per front end ``(rows, frames)`` and the frequency of each row in Hz; None for cepstra, whose first
            row, the loudness, is left out.
        seconds: length of the clip.
    """
    figure, axes = plt.subplots(1, len(pictures), figsize=(2.4 * len(pictures), 2.6), squeeze=False)
    for axis, (name, (picture, centres)) in zip(axes[0], pictures.items(), strict=True):
        bare(axis)
        how = {"vmin": -80, "vmax": 0}
        if centres is None:
            picture = picture[1:]
            reach = np.abs(picture).max()
            how = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach, "interpolation": "nearest"}
            axis.set_yticks([0, len(picture) - 1], ["1", f"{len(picture)}"])
        else:
            rows = np.interp([500, 1000, 2000, 5000], centres, np.arange(len(centres)))
            axis.set_yticks(rows, ["500", "1k", "2k", "5k"])
        axis.imshow(picture, origin="lower", aspect="auto", extent=(0, seconds, -0.5, len(picture) - 0.5), **how)
        axis.set_title(name, fontsize=10)
        axis.set_xticks([0, seconds], ["0", f"{seconds:g} s"])
        axis.tick_params(length=2, labelsize=8)
    axes[0, 0].set_ylabel("Hz", fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


@styled
def mean_spectra(spectra: dict[str, np.ndarray], centres: np.ndarray) -> plt.Figure:
    """Mean level per mel band of each domain, in dB below a clip's loudest point, with quartiles over clips.

    Args:
        spectra: per domain ``(n_clips, bands)`` mean decibels.
        centres: centre frequency of each band in Hz.
    """
    figure, axis = plt.subplots(figsize=(7, 3.6))
    for domain, levels in spectra.items():
        colour = SOURCES.get(domain, GREY)
        low, middle, high = np.percentile(levels, [25, 50, 75], axis=0)
        axis.fill_between(centres, low, high, color=colour, alpha=0.18, linewidth=0)
        axis.plot(centres, middle, color=colour, label=domain)
    axis.set(xscale="log", xlabel="frequency (Hz)", ylabel="level (dB re the clip's peak)")
    axis.set_xticks([100, 200, 500, 1000, 2000, 5000], ["100", "200", "500", "1k", "2k", "5k"])
    axis.minorticks_off()
    axis.legend(loc="upper right")
    return figure


@styled
def study_map(steps: list[tuple[str, str]]) -> plt.Figure:
    """The study as a chain of boxes: ``(title, what happens there)``."""
    figure, axis = plt.subplots(figsize=(9, 1.9))
    bare(axis)
    axis.set(xticks=[], yticks=[], xlim=(0, len(steps)), ylim=(0, 1))
    colours = [COLOURS["sky"], COLOURS["sky"], COLOURS["green"], COLOURS["orange"], COLOURS["pink"]]
    for i, (title, text) in enumerate(steps):
        axis.add_patch(plt.Rectangle((i + 0.05, 0.08), 0.8, 0.84, facecolor=colours[i % 5], alpha=0.2, linewidth=0))
        axis.text(i + 0.45, 0.72, title, ha="center", va="center", fontweight="bold", fontsize=10)
        axis.text(i + 0.45, 0.38, text, ha="center", va="center", fontsize=8, linespacing=1.4)
        if i:
            axis.annotate("", (i + 0.04, 0.5), (i - 0.14, 0.5), arrowprops={"arrowstyle": "->", "color": GREY})
    return figure


@styled
def tag_bars(tags: dict[str, list[tuple[str, float]]]) -> plt.Figure:
    """Top tags of a few clips: ``{clip: [(tag, probability), ...]}``."""
    columns = min(3, len(tags))
    figure, axes = plt.subplots(-(-len(tags) // columns), columns, figsize=(3 * columns, 2 * -(-len(tags) // columns)),
                                squeeze=False)
    for axis in axes.flat[len(tags):]:
        axis.set_visible(False)
    for axis, (clip, rows) in zip(axes.flat, tags.items(), strict=False):
        names, values = zip(*rows[::-1], strict=True)
        axis.barh(names, values, color=SOURCES["music"])
        axis.set(xlim=(0, 1))
        axis.set_title(clip, fontsize=9)
        axis.grid(axis="x")
        axis.grid(False, axis="y")
    return figure
