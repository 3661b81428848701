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
from audiotl.plots.style import COLOURS, FAINT, GREY, INK
from audiotl.probes.subset_search import Search


class Live:
    """A box of controls, and a picture for where it cannot live: Jupyter takes what it can show.

    A subclass has `box`, and `still`: the picture by MIME type, words for it as ``text/plain``.
    """

    def _repr_mimebundle_(self, **options):
        return {**self.box._repr_mimebundle_(**options), **self.still()}


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
        image, player: the picture (PNG), and the sound as HTML.

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
        self.image, self.player = w.Image(format="png", width=620), w.HTML()
        self.box = w.VBox([w.HBox([*self.controls.values()]), self.image, self.player])
        for control in self.controls.values():
            control.observe(self._show, "value")
        self._show()

    def chosen(self) -> dict:
        """The values that are chosen now, by name."""
        return {name: control.value for name, control in self.controls.items()}

    def still(self) -> dict[str, str]:
        words = ", ".join(f"{name} {value}" for name, value in self.chosen().items())
        return {"image/png": base64.b64encode(self.image.value).decode(), "text/plain": words}

    def _show(self, change=None) -> None:
        picture, figure = io.BytesIO(), self._draw(**self.chosen())
        figure.savefig(picture, format="png", dpi=100)
        plt.close(figure)
        self.image.value = picture.getvalue()  # before the sound, which takes longer to make
        if self._hear:
            self.player.value = Audio(self._hear(**self.chosen()), rate=self._rate)._repr_html_()


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
        mfcc_block: the block in the searches that holds MFCC, ``"mfcc"`` if not given.

    Attributes:
        choice: the list of searches.
        boxes: a checkbox a block, by name.
        text, picture: what is ticked with its score, and all subsets by size (SVG), as HTML.

    Raises:
        AudiotlError: there is no search.
    """

    def __init__(self, searches: Mapping[str, Search], mfcc_block: str | None = None):
        if not searches:
            raise AudiotlError("There is no search to look scores up in; run one first.")
        self.searches, self.mfcc = dict(searches), mfcc_block or "mfcc"
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
        return {"image/svg+xml": self.picture.value, "text/plain": html.unescape(self.text.value)}

    def marks(self) -> dict[str, float]:
        """What the picture compares with: last layer, all layers, random weights, MFCC."""
        name, target = self.choice.value, self.choice.value.partition("→")[2]
        found, scores = self.searches[name], self._scores[name]
        layers = [block for block in found.names if block != self.mfcc]
        known = {"last layer": layers[-1:], "all layers": layers, "MFCC": [self.mfcc]}
        out = {mark: scores[found.position(blocks)] for mark, blocks in known.items()
               if blocks and set(blocks) <= set(found.names)}
        for mark in ("random", "mfcc"):
            other = f"{mark} →{target}"
            if other in self.searches and other != name:
                out[mark.replace("mfcc", "MFCC")] = self._scores[other][-1]
        return out

    def _offer(self, change=None) -> None:
        names = self.searches[self.choice.value].names
        if tuple(self.boxes) != names:
            wide = {"indent": False, "layout": w.Layout(width="auto", margin="0 1em 0 0")}
            self.boxes = {name: w.Checkbox(len(names) == 1 or name != self.mfcc, **wide,
                                           description=name) for name in names}
            for box in self.boxes.values():
                box.observe(self._show, "value")
            self.row.children = tuple(self.boxes.values())
        self._show()

    def _show(self, change=None) -> None:
        found, scores = self.searches[self.choice.value], self._scores[self.choice.value]
        row, words = None, "nothing is ticked"
        if self.ticked():
            scored = found.scored(self.ticked(), _protocol(found), size=len(self.ticked()))
            row = stats.score_table([scored]).iloc[0].to_dict()
            rank = 1 + int((scores > row["score"] + 1e-12).sum())
            score, low, high = (100 * row[name] for name in ("score", "ci_low", "ci_high"))
            words = (f"{' + '.join(self.ticked())}: {score:.1f} % ({low:.1f} to {high:.1f}), "
                     f"rank {rank:,} of {len(scores):,}")
        self.text.value = html.escape(words)
        sizes = np.array([len(subset) for subset in found.subsets])
        self.picture.value = _by_size(scores, sizes, self.marks(), row)


def _protocol(found: Search) -> str:
    return "paper" if found.inner is None else "nested"


def _by_size(scores: np.ndarray, sizes: np.ndarray, marks: Mapping[str, float], row: dict | None,
             right: int = 430, most: int = 40) -> str:
    # SVG, which is there in a few milliseconds: subsets by size, marks as lines, the ticked one.
    ends = [*scores, *marks.values(), *([row["ci_low"], row["ci_high"]] if row else [])]
    low, high = min(ends) - 0.02, max(ends) + 0.02
    x = lambda size: 40 + (right - 40) * (size - 0.5) / sizes.max()  # noqa: E731
    y = lambda score: 10 + 250 * (high - score) / (high - low)  # noqa: E731
    step = next(step for step in (0.02, 0.05, 0.1, 0.2) if (high - low) / step <= 8 or step == 0.2)
    parts = [_text(4, 272, "%"), _text(right / 2 - 40, 292, "blocks side by side")]
    for tick in np.arange(np.ceil(low / step), high / step) * step:
        parts += [_line(40, y(tick), right, y(tick), FAINT), _text(8, y(tick), f"{100 * tick:.0f}")]
    for size in np.unique(sizes):
        here = scores[sizes == size]
        shown = np.quantile(here, np.linspace(0, 1, most)) if len(here) > most else here
        parts.append(_text(x(size) - 4, 272, str(size)))
        parts += [_dot(x(size), y(score), 3, GREY) for score in shown]
    place = 0.0
    for name, score in sorted(marks.items(), key=lambda mark: -mark[1]):
        place = max(place + 13, y(score))  # words that would lie on each other are moved apart
        parts += [_line(40, y(score), right, y(score), COLOURS["blue"]),
                  _text(right + 4, place, f"{name} {100 * score:.1f}")]
    if row:
        at = x(row["size"])
        parts += [_line(at, y(row["ci_low"]), at, y(row["ci_high"]), INK),
                  _dot(at, y(row["score"]), 6, COLOURS["red"])]
    return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 300" width="560" '
            f'font-family="sans-serif" font-size="12">{"".join(parts)}</svg>')


def _dot(x: float, y: float, radius: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" fill-opacity="0.7"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" fill="{INK}">{html.escape(words)}</text>'
