"""Ridge on every subset of blocks against a scikit-learn loop over a sample of the same subsets."""

from __future__ import annotations

import os
import re
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge as Peer
from threadpoolctl import threadpool_limits

from audiotl.plots.subsets import cost
from audiotl.probes import Ridge, standardise
from audiotl.probes.subset_search import Search, search

LAMBDAS = (0.1, 1.0, 10.0, 100.0, 1000.0)
WIDTH, CLIPS, CLASSES, FOLDS = 32, 2000, 50, 5
PEER = "scikit-learn Ridge, subset by subset, on a sample of {} subsets (extrapolated)"


def bench_ridge_12_taps() -> list[dict]:
    """All 4,095 subsets of 12 taps, five folds, five penalties, at one thread and at two."""
    return [_row(12, threads, sample=12) for threads in (1, 2)]


def bench_ridge_16_taps() -> list[dict]:
    """All 65,535 subsets of 16 taps: some minutes."""
    return [_row(16, 2, sample=6)]


def bench_ridge_cost() -> list[dict]:
    """Seconds for *one* subset against the number of taps, at one thread."""
    rows = []
    for taps in (2, 4, 6, 8, 10):
        row, n_subsets = _row(taps, 1, sample=6), 2**taps - 1
        rows.append(
            row
            | {
                "name": f"ridge, one of the {n_subsets:,} subsets of {taps} taps",
                "ours_s": row["ours_s"] / n_subsets,
                "peer_s": row["peer_s"] / n_subsets,
            }
        )
    return rows


def figure(rows: list[dict]) -> plt.Figure | None:
    """Time for one subset against the number of taps, at one thread, from the rows of this room."""
    found = []
    for row in rows:
        said = re.match(r"ridge, (all|one of the) ([\d,]+) subsets of (\d+) taps", row["name"])
        if said and row["threads"] == 1:
            share = int(said[2].replace(",", "")) if said[1] == "all" else 1
            found += [
                {"taps": int(said[3]), "seconds": row[side] / share, "who": who}
                for side, who in (
                    ("ours_s", "all subsets together"),
                    ("peer_s", "scikit-learn, one by one"),
                )
            ]
    if not found:
        return None
    drawn = cost(pd.DataFrame(found))
    drawn.alt = "Milliseconds for one subset against the number of taps, together and one by one."
    return drawn


def problem(
    taps: int,
) -> tuple[dict[str, np.ndarray], np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Blocks that tell the classes apart a little, the classes and the folds."""
    rng = np.random.default_rng(0)
    y = np.arange(CLIPS) % CLASSES
    blocks = {
        f"tap{i}": rng.normal(size=(CLIPS, WIDTH)) + 0.3 * rng.normal(size=(CLASSES, WIDTH))[y]
        for i in range(taps)
    }
    fold = rng.permutation(np.arange(CLIPS) % FOLDS)
    return blocks, y, [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]


def ours(taps: int, threads: int) -> tuple[float, Search]:
    """Seconds of a whole search with an empty cache, and what it found."""
    blocks, y, splits = problem(taps)
    kept = os.environ.get("AUDIOTL_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AUDIOTL_CACHE"] = folder
        try:
            started = time.perf_counter()
            found = search(
                blocks,
                y,
                splits,
                np.arange(CLIPS).astype(str),
                Ridge(LAMBDAS),
                nested=False,
                progress=False,
                threads=threads,
            )
            return time.perf_counter() - started, found
        finally:
            os.environ.pop("AUDIOTL_CACHE") if kept is None else os.environ.update(
                AUDIOTL_CACHE=kept
            )


def theirs(taps: int, found: Search, sample: int, threads: int) -> tuple[float, int, int]:
    """Seconds for `sample` random subsets; how many of how many predictions are right or wrong as
    in `found`.

    Standardising is done once a fold, outside the clock.
    """
    blocks, y, splits = problem(taps)
    chosen = np.random.default_rng(1).choice(
        len(found.subsets), min(sample, len(found.subsets)), replace=False
    )
    folds = [
        (
            test,
            *standardise(
                {n: b[train] for n, b in blocks.items()}, {n: b[test] for n, b in blocks.items()}
            ),
            np.eye(CLASSES)[y[train]],
        )
        for train, test in splits
    ]
    seconds, same, total = 0.0, 0, 0
    with threadpool_limits(threads):
        for s in chosen:
            right = found.unpack(found.bits[s])
            for test, left, tested, onehot in folds:
                started = time.perf_counter()
                x = np.concatenate([left[name] for name in found.subsets[s]], 1)
                z = np.concatenate([tested[name] for name in found.subsets[s]], 1)
                guesses = [
                    Peer(alpha=penalty).fit(x, onehot).predict(z).argmax(1) for penalty in LAMBDAS
                ]
                seconds += time.perf_counter() - started
                same += sum(
                    int((right[c, test] == (guess == y[test])).sum())
                    for c, guess in enumerate(guesses)
                )
                total += len(test) * len(LAMBDAS)
    return seconds * len(found.subsets) / len(chosen), same, total


def _row(taps: int, threads: int, sample: int) -> dict:
    ours(2, threads)  # compiles
    mine, found = ours(taps, threads)
    peer, same, total = theirs(taps, found, sample, threads)
    return {
        "name": f"ridge, all {len(found.subsets):,} subsets of {taps} taps of width {WIDTH}, "
        f"{CLIPS:,} clips, "
        f"{CLASSES} classes, {FOLDS} folds, {len(LAMBDAS)} penalties",
        "ours_s": mine,
        "peer": PEER.format(min(sample, len(found.subsets))),
        "peer_s": peer,
        "ratio": peer / mine,
        "threads": threads,
        "check": f"{same:,} of {total:,} predictions agree",
    }
