"""The live moments of a notebook: choose values, or tick layers, and see at once what they give.

Each shows its first picture wherever no front end answers: in a report, or on a page.
"""

import base64
import functools
import io
import textwrap
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Audio

from audiotl import AudiotlError, stats
from audiotl.plots.style import COLOURS, GREY, styled
from audiotl.probes.subset_search import Search


class Choices:
    """Choose values, see what they give, and hear it; without a front end, one picture.

    Args:
        draw: figure for one value of each choice, by name.
        hear: samples for the same values, ``(n,)``; asked for once a combination.
        sample_rate: of the sound, in Hz.
        **choices: what can be chosen. Numbers become a slider, which starts in the middle; a
            single truth value becomes a box to tick; anything else a list, first one chosen.

    Attributes:
        controls: the slider, list or box of each choice, by name.
        image, player: the picture (PNG), and the sound as HTML.
    """

    def __init__(self, draw: Callable[..., plt.Figure],
                 hear: Callable[..., np.ndarray] | None = None, sample_rate: int = 16_000,
                 **choices: Sequence):
        if not choices or not all(len(values) for values in choices.values()):
            raise AudiotlError("There is nothing to choose; give each choice a value or more.")
        self._draw, self._hear, self._rate = draw, hear and functools.cache(hear), sample_rate
        self.controls = {name: _control(name, values) for name, values in choices.items()}
        self.image, self.player = w.Image(format="png", width=620), w.HTML()
        row = w.HBox([*self.controls.values()], layout=w.Layout(flex_flow="row wrap"))
        self.box = w.VBox([row, self.image, self.player])
        for control in self.controls.values():
            control.observe(self._show, "value")
        self._show()

    def chosen(self) -> dict:
        """The values that are chosen now, by name."""
        return {name: control.value for name, control in self.controls.items()}

    def words(self) -> str:
        """What the picture shows, for who cannot see it."""
        return ", ".join(f"{name} {value}" for name, value in self.chosen().items())

    def _repr_mimebundle_(self, **options):
        return {**self.box._repr_mimebundle_(**options), "text/plain": self.words(),
                "image/png": base64.b64encode(self.image.value).decode()}

    def _show(self, change=None) -> None:
        picture, figure = io.BytesIO(), self._draw(**self.chosen())
        figure.savefig(picture, format="png", dpi=220)
        plt.close(figure)
        self.image.value = picture.getvalue()  # before the sound, which takes longer to make
        if self._hear:
            self.player.value = Audio(self._hear(**self.chosen()), rate=self._rate)._repr_html_()


live = Choices


def _control(name: str, values: Sequence) -> w.Widget:
    named, middle = {"description": name.replace("_", " ")}, values[len(values) // 2]
    if isinstance(middle, bool):
        return w.Checkbox(middle, indent=False, layout=w.Layout(width="8em"), **named)
    if all(isinstance(value, (int, float)) for value in values):
        return w.SelectionSlider(options=list(values), value=middle, continuous_update=False,
                                 **named)
    return w.Dropdown(options=list(values), layout=w.Layout(width="max-content"), **named)


class LayerTicker(Choices):
    """Tick layers: their score, its interval and its rank, from searches that are done.

    Args:
        searches: by what each is of, e.g. ``"speech → esc50"``, with all subsets of its blocks.
            The score of all blocks of ``"random → esc50"`` and ``"mfcc → esc50"``, where given, is
            marked in every picture of that target.
    """

    def __init__(self, searches: Mapping[str, Search]):
        self.searches, self.said = dict(searches), ""
        self._scores = {name: one.scores(_protocol(one)) for name, one in searches.items()}
        names = dict.fromkeys(name for one in searches.values() for name in one.names)
        super().__init__(self._picture, search=list(searches),
                         **{name: [name != "mfcc"] for name in names})

    def words(self) -> str:
        return self.said

    def ticked(self) -> tuple[str, ...]:
        """The ticked blocks of the chosen search."""
        chosen = self.chosen()
        return tuple(name for name in self.searches[chosen["search"]].names if chosen[name])

    def marks(self) -> dict[str, float]:
        """What the picture compares with: last layer, all layers, random weights, MFCC."""
        name = self.controls["search"].value
        found, scores, target = self.searches[name], self._scores[name], name.partition("→")[2]
        layers = [block for block in found.names if block != "mfcc"]
        known = {"last layer": layers[-1:], "all layers": layers, "MFCC": ["mfcc"]}
        out = {mark: scores[found.position(blocks)] for mark, blocks in known.items()
               if blocks and set(blocks) <= set(found.names)}
        for source, mark in (("random", "random"), ("mfcc", "MFCC")):
            other = f"{source} →{target}"
            if other in self.searches and other != name:
                out[mark] = self._scores[other][-1]
        return out

    def _picture(self, search: str, **_) -> plt.Figure:
        found, scores, ticked = self.searches[search], self._scores[search], self.ticked()
        for name, control in self.controls.items():
            control.layout.display = None if name in (*found.names, "search") else "none"
        row, self.said = None, "nothing is ticked"
        if ticked:
            scored = found.scored(ticked, _protocol(found), size=len(ticked))
            row = stats.score_table([scored]).iloc[0]
            rank = 1 + int((scores > row["score"] + 1e-12).sum())
            score, low, high = 100 * row[["score", "ci_low", "ci_high"]]
            self.said = (f"{' + '.join(ticked)}: {score:.1f} % ({low:.1f} to {high:.1f}), "
                         f"rank {rank:,} of {len(scores):,}")
        figure = _by_size([len(subset) for subset in found.subsets], scores, self.marks(), row)
        figure.suptitle(textwrap.fill(self.said, 80), x=0.01, ha="left", fontsize=10)
        return figure


def _protocol(found: Search) -> str:
    return "paper" if found.inner is None else "nested"


@styled
def _by_size(sizes: list[int], scores: np.ndarray, marks: Mapping[str, float], row) -> plt.Figure:
    # Subsets by size, marks as lines, and the ticked one with its interval.
    figure, axis = plt.subplots(figsize=(6.2, 3.2), layout="none")  # a layout engine takes longer
    figure.subplots_adjust(left=0.09, right=0.78, bottom=0.15, top=0.86)
    axis.plot(sizes, 100 * scores, "o", color=GREY, ms=4, mew=0, alpha=0.5)
    if row is not None:
        axis.vlines(row["size"], 100 * row["ci_low"], 100 * row["ci_high"], color="black")
        axis.plot(row["size"], 100 * row["score"], "o", color=COLOURS["red"], ms=9)
    place, apart = np.inf, np.diff(axis.get_ylim())[0] / 16
    for name, score in sorted(marks.items(), key=lambda mark: -mark[1]):
        place = min(place - apart, 100 * score)  # words that would lie on each other move apart
        axis.axhline(100 * score, color=COLOURS["blue"], lw=1)
        axis.annotate(f" {name} {100 * score:.1f}", (1, place), va="center", fontsize=9,
                      xycoords=("axes fraction", "data"), annotation_clip=False)
    axis.set(xlabel="blocks side by side", ylabel="%", xticks=sorted(set(sizes)))
    return figure
