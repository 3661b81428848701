"""The live moments of a notebook: choose values, or tick layers, and see at once what they give.

Each shows its first picture wherever no front end answers: in a report, or on a page.
"""

from __future__ import annotations

import base64
import functools
import html
import io
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Audio

from audiotl import AudiotlError, stats
from audiotl.plots.style import COLOURS, GREY, styled
from audiotl.probes.subset_search import Search


class Live:
    """Controls with a picture, which alone is shown where they cannot live.

    Attributes:
        image: the picture (PNG).
        text: what is said of it (HTML).
    """

    def __init__(self, *controls: w.Widget):
        self.image, self.text = w.Image(format="png", width=620), w.HTML()
        self.box = w.VBox([*controls, self.image, self.text])

    def show(self, figure: plt.Figure) -> None:
        """Make a figure the picture, and close it."""
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=100)
        plt.close(figure)
        self.image.value = picture.getvalue()

    def _repr_mimebundle_(self, **options):
        picture = base64.b64encode(self.image.value).decode()
        return {**self.box._repr_mimebundle_(**options), "image/png": picture,
                "text/plain": self.words()}


class Choices(Live):
    """Choose values on sliders and lists, see what they give, and hear it.

    Args:
        draw: figure for one value of each choice, by name.
        hear: samples for the same values, ``(n,)``; asked for once a combination.
        sample_rate: of the sound, in Hz.
        **choices: what can be chosen. A ``range`` and a list of numbers become sliders, which
            start in the middle; anything else a drop-down list, which starts at its first.

    Attributes:
        controls: the slider or list of each choice, by name.

    Raises:
        AudiotlError: nothing can be chosen.
    """

    def __init__(self, draw: Callable[..., plt.Figure],
                 hear: Callable[..., np.ndarray] | None = None, sample_rate: int = 16_000,
                 **choices: Sequence):
        if not choices or not all(len(values) for values in choices.values()):
            raise AudiotlError("There is nothing to choose; give each choice a value or more.")
        self._draw, self._hear, self._rate = draw, hear and functools.cache(hear), sample_rate
        self.controls = {name: _control(name, values) for name, values in choices.items()}
        super().__init__(w.HBox([*self.controls.values()]))
        for control in self.controls.values():
            control.observe(self._chosen, "value")
        self._chosen()

    def chosen(self) -> dict:
        """The values that are chosen now, by name."""
        return {name: control.value for name, control in self.controls.items()}

    def words(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.chosen().items())

    def _chosen(self, change=None) -> None:
        self.show(self._draw(**self.chosen()))  # before the sound, which takes longer to make
        if self._hear:
            self.text.value = Audio(self._hear(**self.chosen()), rate=self._rate)._repr_html_()


live = Choices


def _control(name: str, values: Sequence) -> w.Widget:
    named, middle = {"description": name.replace("_", " ")}, values[len(values) // 2]
    if isinstance(values, range):
        ends = values[0], values[-1], values.step
        return w.IntSlider(middle, *ends, continuous_update=False, **named)
    if all(isinstance(value, (int, float)) for value in values):
        return w.SelectionSlider(options=list(values), value=middle, continuous_update=False,
                                 **named)
    return w.Dropdown(options=list(values), **named)


class LayerTicker(Live):
    """Tick layers: their score, its interval and its rank, from searches that are done.

    Args:
        searches: by what each is of, e.g. ``"speech → esc50"``, with all subsets of its blocks.
            The score of all blocks of ``"random → esc50"`` and ``"mfcc → esc50"``, where given, is
            marked in every picture of that target.

    Attributes:
        choice: the list of searches.
        boxes: a checkbox a block, by name.

    Raises:
        AudiotlError: there is no search.
    """

    def __init__(self, searches: Mapping[str, Search]):
        if not searches:
            raise AudiotlError("There is no search to look scores up in; run one first.")
        self.searches = dict(searches)
        self._scores = {name: one.scores(_protocol(one)) for name, one in searches.items()}
        self.boxes: dict[str, w.Checkbox] = {}
        self.choice = w.Dropdown(options=list(searches), layout=w.Layout(width="max-content"))
        self.row = w.HBox(layout=w.Layout(flex_flow="row wrap"))
        super().__init__(self.choice, self.row)
        self.choice.observe(self._offer, "value")
        self._offer()

    def ticked(self) -> tuple[str, ...]:
        """Names of the ticked blocks."""
        return tuple(name for name, box in self.boxes.items() if box.value)

    def words(self) -> str:
        return html.unescape(self.text.value)

    def marks(self) -> dict[str, float]:
        """What the picture compares with: last layer, all layers, random weights, MFCC."""
        name, target = self.choice.value, self.choice.value.partition("→")[2]
        found, scores = self.searches[name], self._scores[name]
        layers = [block for block in found.names if block != "mfcc"]
        known = {"last layer": layers[-1:], "all layers": layers, "MFCC": ["mfcc"]}
        out = {mark: scores[found.position(blocks)] for mark, blocks in known.items()
               if blocks and set(blocks) <= set(found.names)}
        for source, mark in (("random", "random"), ("mfcc", "MFCC")):
            other = f"{source} →{target}"
            if other in self.searches and other != name:
                out[mark] = self._scores[other][-1]
        return out

    def _offer(self, change=None) -> None:
        names = self.searches[self.choice.value].names
        if tuple(self.boxes) != names:
            wide = w.Layout(width="auto", margin="0 1em 0 0")
            self.boxes = {name: w.Checkbox(len(names) == 1 or name != "mfcc", description=name,
                                           indent=False, layout=wide) for name in names}
            for box in self.boxes.values():
                box.observe(self._ticked, "value")
            self.row.children = tuple(self.boxes.values())
        self._ticked()

    def _ticked(self, change=None) -> None:
        found, scores = self.searches[self.choice.value], self._scores[self.choice.value]
        row, words = None, "nothing is ticked"
        if self.ticked():
            scored = found.scored(self.ticked(), _protocol(found), size=len(self.ticked()))
            row = stats.score_table([scored]).iloc[0]
            rank = 1 + int((scores > row["score"] + 1e-12).sum())
            score, low, high = 100 * row[["score", "ci_low", "ci_high"]]
            words = (f"{' + '.join(self.ticked())}: {score:.1f} % ({low:.1f} to {high:.1f}), "
                     f"rank {rank:,} of {len(scores):,}")
        self.text.value = html.escape(words)
        sizes = [len(subset) for subset in found.subsets]
        self.show(_by_size(sizes, scores, self.marks(), row))


def _protocol(found: Search) -> str:
    return "paper" if found.inner is None else "nested"


@styled
def _by_size(sizes: list[int], scores: np.ndarray, marks: Mapping[str, float], row) -> plt.Figure:
    # Subsets by size, marks as lines, and the ticked one with its interval.
    figure, axis = plt.subplots(figsize=(6.2, 3.2))
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
