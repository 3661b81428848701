"""A clip as a picture: bands in decibels, or cepstral coefficients, over time."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from audiotl.plots.style import bare

TICKS = {500: "500", 1000: "1k", 2000: "2k", 5000: "5k"}


def spectrogram(axis: plt.Axes, level: np.ndarray, seconds: float,
                centres: np.ndarray | None = None, range_db: float = 80.0) -> None:
    """Draw decibels below a clip's loudest point, low bands at the bottom.

    Args:
        level: ``(bands, frames)``, from ``-range_db`` to 0.
        seconds: length of the clip.
        centres: frequency of each band in Hz, for the ticks; no ticks without.
    """
    _picture(axis, level, seconds, vmin=-range_db, vmax=0)
    if centres is not None:
        axis.set_yticks(np.interp(list(TICKS), centres, np.arange(len(centres))), TICKS.values())


def cepstra(axis: plt.Axes, coefficients: np.ndarray, seconds: float) -> None:
    """Draw ``(coefficients, frames)``; the first one, the loudness, is left out."""
    shapes = coefficients[1:]
    reach = np.percentile(np.abs(shapes), 98)
    _picture(axis, shapes, seconds, cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
    axis.set_yticks([0, len(shapes) - 1], [2, len(coefficients)])


def _picture(axis: plt.Axes, rows: np.ndarray, seconds: float, **how) -> None:
    bare(axis)
    axis.imshow(rows, origin="lower", aspect="auto", extent=(0, seconds, -0.5, len(rows) - 0.5),
                **how)
    axis.set_xticks([0, seconds], ["0", f"{seconds:g} s"])
    axis.set_yticks([])
    axis.tick_params(length=2, labelsize=8)
