"""The 2017 study again: its protocol to the letter, and the same features under a better one.

The published protocol, as re-running shows it to have been: raw features (the scaler in the authors' grid
never ran), contiguous folds, scores averaged over folds by their size, the best of 32 cells on the very folds
that are reported. A row of the table is one task and one feature set; each row is kept in the cache under the
content of its inputs, so that an interrupted table goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from audiotl import cache
from audiotl.datasets import choi2017
from audiotl.datasets.choi2017 import Task
from audiotl.probes import standardise
from audiotl.probes.svm import SVM, gram

VERSION = 1
FEW_STEPS = 50_000
"""Where a linear kernel is left to Newton steps, if only the optimum counts and not libsvm's path to it."""

LARGE = 5000
"""Clips from which only one fold at a time has its kernels in memory."""

PROTOCOLS = ("tuned on the reported folds", "nested")


def predictions(task: Task, feature: str, scaled: bool = False, inner: bool = False,
                threads: int = 1) -> tuple[np.ndarray, float]:
    """Predictions of all 32 cells for all tested clips, and the seconds they took when first computed.

    Args:
        feature: e.g. ``"012"``, ``"mfcc"``, ``"mfcc+01234"``.
        scaled: standardise every column on each fold's training clips.
        inner: predict on the inner splits of every fold instead, for nested selection.

    Returns:
        ``(n_cells, n)``: clips in the order of ``task.tested``; with `inner`, the inner test clips of the first
        fold, then of the second, and so on.
    """
    names, splits, key = _entry(task, feature, scaled, inner)
    entry = cache.find("replication", key)
    if entry is None:
        started = time.time()
        found = predict(task, names, splits, scaled, threads, follow=not (scaled or inner))
        with cache.making("replication", key) as folder:
            np.save(folder / "predictions.npy", found if task.regression else found.astype(np.int8))
            (folder / "seconds.json").write_text(json.dumps(time.time() - started))
        entry = cache.find("replication", key)
    return np.load(entry / "predictions.npy"), json.loads((entry / "seconds.json").read_text())


def is_kept(task: Task, feature: str, scaled: bool = False) -> bool:
    """Whether the cache holds what `nested` needs of this row, so that asking for it costs nothing."""
    return all(cache.find("replication", _entry(task, feature, scaled, inner)[2]) for inner in (False, True))


def predict(task: Task, names: Sequence[str], splits: Sequence, scaled: bool, threads: int,
            follow: bool = True) -> np.ndarray:
    """Predictions ``(n_cells, n)`` for the test clips of all splits, one split after the other; never cached.

    Scores as published need libsvm's path (`follow`): it stops some way from the optimum. On raw MFCCs, with values
    in the hundreds, that can take hours for one cell of the grid; there it is followed for ten million steps a
    problem, in regression for a million over C, and the rest is left to Newton steps.
    """
    svm = SVM(task="regression" if task.regression else "classification", threads=threads)
    if not follow:
        svm.limit = FEW_STEPS
    elif task.regression and "mfcc" in names:
        svm.limit = lambda cost: 1e6 / cost
    blocks = {name: task.blocks[name] for name in names}
    if scaled:
        def one(split):
            sides = standardise(*({k: v[rows] for k, v in blocks.items()} for rows in split))
            return svm.fold(sides[0], task.y[split[0]], sides[1], [tuple(names)])[0]

        # Folds side by side keep all threads busy to the end; of a large task, the kernels of one fold fill memory.
        beside = threads if len(task) <= LARGE else 1
        svm.threads = threads // beside
        with ThreadPoolExecutor(beside) as pool:
            return np.concatenate(list(pool.map(one, splits)), 1)
    # Raw features have one Gram matrix for all folds; sorted by class, the rows of a pair lie together.
    order = np.arange(len(task)) if task.regression else np.argsort(task.y, kind="stable")
    place = np.argsort(order)
    columns = np.concatenate([blocks[name] for name in names], 1, dtype=np.float64)[order]
    moved = [(np.sort(place[train]), place[test]) for train, test in splits]
    inner_products, squares = gram(columns)
    return np.concatenate(svm.over_splits(inner_products, squares, squares, columns, task.y[order], moved), 1)


def clip_scores(task: Task, predicted: np.ndarray, splits: Sequence | None = None) -> np.ndarray:
    """What each tested clip contributes to the score: their mean is the published score.

    1 or 0 for a right or wrong class. For R², ``1 - e² n / S`` with the squared error ``e²`` of the clip, and
    clips ``n`` and total sum of squares ``S`` of its fold: the mean over clips is then the mean of the folds'
    R², weighted by their size.

    Args:
        predicted: ``(..., n_tested)``.
    """
    tests = [test for _, test in (task.splits if splits is None else splits)]
    truth = task.y[np.concatenate(tests)]
    if not task.regression:
        return (predicted == truth).astype(np.float64)
    per_clip = np.concatenate([np.full(len(t), len(t) / ((task.y[t] - task.y[t].mean()) ** 2).sum()) for t in tests])
    return 1 - (predicted - truth) ** 2 * per_clip


def tuned(task: Task, feature: str, scaled: bool = False, threads: int = 1) -> tuple[np.ndarray, int, float]:
    """The published protocol: clip scores of the cell that is best on the reported folds, its position, seconds."""
    predicted, seconds = predictions(task, feature, scaled, threads=threads)
    scores = clip_scores(task, predicted)
    best = int(scores.mean(1).argmax())
    return scores[best], best, seconds


def nested(task: Task, features: Sequence[str], scaled: bool = False,
           threads: int = 1) -> tuple[np.ndarray, list[tuple[str, int]]]:
    """Clip scores when every fold chooses feature set and cell on inner splits of its own training clips.

    Returns:
        Scores ``(n_tested,)``, and the choice of each fold.
    """
    outer = {f: clip_scores(task, predictions(task, f, scaled, threads=threads)[0]) for f in features}
    flat = [split for fold in task.inner for split in fold]
    inside = {f: clip_scores(task, predictions(task, f, scaled, True, threads)[0], flat) for f in features}
    scores, choices, at, at_inner = [], [], 0, 0
    for (_, test), fold in zip(task.splits, task.inner, strict=True):
        n_inner = sum(len(held) for _, held in fold)
        means = {f: inside[f][:, at_inner : at_inner + n_inner].mean(1) for f in features}
        feature = max(features, key=lambda f: means[f].max())
        cell = int(means[feature].argmax())
        scores.append(outer[feature][cell, at : at + len(test)])
        choices.append((feature, cell))
        at, at_inner = at + len(test), at_inner + n_inner
    return np.concatenate(scores), choices


def fold_means(task: Task, scores: np.ndarray) -> np.ndarray:
    """Mean of the clip scores of every fold, shape ``(n_folds,)``."""
    edges = np.cumsum([len(test) for _, test in task.splits])[:-1]
    return np.array([part.mean() for part in np.split(scores, edges)])


def describe(cell: dict) -> str:
    """A cell in few characters.

    >>> describe({"kernel": "rbf", "C": 32.0, "gamma": 0.0078125})
    'rbf C=32 gamma=2^-7'
    """
    if cell["kernel"] == "linear":
        return f"linear C={cell['C']:g}"
    gamma = cell["gamma"] if isinstance(cell["gamma"], str) else f"2^{round(np.log2(cell['gamma']))}"
    return f"rbf C={cell['C']:g} gamma={gamma}"


def table(tasks: Iterable[Task], published: pd.DataFrame, features: Sequence[str] | None = None, threads: int = 2,
          say: Callable[[str], None] = print) -> pd.DataFrame:
    """The 2017 table, recomputed.

    Rows already in the cache cost nothing and report the seconds they once took.

    Args:
        tasks: see `choi2017.load`.
        published: see `choi2017.published`; for comparison only.
        features: feature sets; all 33 if not given.
        say: takes the progress, one line a row.

    Returns:
        ``task, features, published, reproduced, difference, inputs, best_params, seconds``; `reproduced` is
        empty where the inputs are missing, `published` where no score was published.
    """
    known = published.set_index(["task", "features"])["published"].to_dict()
    jobs = [(task, feature) for task in tasks for feature in features or choi2017.features()]
    # Cost of a row, for the remaining time: kernel entries times splits; as measured, a regression takes some 12
    # times as long as a classification of as many clips.
    cost = [len(task) ** 2 * len(task.splits) * (12 if task.regression else 1) for task, _ in jobs]
    rows, spent, done = [], 0.0, 0
    cells = SVM().cells
    for number, ((task, feature), weight) in enumerate(zip(jobs, cost, strict=True), 1):
        score = known.get((task.name, feature), np.nan)
        row = {"task": task.name, "features": feature, "published": score, "reproduced": np.nan,
               "difference": np.nan, "inputs": choi2017.inputs_of(task.name, feature), "best_params": "",
               "seconds": np.nan}
        if all(block in task.blocks for block in choi2017.names_of(feature)):
            started = time.time()
            scores, best, seconds = tuned(task, feature, threads=threads)
            row |= {"reproduced": scores.mean(), "difference": scores.mean() - score,
                    "best_params": describe(cells[best]), "seconds": round(seconds, 2)}
            elapsed = time.time() - started
            if elapsed > 0.5 * seconds:
                spent, done = spent + elapsed, done + weight
            left = spent / done * sum(cost[number:]) / 60 if done else 0.0
            say(f"[{number}/{len(jobs)}] {task.name} {feature}: {row['reproduced']:.4f} "
                f"(published {score:.4f}), {seconds:.0f} s, about {left:.0f} min left")
        rows.append(row)
    return pd.DataFrame(rows)


def _entry(task: Task, feature: str, scaled: bool, inner: bool) -> tuple[list[str], list, str]:
    names = choi2017.names_of(feature)
    splits = [split for fold in task.inner for split in fold] if inner else task.splits
    return names, splits, cache.key_of("choi2017", VERSION, _content(task, names, splits), feature, scaled)


def _content(task: Task, names: Sequence[str], splits: Sequence) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(task.y).tobytes())
    for name in names:
        digest.update(np.ascontiguousarray(task.blocks[name]).tobytes())
    for train, test in splits:
        digest.update(train.tobytes() + b"|" + test.tobytes())
    return digest.hexdigest()
