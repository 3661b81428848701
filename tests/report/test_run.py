"""The notebooks run headless, all of them; broken ones leave a red card and do not stop the others."""

import json
import os
import re
import time

import pandas as pd
from conftest import ROOT, write_clip

from audiotl.__main__ import main
from audiotl.report.run import Run, run

GOOD = '''# %% [markdown]
# # A small chapter

# %% tags=["parameters"]
profile = "quick"
out = ""
level = 1

# %%
import matplotlib.pyplot as plt
import pandas as pd

from audiotl.report.results import Results

results = Results(out, profile=profile)
results.table("numbers", pd.DataFrame({"level": [level]}))

# %%
figure, axis = plt.subplots()
results.figure("cover", figure, "An empty plot.")

# %%
results.finding(f"The level is {level}.")
'''
BAD = GOOD.replace('results.finding(f"The level is {level}.")', 'raise ValueError("the chapter broke")')


def test_the_whole_study_in_the_smoke_profile(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    started = time.time()
    assert main(["report", "--profile", "smoke", "--out", str(tmp_path)]) == 0
    seconds = time.time() - started
    sources = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.py"))
    index = (tmp_path / "index.html").read_text()
    for stem in sources:
        folder = tmp_path / stem
        record = json.loads((folder / "results.json").read_text())
        assert record["finding"] and f"{stem}/{stem}.html" in index
        page, text = (folder / f"{stem}.html").read_text(), (folder / "report.md").read_text()
        assert "What we learnt" in page and "<details>" in page
        assert not re.search(r'(src|href)="https?://', page), "the page needs a network"
        for figure in record["figures"].values():
            assert (folder / figure["file"]).stat().st_size > 2000 and figure["alt"] and f"]({figure['file']})" in text
        for table in record["tables"].values():
            assert len(pd.read_csv(folder / table["file"])) == table["rows"]
        assert "synthetic" in text.lower()
        for written in (text, json.dumps(record), (folder / "card.json").read_text()):
            assert str(tmp_path) not in written and str(ROOT) not in written
    combinations = pd.read_csv(tmp_path / "02_layer_combinations" / "combinations.csv")
    assert list(combinations) == ["source", "target", "subset", "probe", "protocol", "score", "ci_low", "ci_high"]
    assert (combinations.groupby(["source", "target", "probe", "protocol"]).size().drop("mfcc") == 31).all()
    assert seconds < 300 * max(1, os.getloadavg()[0] / 2), f"the smoke profile took {seconds:.0f} s"


def test_ones_own_folder_of_sounds(class_folders, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    out = tmp_path / "out"
    assert main(["report", "--profile", "smoke", "--only", "02", "--data", str(class_folders), "-p", "target",
                 "folder", "-p", "sources", "environment", "--out", str(out)]) == 0
    record = json.loads((out / "02_layer_combinations" / "results.json").read_text())
    assert [row["path"] for row in record["skipped"]["folder"]] == ["broken.wav"]
    best = pd.read_csv(out / "02_layer_combinations" / "summary.csv")["all"].max()
    assert best > 0.9
    assert "1 clips could not be used" in (out / "index.html").read_text()


def test_a_broken_notebook_leaves_a_red_card_and_the_others_run_on(tmp_path):
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "00_bad.py").write_text(BAD)
    (notebooks / "01_good.py").write_text(GOOD)
    assert run(Run(notebooks, tmp_path / "out", parameters={"level": 7})) == 1
    index = (tmp_path / "out" / "index.html").read_text()
    assert 'class="card bad"' in index and "the chapter broke" in index and "The level is 7." in index
    assert "An empty plot." in (tmp_path / "out" / "00_bad" / "report.md").read_text()
    assert "**This step failed:**" in (tmp_path / "out" / "00_bad" / "report.md").read_text()


def test_resume_keeps_what_is_done_and_runs_what_is_not(tmp_path, capsys):
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "00_good.py").write_text(GOOD)
    (notebooks / "01_bad.py").write_text(BAD)
    assert run(Run(notebooks, tmp_path / "out")) == 1
    (notebooks / "01_bad.py").write_text(GOOD.replace("small", "mended"))
    capsys.readouterr()
    assert run(Run(notebooks, tmp_path / "out", resume=True)) == 0
    assert capsys.readouterr().out.count("kept") == 1
    assert run(Run(notebooks, tmp_path / "out", resume=True, parameters={"level": 2})) == 0
    assert capsys.readouterr().out.count("kept") == 0


def test_a_clip_needs_no_class_of_its_own_to_be_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    write_clip(tmp_path / "one" / "a.wav")
    assert main(["report", "--profile", "smoke", "--only", "02", "--data", str(tmp_path), "-p", "targets", "folder",
                 "--out", str(tmp_path / "out")]) == 1
    assert "class folders" in (tmp_path / "out" / "index.html").read_text()
