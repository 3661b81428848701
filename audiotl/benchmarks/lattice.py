"""Ridge on every subset of blocks against a scikit-learn loop over a sample of the same subsets."""

import time

import numpy as np
from sklearn.linear_model import Ridge as Peer
from threadpoolctl import threadpool_limits

from audiotl.benchmarks import fresh_cache, row, timed
from audiotl.datasets.corpus import splits_of
from audiotl.probes import Blocks, Ridge, beside, rows_of, standardise
from audiotl.probes.subset_search import Search, Splits, search

LAMBDAS = (0.1, 1.0, 10.0, 100.0, 1000.0)
WIDTH, CLIPS, CLASSES, FOLDS = 32, 2000, 50, 5
NAME = (f"ridge, all {{:,}} subsets of {{}} taps of width {WIDTH}, {CLIPS:,} clips, "
        f"{CLASSES} classes, {FOLDS} folds, {len(LAMBDAS)} penalties")
PEER = "scikit-learn Ridge, subset by subset, on a sample of {} subsets (extrapolated)"


def bench_ridge_12_taps() -> list[dict]:
    """All 4,095 subsets of 12 taps, five folds, five penalties, at one thread and at two."""
    return [_row(12, threads, sample=12) for threads in (1, 2)]


def bench_ridge_16_taps() -> list[dict]:
    """All 65,535 subsets of 16 taps: some minutes."""
    return [_row(16, 2, sample=6)]


def problem(taps: int) -> tuple[Blocks, np.ndarray, Splits]:
    """Blocks that tell the classes apart a little, the classes and the folds."""
    rng = np.random.default_rng(0)
    y = np.arange(CLIPS) % CLASSES
    blocks = {
        f"tap{i}": rng.normal(size=(CLIPS, WIDTH)) + 0.3 * rng.normal(size=(CLASSES, WIDTH))[y]
        for i in range(taps)}
    return blocks, y, splits_of(rng.permutation(np.arange(CLIPS) % FOLDS))


def ours(blocks: Blocks, y: np.ndarray, splits: Splits, threads: int) -> Search:
    """A whole search with an empty cache."""
    with fresh_cache():
        return search(blocks, y, splits, np.arange(CLIPS).astype(str), Ridge(LAMBDAS),
                      nested=False, progress=False, threads=threads)


def theirs(blocks: Blocks, y: np.ndarray, splits: Splits, found: Search, chosen: np.ndarray,
           threads: int) -> tuple[float, int]:
    """Seconds for the chosen subsets, and how many predictions are right or wrong as in `found`.

    Standardising is done once a fold, outside the clock.
    """
    seconds, same = 0.0, 0
    with threadpool_limits(threads):
        for train, test in splits:
            sides = standardise(*rows_of(blocks, train, test))
            targets = np.eye(CLASSES)[y[train]]
            for s in chosen:
                started = time.perf_counter()
                x, z = (beside(side, found.subsets[s]) for side in sides)
                guesses = [Peer(alpha=penalty).fit(x, targets).predict(z).argmax(1)
                           for penalty in LAMBDAS]
                seconds += time.perf_counter() - started
                right = found.unpack(found.bits[s])[:, test]
                same += int((right == (np.array(guesses) == y[test])).sum())
    return seconds, same


def _row(taps: int, threads: int, sample: int) -> dict:
    ours(*problem(2), threads)  # compiles
    whole = problem(taps)
    mine, found = timed(lambda: ours(*whole, threads))
    n = len(found.subsets)
    chosen = np.random.default_rng(1).choice(n, sample, replace=False)
    peer, same = theirs(*whole, found, chosen, threads)
    return row(NAME.format(n, taps), mine, PEER.format(sample), peer * n / sample, threads,
               f"{same:,} of {sample * CLIPS * len(LAMBDAS):,} predictions agree")
