"""Ridge on every subset of blocks against loops over a sample of them, and its arithmetic alone."""

import resource
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import Ridge as Peer
from threadpoolctl import threadpool_limits

from audiotl.benchmarks import fresh_cache, row, timed
from audiotl.datasets.corpus import splits_of
from audiotl.probes import Blocks, Ridge, beside, rows_of, standardise
from audiotl.probes.subset_search import Search, Splits, search

LAMBDAS = (0.1, 1.0, 10.0, 100.0, 1000.0)
WIDTH, CLIPS, CLASSES, FOLDS = 32, 2000, 50, 5
NAME = ("ridge, all {:,} subsets of {} taps of width {}, {:,} clips, {} classes, "
        f"{FOLDS} folds, {len(LAMBDAS)} penalties")
PEER = "{}, subset by subset, on a sample of {} subsets (extrapolated)"


def bench_ridge_subsets() -> list[dict]:
    """All 4,095 subsets of 12 taps at one thread and at two, and all 65,535 of 16: some minutes."""
    return [*_rows(12, 1, sample=60), *_rows(12, 2, sample=60), *_rows(16, 2, sample=40)]


def bench_search_of_many_clips(clips: int = 100_000, taps: int = 12) -> list[dict]:
    """All subsets of taps of 64 columns, ten classes, nested: half an hour on two cores.

    The arithmetic alone is that of the walk over the test clips (`probes.ridge_subsets`), at the
    speed of a product of large matrices.
    """
    width, classes, threads = 64, 10, 2
    blocks, y, splits = problem(taps, clips, classes, width)
    mine, found = timed(lambda: ours(blocks, y, splits, threads, nested=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    large = np.random.default_rng(0).normal(size=(4000, 4000))
    with threadpool_limits(threads):
        product = min(timed(lambda: large @ large)[0] for _ in range(5))
    tested = clips * FOLDS  # once by the fit without its fold, by the others two folds at a time
    work = tested * len(found.subsets) * len(LAMBDAS) * width * (width + classes)
    name = NAME.format(len(found.subsets), taps, width, clips, classes) + ", nested"
    return [row(name, mine, "its arithmetic alone", product * work / len(large) ** 3, threads,
                f"not the same work: 1.0 would be the floor; peak memory {peak:.1f} GiB")]


def problem(taps: int, clips: int = CLIPS, classes: int = CLASSES,
            width: int = WIDTH) -> tuple[Blocks, np.ndarray, Splits]:
    """Blocks that tell the classes apart a little, the classes and the folds."""
    rng = np.random.default_rng(0)
    y = np.arange(clips) % classes
    blocks = {f"tap{i}": (rng.normal(size=(clips, width))
                          + 0.3 * rng.normal(size=(classes, width))[y]).astype(np.float32)
              for i in range(taps)}
    return blocks, y, splits_of(rng.permutation(np.arange(clips) % FOLDS))


def ours(blocks: Blocks, y: np.ndarray, splits: Splits, threads: int,
         nested: bool = False) -> Search:
    """A whole search with an empty cache."""
    with fresh_cache():
        return search(blocks, y, splits, np.arange(len(y)).astype(str), Ridge(LAMBDAS),
                      nested=nested, progress=nested, threads=threads)


def by_sklearn(x: np.ndarray, z: np.ndarray, y: np.ndarray) -> Callable:
    """From columns of a subset to classes of `z`, one row a penalty: a fit for each."""
    targets = np.eye(CLASSES)[y]

    def guesses(columns: np.ndarray) -> np.ndarray:
        part = x[:, columns]
        return np.array([Peer(alpha=penalty).fit(part, targets).predict(z[:, columns]).argmax(1)
                         for penalty in LAMBDAS])

    return guesses


def by_numpy(x: np.ndarray, z: np.ndarray, y: np.ndarray) -> Callable:
    """The same from one covariance of all columns: a solve for each subset and penalty."""
    targets = np.eye(CLASSES)[y]
    mean_x, mean_y = x.mean(0), targets.mean(0)
    covariance, cross = (x - mean_x).T @ (x - mean_x), (x - mean_x).T @ (targets - mean_y)
    centred = z - mean_x

    def guesses(columns: np.ndarray) -> np.ndarray:
        part, test = covariance[np.ix_(columns, columns)], centred[:, columns]
        diagonal = np.eye(len(columns))
        return np.array([(test @ np.linalg.solve(part + penalty * diagonal, cross[columns])
                          + mean_y).argmax(1) for penalty in LAMBDAS])

    return guesses


def theirs(blocks: Blocks, y: np.ndarray, splits: Splits, found: Search, chosen: np.ndarray,
           threads: int, way: Callable) -> tuple[float, int]:
    """Seconds for the chosen subsets, and how many predictions are right or wrong as in `found`.

    Standardising, and a covariance of all columns, are done once a fold, outside the clock.
    """
    seconds, same = 0.0, 0
    places = {name: np.arange(WIDTH * i, WIDTH * (i + 1)) for i, name in enumerate(blocks)}
    with threadpool_limits(threads):
        for train, test in splits:
            x, z = (beside(side, found.names) for side in standardise(*rows_of(
                blocks, train, test)))
            guesses = way(x.astype(float), z.astype(float), y[train])
            for s in chosen:
                columns = np.concatenate([places[name] for name in found.subsets[s]])
                seconds_here, said = timed(lambda: guesses(columns))  # noqa: B023
                seconds += seconds_here
                right = found.unpack(found.bits[s])[:, test]
                same += int((right == (said == y[test])).sum())
    return seconds, same


def _rows(taps: int, threads: int, sample: int) -> list[dict]:
    ours(*problem(2), threads)  # compiles
    whole = problem(taps)
    mine, found = timed(lambda: ours(*whole, threads))
    n = len(found.subsets)
    chosen = np.random.default_rng(1).choice(n, sample, replace=False)
    rows, asked = [], sample * CLIPS * len(LAMBDAS)
    for name, way in (("scikit-learn Ridge", by_sklearn),
                      ("NumPy, one covariance and a solve a subset", by_numpy)):
        peer, same = theirs(*whole, found, chosen, threads, way)
        rows.append(row(NAME.format(n, taps, WIDTH, CLIPS, CLASSES), mine,
                        PEER.format(name, sample), peer * n / sample, threads,
                        f"{same:,} of {asked:,} predictions agree"))
    return rows
