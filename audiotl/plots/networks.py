"""Networks as rows of boxes, a box a tap."""

from collections.abc import Mapping

import matplotlib.pyplot as plt

from audiotl.plots.style import COLOURS, GREY, INK, bare, styled


@styled
def taps(networks: Mapping[str, Mapping[str, int]]) -> plt.Figure:
    """Each network from input to output; a box is as high as its tap gives columns.

    Args:
        networks: by the network's name, how many columns each of its taps gives.
    """
    most = max(map(len, networks.values()))
    figure, axes = plt.subplots(len(networks), 1, squeeze=False,
                                figsize=(min(11, 2 + 0.7 * most), 0.3 + 0.95 * len(networks)))
    for axis, (name, columns) in zip(axes[:, 0], networks.items(), strict=True):
        highest = max(columns.values())
        axis.plot([0, len(columns) + 1], [0, 0], color=GREY, lw=1, zorder=0)
        for place, count in enumerate(columns.values(), 1):
            height = 0.35 + 0.65 * count / highest
            axis.bar(place, height, 0.62, bottom=-height / 2, color=COLOURS["sky"])
            axis.text(place, 0, f"{count:,}", ha="center", va="center", fontsize=8, color=INK)
        axis.set(xlim=(-0.2, most + 1.2), ylim=(-0.62, 0.55), xticks=[], yticks=[])
        axis.set_title(f"{name}: {len(columns)} taps, {sum(columns.values()):,} columns",
                       fontsize=9)
        bare(axis)
    return figure
