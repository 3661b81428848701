"""Every answer of the study as a row: what was said, what is found, and the verdict of one rule.

The claims were written down before the runs, in ``claims.yaml`` beside the notebooks. A chapter
leaves ``verdicts.csv`` in its folder, and the reports of a run together one ``claims.csv``.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import yaml

from audiotl import AudiotlError, cache, stats

COLUMNS = ("claim", "said_by", "statement", "chapter", "table", "estimate", "unit", "ci_low",
           "ci_high", "p_holm", "groups", "seeds", "margin", "verdict")
VERDICTS = "verdicts.csv"
CLAIMS = "claims.csv"


def written(folder: Path = Path()) -> dict[int, dict]:
    """The claims by number: ``said_by, statement, rule, margin, unit`` of each."""
    return yaml.safe_load((folder / "claims.yaml").read_text(encoding="utf-8"))


def rows(claim: int, said: dict, comparisons: pd.DataFrame, chapter: str, table: str,
         statement: str = "") -> pd.DataFrame:
    """A row of `COLUMNS` for each comparison, all of one family.

    Args:
        said: of the claim, see `written`.
        comparisons: rows of `stats.compare`, and ``case``: what was compared where; a column
            ``unit`` where it is not the claim's.
        table: the chapter's CSV in which the comparisons stand.
        statement: in place of the claim's own, where it has parts.
    """
    verdicts = stats.decide(comparisons, said["rule"], said["margin"])
    out = pd.DataFrame({
        "statement": [f"{statement or said['statement']}: {case}" for case in comparisons["case"]],
        "estimate": comparisons["difference"].to_numpy(),
        "unit": comparisons.get("unit", said.get("unit", "share right")),
        "p_holm": stats.holm(comparisons["p"]), "verdict": verdicts.to_numpy()})
    for name in ("ci_low", "ci_high", "groups", "seeds"):
        out[name] = comparisons[name].to_numpy()
    out = out.assign(claim=claim, said_by=said["said_by"], chapter=chapter, table=table,
                     margin=said["margin"])
    return out[list(COLUMNS)]


def join(out: Path) -> pd.DataFrame | None:
    """All verdicts of the reports in `out` as ``claims.csv``, or None where there are none."""
    parts = [pd.read_csv(path) for path in sorted(out.glob(f"[0-9][0-9]_*/{VERDICTS}"))]
    if not parts:
        return None
    table = pd.concat(parts, ignore_index=True).sort_values("claim", kind="stable")
    with cache.writing(out / CLAIMS) as file:
        table.to_csv(file, index=False)
    return table


def check(table: pd.DataFrame, written: dict[int, dict]) -> None:
    """Each verdict follows from its own row.

    Raises:
        AudiotlError: one does not, or its claim was not written down.
    """
    for row in table.itertuples():
        if row.claim not in written:
            raise AudiotlError(f"Claim {row.claim} of {row.chapter} is not in claims.yaml; write "
                               "it down before it is decided.")
        said = written[row.claim]
        one = pd.DataFrame([{"difference": row.estimate, "ci_low": row.ci_low,
                             "ci_high": row.ci_high, "p": row.p_holm, "groups": row.groups}])
        if stats.decide(one, said["rule"], said["margin"]).iloc[0] != row.verdict:
            raise AudiotlError(f"The verdict {row.verdict!r} on {row.statement!r} does not follow "
                               "from its row; run the chapter again.")
