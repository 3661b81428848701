"""Figures of data-fraction curves: accuracy against the share of clips, what the 2 x 2 makes of it, two budgets."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl.plots.style import COLOURS, GREY, INK, styled

MODES = {"scratch": GREY, "fine-tuned": COLOURS["green"], "fine-tuned at one rate": COLOURS["orange"],
         "probe": COLOURS["pink"]}
LINES = {"plain": ("-", "o"), "multiscale": ("--", "s")}
WORDS = {"scratch": "from scratch", "fine-tuned": "transferred, fine-tuned",
         "fine-tuned at one rate": "transferred, one rate", "probe": "transferred, frozen + ridge"}


@styled
def curves(table: pd.DataFrame, marked: float | None = None) -> plt.Figure:
    """Accuracy against the fraction of training clips, a panel a target and a row a network.

    Args:
        table: columns ``target, network, input, mode, fraction, score, ci_low, ci_high``.
        marked: a fraction to draw a line at.
    """
    targets, networks = list(dict.fromkeys(table["target"])), list(dict.fromkeys(table["network"]))
    figure, axes = plt.subplots(len(networks), len(targets), squeeze=False, sharey=len(networks) == 1,
                                figsize=(max(6.2, 4.6 * len(targets)), 3.4 * len(networks) + 0.7))
    for row, network in zip(axes, networks, strict=True):
        for axis, target in zip(row, targets, strict=True):
            here = table[(table["network"] == network) & (table["target"] == target)]
            axis.set_visible(len(here) > 0)
            kinds = list(here.groupby(["input", "mode"], sort=False))
            for k, ((heard, mode), points) in enumerate(kinds):
                # Side by side, so that intervals do not hide each other.
                x = points["fraction"] * 1.025 ** (k - (len(kinds) - 1) / 2)
                style, marker = LINES[heard]
                axis.errorbar(x, points["score"], [points["score"] - points["ci_low"],
                                                   points["ci_high"] - points["score"]], color=MODES[mode], ls=style,
                              marker=marker, ms=4.5, lw=1.5, elinewidth=1, label=f"{WORDS[mode]}, {heard}")
            fractions = sorted(set(here["fraction"]))
            axis.set(xscale="log", xlabel="training clips of the target (%)")
            axis.set_xticks(fractions, [f"{100 * f:g}" for f in fractions])
            axis.minorticks_off()
            axis.set_title(f"{network} on {target.replace('_', ' ')}")
            level = here[(here["input"] == "plain") & (here["mode"] == "scratch")]
            if len(level):
                axis.axhline(level["score"].iloc[level["fraction"].argmax()], color=GREY, ls=":", lw=1.2, zorder=0)
            if marked is not None:
                axis.axvline(marked, color=INK, lw=7, alpha=0.12, zorder=0)
        row[0].set_ylabel("accuracy on held-out speakers")
    handles = {l: h for a in axes.flat for h, l in zip(*a.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), ncols=2 if len(targets) < 2 else 3, loc="outside lower center")
    return figure


@styled
def effects(table: pd.DataFrame, names: list[str]) -> plt.Figure:
    """Differences of the 2 x 2 against the fraction with intervals; the last place is the mean over fractions.

    Args:
        table: of `savings.effects`.
        names: effects to show, a panel each, three a row.
    """
    cases = list(dict.fromkeys(zip(table["network"], table["target"], strict=True)))
    colours = [COLOURS[name] for name in ("green", "blue", "orange", "pink", "red", "sky", "black")]
    columns = min(len(names), 3)
    figure, axes = plt.subplots(-(-len(names) // columns), columns, sharey=True, squeeze=False,
                                figsize=(3.4 * columns, 0.9 + 3 * -(-len(names) // columns)))
    for axis in axes.flat[len(names):]:
        axis.set_visible(False)
    fractions = sorted({f for f in table["fraction"] if f != "mean"})
    places = {f: i for i, f in enumerate(fractions)} | {"mean": len(fractions) + 0.5}
    for axis, name in zip(axes.flat, names, strict=False):
        for k, (network, target) in enumerate(cases):
            rows = table[(table["network"] == network) & (table["target"] == target) & (table["effect"] == name)]
            x = rows["fraction"].map(places).to_numpy(float) + 0.14 * (k - (len(cases) - 1) / 2)
            values = 100 * rows[["difference", "ci_low", "ci_high"]].to_numpy(float)
            sure = rows["sure"] != 0
            colour = colours[k % len(colours)]
            axis.vlines(x, values[:, 1], values[:, 2], color=colour, lw=1.6)
            axis.scatter(x, values[:, 0], s=30, color=np.where(sure, colour, "white"), edgecolor=colour, zorder=3,
                         label=f"{network} on {target.replace('_', ' ')}")
        axis.axhline(0, color=GREY, lw=1)
        axis.axvline(len(fractions) - 0.25, color=GREY, lw=0.8, ls=":")
        axis.set_xticks(list(places.values()), [f if f == "mean" else f"{100 * f:g}" for f in places], fontsize=8)
        axis.set(xlabel="training clips (%)")
        axis.set_title(name.replace(", ", "\n"))
    for axis in axes[:, 0]:
        axis.set_ylabel("difference (points)")
    handles = {l: h for h, l in zip(*axes[0, 0].get_legend_handles_labels(), strict=True)}
    legend = figure.legend(handles.values(), handles.keys(), ncols=2, loc="outside lower center")
    for handle, (k, _) in zip(legend.legend_handles, enumerate(cases), strict=True):
        handle.set(facecolor=colours[k % len(colours)], edgecolor=colours[k % len(colours)])
    return figure


@styled
def gains(table: pd.DataFrame) -> plt.Figure:
    """What transfer gains over from scratch at two budgets of steps, a row a network and target, a panel a mode.

    Args:
        table: of `savings.gains`; rows of the change are left out.
    """
    modes = list(dict.fromkeys(table["mode"]))
    cases = list(dict.fromkeys(zip(table["network"], table["target"], strict=True)))[::-1]
    figure, axes = plt.subplots(1, len(modes), sharex=True, sharey=True, squeeze=False,
                                figsize=(1.6 + 3.9 * len(modes), 1.5 + 0.5 * len(cases)))
    looks = {"budget": (GREY, "o", 0.13, "this chapter's budget of steps"),
             "longer": (COLOURS["red"], "s", -0.13, "four times the steps")}
    for axis, mode in zip(axes[0], modes, strict=True):
        for when, (colour, marker, shift, words) in looks.items():
            rows = table[(table["mode"] == mode) & (table["when"] == when)]
            y = [cases.index(case) + shift for case in zip(rows["network"], rows["target"], strict=True)]
            axis.hlines(y, 100 * rows["ci_low"], 100 * rows["ci_high"], color=colour, lw=1.6)
            axis.scatter(100 * rows["difference"], y, s=32, marker=marker, edgecolor=colour, zorder=3, label=words,
                         color=np.where(rows["sure"] != 0, colour, "white"))
        axis.axvline(0, color=GREY, lw=1)
        axis.set_title(WORDS[mode])
        axis.set(xlabel="gain over from scratch (points)", ylim=(-0.6, len(cases) - 0.4))
        axis.grid(axis="x")
        axis.set_yticks(range(len(cases)), [f"{network} on {target.replace('_', ' ')}" for network, target in cases])
    legend = figure.legend(*axes[0, 0].get_legend_handles_labels(), ncols=2, loc="outside lower center")
    for handle, (colour, *_) in zip(legend.legend_handles, looks.values(), strict=True):
        handle.set(facecolor=colour, edgecolor=colour)
    return figure
