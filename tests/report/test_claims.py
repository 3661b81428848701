import pandas as pd
from conftest import ROOT

from audiotl import stats
from audiotl.report import claims

REAL = ROOT / "reports" / "real"
WRITTEN = claims.written(ROOT / "notebooks")
COMPARED = pd.DataFrame({"case": ["A", "B"], "difference": [.05, .001], "ci_low": [.03, -.004],
                         "ci_high": [.07, .006], "p": [.001, .6], "groups": [40, 40],
                         "seeds": [5, 5]})


def test_a_chapter_s_verdicts_are_joined_and_hold_against_their_rows(tmp_path):
    for chapter, claim in (("02_two", 6), ("01_one", 1)):
        (tmp_path / chapter).mkdir()
        found = claims.rows(claim, WRITTEN[claim], COMPARED, chapter, "paired.csv")
        found.to_csv(tmp_path / chapter / claims.VERDICTS, index=False)
    claims.join(tmp_path)
    table = pd.read_csv(tmp_path / claims.CLAIMS)
    assert tuple(table.columns) == claims.COLUMNS and table["claim"].tolist() == [1, 1, 6, 6]
    assert table["verdict"].tolist() == ["holds", "equivalent"] * 2
    short = claims.summary(table)
    assert short["cases"].tolist() == [2, 2] and short["holds"].tolist() == [1, 1]
    assert short["range"].tolist() == ["+0.1 to +5"] * 2
    assert WRITTEN[6]["statement"] in (tmp_path / claims.PAGE).read_text()


def test_no_verdicts_no_table(tmp_path):
    assert claims.join(tmp_path) is None and not list(tmp_path.iterdir())


def test_the_committed_verdicts_follow_from_their_rows():
    table = pd.read_csv(REAL / claims.CLAIMS)
    for row in table.itertuples():
        one = pd.DataFrame([{"difference": row.estimate, "ci_low": row.ci_low,
                             "ci_high": row.ci_high, "p": row.p_holm, "groups": row.groups}])
        said = WRITTEN[row.claim]
        assert stats.decide(one, said["rule"], said["margin"]).tolist() == [row.verdict]
        assert (REAL / row.chapter / row.table).is_file()
