"""The notebooks run headless; broken ones leave a red card and do not stop the others."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys

import nbformat
import pandas as pd
import pytest
from conftest import ROOT, write_clip

from audiotl import AudiotlError
from audiotl.__main__ import main
from audiotl.report import book
from audiotl.report.run import Run, plan, run

GOOD = '''# %% [markdown]
# # A small chapter

# %% tags=["parameters"]
data = "built-in"
targets = ["speech"]
level = 1

# %%
import sys

import matplotlib.pyplot as plt
import pandas as pd
from tqdm import tqdm

from audiotl import widgets
from audiotl.report.results import Results

results = Results("NAME")
results.on_recordings()

# %%
for i in tqdm(range(3), "a bar", delay=0, mininterval=0):
    print("row", i)
results.table("numbers", pd.DataFrame({"level": [level]}))

# %%
figure, axis = plt.subplots()
results.figure("cover", figure, "An empty plot.")

# %%
widgets.live(lambda n: plt.figure(figsize=(n, 1)), n=range(1, 4))
'''
LAST = "widgets.live(lambda n: plt.figure(figsize=(n, 1)), n=range(1, 4))\n"
BAD = GOOD.replace(LAST, 'raise ValueError("the chapter broke")\n')


@pytest.fixture
def notebooks(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()

    def write(**content):
        for name, text in content.items():
            (folder / f"{name[1:]}.py").write_text(text.replace("NAME", name[1:]))
        return folder

    return write


@pytest.fixture
def no_book(monkeypatch):
    """Runs end without a book, which costs some seconds each and is looked at elsewhere."""
    monkeypatch.setattr(book, "build", lambda reports, notebooks: reports / "book" / "index.html")


def test_the_whole_study_in_the_smoke_profile(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["report", "--profile", "smoke", "--out", str(tmp_path)]) == 0
    index = (tmp_path / "book" / "index.html").read_text()
    assert 'class="admonition answer' not in index, "answers of the study over numbers of a run"
    for stem in sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.py")):
        folder = tmp_path / stem
        record = json.loads((folder / "results.json").read_text())
        page = (tmp_path / "book" / stem / "index.html").read_text()
        text = (folder / "report.md").read_text()
        assert f"{stem}/index.html" in index and "<details" in page and len(page) < 3_000_000
        assert not re.search(r'<(script|link|img)[^>]* (src|href)="https?://', page)
        for figure in record["figures"].values():
            assert (folder / figure["file"]).stat().st_size > 2000 and " — " in figure["alt"]
            assert f"]({figure['file']})" in text
        for table in record["tables"].values():
            assert len(pd.read_csv(folder / table["file"])) == table["rows"]
        assert "synthetic" in text.lower()
        for written in (text, json.dumps(record), (folder / "card.json").read_text()):
            assert str(tmp_path) not in written and str(ROOT) not in written
    combinations = pd.read_csv(tmp_path / "02_layer_combinations" / "combinations.csv")
    keys = ["source", "target", "pooling", "probe", "protocol"]
    assert {"subset", "score", "ci_low", "ci_high", *keys} <= set(combinations)
    assert (combinations.groupby(keys).size().drop("mfcc") == 31).all()


def test_ones_own_folder_of_sounds(class_folders, tmp_path, monkeypatch, no_book):
    monkeypatch.chdir(ROOT)
    out = tmp_path / "out"
    assert main(["report", "--profile", "smoke", "--only", "02", "--data", str(class_folders), "-p",
                 "target", "folder", "-p", "sources", "environment", "-p", "probes", "knn",
                 "--out", str(out)]) == 0
    record = json.loads((out / "02_layer_combinations" / "results.json").read_text())
    assert [row["path"] for row in record["skipped"]["folder"]] == ["broken.wav"]
    assert pd.read_csv(out / "02_layer_combinations" / "summary.csv")["all"].max() > 0.9
    assert str(class_folders) not in (out / "02_layer_combinations" / "report.md").read_text()


def test_a_clip_needs_no_class_of_its_own_to_be_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    write_clip(tmp_path / "one" / "a.wav")
    assert main(["report", "--profile", "smoke", "--only", "02", "--data", str(tmp_path), "-p",
                 "targets", "folder", "--out", str(tmp_path / "out")]) == 1
    assert "class folders" in (tmp_path / "out" / "book" / "index.html").read_text()


def test_a_broken_notebook_leaves_a_red_card_and_the_others_run_on(notebooks, tmp_path, capfd,
                                                                   request):
    folder, out = notebooks(_00_bad=BAD, _01_good=GOOD), tmp_path / "out"
    (out / "01_good").mkdir(parents=True)
    finding = "Level {{ numbers.level[0] }}.<!-- if: numbers.level[0] == 7 -->"
    (out / "01_good" / "findings.md").write_text(finding)
    assert run(Run(folder, out, parameters={"level": "7"})) == 1
    index, page = ((out / "book" / name / "index.html").read_text() for name in ("", "00_bad"))
    bad = (out / "00_bad" / "report.md").read_text()
    assert "the chapter broke" in index and "the chapter broke" in page and "Level 7." in index
    assert "An empty plot." in bad and "ValueError" in bad
    good = (out / "01_good" / "report.md").read_text()
    assert "> Level 7." in good and "row 2" in good and "(live_1.png)" in good
    assert (out / "01_good" / "live_1.png").read_bytes().startswith(b"\x89PNG")
    assert "a bar" not in good + capfd.readouterr().out
    executed = nbformat.read(out / "01_good" / "01_good.ipynb", 4)
    shown = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert all(output.get("name") != "stderr" for output in shown)
    request.getfixturevalue("no_book")
    assert run(Run(folder, out, only=("01",), parameters={"level": 8})) == 1
    assert "numbers.level[0] == 7" in json.loads((out / "01_good/card.json").read_text())["error"]


def test_two_run_at_a_time_and_resume_keeps_what_is_done(notebooks, tmp_path, no_book, capfd):
    folder, out = notebooks(_00_good=GOOD, _01_bad=BAD), tmp_path / "out"
    assert run(Run(folder, out, jobs=2)) == 1
    cards = [json.loads((out / name / "card.json").read_text())["ok"]
             for name in ("00_good", "01_bad")]
    assert cards == [True, False] and (out / "00_good" / "numbers.csv").is_file()
    said = capfd.readouterr().out
    assert said.index("[2/2] 01_bad") < said.index("00  done in"), "they wait for each other"
    first = (out / "00_good" / "report.md").stat().st_mtime_ns
    notebooks(_01_bad=GOOD)
    assert run(Run(folder, out, resume=True)) == 0
    assert (out / "00_good" / "report.md").stat().st_mtime_ns == first
    assert run(Run(folder, out, only=("00",), resume=True, parameters={"level": 2})) == 0
    assert (out / "00_good" / "report.md").stat().st_mtime_ns != first


def test_values_come_from_the_profile_and_the_command_line_wins(notebooks, tmp_path, monkeypatch):
    folder = notebooks(_00_good=GOOD)
    (folder / "profiles.yaml").write_text("a: {common: {level: 2, other: 3}, 00_good: {level: 4}}\n"
                                          "b: {00_good: {lvel: 5}}\nfull: {}\n")
    (given,) = plan(Run(folder, tmp_path / "out", "a")).values()
    assert given == {"level": 4}
    (given,) = plan(Run(folder, tmp_path, "a", parameters={"level": 5}, data=tmp_path)).values()
    assert given == {"level": 5, "data": str(tmp_path.resolve())}
    with pytest.raises(AudiotlError, match="lvel"):
        plan(Run(folder, tmp_path, "b"))
    monkeypatch.setenv("AUDIOTL_DATA", str(tmp_path))
    assert next(iter(plan(Run(folder, tmp_path, "full")).values()))["data"] == str(tmp_path)


@pytest.mark.parametrize("kernel_dies, jobs", [(False, "1"), (True, "1"), (False, "2")])
def test_a_stop_ends_with_one_sentence(kernel_dies, jobs, notebooks, tmp_path):
    slow = GOOD.replace(LAST, "import os, time\nprint('here', os.getpid(), file=sys.stderr)\n"
                              "time.sleep(600)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "audiotl", "report", "--notebooks", str(notebooks(_00_slow=slow)),
         "--out", str(tmp_path / "out"), "--jobs", jobs],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True,
        # A shell's background job ignores the interrupt, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        kernel = next(int(line.split()[-1]) for line in process.stderr if "here" in line)
        os.killpg(process.pid, signal.SIGINT)
        if kernel_dies:  # as it does where it is stopped before it could be waited for
            os.kill(kernel, signal.SIGKILL)
        _, said = process.communicate(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130 and len(said.strip().splitlines()) == 1
