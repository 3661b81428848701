import json
import time
import types

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from audiotl import benchmarks
from audiotl.report.results import Results


def test_everything_is_on_disk_as_soon_as_it_is_added(tmp_path):
    results = Results(tmp_path, profile="smoke")
    shown = results.table("scores", pd.DataFrame({"a|b": ["x|y", "z"], "n": [0.123456789, np.nan]}), show=1)
    assert (tmp_path / "scores.csv").read_text().splitlines() == ["a|b,n", "x|y,0.123457", "z,"]
    text = shown._repr_markdown_()
    assert text.splitlines()[-1] == "... and 1 more rows in scores.csv." and "x\\|y" in text
    assert "<td>0.1235</td>" in shown._repr_html_()
    assert results.table("scores", pd.DataFrame({"a": [1, 2]}), show=0)._repr_markdown_() == "2 rows in scores.csv."
    figure, _ = plt.subplots()
    picture = results.figure("cover", figure, "Nothing.")
    data, about = picture._repr_mimebundle_()
    assert data["text/plain"] == "Nothing." and about["image/png"] == {"alt": "Nothing.", "file": "cover.png"}
    results.number("best", np.float32(0.5))
    results.skipped(types.SimpleNamespace(corpus=types.SimpleNamespace(name="toy"),
                                          skipped=[("/some/where/clip.wav", "it is empty")]),
                    types.SimpleNamespace(corpus=types.SimpleNamespace(name="whole"), skipped=[]))
    results.finding("Done.")
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["finding"] == "Done." and record["numbers"] == {"best": 0.5}
    assert record["skipped"] == {"toy": [{"path": "clip.wav", "cause": "it is empty"}]}


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = Results("")
    results.table("scores", pd.DataFrame({"a": [1]}))
    results.figure("cover", plt.figure(), "Nothing.")
    assert not list(tmp_path.iterdir())


def test_bench_rows_become_a_table():
    row = {"name": "work", "ours_s": 0.5, "peer": "the loop", "peer_s": 5.0, "ratio": 10.0, "threads": 1,
           "check": "equal"}
    assert "| work | 0.5 | the loop | 5 | 10.0 | 1 | equal |" in benchmarks.markdown([row])
    nothing, some = benchmarks.median_seconds(lambda: None, lambda: time.sleep(0.02))
    assert 0 <= nothing < some < 1


def test_a_part_of_the_benchmarks_leaves_the_other_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmarks.pkgutil, "iter_modules", lambda path: [types.SimpleNamespace(name="toy")])
    row, times = {"peer": "the loop", "peer_s": 6.0, "threads": 1, "check": "equal"}, iter((1.0, 2.0, 3.0))

    def bench(name):
        return lambda: [row | {"name": name, "ours_s": (ours := next(times)), "ratio": 6.0 / ours}]

    toy = types.SimpleNamespace(bench_first=bench("first"), bench_second=bench("second"))
    monkeypatch.setattr(benchmarks.importlib, "import_module", lambda name: toy)
    benchmarks.run(tmp_path)
    benchmarks.run(tmp_path, only="first")
    rows = {row["name"]: row["ratio"] for row in json.loads((tmp_path / "bench.json").read_text())}
    assert rows == {"first": 2.0, "second": 3.0}
