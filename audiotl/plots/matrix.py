"""Figures of the source x target matrix and of what may explain it."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl.plots.style import COLOURS, GREY, INK, SOURCES, styled

DASHES = {"all": "-", "matched": "--"}
KINDS = {"same source, other seed": COLOURS["black"], "two sources": COLOURS["blue"], "source and random": GREY,
         "random, other seed": COLOURS["pink"]}
SHAPES = "osD^vPX*"
TICKS = [100, 200, 500, 1000, 2000, 5000]


@styled
def grid(gains: pd.DataFrame, targets: list[str]) -> plt.Figure:
    """Gain over random weights, a panel a network and draw; bold where the interval leaves zero out.

    Args:
        gains: columns ``network, draw, source, target, difference, ci_low, ci_high``, one mode.
        targets: in their order.
    """
    panels = list(gains.groupby(["network", "draw"], sort=False))
    sources = list(dict.fromkeys(gains["source"]))
    size = 1.9 + 1.25 * len(targets), 1.2 + (0.5 * len(sources) + 0.6) * len(panels)
    figure, axes = plt.subplots(len(panels), 1, figsize=size, squeeze=False)
    limit = max(100 * gains["difference"].abs().max(), 1.0)
    for axis, ((network, draw), rows) in zip(axes[:, 0], panels, strict=True):
        table = rows.pivot(index="source", columns="target", values="difference")
        table = table.reindex(index=sources, columns=targets)
        image = axis.imshow(100 * table, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        for y, x in np.argwhere(table.isna().to_numpy()):
            axis.text(x, y, "its own corpus", ha="center", va="center", fontsize=8, color=GREY)
        for row in rows.itertuples():
            sure = row.ci_low > 0 or row.ci_high < 0
            x, y = targets.index(row.target), sources.index(row.source)
            dark = abs(100 * row.difference) > 0.6 * limit
            axis.text(x, y, f"{100 * row.difference:+.1f}", ha="center", va="center", fontsize=10 if sure else 9,
                      fontweight="bold" if sure else "normal", color="white" if dark else INK if sure else "#666666")
        names = [name.replace("_", "\n", 1).replace("_", " ") for name in targets]
        axis.set_xticks(range(len(targets)), names, fontsize=8.5)
        axis.set_yticks(range(len(sources)), sources)
        axis.set_title(f"{network}, {'all clips' if draw == 'all' else 'equally many clips'}")
        axis.grid(False)
        axis.tick_params(length=0)
    figure.colorbar(image, ax=axes[:, 0], label="points over random weights", shrink=0.8, pad=0.02)
    return figure


@styled
def asymmetry(table: pd.DataFrame) -> plt.Figure:
    """Both directions and their difference, a row each, with intervals and the range of single seeds.

    Args:
        table: columns ``network, draw, what, gain, ci_low, ci_high, seed_low, seed_high``, one mode.
    """
    figure, axis = plt.subplots(figsize=(8, 0.42 * len(table) + 1.3))
    marks = []
    for place, row in zip(range(len(table))[::-1], table.itertuples(), strict=True):
        colour = INK if " minus " in row.what else SOURCES.get(row.what.split(" → ")[0], INK)
        sure = row.ci_low > 0 or row.ci_high < 0
        axis.plot([100 * row.seed_low, 100 * row.seed_high], [place, place], color=colour, lw=7, alpha=0.18,
                  solid_capstyle="round")
        axis.plot([100 * row.ci_low, 100 * row.ci_high], [place, place], color=colour, lw=2, alpha=1 if sure else 0.5)
        axis.plot(100 * row.gain, place, "o", color=colour, ms=6.5, mfc=colour if sure else "white")
        marks.append(f"{'difference' if ' minus ' in row.what else row.what}, {row.network}, {row.draw}")
    axis.axvline(0, color=GREY, lw=1)
    axis.set_yticks(range(len(table))[::-1], marks)
    axis.set(ylim=(-0.7, len(table) - 0.3))
    axis.set_xlabel("points over random weights (line: 95 % interval over clips; band: range of seeds)", loc="right")
    axis.grid(axis="x")
    axis.grid(False, axis="y")
    axis.tick_params(axis="y", length=0)
    return figure


@styled
def series(classes: pd.DataFrame, clips: pd.DataFrame, random: dict[str, float]) -> plt.Figure:
    """Score on each target against the source's classes (clips fixed) and against its clips (all classes).

    Args:
        classes: columns ``target, seed, score, source_classes``.
        clips: columns ``target, seed, score, source_clips``.
        random: score of random weights on each target, dotted.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.6), sharey=True)
    for axis, rows, name in ((axes[0], classes, "source_classes"), (axes[1], clips, "source_clips")):
        for colour, (target, part) in zip(COLOURS.values(), rows.groupby("target", sort=False), strict=False):
            mean = part.groupby(name)["score"].mean()
            axis.plot(mean.index, mean, color=colour, label=target.replace("_", " "))
            axis.plot(part[name], part["score"], "o", color=colour, ms=4, alpha=0.6, mew=0)
            if target in random:
                axis.axhline(random[target], color=colour, ls=":", lw=1)
        axis.set_xticks(sorted(rows[name].unique()))
    axes[1].set_xscale("log")
    axes[1].set_xticks(ticks := sorted(clips["source_clips"].unique()), [f"{tick:,}" for tick in ticks])
    axes[1].minorticks_off()
    axes[0].set(xlabel=f"classes of the source ({int(classes['source_clips'].max()):,} clips)",
                ylabel="accuracy of the probe")
    axes[1].set(xlabel=f"clips of the source ({int(clips['source_classes'].max())} classes)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@styled
def coverage(table: pd.DataFrame) -> plt.Figure:
    """Gain over random weights against the share of the target that the source spans: colour a source, shape a target.

    Args:
        table: columns ``source, target, coverage, difference, ci_low, ci_high``.
    """
    figure, axis = plt.subplots(figsize=(6.4, 4.8))
    sources, targets = (list(dict.fromkeys(table[name])) for name in ("source", "target"))
    for row in table.itertuples():
        x, y, low, high = 100 * np.array([row.coverage, row.difference, row.ci_low, row.ci_high])
        colour = SOURCES.get(row.source, INK)
        axis.vlines(x, low, high, color=colour, lw=1)
        axis.scatter(x, y, s=45, color=colour, marker=SHAPES[targets.index(row.target) % len(SHAPES)], zorder=3)
    axis.axhline(0, color=GREY, lw=1)
    axis.set(xlabel="share of the target's spectra that the source spans (%)", ylabel="points over random weights")
    handles = [plt.Line2D([], [], ls="", marker="_", mew=3, ms=11, color=SOURCES.get(name, INK)) for name in sources]
    handles += [plt.Line2D([], [], ls="", marker=SHAPES[k % len(SHAPES)], color=INK) for k in range(len(targets))]
    figure.legend(handles, [f"from {name}" for name in sources] + [f"to {name.replace('_', ' ')}" for name in targets],
                  ncols=3, loc="outside lower center")
    return figure


@styled
def cka(table: pd.DataFrame) -> plt.Figure:
    """CKA along the network by how two networks are related, mean and range over pairs.

    Args:
        table: see `reasons.kinships`.
    """
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    layers = list(dict.fromkeys(table["layer"]))
    kinds = [kind for kind in KINDS if kind in set(table["kind"])]
    for k, kind in enumerate(kinds):
        rows = table[table["kind"] == kind].set_index("layer").loc[layers]
        x = np.arange(len(layers)) + 0.06 * (k - (len(kinds) - 1) / 2)
        axis.errorbar(x, rows["cka"], [rows["cka"] - rows["low"], rows["high"] - rows["cka"]], color=KINDS[kind],
                      marker="o", ms=4.5, elinewidth=1, label=f"{kind} ({rows['pairs'].iloc[0]})")
    axis.set_xticks(range(len(layers)), layers)
    axis.set(ylim=(0, 1.02), ylabel="linear CKA")
    axis.legend(title="two networks (pairs)", loc="lower left")
    return figure


@styled
def agreement(table: pd.DataFrame, names: dict[str, str]) -> plt.Figure:
    """Kendall's tau of each guess: a dot a target, the mean with its interval over targets.

    Args:
        table: see `transferability.agreement`.
        names: of the guesses, for readers.
    """
    guesses = [guess for guess in names if guess in set(table["guess"])]
    figure, axis = plt.subplots(figsize=(6.8, 0.55 * len(guesses) + 1.2))
    for place, guess in zip(range(len(guesses))[::-1], guesses, strict=True):
        rows = table[table["guess"] == guess]
        single, mean = rows[rows["target"] != "mean"], rows[rows["target"] == "mean"].iloc[0]
        axis.plot(single["tau"], np.full(len(single), place - 0.18), "o", color=GREY, ms=5, alpha=0.6, mew=0)
        axis.plot([mean["ci_low"], mean["ci_high"]], [place, place], color=INK, lw=2)
        axis.plot(mean["tau"], place, "o", color=INK, ms=7)
    axis.axvline(0, color=GREY, lw=1)
    axis.set_yticks(range(len(guesses))[::-1], [names[guess] for guess in guesses])
    axis.set(xlim=(-1.05, 1.05), ylim=(-0.6, len(guesses) - 0.4))
    axis.set_xlabel("Kendall's tau with the probe's score over sources (grey: a target)", loc="right")
    axis.grid(axis="x")
    axis.grid(False, axis="y")
    return figure


@styled
def cell(scores: pd.DataFrame, layers: pd.DataFrame, spectra: dict[str, np.ndarray], centres: np.ndarray) -> plt.Figure:
    """One cell of the matrix: its score beside the others on this target, tap by tap, and two spectral profiles.

    Args:
        scores: columns ``source, draw, score, ci_low, ci_high``; the first row is the cell.
        layers: columns ``layer, score, ci_low, ci_high``.
        spectra: ``{label: (m, bands)}`` levels in dB, the source's first.
        centres: centre frequency of each band in Hz.
    """
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.2), width_ratios=(1.2, 1, 1.2))
    for place, row in enumerate(scores[::-1].itertuples()):
        chosen = place == len(scores) - 1
        colour = SOURCES.get(row.source, INK)
        axes[0].plot([row.ci_low, row.ci_high], [place, place], color=colour, lw=3 if chosen else 1.5)
        axes[0].plot(row.score, place, "o", color=colour, ms=8 if chosen else 5, mfc=colour if chosen else "white")
    axes[0].set_yticks(range(len(scores)), [f"{row.source}, {row.draw}" for row in scores[::-1].itertuples()])
    axes[0].set_ylim(-0.6, len(scores) - 0.4)
    axes[0].set_xlabel("accuracy, all taps")
    axes[0].grid(axis="x")
    axes[0].grid(False, axis="y")
    colour = SOURCES.get(scores["source"].iloc[0], INK)
    spread = layers["score"] - layers["ci_low"], layers["ci_high"] - layers["score"]
    axes[1].errorbar(range(len(layers)), layers["score"], spread, color=colour, marker="o", ms=4.5, elinewidth=1)
    axes[1].set_xticks(range(len(layers)), layers["layer"].str.removeprefix("layer").str.removeprefix("block"))
    axes[1].set(xlabel="tap", ylabel="accuracy, one tap")
    for (label, levels), tone in zip(spectra.items(), (colour, INK), strict=False):
        low, middle, high = np.percentile(levels, [25, 50, 75], axis=0)
        axes[2].fill_between(centres, low, high, color=tone, alpha=0.15, linewidth=0)
        axes[2].plot(centres, middle, color=tone, label=label)
    axes[2].set_xscale("log")
    axes[2].set_xticks(TICKS, ["100", "200", "500", "1k", "2k", "5k"])
    axes[2].minorticks_off()
    axes[2].set(xlabel="frequency (Hz)", ylabel="dB re the clip's peak")
    if spectra:
        axes[2].legend()
    return figure
