"""What a notebook leaves: tables as CSV, figures as PNG, and ``results.json`` that lists them.

Tables and figures come back as what JupyterLab, the page and the Markdown report show well.
"""

import base64
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl import cache
from audiotl.features import Features
from audiotl.plots.style import headline, picture
from audiotl.report import claims, findings

FOLDER = "AUDIOTL_REPORTS"
"""Environment variable with the folder of all reports; without it ``../reports/lab``."""


class Results:
    """Collects what one notebook found and writes it as it comes.

    Args:
        name: of the notebook; its files go into the folder of that name (see `FOLDER`).

    ``results.json`` holds ``{tables, figures, corpora, skipped, synthetic}`` and is
    rewritten after every addition, so that a run which fails half-way keeps what it had.
    ``core_seconds`` is what it takes from nothing: of this process, and of what it found cached.
    """

    def __init__(self, name: str):
        self.folder = Path(os.environ.get(FOLDER) or "../reports/lab") / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.verdicts: list[pd.DataFrame] = []
        self.record: dict[str, Any] = {"tables": {}, "figures": {}, "corpora": {}, "skipped": {},
                                       "synthetic": False}
        self._write()

    def table(self, name: str, frame: pd.DataFrame, digits: int | None = 6,
              show: int | pd.DataFrame = 20) -> "Table":
        """Keep a table as ``NAME.csv`` (or ``NAME.csv.gz``) and show some of it.

        Args:
            digits: significant ones of numbers in the file; None for all.
            show: how many of the first rows, or the rows and columns to show.
        """
        file = name if name.endswith((".csv", ".csv.gz")) else f"{name}.csv"
        form = None if digits is None else f"%.{digits}g"
        frame.to_csv(self.folder / file, index=False, float_format=form)
        columns = list(map(str, frame.columns))
        self._add("tables", name, {"file": file, "rows": len(frame), "columns": columns})
        if isinstance(show, pd.DataFrame):
            columns = [name for name in frame if name in show]
            return Table(frame.loc[show.index, columns], file, len(frame))
        return Table(frame.head(show), file, len(frame))

    def figure(self, name: str, figure: plt.Figure, alt: str, title: str = "") -> "Picture":
        """Keep a figure as ``NAME.png`` and show it.

        Args:
            alt: what it shows, for those who cannot see it, and as its caption.
            title: what one finds there, set above the figure and before `alt`.
        """
        if title:
            headline(figure, title)
            alt = f"{title} — {alt}"
        png, file = picture(figure), f"{name}.png"
        (self.folder / file).write_bytes(png)
        self._add("figures", name, {"file": file, "alt": alt})
        return Picture(png, file, alt)

    def claim(self, number: int, comparisons: pd.DataFrame, table: str,
              statement: str = "") -> "Table":
        """Decide a claim by comparisons (see `claims.rows`); the rows go to ``verdicts.csv``."""
        said = claims.written()[number]
        found = claims.rows(number, said, comparisons, self.folder.name, table, statement)
        self.verdicts.append(found)
        pd.concat(self.verdicts).to_csv(self.folder / claims.VERDICTS, index=False,
                                        float_format="%.6g")
        shown = found[["statement", "estimate", "ci_low", "ci_high", "p_holm", "verdict"]]
        return Table(shown.head(30), claims.VERDICTS, len(shown))

    def corpora(self, *features: Features) -> "Table":
        """Keep and show what was heard: clips, classes, groups, and what could not be used."""
        for one in features:
            corpus = one.corpus
            if one.skipped:
                self.record["skipped"][corpus.name] = [{"path": Path(path).name, "cause": cause}
                                                       for path, cause in one.skipped]
            self.record["synthetic"] |= corpus.synthetic
            self._add("corpora", corpus.title, {
                "corpus": corpus.title, "clips": len(corpus), "classes": len(corpus.classes),
                "groups": int(corpus.clips["group"].nunique()), "seconds": corpus.duration,
                "could not be used": len(one.skipped),
                "synthetic": "yes" if corpus.synthetic else "no"})
        titles = dict.fromkeys(one.corpus.title for one in features)
        return Table(pd.DataFrame([self.record["corpora"][title] for title in titles]))

    def on_recordings(self) -> findings.Box:
        """What was found on recordings, with the numbers of this folder, or of the committed one.

        Where this folder is not the one that holds ``findings.md``, it is the marked first line.
        """
        own = (self.folder / findings.FILE).is_file()
        committed = Path("../reports/real") / self.folder.name
        return findings.Box(self.folder if own else committed, own)

    def _add(self, kind: str, name: str, value: Any) -> None:
        self.record[kind][name] = value
        self._write()

    def _write(self) -> None:
        self.record["core_seconds"] = round(time.process_time() + cache.spared(), 1)
        with cache.writing(self.folder / "results.json") as file:
            file.write_text(json.dumps(self.record, indent=1, default=str) + "\n")


class Table:
    """A data frame as HTML in a notebook and as a Markdown table in a report.

    Args:
        frame: the rows to show.
        file, rows: the CSV that holds all, and how many; named below where some are left out.
    """

    def __init__(self, frame: pd.DataFrame, file: str = "", rows: int = 0):
        self.frame, left = frame, rows - len(frame)
        others = f"... and {left} more" if len(frame) else f"{left}"
        self.rest = f"{others} rows in {file}" if left > 0 else ""

    def _repr_markdown_(self) -> str:
        if self.rest and not len(self.frame):
            return self.rest
        cells = self.frame.map(_cell)
        rows = [list(map(str, cells.columns)), ["---"] * len(cells.columns), *cells.to_numpy()]
        lines = ["| " + " | ".join(map(_plain, row)) + " |" for row in rows]
        return "\n".join(lines) + (f"\n\n{self.rest}" if self.rest else "")

    def _repr_html_(self) -> str:
        rest = f"<p><small>{self.rest}</small></p>" if self.rest else ""
        shown = self.frame.map(_cell).to_html(index=False, border=0) if len(self.frame) else ""
        return shown + rest


class Picture:
    """A PNG that carries its file name and its text alternative into every export."""

    def __init__(self, png: bytes, file: str, alt: str):
        self.png, self.file, self.alt = png, file, alt

    def _repr_mimebundle_(self, include=None, exclude=None):
        dots = int.from_bytes(self.png[16:20], "big")  # a row, two for each that is shown
        return ({"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt},
                {"image/png": {"alt": self.alt, "file": self.file, "width": dots // 2}})


def _plain(text: str) -> str:
    # Text of a cell as Markdown that shows it and does nothing else: labels come from anywhere.
    text = re.sub(r"([|`$\[\]])", r"\\\1", " ".join(text.splitlines()))
    return text.replace("<", "&lt;")


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return ""
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)
