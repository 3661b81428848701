"""Tables of a page, made for people and for a phone."""

import itertools
import re

from audiotl.plots.style import TITLES

ROWS = 8  # rows of a table that a page shows
MEASURED = ("score", "difference", "estimate", "value", "validation")
SHARES = re.compile("(source_)?score|((all|kept)_)?(ci_)?(low|high)|kept|all|last|(.*_)?best|value|"
                    "random|mfcc|both, mfcc|mfcc, mfcc|network, none|matched|smallest|published|"
                    "reproduced|difference|estimate|change|optimism|flatters|median|(low|high)est|"
                    "validation(_longer)?|from scratch|fine-tuned|coverage|index|all five|"
                    "last layer|level|accuracy")
"""Columns of shares, shown in % and points as the prose says them, but where a table has OTHERS."""
OTHERS = re.compile(r"\bnats\b|\bAUC\b|\btau\b|\| against \| case|add more together than apart")
HEADS = {"ci_low": "from", "ci_high": "to"}

TABLE = re.compile(r"^\|.*\n\| ?---.*\n(?:\|.*(?:\n|\Z))*", re.M)
REST = re.compile(r"^(?:\.\.\. and )?[\d,]+ (?:more )?rows in (?P<file>\S+?)\.?$", re.M)
SHOWN = re.compile(rf"(?P<table>{TABLE.pattern})(?:\n*{REST.pattern}\n?)?", re.M)


def shorten(text: str, known: list[dict]) -> str:
    """Markdown whose tables are short: a few rows, short numbers and names, what tells rows apart
    first, and a link to the file that holds all. What is the same in all rows is said once, below.

    Args:
        known: the tables of a chapter, ``{file, rows, columns}``, in the order in which they come;
            those that are met are taken out.
    """
    def short(found: re.Match) -> str:
        head, columns, shares = _columns(found["table"])
        fits = [one for one in known if one["columns"] == head]
        file = found["file"]
        if fits and not file:
            known.remove(fits[0])
            file = fits[0]["file"]
        shown, same = _telling(dict(zip(head, columns, strict=True)))
        right = [bool(column) and all(map(_is_number, column)) for column in shown.values()]
        lines = [[HEADS.get(name, name) for name in shown],
                 ["---:" if number else "---" for number in right],
                 *zip(*shown.values(), strict=True)]
        same = ", ".join(f"{name} {value}" for name, value in same.items() if value != "no")
        below = [f"All rows: [{file}]({file})"] if file else []
        below += [f"In all rows above: {same}"] if same else []
        below += ["Scores in %, differences in points"] if shares else []
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return table + ("\n\n" + ". ".join(below) + "." if below else "") + "\n"

    return REST.sub(r"All rows: [\g<file>](\g<file>)", SHOWN.sub(short, text))


def _columns(table: str) -> tuple[list[str], list[list[str]], bool]:
    # Heads and the first rows of a Markdown table, and whether shares were made per cents.
    head, _, *rows = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                      for line in table.strip().splitlines())
    columns = [[row[i] for row in rows[:ROWS]] for i in range(len(head))]
    shares = [SHARES.fullmatch(name) is not None and _is_share(column) and not OTHERS.search(table)
              for name, column in zip(head, columns, strict=True)]
    texts = [[f"{100 * float(cell):.1f}" if share and cell else _short(cell) for cell in column]
             for column, share in zip(columns, shares, strict=True)]
    return head, texts, any(shares)


def _telling(columns: dict[str, list[str]]) -> tuple[dict[str, list[str]], dict[str, str]]:
    # The columns that tell rows apart, and what is the same in all rows.
    parts = [cell.partition(": ") for cell in columns.get("statement", [])]
    if len({said for said, *_ in parts}) == 1:
        split = {"statement": [said for said, *_ in parts], "case": [case for *_, case in parts]}
        columns = split | {name: columns[name] for name in columns if name != "statement"}
    elif {"source", "target"} & set(columns):
        columns = {name: column for name, column in columns.items() if name != "case"}
    same = {name: column[0] for name, column in columns.items() if len(columns) > 3
            and len(column) > 1 and len(set(column)) == 1 and not _is_number(column[0])}
    return _narrow({name: column for name, column in columns.items() if name not in same}), same


def _narrow(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    # For a phone: what tells rows apart as one column, then what was measured, then the rest.
    numbers = [name for name, column in columns.items() if all(map(_is_number, column))]
    words = list(itertools.takewhile(lambda name: name not in numbers, columns))
    words = words or list(columns)[:1]
    rows = zip(*(columns[name] for name in words), strict=True)
    label = {", ".join(words): [", ".join(filter(None, row)) for row in rows]}
    order = sorted(columns, key=lambda name: name not in MEASURED)
    return label | {name: columns[name] for name in order if name not in words}


def _is_share(column: list[str]) -> bool:
    return (all(map(_is_number, column)) and any("." in cell for cell in column)
            and all(abs(float(cell.replace(",", ""))) <= 1 for cell in column if cell))


def _is_number(cell: str) -> bool:
    return not cell or re.fullmatch(r"-?[\d,]+(\.\d+)?(e-?\d+)?", cell) is not None


def _short(cell: str) -> str:
    number = re.fullmatch(r"-?\d{1,2}\.\d+|\d\.\d+(e-\d+)", cell)
    if number:
        return f"{float(cell):.0e}" if number[1] else f"{float(cell):#.3g}"
    return TITLES.get(cell, cell)
