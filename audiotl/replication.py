"""The study of Choi et al. (ISMIR 2017) again: its protocol to the letter, and a nested one.

As published: raw features (the scaler in the authors' grid never ran), contiguous folds, fold
scores averaged by fold size, the best of 32 cells on the very folds that are reported. Predictions
are cached under the content of their inputs: an interrupted table goes on where it stopped.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import linear_model
from tqdm import tqdm

from audiotl import cache
from audiotl.datasets import choi2017
from audiotl.datasets.choi2017 import Task
from audiotl.datasets.corpus import Split
from audiotl.probes import Blocks, Probe, Ridge, Sklearn, beside, rows_of, standardise
from audiotl.probes.svm import SVM, gram
from audiotl.stats import Scored

VERSION = 1
TUNED, NESTED = "tuned on the reported folds", "nested"
RAW, SCALED = "raw", "standardised"
FEW_STEPS = 50_000
"""Pair steps on a linear kernel where only the optimum counts, not libsvm's path to it."""


def tuned(task: Task, features: str | Sequence[str], scaled: bool = False, *,
          threads: int = 1) -> Scored:
    """The published protocol: what each tested clip scored with the best cell on these very folds.

    Args:
        features: a feature set such as ``"012"`` or ``"mfcc+01234"``; of several, the best one.
        scaled: standardise every column on each fold's training clips.
    """
    best = []
    for feature in _listed(features):
        scores = clip_scores(task, predictions(task, feature, scaled, threads=threads)[0])
        best.append(scores[scores.mean(1).argmax()])
    return _scored(task, max(best, key=np.mean), features, scaled, TUNED)


def nested(task: Task, features: str | Sequence[str], scaled: bool = False, *,
           threads: int = 1) -> Scored:
    """As `tuned`, but every fold chooses on inner splits of its own training clips."""
    inner = _splits(task, inner=True)
    outer_ends = np.cumsum([len(test) for _, test in task.splits])[:-1]
    inner_ends = np.cumsum([sum(len(held) for _, held in fold) for fold in task.inner])[:-1]
    inside, outside = [], []
    for feature in _listed(features):
        predicted, _ = predictions(task, feature, scaled, threads=threads)
        outside.append(np.split(clip_scores(task, predicted), outer_ends, 1))
        predicted, _ = predictions(task, feature, scaled, inner=True, threads=threads)
        parts = np.split(clip_scores(task, predicted, inner), inner_ends, 1)
        inside.append([part.mean(1) for part in parts])
    scores = []
    for k in range(len(task.splits)):
        chosen = np.argmax([means[k].max() for means in inside])
        scores.append(outside[chosen][k][inside[chosen][k].argmax()])
    return _scored(task, np.concatenate(scores), features, scaled, NESTED)


def nested_probe(task: Task, blocks: Blocks, probe: Probe, scaled: bool = True) -> Scored:
    """All of these blocks ``(n, d)`` side by side with any probe, nested as by `nested`."""
    def scores(split: Split) -> np.ndarray:
        sides = rows_of(blocks, *split)
        sides = standardise(*sides) if scaled else sides
        predicted = probe.fold(sides[0], task.y[split[0]], sides[1], [tuple(blocks)])[0]
        return clip_scores(task, predicted, [split])

    values = []
    for split, inner in zip(task.splits, task.inner, strict=True):
        inside = np.concatenate([scores(within) for within in inner], axis=1).mean(1)
        values.append(scores(split)[inside.argmax()])
    folds = np.repeat(np.arange(len(values)), [len(part) for part in values])
    return Scored.of(np.concatenate(values), folds, task.groups[task.tested])


def ridge(task: Task) -> Probe:
    """Ridge regression on classes or, for a regression, on values, with the same penalties."""
    if not task.regression:
        return Ridge()
    penalties = [{"alpha": cell["lambda"]} for cell in Ridge().cells]
    return Sklearn("ridge", linear_model.Ridge(), penalties)


def clip_scores(task: Task, predicted: np.ndarray, splits: Sequence[Split] = ()) -> np.ndarray:
    """What each tested clip contributes to the score: their mean is the published score.

    1 or 0 for a class named rightly or wrongly. For R²: ``1 - e² n / S`` with the clip's squared
    error ``e²``, and the clips ``n`` and total sum of squares ``S`` of its fold; the mean over
    clips is then the mean of the folds' R², weighted by their size.

    Args:
        predicted: ``(..., n_tested)``, clips in the order of the splits.
        splits: the task's folds if not given.
    """
    tests = [test for _, test in splits or task.splits]
    truth = task.y[np.concatenate(tests)]
    if not task.regression:
        return (predicted == truth).astype(np.float64)
    totals = [((task.y[test] - task.y[test].mean()) ** 2).sum() for test in tests]
    factors = [np.full(len(t), len(t) / total) for t, total in zip(tests, totals, strict=True)]
    return 1 - (predicted - truth) ** 2 * np.concatenate(factors)


def predictions(task: Task, feature: str, scaled: bool = False, inner: bool = False,
                threads: int = 1) -> tuple[np.ndarray, float]:
    """Predictions ``(n_cells, n)`` for ``task.tested``, and the seconds they took at first.

    With `inner`, for the inner test clips fold after fold.
    """
    content = hashlib.sha256(np.ascontiguousarray(task.y).tobytes())
    for name in choi2017.names_of(feature):
        content.update(np.ascontiguousarray(task.blocks[name]).tobytes())
    for train, test in _splits(task, inner):
        content.update(train.tobytes() + b"|" + test.tobytes())
    folder = _predictions(content.hexdigest(), feature, scaled, task=task, inner=inner,
                          threads=threads)
    return np.load(folder / "predictions.npy"), json.loads((folder / "seconds.json").read_text())


def predict(task: Task, names: Sequence[str], splits: Sequence[Split], scaled: bool, threads: int,
            follow: bool = True) -> np.ndarray:
    """Predictions ``(n_cells, n)`` for the test clips of one split after the other; never cached.

    Scores as published need libsvm's path (`follow`), which stops some way from the optimum. On raw
    MFCCs that can take hours for one cell; there it is followed for ten million steps a problem, in
    regression for a million over C, then Newton steps go on (`probes.svm.interior_point`).
    """
    svm = SVM(task="regression" if task.regression else "classification", threads=threads)
    if not follow:
        svm.limit = FEW_STEPS
    elif task.regression and "mfcc" in names:
        svm.limit = lambda cost: 1e6 / cost
    if scaled:
        return _scaled(svm, task, names, splits)
    # Raw features have one Gram matrix for all folds; sorted by class, a pair's rows lie together.
    order = np.arange(len(task)) if task.regression else np.argsort(task.y, kind="stable")
    place = np.argsort(order)
    columns = beside(task.blocks, names).astype(np.float64)[order]
    moved = [(np.sort(place[train]), place[test]) for train, test in splits]
    products, squares = gram(columns)
    found = svm.over_splits(products, squares, squares, columns, task.y[order], moved)
    return np.concatenate(found, 1)


def table(tasks: Iterable[Task], published: pd.DataFrame, features: Sequence[str], *,
          threads: int = 2, progress: bool = True) -> pd.DataFrame:
    """The 2017 table, recomputed.

    Args:
        published: see `choi2017.published`; only to compare.
        features: feature sets, see `choi2017.features`.

    Returns:
        ``task, features, published, reproduced, difference, inputs, best_params, seconds``;
        `reproduced` is empty where inputs are missing, `published` where no score was published.
    """
    known = published.set_index(["task", "features"])["published"].to_dict()
    jobs = [(task, feature) for task in tasks for feature in features]
    bar = tqdm(jobs, desc="the table of 2017", unit="row", disable=not progress)
    return pd.DataFrame([_row(task, feature, known.get((task.name, feature), np.nan), threads)
                         for task, feature in bar])


def describe(cell: dict) -> str:
    """A cell in few characters.

    >>> describe({"kernel": "rbf", "C": 32.0, "gamma": 0.0078125})
    'rbf C=32 gamma=2^-7'
    """
    if cell["kernel"] == "linear":
        return f"linear C={cell['C']:g}"
    gamma = cell["gamma"] if cell["gamma"] == "1/d" else f"2^{round(np.log2(cell['gamma']))}"
    return f"rbf C={cell['C']:g} gamma={gamma}"


def _row(task: Task, feature: str, score: float, threads: int) -> dict:
    row = {"task": task.name, "features": feature, "published": score, "reproduced": np.nan,
           "difference": np.nan, "inputs": choi2017.inputs_of(task.name, feature),
           "best_params": "", "seconds": np.nan}
    if all(block in task.blocks for block in choi2017.names_of(feature)):
        predicted, seconds = predictions(task, feature, threads=threads)
        means = clip_scores(task, predicted).mean(1)
        row |= {"reproduced": means.max(), "difference": means.max() - score,
                "best_params": describe(SVM().cells[means.argmax()]), "seconds": round(seconds, 2)}
    return row


def _listed(features: str | Sequence[str]) -> Sequence[str]:
    return [features] if isinstance(features, str) else features


def _scored(task: Task, values: np.ndarray, features: str | Sequence[str], scaled: bool,
            protocol: str) -> Scored:
    folds = np.repeat(np.arange(len(task.splits)), [len(test) for _, test in task.splits])
    name = features if isinstance(features, str) else f"best of {len(features)}"
    return Scored.of(values, folds, task.groups[task.tested], task=task.name, features=name,
                     scaling=SCALED if scaled else RAW, protocol=protocol)


def _splits(task: Task, inner: bool) -> list[Split]:
    return [split for fold in task.inner for split in fold] if inner else task.splits


def _scaled(svm: SVM, task: Task, names: Sequence[str], splits: Sequence[Split]) -> np.ndarray:
    parts, blocks = [], {name: task.blocks[name] for name in names}
    for train, test in splits:
        fitted, tested = standardise(*rows_of(blocks, train, test))
        parts.append(svm.fold(fitted, task.y[train], tested, [tuple(names)])[0])
    return np.concatenate(parts, 1)


@cache.step("choi2017", VERSION, "replication")
def _predictions(folder: Path, content: str, feature: str, scaled: bool, *, task: Task, inner: bool,
                 threads: int) -> None:
    started = time.time()
    found = predict(task, choi2017.names_of(feature), _splits(task, inner), scaled, threads,
                    follow=not (scaled or inner))
    np.save(folder / "predictions.npy", found if task.regression else found.astype(np.int8))
    (folder / "seconds.json").write_text(json.dumps(time.time() - started))
