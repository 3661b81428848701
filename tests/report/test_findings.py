import pandas as pd
import pytest

from audiotl import AudiotlError
from audiotl.report import findings


@pytest.fixture
def chapter(tmp_path):
    frame = pd.DataFrame({"subset": ["0", "01"], "score": [0.25, 0.5]})
    frame.to_csv(tmp_path / "scores.csv", index=False)
    frame.to_csv(tmp_path / "all.csv.gz", index=False)

    def write(text):
        (tmp_path / findings.FILE).write_text(text)
        return tmp_path

    return write


def test_values_and_conditions_come_from_the_tables(chapter):
    folder = chapter("""{{ pct(scores.score.max()) }} of {{ len(all) }}.

Two layers gain {{ points(scores.score[1] - scores.score[0]) }} over {{ scores.subset[0] }},
{{ row(scores, subset="01").score }}, {{ len(rows(all, subset="0", score=0.5)) }},
{{ interval(row(scores, score=.5).rename({"score": "difference"}).reindex(
["difference", "ci_low", "ci_high"], fill_value=0.01)) }},
<!-- if: (scores.set_index("subset").score["01"]
          > 0.3) --> {{ all.score.mean() }}, {{ best(2) }}.
<!-- define: best = lambda times: times * scores.score.max() -->
""")
    text = findings.render(folder)
    assert findings.answer(folder) == text.splitlines()[0] == "50.0 % of 2."
    assert "+25.0 over 0,\n0.5, 0,\n+50.0 [+1.0, +1.0]," in text
    assert text.endswith("0.375, 1.") and "if:" not in text


@pytest.mark.parametrize("text", [
    "Fine.<!-- if: len(scores) == 2 --> The culprit.<!-- if: scores.score.max() > 0.9 -->",
    "Fine. The culprit {{ scores.nothing }}.", "The culprit.<!-- if: nowhere.empty -->",
    "<!-- define: culprit = -->", "The culprit.<!-- if: row(scores, score=1) is None -->"])
def test_a_sentence_that_no_longer_holds_is_named_with_its_file(chapter, text):
    folder = chapter(text)
    with pytest.raises(AudiotlError, match="culprit|scores.nothing") as caught:
        findings.render(folder)
    assert f"{folder.name}/{findings.FILE}" in str(caught.value)
    assert "Fine." not in str(caught.value)


def test_a_chapter_without_findings_says_nothing(tmp_path):
    assert findings.render(tmp_path) == findings.answer(tmp_path) == ""
