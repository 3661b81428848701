"""A clip as a picture: bands in decibels over time."""

import matplotlib.pyplot as plt
import numpy as np

from audiotl.plots.style import bare

TICKS = {500: "500", 1000: "1k", 2000: "2k", 5000: "5k"}


def spectrogram(axis: plt.Axes, level: np.ndarray, seconds: float,
                centres: np.ndarray | None = None) -> None:
    """Draw decibels below a clip's loudest point, low bands at the bottom.

    Args:
        level: ``(bands, frames)``, from -80 to 0.
        seconds: length of the clip.
        centres: frequency of each band in Hz, for the ticks; no ticks without.
    """
    bare(axis)
    axis.imshow(level, origin="lower", aspect="auto", extent=(0, seconds, -0.5, len(level) - 0.5),
                vmin=-80, vmax=0)
    axis.set_xticks([0, seconds], ["0", f"{seconds:g} s"])
    axis.set_yticks([])
    if centres is not None:
        axis.set_yticks(np.interp(list(TICKS), centres, np.arange(len(centres))), TICKS.values())
    axis.tick_params(length=2, labelsize=8)
