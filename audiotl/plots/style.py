"""One quiet, colour-blind safe style for all figures (palette: Okabe and Ito 2008)."""

import io
import textwrap
from collections.abc import Iterable

import matplotlib as mpl
import matplotlib.pyplot as plt
from PIL import Image

from audiotl.datasets.recordings import CORPORA

INK = "#222222"
GREY = "#8c8c8c"
FAINT = "#d9d9d9"
COLOURS = {"blue": "#0072b2", "orange": "#e69f00", "green": "#009e73", "red": "#d55e00",
           "pink": "#cc79a7", "sky": "#56b4e9", "yellow": "#f0e442", "black": "#000000"}
SOURCES = {"environment": COLOURS["green"], "speech": COLOURS["blue"], "music": COLOURS["orange"],
           "music tags": COLOURS["red"], "random": GREY, "mfcc": COLOURS["pink"],
           "shuffled": COLOURS["sky"]}
"""The colour of each source network, the same in every figure."""

CYCLE = [COLOURS[name] for name in ("blue", "orange", "green", "red", "pink", "sky", "black")]

TITLES = {name: about.title for name, about in CORPORA.items()} | {
    "music_family": "music, instrument family", "speech_embedding": "speech_embedding",
    "arabic_speech_commands+speech_commands": "Arabic and English words", "mfcc": "MFCC",
    "convnet5": "ConvNet5", "resnet18": "ResNet-18", "resnet34": "ResNet-34",
    "resnet50": "ResNet-50", "densenet121": "DenseNet-121", "choi2017-keras2": "Choi 2017",
    "random": "random weights", "fcn5-msd": "FCN-5, MSD", "fcn5-jamendo": "FCN-5, Jamendo",
    "fcn5-mtat": "FCN-5, MTT", "musicnn-msd": "musicnn, MSD", "musicnn-mtt": "musicnn, MTT",
    "yamnet": "YAMNet", "crnn-teacher1": "CRNN, AudioSet", "crnn-vox2": "CRNN, VoxCeleb2",
    "crnn-audioset2": "CRNN, speech in AudioSet", "crnn-sre": "CRNN, telephone speech",
    "crnn-audio2_vox2": "CRNN, AudioSet and VoxCeleb2", "crnn-c1": "CRNN, noisy read speech",
}
"""How corpora and networks are called where a person reads, one table for all figures."""

_RC = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 10,
    "axes.titleweight": "normal", "axes.titlelocation": "left", "axes.labelsize": 10,
    "axes.labelcolor": INK, "text.color": INK, "axes.edgecolor": GREY, "xtick.color": INK,
    "ytick.color": INK, "xtick.labelsize": 9, "ytick.labelsize": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y", "axes.axisbelow": True,
    "grid.color": FAINT, "grid.linewidth": 0.6, "legend.frameon": False, "legend.fontsize": 9,
    "lines.linewidth": 1.8, "figure.constrained_layout.use": True, "image.cmap": "magma",
    "savefig.facecolor": "white", "figure.facecolor": "white",
}

styled = mpl.rc_context(_RC)
"""Decorator for every plotting function: ``@styled`` draws it in this style."""


def headline(figure: plt.Figure, text: str) -> None:
    """Set what a figure shows above it, in as many lines as it takes."""
    text = textwrap.fill(text.replace(" %", "\xa0%"), int(10.5 * figure.get_figwidth()))
    figure.suptitle(text, x=0.01, ha="left", fontsize=11.5, fontweight="bold", color=INK,
                    parse_math=False)


def picture(figure: plt.Figure) -> bytes:
    """A figure as a PNG of 220 dots an inch and 256 colours; closes it."""
    dots, small = io.BytesIO(), io.BytesIO()
    figure.savefig(dots, format="png", dpi=220)
    plt.close(figure)
    image = Image.open(dots).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(small, "PNG", optimize=True, dpi=(220, 220))
    return small.getvalue()


def bare(axis: plt.Axes) -> None:
    """Take grid and frame away, for images and spectrograms."""
    axis.grid(False)
    axis.spines[:].set_visible(False)


def title_of(name: str) -> str:
    """A corpus or a network as a reader should see it; other names with blanks for underscores."""
    return TITLES.get(str(name), str(name).replace("_", " ").replace("$", r"\$"))


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """A colour a name, each different while the palette lasts: sources keep theirs."""
    names = list(dict.fromkeys(names))
    known = {name: SOURCES[str(name).lower()] for name in names if str(name).lower() in SOURCES}
    free = [shade for shade in CYCLE if shade not in known.values()]
    others = [name for name in names if name not in known]
    return known | {name: free[i % len(free)] for i, name in enumerate(others)}


def colour_of(name: str) -> str:
    """The colour of a source, or one of the palette that depends on the name alone."""
    return SOURCES.get(str(name).lower(), CYCLE[sum(map(ord, str(name))) % len(CYCLE)])
