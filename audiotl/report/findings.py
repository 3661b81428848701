"""Sentences by a person about a chapter, their numbers and their conditions taken from its tables.

In ``findings.md``, ``{{ expression }}`` stands for a value and ``<!-- if: expression -->`` after a
sentence for what must hold. Expressions see every CSV table of the folder as a DataFrame of its
name, those of chapters in it as ``ch02_scores``, ``pd``, ``np``, the first functions here, and what
``<!-- define: statements -->`` names. The first line is the chapter's answer.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from audiotl import AudiotlError

FILE = "findings.md"
VALUE = re.compile(r"\{\{(.+?)\}\}", re.S)
DEFINITIONS = re.compile(r"<!--\s*define:(.+?)-->\s*", re.S)
CONDITION = re.compile(r"\s*<!--\s*if:(.+?)-->", re.S)


def pct(share: float, digits: int = 1) -> str:
    """A share in per cent."""
    return f"{100 * share:.{digits}f} %"


def points(difference: float, digits: int = 1) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * difference:+.{digits}f}"


def interval(row: pd.Series) -> str:
    """The difference in a row of `stats.compare` and its interval, in points."""
    return f"{points(row.difference)} [{points(row.ci_low)}, {points(row.ci_high)}]"


def rows(table: pd.DataFrame, **where) -> pd.DataFrame:
    """The rows of a table with these values in these columns."""
    for column, value in where.items():
        table = table[table[column] == value]
    return table


def row(table: pd.DataFrame, **where) -> pd.Series:
    """The one row with these values."""
    found = rows(table, **where)
    if len(found) != 1:
        raise AudiotlError(f"{len(found)} rows of {where}")
    return found.iloc[0]



def render(folder: Path) -> str:
    """The findings in the folder of a chapter as Markdown, or nothing if it has none.

    Raises:
        AudiotlError: a condition does not hold, or something cannot be evaluated.
    """
    path = folder / FILE
    if not path.is_file():
        return ""
    text = path.read_text(encoding="utf-8")
    where = Path(folder.name) / FILE
    known = {one.__name__: one for one in (pct, points, interval, rows, row)}
    known |= {"pd": pd, "np": np} | _tables(folder, text)
    for found in DEFINITIONS.finditer(text):
        _value(found[1], known, where, "all sentences", exec)
    text, said = DEFINITIONS.sub("", text), 0
    for found in CONDITION.finditer(text):
        sentence = " ".join(text[said:found.start()].split())
        said = found.end()
        if not _value(found[1], known, where, sentence):
            raise AudiotlError(f"{where}: {found[1].strip()!r} does not hold, so this can no "
                               f"longer be said: {sentence}")
    return VALUE.sub(lambda found: _shown(_value(found[1], known, where, found[0])),
                     CONDITION.sub("", text)).strip()


def answer(folder: Path) -> str:
    """The first line of a chapter's findings, or nothing."""
    return render(folder).split("\n")[0]


class Box:
    """Findings in a notebook: all of them, or their first line in a marked box.

    Args:
        folder: of the chapter's report.
        own: whether the notebook's results go into that folder. Its tables are not there yet, so
            that `chapters` fills the box once they are.
    """

    def __init__(self, folder: Path, own: bool = False):
        self.folder, self.own = folder, own

    def _repr_mimebundle_(self, include=None, exclude=None):
        try:
            line = "" if self.own else answer(self.folder)
        except AudiotlError:  # a test names it; a run on other data goes on
            line = ""
        text = f"> **On recordings we found:** {line}" if line else ""
        return {"text/markdown": text, "text/plain": line}, {"findings": self.own}


def _tables(folder: Path, text: str) -> dict[str, pd.DataFrame]:
    paths = {path.name.split(".")[0]: path for path in folder.glob("*.csv*")}
    paths |= {f"ch{path.parent.name[:2]}_{path.name.split('.')[0]}": path
              for path in folder.glob("[0-9][0-9]_*/*.csv*")}
    return {name: pd.read_csv(path, dtype={"subset": str, "features": str})
            for name, path in paths.items() if re.search(rf"\b{re.escape(name)}\b", text)}


def _value(expression: str, known: dict, where: Path, sentence: str, run: Callable = eval):
    code = " ".join(expression.split()) if run is eval else expression.strip()
    try:
        return run(code, known)
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        raise AudiotlError(f"{where}: {expression.strip()!r} cannot be evaluated ({cause}); it "
                           f"belongs to: {sentence}") from error


def _shown(value) -> str:
    if isinstance(value, bool | np.bool_ | str):
        return str(value)
    return f"{value:,.4g}" if isinstance(value, float | np.floating) else f"{value:,}"
