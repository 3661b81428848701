"""One quiet, colour-blind safe style for all figures (palette: Okabe and Ito 2008)."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt

INK = "#222222"
GREY = "#8c8c8c"
FAINT = "#d9d9d9"
COLOURS = {"blue": "#0072b2", "orange": "#e69f00", "green": "#009e73", "red": "#d55e00", "pink": "#cc79a7",
           "sky": "#56b4e9", "yellow": "#f0e442", "black": "#000000"}
SOURCES = {"environment": COLOURS["green"], "speech": COLOURS["blue"], "music": COLOURS["orange"],
           "music tags": COLOURS["red"], "random": GREY, "mfcc": COLOURS["pink"]}
"""The colour of each source network, the same in every figure."""

_RC = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.labelsize": 10, "axes.labelcolor": INK, "text.color": INK,
    "axes.edgecolor": GREY, "xtick.color": INK, "ytick.color": INK, "xtick.labelsize": 9, "ytick.labelsize": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y",
    "axes.axisbelow": True, "grid.color": FAINT, "grid.linewidth": 0.6, "legend.frameon": False,
    "legend.fontsize": 9, "lines.linewidth": 1.8, "figure.constrained_layout.use": True, "image.cmap": "magma",
    "savefig.facecolor": "white", "figure.facecolor": "white",
}


styled = mpl.rc_context(_RC)
"""Decorator for every plotting function: ``@styled`` draws it in this style."""


def bare(axis: plt.Axes) -> None:
    """Take grid and frame away, for images and spectrograms."""
    axis.grid(False)
    for side in axis.spines.values():
        side.set_visible(False)
