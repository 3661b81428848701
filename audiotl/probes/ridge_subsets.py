"""Ridge regression on every subset of some blocks of columns, along a tree of subsets.

A subset's parent is itself without its last block (Furnival and Wilson, "Regressions by leaps and
bounds", Technometrics 1974, walk the same tree for single columns). A node keeps what is left once
its blocks are eliminated, for later blocks only: the covariance between them, their cross-products
with the targets, and the part of the test clips' columns that the node's blocks do not explain.
Adding a block is one inverse of its own size and one product over the test clips, however many
blocks are already in. On average one later block remains a node, so a subset costs about
``2 n w (w + k)`` operations a penalty for `n` test clips, `k` classes and blocks `w` wide.

Everything is float64. The penalty must be positive: then every pivot is, and no pivoting is needed.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numba import njit

from audiotl import AudiotlError
from audiotl.probes import targets
from audiotl.probes.targets import precision

CHUNK = 200
"""Test clips of one product: what it writes is read again at once, and should stay in the cache."""

SLAB = 2000
"""Test clips that go through the tree together: what it keeps of them fits into a processor's last
cache, and memory does not grow with their number. A multiple of 8, for packed results."""

WAYS = ("classes", "labels", "tags", "numbers", "outputs")
"""What the walk writes of a node: which clips are right, labels, scores of tags or of numbers, or
all outputs."""


def tree(subsets: Sequence[Sequence[int]]) -> tuple[np.ndarray, ...]:
    """The nodes on the way to `subsets` (sets of block numbers), each after its parent.

    Returns:
        Of each node: ``depth``, its blocks; ``block``, the last of them; ``slot``, its position in
        `subsets`, -1 if it is only on the way; ``inner``, whether nodes hang below it.

    >>> depth, block, slot, inner = tree([(0, 2), (1,)])
    >>> depth.tolist(), block.tolist(), slot.tolist()
    ([1, 2, 1], [0, 2, 1], [-1, 0, 1])
    """
    slots: dict[tuple[int, ...], int] = {}
    for position, subset in enumerate(subsets):
        path = tuple(sorted(subset))
        slots[path] = position
        for end in range(len(path) - 1, 0, -1):
            if path[:end] in slots:
                break
            slots[path[:end]] = -1
    nodes = sorted(slots)  # a tuple comes before those that it begins, which is the order of a walk
    depth, block, slot = np.array([(len(node), node[-1], slots[node]) for node in nodes]).T.copy()
    return depth, block, slot, np.append(depth[1:] > depth[:-1], False)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What one training set gives to all subsets and all penalties."""

    names: tuple[str, ...]  # the blocks in order
    edges: np.ndarray  # first column of each block, and D
    classes: np.ndarray  # sorted class labels, (k,), or positions of tags
    kind: str  # of the targets, see `targets.kind`
    covariance: np.ndarray  # (D, D) of the centred columns
    cross: np.ndarray  # (D, k) of columns and centred targets
    mean_x: np.ndarray  # (D,)
    mean_y: np.ndarray  # (k,)


def fit(train: dict[str, np.ndarray], y: np.ndarray) -> Fitted:
    """Covariances of training clips.

    Args:
        train: blocks ``{name: (n, d)}``.
        y: classes, tags or numbers, see `targets.kind`; classes are fitted one-hot.
    """
    x = np.concatenate(list(train.values()), 1, dtype=np.float64)
    classes, wanted = targets.columns(y)
    mean_x, mean_y = x.mean(0), wanted.mean(0)
    centred = x - mean_x
    edges = np.cumsum([0, *(block.shape[1] for block in train.values())])
    return Fitted(tuple(train), edges, classes, targets.kind(y), centred.T @ centred,
                  centred.T @ (wanted - mean_y), mean_x, mean_y)


def walk(fitted: Fitted, test: dict[str, np.ndarray], subsets: Sequence[Sequence[str]],
         penalties: Sequence[float], answers: np.ndarray | None = None) -> np.ndarray:
    """What every subset and penalty says of the test clips.

    Args:
        test: the blocks of the test clips.
        subsets: names of blocks.
        answers: targets of the test clips.

    Returns:
        Of classes the position of the largest output, ``(n_subsets, n_penalties, n_test)`` int32;
        given `answers`, whether that is right, ``(n_subsets, n_penalties, ceil(n_test / 8))``
        uint8, packed as by ``numpy.packbits``. Of tags and numbers the outputs ``(n_subsets,
        n_penalties, n_test, k)`` float64; given `answers`, scores ``(n_subsets, n_penalties,
        n_test)`` float32, see `targets.clip_scores`.
    """
    if not min(penalties) > 0:
        raise AudiotlError(f"Every ridge penalty must be positive, and one is {min(penalties)}.")
    x = np.concatenate([test[name] for name in fitted.names], 1, dtype=np.float64)
    (n, d), k = x.shape, len(fitted.classes)
    truth, wanted, classes = np.full(n, -1), np.empty((0, 0)), fitted.kind == "classes"
    if answers is not None and classes:
        known = np.isin(answers, fitted.classes)
        truth[known] = np.searchsorted(fitted.classes, answers[known])
    elif answers is not None:
        wanted = targets.columns(answers)[1]
    kind = fitted.kind if answers is not None else "labels" if classes else "outputs"
    number = {name: i for i, name in enumerate(fitted.names)}
    depth, block, slot, inner = tree([[number[name] for name in subset] for subset in subsets])
    shape, levels = (len(subsets), len(penalties)), int(depth.max()) + 1
    bits = np.zeros((*shape, -(-n // 8) if kind == "classes" else 0), np.uint8)
    labels = np.empty((*shape, n if kind == "labels" else 0), np.int32)
    scores = np.empty((*shape, n if kind in ("tags", "numbers") else 0), np.float32)
    outputs = np.empty((*shape, n if kind == "outputs" else 0, k))
    system = np.empty((levels, d + k, d))
    for start in range(0, n, SLAB):
        clips = slice(start, start + SLAB)
        state = _first_level(fitted, x[clips], levels)
        packed = slice(start // 8, (start + SLAB) // 8)
        for c, penalty in enumerate(penalties):
            system[0, :d] = fitted.covariance
            system[0, np.arange(d), np.arange(d)] += penalty
            system[0, d:] = -fitted.cross.T
            _eliminate(system, state, fitted.edges, depth, block, slot, inner, truth[clips],
                       wanted[clips], WAYS.index(kind), bits[:, c, packed], labels[:, c, clips],
                       scores[:, c, clips], outputs[:, c, clips])
    return {"classes": bits, "labels": labels, "outputs": outputs}.get(kind, scores)


def _first_level(fitted: Fitted, x: np.ndarray, levels: int) -> np.ndarray:
    # What the walk knows of test clips ``(n, D)``, in parts of at most `CHUNK`; the first level is
    # the full problem, the walk fills the others.
    n, d = x.shape
    parts = -(-n // CHUNK)
    size = -(-n // parts)
    state = np.zeros((levels, parts, d + len(fitted.classes), size))
    for part in range(parts):
        here = x[part * size:(part + 1) * size]
        state[0, part, :d, :len(here)] = (here - fitted.mean_x).T
    state[0, :, d:] = fitted.mean_y[:, None]
    return state


@njit(nogil=True, cache=True)
def _eliminate(system, state, edges, depth, block, slot, inner, truth, wanted, way, bits, labels,
               scores, said):
    """Eliminate block after block along the tree.

    Rows of `system` are the later blocks and, below them, minus the targets.
    """
    d, size = system.shape[2], state.shape[3]
    k, n = system.shape[1] - d, len(truth)
    widest = np.diff(edges).max()
    left, factor = np.empty((d + k) * widest), np.empty((d + k) * widest)
    across, update, change = np.empty(widest * d), np.empty((d + k) * d), np.empty((d + k, size))
    best, where = np.empty(size), np.empty(size)
    for node in range(len(depth)):
        level, j, at = depth[node], block[node], slot[node]
        lo, hi = edges[j], edges[j + 1]
        w = hi - lo
        first = hi if inner[node] else d
        rows, columns = d + k - first, d - hi
        old, new = system[level - 1], system[level]
        pivot = np.linalg.inv(np.ascontiguousarray(old[lo:hi, lo:hi]))
        side = left[:rows * w].reshape(rows, w)
        side[:, :] = old[first:, lo:hi]
        share = factor[:rows * w].reshape(rows, w)
        np.dot(side, pivot, share)
        if inner[node]:
            beside = across[:w * columns].reshape(w, columns)
            beside[:, :] = old[lo:hi, hi:]
            product = update[:rows * columns].reshape(rows, columns)
            np.dot(share, beside, product)
            for r in range(rows):
                for c in range(columns):
                    new[hi + r, hi + c] = old[hi + r, hi + c] - product[r, c]
        for part in range(state.shape[1]):
            before, after = state[level - 1, part], state[level, part]
            np.dot(share, before[lo:hi], change[:rows])
            if inner[node] or way > 1:
                for r in range(rows):
                    for i in range(size):
                        after[first + r, i] = before[first + r, i] - change[r, i]
            best[:], where[:] = -np.inf, 0.0
            for c in range(k):
                place = float(c)  # as wide as the values, so that the loop vectorises
                for i in range(size):
                    value = before[d + c, i] - change[d - first + c, i]
                    more = value > best[i]
                    best[i] = value if more else best[i]
                    where[i] = place if more else where[i]
            if at >= 0:
                start = part * size
                for i in range(min(size, n - start)):
                    if way == 1:
                        labels[at, start + i] = np.int32(where[i])
                    elif way == 2:
                        scores[at, start + i] = precision(after[d:, i], wanted[start + i])
                    elif way == 3:
                        scores[at, start + i] = -(after[d, i] - wanted[start + i, 0]) ** 2
                    elif way == 4:
                        said[at, start + i] = after[d:, i]
                    elif where[i] == truth[start + i]:
                        bits[at, (start + i) >> 3] |= np.uint8(128 >> ((start + i) & 7))
