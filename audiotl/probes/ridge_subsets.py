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

CHUNK = 200
"""Test clips of one product: what it writes is read again at once, and should stay in the cache."""

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
    """What one training set gives to all subsets and all penalties.

    For D columns and k classes.
    """

    names: tuple[str, ...]  # the blocks in order
    edges: np.ndarray  # first column of each block, and D
    classes: np.ndarray  # sorted labels, (k,)
    covariance: np.ndarray  # of the centred columns, (D, D)
    cross: np.ndarray  # of columns and centred targets, (D, k)
    mean_x: np.ndarray  # (D,)
    mean_y: np.ndarray  # (k,)


def fit(train: dict[str, np.ndarray], y: np.ndarray) -> Fitted:
    """Covariances of training clips: blocks ``{name: (n, d)}`` and class labels ``(n,)``."""
    x = np.concatenate(list(train.values()), 1, dtype=np.float64)
    classes, index = np.unique(y, return_inverse=True)
    targets = np.eye(len(classes))[index]
    mean_x, mean_y = x.mean(0), targets.mean(0)
    centred = x - mean_x
    edges = np.cumsum([0, *(block.shape[1] for block in train.values())])
    return Fitted(tuple(train), edges, classes, centred.T @ centred,
                  centred.T @ (targets - mean_y), mean_x, mean_y)


def walk(fitted: Fitted, test: dict[str, np.ndarray], subsets: Sequence[Sequence[str]],
         penalties: Sequence[float], answers: np.ndarray | None = None) -> np.ndarray:
    """What every subset and penalty says of the test clips.

    Returns:
        Position of the largest output, ``(n_subsets, n_penalties, n_test)`` int32; given `answers`,
        the labels of the test clips, whether it is right, ``(n_subsets, n_penalties,
        ceil(n_test / 8))`` uint8, packed as by ``numpy.packbits``.
    """
    if not min(penalties) > 0:
        raise AudiotlError(f"Every ridge penalty must be positive, and one is {min(penalties)}.")
    x = np.concatenate([test[name] for name in fitted.names], 1, dtype=np.float64)
    truth, compare = np.full(len(x), -1), answers is not None
    if compare:
        known = np.isin(answers, fitted.classes)
        truth[known] = np.searchsorted(fitted.classes, answers[known])
    number = {name: i for i, name in enumerate(fitted.names)}
    depth, block, slot, inner = tree([[number[name] for name in subset] for subset in subsets])
    (n, d), k = x.shape, len(fitted.classes)
    shape, levels = (len(subsets), len(penalties)), int(depth.max()) + 1
    bits = np.zeros((*shape, -(-n // 8) if compare else 0), np.uint8)
    labels = np.empty((*shape, 0 if compare else n), np.int32)
    # The first level of both is the full problem; the walk fills the others.
    parts = -(-n // CHUNK)
    size = -(-n // parts)
    system, state = np.empty((levels, d + k, d)), np.zeros((levels, parts, d + k, size))
    for part in range(parts):
        here = x[part * size:(part + 1) * size]
        state[0, part, :d, :len(here)] = (here - fitted.mean_x).T
    state[0, :, d:] = fitted.mean_y[:, None]
    system[0, d:] = -fitted.cross.T
    for c, penalty in enumerate(penalties):
        system[0, :d] = fitted.covariance
        system[0, np.arange(d), np.arange(d)] += penalty
        _eliminate(system, state, fitted.edges, depth, block, slot, inner, truth, compare,
                   bits[:, c], labels[:, c])
    return bits if compare else labels


@njit(nogil=True, cache=True)
def _eliminate(system, state, edges, depth, block, slot, inner, truth, compare, bits, labels):
    """Eliminate block after block along the tree.

    Rows of `system` are the later blocks and, below them, minus the targets.
    """
    d, size = system.shape[2], state.shape[3]
    k, n = system.shape[1] - d, len(truth)
    widest = 0
    for j in range(len(edges) - 1):
        widest = max(widest, edges[j + 1] - edges[j])
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
            for r in range(d - first):
                for i in range(size):
                    after[first + r, i] = before[first + r, i] - change[r, i]
            outputs = after[d:] if inner[node] else change[d - first:rows]
            best[:], where[:] = -np.inf, 0.0
            for c in range(k):
                place = float(c)  # as wide as the values, so that the loop vectorises
                for i in range(size):
                    value = before[d + c, i] - change[d - first + c, i]
                    outputs[c, i] = value
                    more = value > best[i]
                    best[i] = value if more else best[i]
                    where[i] = place if more else where[i]
            if at >= 0:
                start = part * size
                for i in range(min(size, n - start)):
                    if not compare:
                        labels[at, start + i] = np.int32(where[i])
                    elif where[i] == truth[start + i]:
                        bits[at, (start + i) >> 3] |= np.uint8(128 >> ((start + i) & 7))
