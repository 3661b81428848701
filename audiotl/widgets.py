"""The live moments in JupyterLab: choose a clip, an epoch or a coefficient, see what it gives, and hear it."""

from __future__ import annotations

import base64
import functools
import html
import io
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from audiotl import AudiotlError


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


class Viewer(Live):
    """Choose values on sliders and lists: see what they give, and hear it.

    In a notebook it is alive; anywhere else it shows its picture.

    Args:
        draw: figure for one value of each choice, in their order.
        choices: per name what can be chosen. A ``range`` and a list of numbers become sliders, which start in the
            middle; anything else a drop-down list, which starts at its first.
        hear: samples for the same values, ``(n,)``; asked for once a combination. Without it nothing is played.
        sample_rate: of the sound, in Hz.

    Attributes:
        controls: the slider or list of each choice, by name.
        image, player: the picture, and the sound as HTML.

    Raises:
        AudiotlError: nothing can be chosen.
    """

    def __init__(self, draw: Callable[..., plt.Figure], choices: Mapping[str, Sequence],
                 hear: Callable[..., np.ndarray] | None = None, sample_rate: int = 16_000):
        import ipywidgets as w

        if not choices or not all(len(values) for values in choices.values()):
            raise AudiotlError("There is nothing to choose; give each choice a value or more.")
        self._draw, self._hear, self._rate = draw, hear and functools.cache(hear), sample_rate
        self.controls = {name: _control(name, values) for name, values in choices.items()}
        self.image, self.player = w.Image(format="png", width=620), w.HTML()
        self.box = w.VBox([w.HBox([*self.controls.values()]), self.image, self.player])
        for control in self.controls.values():
            control.observe(self._show, "value")
        self._show()

    def chosen(self) -> tuple:
        """The values that are chosen now."""
        return tuple(control.value for control in self.controls.values())

    def figure(self) -> plt.Figure:
        """The picture of what is chosen."""
        return self._draw(*self.chosen())

    def words(self) -> str:
        """What is chosen, plain."""
        return ", ".join(f"{name} {value}" for name, value in zip(self.controls, self.chosen(), strict=True))

    def _show(self, change=None) -> None:
        from IPython.display import Audio

        # The picture first: it is there before the sound is made.
        self._picture()
        if self._hear:
            self.player.value = Audio(self._hear(*self.chosen()), rate=self._rate)._repr_html_()


def _control(name: str, values: Sequence):
    import ipywidgets as w

    middle = values[len(values) // 2]
    if isinstance(values, range):
        return w.IntSlider(middle, values[0], values[-1], values.step, description=name, continuous_update=False)
    if all(isinstance(value, (int, float)) for value in values):
        return w.SelectionSlider(options=list(values), value=middle, description=name, continuous_update=False)
    return w.Dropdown(options=list(values), value=values[0], description=name)


def alive() -> bool:
    """Whether a notebook's kernel is there to answer clicks."""
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
