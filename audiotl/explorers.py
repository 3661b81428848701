"""Live moments that read what is finished: tick layers, pick a cell of the matrix, slide the share of clips."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl import AudiotlError, stats
from audiotl.plots import lattice as figures
from audiotl.plots import matrix as matrix_figures
from audiotl.plots import savings
from audiotl.probes.subset_search import Search


class Live:
    """What is alive in a notebook and shows its picture anywhere else.

    A subclass has `box`, all of it; `image`, its picture; `text`, HTML of its `words`; and `figure`.
    """

    def _picture(self, shown: bool = True) -> None:
        if not shown:
            self.image.value = b""
            return
        picture, figure = io.BytesIO(), self.figure()
        figure.savefig(picture, format="png", dpi=100)
        plt.close(figure)
        self.image.value = picture.getvalue()

    def _say(self) -> None:
        self.text.value = f"<b>{html.escape(self.words())}</b>"

    def _repr_mimebundle_(self, **options):
        if alive():
            return self.box._repr_mimebundle_(**options)
        return {"image/png": base64.b64encode(self.image.value).decode(), "text/plain": self.words()}


def alive() -> bool:
    """Whether a notebook's kernel is there to answer clicks."""
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


@dataclasses.dataclass(frozen=True)
class Score:
    """What a subset of blocks scored.

    Args:
        score, ci_low, ci_high: accuracy and its 95 % interval, a bootstrap over groups.
        rank: 1 is the best of all subsets of the search; equals share the better rank.
        of: subsets in the search.
    """

    score: float
    ci_low: float
    ci_high: float
    rank: int
    of: int

    def __str__(self) -> str:
        return (f"{100 * self.score:.1f} % ({100 * self.ci_low:.1f} to {100 * self.ci_high:.1f}), "
                f"rank {self.rank:,} of {self.of:,}")


def lookup(search: Search, subset: Sequence[str]) -> Score:
    """Score, interval and rank of one subset, from a search that is done (nested where the search was).

    Raises:
        AudiotlError: the subset was not searched.
    """
    at, bits = search.position(subset), search.paper_bits if search.inner is None else search.nested_bits
    scores = search.scores("paper" if search.inner is None else "nested")
    mean, low, high = stats.bootstrap_mean(search.unpack(bits[at]), search.groups)
    return Score(mean, low, high, int((scores > scores[at]).sum()) + 1, len(scores))


class Explorer(Live):
    """Checkboxes for the blocks, choices of target and probe, and the score of what is ticked.

    In a notebook it is alive; anywhere else it shows its picture.

    Args:
        searches: by target and probe.
        ticked: blocks that are ticked at first; all of them if not given.

    Attributes:
        target, probe: the drop-down lists.
        boxes: a checkbox a block, of the chosen target and probe.
        text: what is said about the ticked blocks, HTML.
    """

    def __init__(self, searches: Mapping[tuple[str, str], Search], ticked: Sequence[str] | None = None):
        import ipywidgets as w

        if not searches:
            raise AudiotlError("There is no search to look scores up in; run one first.")
        self.searches = dict(searches)
        first = next(iter(self.searches))
        self.target = w.Dropdown(options=list(dict.fromkeys(t for t, _ in self.searches)), value=first[0],
                                 description="target")
        self.probe = w.Dropdown(options=self._probes(first[0]), value=first[1], description="probe")
        self.boxes: dict[str, w.Checkbox] = {}
        self.row = w.HBox(layout=w.Layout(flex_flow="row wrap"))
        self.text, self.image = w.HTML(), w.Image(format="png", width=520)
        self.box = w.VBox([w.HBox([self.target, self.probe]), self.row, self.text, self.image])
        self._offer(ticked)
        self.target.observe(self._retarget, "value")
        self.probe.observe(self._again, "value")

    @property
    def search(self) -> Search:
        """The search of the chosen target and probe."""
        return self.searches[self.target.value, self.probe.value]

    def ticked(self) -> tuple[str, ...]:
        """Names of the ticked blocks."""
        return tuple(name for name, box in self.boxes.items() if box.value)

    def figure(self) -> plt.Figure:
        """All subsets by size, with the ticked one marked."""
        found, chosen = self.search, self.ticked()
        score = lookup(found, chosen)
        scores = found.scores("paper" if found.inner is None else "nested")
        return figures.choice(scores, np.array([len(s) for s in found.subsets]), found.position(chosen),
                              (score.ci_low, score.ci_high), f"{self.target.value}\n{_short(chosen)}")

    def words(self) -> str:
        """What is said about the ticked blocks, plain."""
        ticked = self.ticked()
        return f"{_short(ticked)}: {lookup(self.search, ticked)}" if ticked else "Tick a layer or more."

    def _probes(self, target: str) -> list[str]:
        return [probe for name, probe in self.searches if name == target]

    def _retarget(self, change) -> None:
        kept = self.probe.value
        self.probe.unobserve(self._again, "value")
        self.probe.options = self._probes(self.target.value)
        self.probe.value = kept if kept in self.probe.options else self.probe.options[0]
        self.probe.observe(self._again, "value")
        self._again()

    def _again(self, change=None) -> None:
        self._offer(self.ticked())

    def _offer(self, ticked: Sequence[str] | None) -> None:
        import ipywidgets as w

        names = self.search.names
        # Another network has other layers: where none of the ticked ones is there, all are.
        kept = [name for name in names if ticked is None or name in ticked] or list(names)
        self.boxes = {name: w.Checkbox(value=name in kept, description=name, indent=False,
                                       layout=w.Layout(width="auto", margin="0 1em 0 0")) for name in names}
        for box in self.boxes.values():
            box.observe(self._show, "value")
        self.row.children = tuple(self.boxes.values())
        self._show()

    def _show(self, change=None) -> None:
        # The words first: they are there before the picture is drawn.
        self._say()
        self._picture(bool(self.ticked()))


class CellExplorer(Live):
    """Drop-down lists for source and target of the matrix: the cell's score, its taps, and the two spectra.

    In a notebook it is alive; anywhere else it shows its picture. Everything comes from finished tables.

    Args:
        scores: ``source, draw, target, score, ci_low, ci_high``, a row a cell.
        layers: ``source, draw, target, layer, score, ci_low, ci_high``.
        spectra: ``{("source" | "target", name): (m, bands)}`` levels in dB.
        centres: centre frequency of each band in Hz.

    Attributes:
        source, target: the drop-down lists.
        text, image: what is said and shown of the cell.

    Raises:
        AudiotlError: there is no cell.
    """

    def __init__(self, scores: pd.DataFrame, layers: pd.DataFrame, spectra: Mapping[tuple[str, str], np.ndarray],
                 centres: np.ndarray):
        import ipywidgets as w

        if scores.empty:
            raise AudiotlError("There is no cell to show; score a source on a target first.")
        self.scores, self.layers, self.spectra, self.centres = scores, layers, dict(spectra), centres
        labels = [(f"{source}, {draw}", (source, draw)) for source, draw in
                  dict.fromkeys(zip(scores["source"], scores["draw"], strict=True))]
        self.source = w.Dropdown(options=labels, description="source")
        self.target = w.Dropdown(options=list(dict.fromkeys(scores["target"])), description="target")
        self.text, self.image = w.HTML(), w.Image(format="png", width=900)
        self.box = w.VBox([w.HBox([self.source, self.target]), self.text, self.image])
        for choice in (self.source, self.target):
            choice.observe(self._show, "value")
        self._show()

    def cell(self) -> pd.DataFrame:
        """The chosen cell's row, or none where a source is not scored on its own corpus."""
        return self._of(self.scores)

    def words(self) -> str:
        """What is said about the cell, plain."""
        (source, draw), target, found = self.source.value, self.target.value, self.cell()
        if found.empty:
            return f"{source} is not scored on {target}: that is its own corpus. Choose another pair."
        row = found.iloc[0]
        return (f"{source}, {draw} → {target}: {100 * row['score']:.1f} % ({100 * row['ci_low']:.1f} to "
                f"{100 * row['ci_high']:.1f})")

    def figure(self) -> plt.Figure:
        """The cell beside the other sources of its target, its taps, and the spectra of source and target."""
        found, source, target = self.cell(), self.source.value[0], self.target.value
        others = self.scores[(self.scores["target"] == target)].drop(found.index)
        shown = {f"{kind}: {name}": self.spectra[kind, name] for kind, name in (("source", source), ("target", target))
                 if (kind, name) in self.spectra}
        return matrix_figures.cell(pd.concat([found, others]), self._of(self.layers), shown, self.centres)

    def _of(self, table: pd.DataFrame) -> pd.DataFrame:
        source, draw = self.source.value
        return table[(table["source"] == source) & (table["draw"] == draw) & (table["target"] == self.target.value)]

    def _show(self, change=None) -> None:
        self._say()
        self._picture(not self.cell().empty)


class FractionSlider(Live):
    """Slide the share of the target's training clips: see what each way of training makes of it.

    It reads a finished table. In a notebook it is alive; anywhere else it shows its picture.

    Args:
        table: of `savings.means`.

    Attributes:
        case: the drop-down list of networks and targets.
        slider: chooses among the fractions that were run; it starts at the smallest.
        text, image: what is said, HTML, and the picture.
    """

    def __init__(self, table: pd.DataFrame):
        import ipywidgets as w

        if table.empty:
            raise AudiotlError("There is no finished curve to slide along; run a cell of the grid first.")
        self.table = table.assign(case=table["network"] + " on " + table["target"])
        cases = list(dict.fromkeys(self.table["case"]))
        self.case = w.Dropdown(options=cases, value=cases[0], description="case")
        self.slider = w.SelectionSlider(options=self._options(), description="clips")
        self.text, self.image = w.HTML(), w.Image(format="png", width=620)
        self.box = w.VBox([w.HBox([self.case, self.slider]), self.text, self.image])
        self.case.observe(self._offer, "value")
        self.slider.observe(self._show, "value")
        self._show()

    def rows(self) -> pd.DataFrame:
        """The table at the chosen case and fraction."""
        return self.table[(self.table["case"] == self.case.value) & (self.table["fraction"] == self.slider.value)]

    def figure(self) -> plt.Figure:
        """The curves of the chosen case with the chosen fraction marked."""
        return savings.curves(self.table[self.table["case"] == self.case.value], marked=self.slider.value)

    def words(self) -> str:
        """What each input and mode scores there, best first, plain."""
        best_first = self.rows().sort_values("score", ascending=False)
        return f"{100 * self.slider.value:g} % of the clips, {self.case.value}: " + "; ".join(
            f"{row.input}, {row.mode} {100 * row.score:.1f} % ({100 * row.ci_low:.1f} to {100 * row.ci_high:.1f})"
            for row in best_first.itertuples())

    def _options(self) -> list[tuple[str, float]]:
        here = self.table[self.table["case"] == self.case.value]
        return [(f"{100 * fraction:g} %", fraction) for fraction in sorted(set(here["fraction"]))]

    def _offer(self, change=None) -> None:
        kept, options = self.slider.value, self._options()
        self.slider.unobserve(self._show, "value")
        self.slider.options = options
        self.slider.value = kept if kept in dict(options).values() else options[0][1]
        self.slider.observe(self._show, "value")
        self._show()

    def _show(self, change=None) -> None:
        self._say()
        self._picture()


def _short(subset: Sequence[str], most: int = 8) -> str:
    return " + ".join(subset) if len(subset) <= most else f"{len(subset)} blocks"
