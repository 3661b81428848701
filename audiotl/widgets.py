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

from audiotl import AudiotlError, stats
from audiotl.plots.style import COLOURS, FAINT, GREY, INK
from audiotl.probes.subset_search import Search


class Live:
    """A box of controls that falls back to a picture.

    Jupyter takes the richest form that it can show: the box where a kernel and a front end are
    there, the picture elsewhere. A subclass has `box` and `still`.
    """

    def _repr_mimebundle_(self, **options):
        return {**self.box._repr_mimebundle_(**options), **self.still()}


class Choices(Live):
    """What `live` returns.

    Attributes:
        controls: the slider or list of each choice, by name.
        image, player: the picture (PNG), and the sound as HTML.
    """

    def __init__(self, draw: Callable, hear: Callable | None, sample_rate: int, choices: Mapping):
        if not choices or not all(len(values) for values in choices.values()):
            raise AudiotlError("There is nothing to choose; give each choice a value or more.")
        self._draw, self._hear = draw, hear and functools.cache(hear)
        self._rate = sample_rate
        self.controls = {name: _control(name, values) for name, values in choices.items()}
        self.image, self.player = w.Image(format="png", width=620), w.HTML()
        self.box = w.VBox([w.HBox([*self.controls.values()]), self.image, self.player])
        for control in self.controls.values():
            control.observe(self._show, "value")
        self._show()

    def chosen(self) -> dict:
        """The values that are chosen now, by name."""
        return {name: control.value for name, control in self.controls.items()}

    def still(self) -> dict[str, str]:
        """The picture by MIME type, with the choice as its plain text."""
        words = ", ".join(f"{name} {value}" for name, value in self.chosen().items())
        return {"image/png": base64.b64encode(self.image.value).decode(), "text/plain": words}

    def _show(self, change=None) -> None:
        from IPython.display import Audio

        picture, figure = io.BytesIO(), self._draw(**self.chosen())
        figure.savefig(picture, format="png", dpi=100)
        plt.close(figure)
        self.image.value = picture.getvalue()  # before the sound, which takes longer to make
        if self._hear:
            self.player.value = Audio(self._hear(**self.chosen()), rate=self._rate)._repr_html_()


def live(draw: Callable[..., plt.Figure], hear: Callable[..., np.ndarray] | None = None,
         sample_rate: int = 16_000, **choices: Sequence) -> Choices:
    """Choose values on sliders and lists, see what they give, and hear it.

    Args:
        draw: figure for one value of each choice, by name.
        hear: samples for the same values, ``(n,)``; asked for once a combination.
        sample_rate: of the sound, in Hz.
        **choices: what can be chosen. A ``range`` and a list of numbers become sliders, which
            start in the middle; anything else a drop-down list, which starts at its first.

    Raises:
        AudiotlError: nothing can be chosen.
    """
    return Choices(draw, hear, sample_rate, choices)


def Viewer(draw, choices, hear=None, sample_rate=16_000):  # noqa: N802 (goes with notebooks 00, 01, 03)
    return Choices(lambda **values: draw(*values.values()),
                   hear and (lambda **values: hear(*values.values())), sample_rate, choices)


def _control(name: str, values: Sequence) -> w.Widget:
    named = {"description": name.replace("_", " ")}
    middle = values[len(values) // 2]
    if isinstance(values, range):
        return w.IntSlider(middle, values[0], values[-1], values.step, continuous_update=False,
                           **named)
    if all(isinstance(value, (int, float)) for value in values):
        return w.SelectionSlider(options=list(values), value=middle, continuous_update=False,
                                 **named)
    return w.Dropdown(options=list(values), value=values[0], **named)


class LayerTicker(Live):
    """Tick layers: their score, its interval and its rank, from searches that are done.

    Args:
        searches: by what each is of, e.g. ``"environment → esc50"``; all subsets of its blocks.
        mfcc_block: the block among them that holds MFCC, ``"mfcc"`` if not given.
        marks: further scores to compare with, a line each, e.g.
            ``{"environment → esc50": {"random weights": 0.49}}``.

    Attributes:
        choice: the list of searches.
        boxes: a checkbox a block, by name.
        text, picture: what is ticked and its score, and all subsets by size (SVG), as HTML.

    Raises:
        AudiotlError: there is no search.
    """

    def __init__(self, searches: Mapping[str, Search], mfcc_block: str | None = None,
                 marks: Mapping[str, Mapping[str, float]] | None = None):
        if not searches:
            raise AudiotlError("There is no search to look scores up in; run one first.")
        self.searches, self.marks = dict(searches), dict(marks or {})
        self.mfcc = mfcc_block or "mfcc"
        self._scores = {name: one.scores(_protocol(one)) for name, one in searches.items()}
        self.boxes: dict[str, w.Checkbox] = {}
        self.choice = w.Dropdown(options=list(searches), layout=w.Layout(width="max-content"))
        self.row = w.HBox(layout=w.Layout(flex_flow="row wrap"))
        self.text, self.picture = w.HTML(), w.HTML()
        self.box = w.VBox([self.choice, self.row, self.text, self.picture])
        self.choice.observe(self._offer, "value")
        self._offer()

    def ticked(self) -> tuple[str, ...]:
        """Names of the ticked blocks."""
        return tuple(name for name, box in self.boxes.items() if box.value)

    def still(self) -> dict[str, str]:
        """The picture by MIME type, with the score as its plain text."""
        return {"image/svg+xml": self.picture.value, "text/plain": self._words()}

    def _offer(self, change=None) -> None:
        names = self.searches[self.choice.value].names
        layers = [name for name in names if name != self.mfcc]
        if tuple(self.boxes) != names:
            wide = w.Layout(width="auto", margin="0 1em 0 0")
            self.boxes = {name: w.Checkbox(name in layers, description=name, indent=False,
                                           layout=wide) for name in names}
            for box in self.boxes.values():
                box.observe(self._show, "value")
            self.row.children = tuple(self.boxes.values())
        self._show()

    def _show(self, change=None) -> None:
        self._row = self._score()
        self.text.value = f"<b>{html.escape(self._words())}</b>"
        found, scores = self.searches[self.choice.value], self._scores[self.choice.value]
        layers = [name for name in found.names if name != self.mfcc]
        marks = {"last layer": layers[-1:], "all layers": layers, "MFCC": [self.mfcc]}
        at = {name: scores[found.position(blocks)] for name, blocks in marks.items()
              if blocks and set(blocks) <= set(found.names)}
        sizes = np.array([len(subset) for subset in found.subsets])
        at |= self.marks.get(self.choice.value, {})
        self.picture.value = _by_size(scores, sizes, at, self._row)

    def _score(self) -> dict | None:
        # Size, score and interval of what is ticked.
        if not self.ticked():
            return None
        found = self.searches[self.choice.value]
        scored = found.scored(self.ticked(), _protocol(found), size=len(self.ticked()))
        return stats.score_table([scored]).iloc[0].to_dict()

    def _words(self) -> str:
        if self._row is None:
            return "nothing is ticked"
        row, scores = self._row, self._scores[self.choice.value]
        rank = 1 + int((scores > row["score"] + 1e-12).sum())
        return (f"{' + '.join(self.ticked())}: {100 * row['score']:.1f} % "
                f"({100 * row['ci_low']:.1f} to {100 * row['ci_high']:.1f}), "
                f"rank {rank:,} of {len(scores):,}")


def _protocol(found: Search) -> str:
    return "paper" if found.inner is None else "nested"


def _by_size(scores: np.ndarray, sizes: np.ndarray, marks: Mapping[str, float], row: dict | None,
             width: int = 560, height: int = 300, most: int = 40) -> str:
    # SVG, which is there in some milliseconds: subsets by size, marks as lines, the ticked one.
    ends = [*scores, *marks.values(), *([row["ci_low"], row["ci_high"]] if row else [])]
    low, high = min(ends) - 0.02, max(ends) + 0.02
    x = lambda size: 50 + (width - 170) * (size - 0.5) / sizes.max()  # noqa: E731
    y = lambda score: 10 + (height - 50) * (high - score) / (high - low)  # noqa: E731
    step = next(step for step in (0.02, 0.05, 0.1, 0.2, 1) if (high - low) / step <= 8)
    parts = [_line(50, y(tick), width - 120, y(tick), FAINT) + _text(44, y(tick), f"{100 * tick:.0f}",
             "end") for tick in np.arange(np.ceil(low / step), high / step) * step]
    for size in np.unique(sizes):
        here = scores[sizes == size]
        shown = np.quantile(here, np.linspace(0, 1, most)) if len(here) > most else here
        parts += [f'<circle cx="{x(size):.1f}" cy="{y(score):.1f}" r="3" fill="{GREY}" '
                  'fill-opacity="0.5"/>' for score in shown]
        parts.append(_text(x(size), height - 26, str(size), "middle"))
    parts.append(_text(x(sizes.max() / 2 + 0.5), height - 8, "blocks side by side", "middle"))
    parts.append(_text(4, 6, "%"))
    place = 0.0
    for name, score in sorted(marks.items(), key=lambda mark: -mark[1]):
        place = max(place + 13, y(score))  # words that would lie on each other are moved apart
        parts.append(_line(50, y(score), width - 120, y(score), COLOURS["blue"], "4 3"))
        parts.append(_text(width - 116, place, f"{name} {100 * score:.1f}"))
    if row:
        parts.append(_line(x(row["size"]), y(row["ci_low"]), x(row["size"]), y(row["ci_high"]), INK))
        parts.append(f'<circle cx="{x(row["size"]):.1f}" cy="{y(row["score"]):.1f}" r="6" '
                     f'fill="{COLOURS["red"]}"/>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" font-family="sans-serif" font-size="12">{"".join(parts)}</svg>')


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "none") -> str:
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-dasharray="{dash}"/>')


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return (f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}" fill="{INK}">'
            f'{html.escape(words)}</text>')
