"""The SVM engine against scikit-learn's GridSearchCV, on the same cells and folds."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from audiotl import datasets, replication
from audiotl.benchmarks import row, timed
from audiotl.datasets import choi2017
from audiotl.datasets.choi2017 import Task
from audiotl.probes import beside
from audiotl.probes.svm import SVM

WORK = (("gtzan_genre", "01234"), ("ballroom_extended", "012"), ("emoMusic_a", "01234"))


def bench_svm() -> Iterator[dict]:
    """All 32 cells and ten folds of three published rows, both sides at one thread and both at two.

    scikit-learn needs 15 to 30 minutes in all. Nothing is measured without published features.
    """
    root = datasets.data_root()
    if root is None or not (root / "choi2017" / "data_feats").is_dir():
        return
    ours(choi2017.demonstration(), "4", 1)
    for name, feature in WORK:
        task = choi2017.load(root, name)
        for threads in (1, 2):
            (quick, mine), (slow, theirs) = (timed(partial(way, task, feature, threads))
                                             for way in (ours, sklearns))
            yield row(f"SVM grid, {name} {feature}", quick, "scikit-learn GridSearchCV", slow,
                      threads, agreement(task, mine, theirs))


def ours(task: Task, feature: str, threads: int) -> np.ndarray:
    """Fold scores ``(n_folds, n_cells)`` by the engine, nothing cached."""
    found = replication.predict(task, choi2017.names_of(feature), task.splits, False, threads)
    scores = replication.clip_scores(task, found)
    edges = np.cumsum([len(test) for _, test in task.splits])[:-1]
    return np.array([part.mean(1) for part in np.split(scores, edges, 1)])


def sklearns(task: Task, feature: str, threads: int) -> np.ndarray:
    """The same fold scores by scikit-learn, cells in our order."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC, SVR

    x = beside(task.blocks, choi2017.names_of(feature))
    grid = [{"C": [cell["C"]], "kernel": [cell["kernel"]],
             "gamma": ["auto" if cell.get("gamma", "1/d") == "1/d" else cell["gamma"]]}
            for cell in SVM().cells]
    search = GridSearchCV(SVR() if task.regression else SVC(), grid, cv=task.splits, refit=False,
                          n_jobs=threads)
    found = search.fit(x, task.y).cv_results_
    return np.array([found[f"split{k}_test_score"] for k in range(len(task.splits))])


def agreement(task: Task, mine: np.ndarray, theirs: np.ndarray) -> str:
    """What to say of two tables of fold scores."""
    if not task.regression:
        same = int((np.abs(mine - theirs) < 1e-12).sum())
        return f"{same} of {mine.size} fold scores equal"
    sizes = [len(test) for _, test in task.splits]
    cells = np.abs(np.average(mine - theirs, 0, sizes)).max()
    return f"R2 of all {mine.shape[1]} cells within {cells:.1g}"
