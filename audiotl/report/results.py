"""What a notebook leaves behind: tables as CSV, figures as PNG, and ``results.json`` with the finding.

Tables and figures come back as objects that JupyterLab, the HTML page and the Markdown report each show well.
"""

from __future__ import annotations

import base64
import html
import io
import json
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl import cache
from audiotl.features import Features


class Results:
    """Collects what one notebook found and writes it as it comes.

    Args:
        out: folder for the files; empty keeps everything in the notebook only.
        **about: facts for the report card (profile, data, seed, ...).

    ``results.json`` holds ``{finding, about, numbers, tables, figures, skipped}`` and is rewritten after every
    addition, so that a run which fails half-way keeps what it had.
    """

    def __init__(self, out: str | Path = "", **about: Any):
        self.out = Path(out) if out else None
        self.started = time.time()
        self.record: dict[str, Any] = {"finding": "", "about": about, "numbers": {}, "tables": {}, "figures": {},
                                       "skipped": {}}
        if self.out:
            self.out.mkdir(parents=True, exist_ok=True)
        self._write()

    def table(self, name: str, frame: pd.DataFrame, digits: int | None = 6, show: int = 20) -> Table:
        """Keep a table as ``NAME.csv`` (``NAME`` may end in ``.csv.gz``) and show its first `show` rows."""
        file = name if name.endswith((".csv", ".csv.gz")) else f"{name}.csv"
        if self.out:
            frame.to_csv(self.out / file, index=False, float_format=None if digits is None else f"%.{digits}g")
        self.record["tables"][name] = {"file": file, "rows": len(frame), "columns": list(map(str, frame.columns))}
        self._write()
        return Table(frame, file if self.out else "", show)

    def figure(self, name: str, figure: plt.Figure, alt: str) -> Picture:
        """Keep a figure as ``NAME.png`` with a text for those who cannot see it, and show it."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
        plt.close(figure)
        if self.out:
            (self.out / f"{name}.png").write_bytes(buffer.getvalue())
        self.record["figures"][name] = {"file": f"{name}.png", "alt": alt}
        self._write()
        return Picture(buffer.getvalue(), f"{name}.png", alt)

    def number(self, name: str, value: float) -> float:
        """Keep one number that the text quotes."""
        self.record["numbers"][name] = float(value)
        self._write()
        return value

    def skipped(self, *sounds: Features) -> None:
        """Keep which clips could not be used, and why."""
        for sound in sounds:
            if sound.skipped:
                self.record["skipped"][sound.corpus.name] = [{"path": Path(path).name, "cause": cause}
                                                             for path, cause in sound.skipped]
        self._write()

    def finding(self, sentence: str) -> str:
        """Keep the notebook's one-sentence answer, shown on its card."""
        self.record["finding"] = sentence
        self._write()
        return sentence

    def _write(self) -> None:
        self.record["seconds"] = round(time.time() - self.started, 1)
        if self.out:
            with cache.writing(self.out / "results.json") as file:
                file.write_text(json.dumps(self.record, indent=1, default=_plain) + "\n")


class Table:
    """A data frame as HTML in a notebook and as a Markdown table in a report.

    Args:
        frame: what to show.
        file: the CSV that holds all of it, named under a shortened table.
        show: rows shown at most.
    """

    def __init__(self, frame: pd.DataFrame, file: str = "", show: int = 20):
        self.frame, self.file, self.show = frame, file, show

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        head = [str(column) for column in self.frame.columns]
        return head, [[_cell(v) for v in row] for row in self.frame.head(self.show).itertuples(index=False)]

    def _rest(self) -> str:
        left = len(self.frame) - self.show
        if not self.show:
            return f"{left} rows in {self.file or 'the table'}."
        return f"... and {left} more rows{f' in {self.file}' if self.file else ''}." if left > 0 else ""

    def _repr_markdown_(self) -> str:
        if not self.show:
            return self._rest()
        head, rows = self._cells()
        lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
        return "\n".join(lines) + (f"\n\n{self._rest()}" if self._rest() else "")

    def _repr_html_(self) -> str:
        if not self.show:
            return f"<p><small>{self._rest()}</small></p>"
        head, rows = self._cells()
        mark = lambda tag, row: "<tr>" + "".join(f"<{tag}>{html.escape(v)}</{tag}>" for v in row) + "</tr>"  # noqa: E731
        body = "".join(mark("td", row) for row in rows)
        rest = f"<p><small>{self._rest()}</small></p>" if self._rest() else ""
        return f'<table class="table"><thead>{mark("th", head)}</thead><tbody>{body}</tbody></table>{rest}'


class Picture:
    """A PNG that carries its file name and its text alternative into every export."""

    def __init__(self, png: bytes, file: str, alt: str):
        self.png, self.file, self.alt = png, file, alt

    def _repr_mimebundle_(self, include=None, exclude=None):
        return ({"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt},
                {"image/png": {"alt": self.alt, "file": self.file}})


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value).replace("|", "\\|")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
