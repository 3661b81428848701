"""Every answer of the study as a row: what was said, what is found, and the verdict of one rule.

The claims were written down before the runs, in ``claims.yaml`` beside the notebooks. A chapter
leaves ``verdicts.csv`` in its folder, and the reports of a run together one ``claims.csv``.
"""

from pathlib import Path

import pandas as pd
import yaml

from audiotl import cache, stats

COLUMNS = ("claim", "said_by", "statement", "chapter", "table", "estimate", "unit", "ci_low",
           "ci_high", "p_holm", "groups", "seeds", "margin", "verdict")
VERDICTS = "verdicts.csv"
CLAIMS = "claims.csv"
PAGE = "claims.md"
OUTCOMES = ("holds", "does not hold", "equivalent", "cannot tell")


def written(folder: Path = Path()) -> dict[int, dict]:
    """The claims by number: ``said_by, statement, rule, margin, unit`` of each."""
    return yaml.safe_load((folder / "claims.yaml").read_text(encoding="utf-8"))


def rows(claim: int, said: dict, comparisons: pd.DataFrame, chapter: str, table: str,
         statement: str = "") -> pd.DataFrame:
    """A row of `COLUMNS` for each comparison, all of one family.

    Args:
        said: of the claim, see `written`.
        comparisons: rows of `stats.compare`, and ``case``: what was compared where; columns
            ``unit``, ``said_by`` and ``statement`` where they are not the claim's.
        table: the chapter's CSV in which the comparisons stand.
        statement: in place of the claim's own, where it has parts.
    """
    stated = comparisons.get("statement", statement or said["statement"])
    found = comparisons.assign(
        claim=claim, said_by=comparisons.get("said_by", said["said_by"]),
        statement=stated + ": " + comparisons["case"], chapter=chapter, table=table,
        estimate=comparisons["difference"], p_holm=stats.holm(comparisons["p"]),
        unit=comparisons.get("unit", said.get("unit", "share right")), margin=said["margin"],
        verdict=stats.decide(comparisons, said["rule"], said["margin"]).to_numpy())
    return found[list(COLUMNS)]


def join(out: Path) -> pd.DataFrame | None:
    """All verdicts of the reports in `out`, if any, as ``claims.csv``; their `summary` beside."""
    parts = [pd.read_csv(path) for path in sorted(out.glob(f"[0-9][0-9]_*/{VERDICTS}"))]
    if not parts:
        return None
    table = pd.concat(parts, ignore_index=True).sort_values("claim", kind="stable")
    with cache.writing(out / CLAIMS) as file:
        table.to_csv(file, index=False)
    short = summary(table)
    lines = [short.columns, ["---"] * short.shape[1], *short.to_numpy()]
    page = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    with cache.writing(out / PAGE) as file:
        file.write_text(f"# Claims\n\n{page}\n\nAll rows: [{CLAIMS}]({CLAIMS})\n")
    return table


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row a statement: cases, median and range (of shares in points), count of each verdict."""
    rows = []
    said = table["statement"].str.partition(": ")[0].rename("statement")
    for (claim, statement), part in table.groupby(["claim", said], sort=False):
        points = part["unit"].eq("share right").all()
        values = part["estimate"] * (100 if points else 1)
        rows.append({
            "claim": claim, "said by": part["said_by"].iloc[0], "what was said": statement,
            "cases": len(part), "in": "points" if points else ", ".join(part["unit"].unique()),
            "median": f"{values.median():+.2g}",
            "range": f"{values.min():+.2g} to {values.max():+.2g}"}
            | {outcome: int(part["verdict"].eq(outcome).sum()) for outcome in OUTCOMES})
    return pd.DataFrame(rows)
