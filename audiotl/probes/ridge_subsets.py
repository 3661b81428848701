"""Ridge regression on every subset of some blocks of columns, by elimination along a tree of subsets.

A subset's parent is itself without its last block (Furnival and Wilson, "Regressions by leaps and bounds",
Technometrics 1974, walk the same tree for single columns). A node keeps what is left once its blocks are
eliminated, for later blocks only: the covariance between them, their cross-products with the targets, and the
part of the test clips' columns that the node's blocks do not explain. Adding a block is one inverse of its own
size and one product over the test clips, however many blocks are already in. On average one later block remains
a node, so a subset costs about ``2 n w (w + k)`` operations a penalty for `n` test clips, `k` classes and blocks
`w` wide.

Everything is float64. The penalty must be positive: then every pivot is, and no pivoting is needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numba import njit

from audiotl import AudiotlError

CHUNK = 200
"""Test clips that one product takes: what it writes is read again at once, and should stay near the processor."""

BITS, LABELS, VALUES = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class Tree:
    """The nodes on the way to some subsets, each after its parent.

    Args:
        depth: blocks in the node's subset.
        block: the last of them.
        slot: position of the subset in the list asked for, -1 for a node on the way only.
        inner: whether nodes hang below it.
        n_subsets: subsets asked for.
    """

    depth: np.ndarray
    block: np.ndarray
    slot: np.ndarray
    inner: np.ndarray
    n_subsets: int


def tree(subsets: Sequence[Sequence[int]]) -> Tree:
    """The tree that reaches `subsets`, each a set of block numbers in any order.

    >>> found = tree([(0, 2), (1,)])
    >>> found.depth.tolist(), found.block.tolist(), found.slot.tolist()
    ([1, 2, 1], [0, 2, 1], [-1, 0, 1])
    """
    at: dict[tuple[int, ...], int] = {}
    for position, subset in enumerate(subsets):
        path = tuple(sorted(subset))
        at[path] = position
        for end in range(len(path) - 1, 0, -1):
            if path[:end] in at:
                break
            at[path[:end]] = -1
    nodes = sorted(at)  # a tuple comes before those that it begins, which is the order of a walk
    depth = np.array([len(node) for node in nodes])
    return Tree(depth, np.array([node[-1] for node in nodes]), np.array([at[node] for node in nodes]),
                np.append(depth[1:] > depth[:-1], False), len(subsets))


@dataclasses.dataclass(frozen=True)
class Fit:
    """What one training set gives to all subsets and all penalties.

    Args:
        covariance: ``(D, D)`` of the centred columns.
        cross: ``(D, k)`` of columns and centred targets.
        mean_x: ``(D,)``.
        mean_y: ``(k,)``.
        edges: first column of each block, and D.
    """

    covariance: np.ndarray
    cross: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray
    edges: np.ndarray


def fit(x: np.ndarray, y: np.ndarray, widths: Sequence[int]) -> Fit:
    """Covariances of training clips.

    Args:
        x: ``(n, D)``, blocks side by side.
        y: targets ``(n, k)``, one-hot for classes.
        widths: columns of each block.
    """
    mean_x, mean_y = x.mean(0), y.mean(0)
    centred = x - mean_x
    return Fit(centred.T @ centred, centred.T @ (y - mean_y), mean_x, mean_y, np.cumsum([0, *widths]))


def right(found: Fit, tested: np.ndarray, truth: np.ndarray, nodes: Tree, penalties: Sequence[float]) -> np.ndarray:
    """Which test clips get their largest output at their own class.

    Args:
        tested: ``(n_test, D)``.
        truth: position of each test clip's class among the targets, -1 where it is none of them.

    Returns:
        ``(n_subsets, n_penalties, ceil(n_test / 8))`` uint8, packed as by ``numpy.packbits``.
    """
    bits = np.zeros((nodes.n_subsets, len(penalties), -(-len(tested) // 8)), np.uint8)
    for c, penalty in enumerate(penalties):
        _run(found, tested, truth, nodes, penalty, BITS, bits=bits[:, c])
    return bits


def labels(found: Fit, tested: np.ndarray, nodes: Tree, penalties: Sequence[float]) -> np.ndarray:
    """Position of the largest output, ``(n_subsets, n_penalties, n_test)`` int32."""
    out = np.empty((nodes.n_subsets, len(penalties), len(tested)), np.int32)
    for c, penalty in enumerate(penalties):
        _run(found, tested, np.zeros(len(tested), np.int64), nodes, penalty, LABELS, labels=out[:, c])
    return out


def coefficients(found: Fit, subset: Sequence[int], penalty: float) -> np.ndarray:
    """Weights of one subset, ``(columns of the subset, k)``, by the same walk as its predictions.

    The outputs for a unit vector, less the intercept, are a row of the weights.
    """
    nodes = tree([subset])
    out = np.empty((1, len(found.mean_y), len(found.mean_x)))
    units = np.eye(len(found.mean_x)) + found.mean_x
    _run(found, units, np.zeros(len(units), np.int64), nodes, penalty, VALUES, values=out)
    columns = np.concatenate([np.arange(*found.edges[block:block + 2]) for block in sorted(subset)])
    return (out[0] - found.mean_y[:, None]).T[columns]


def _run(found: Fit, tested: np.ndarray, truth: np.ndarray, nodes: Tree, penalty: float, kind: int,
         bits=None, labels=None, values=None) -> None:
    if not penalty > 0:
        raise AudiotlError(f"Every ridge penalty must be positive, and one is {penalty}.")
    (n, d), k, levels = tested.shape, len(found.mean_y), int(nodes.depth.max()) + 1
    parts = -(-n // CHUNK)
    size = -(-n // parts)
    system, state = np.empty((levels, d + k, d)), np.empty((levels, parts, d + k, size))
    system[0, :d] = found.covariance
    system[0, np.arange(d), np.arange(d)] += penalty
    system[0, d:] = -found.cross.T
    state[0, -1] = 0.0  # the last part may not be full
    for part in range(parts):
        here = tested[part * size:(part + 1) * size]
        state[0, part, :d, :len(here)] = (here - found.mean_x).T
        state[0, part, d:] = found.mean_y[:, None]
    _walk(system, state, found.edges, nodes.depth, nodes.block, nodes.slot, nodes.inner, truth, kind,
          np.empty((0, 0), np.uint8) if bits is None else bits,
          np.empty((0, 0), np.int32) if labels is None else labels,
          np.empty((0, 0, 0)) if values is None else values)


@njit(nogil=True, cache=True)
def _walk(system, state, edges, depth, block, slot, inner, truth, kind, bits, labels, values):
    """Eliminate block after block; rows of `system` are the later blocks and, below them, minus the targets."""
    d, size = system.shape[2], state.shape[3]
    k, n = system.shape[1] - d, len(truth)
    widest = 0
    for j in range(len(edges) - 1):
        widest = max(widest, edges[j + 1] - edges[j])
    own, left, factor = np.empty(widest * widest), np.empty((d + k) * widest), np.empty((d + k) * widest)
    across, update, change = np.empty(widest * d), np.empty((d + k) * d), np.empty((d + k, size))
    upper, lower, best, where = np.empty(widest), np.empty(widest), np.empty(size), np.empty(size)
    for node in range(len(depth)):
        level, j, at = depth[node], block[node], slot[node]
        lo, hi = edges[j], edges[j + 1]
        w = hi - lo
        first = hi if inner[node] else d
        rows, columns = d + k - first, d - hi
        old, new = system[level - 1], system[level]
        pivot = own[:w * w].reshape(w, w)
        pivot[:, :] = old[lo:hi, lo:hi]
        _invert(pivot, upper, lower)
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
            _settle(before[d:], change[d - first:rows], after[d:], inner[node] or kind == VALUES, best, where)
            if at >= 0:
                start = part * size
                for i in range(min(size, n - start)):
                    if kind == BITS:
                        if where[i] == truth[start + i]:
                            bits[at, (start + i) >> 3] |= np.uint8(128 >> ((start + i) & 7))
                    elif kind == LABELS:
                        labels[at, start + i] = np.int32(where[i])
                    else:
                        for c in range(k):
                            values[at, c, start + i] = after[d + c, i]


@njit(nogil=True, cache=True)
def _invert(a, upper, lower):
    """Inverse of a positive definite matrix in place (Gauss and Jordan, no pivoting), two columns a round.

    `upper` and `lower` are room for a row each.
    """
    w = a.shape[0]
    for p in range(0, w - 1, 2):
        q = p + 1
        scale = 1.0 / (a[p, p] * a[q, q] - a[p, q] * a[q, p])
        pp, pq, qp, qq = a[q, q] * scale, -a[p, q] * scale, -a[q, p] * scale, a[p, p] * scale
        a[p, p], a[p, q], a[q, p], a[q, q] = 1.0, 0.0, 0.0, 1.0
        for c in range(w):
            x, y = a[p, c], a[q, c]
            upper[c] = pp * x + pq * y
            lower[c] = qp * x + qq * y
        for r in range(w):
            f, g = a[r, p], a[r, q]
            if r == p:
                for c in range(w):
                    a[r, c] = upper[c]
            elif r == q:
                for c in range(w):
                    a[r, c] = lower[c]
            else:
                a[r, p], a[r, q] = 0.0, 0.0
                for c in range(w):
                    a[r, c] -= f * upper[c] + g * lower[c]
    if w % 2:
        p = w - 1
        scale = 1.0 / a[p, p]
        a[p, p] = 1.0
        for c in range(w):
            upper[c] = a[p, c] * scale
        for r in range(w):
            f = a[r, p]
            if r == p:
                for c in range(w):
                    a[r, c] = upper[c]
            else:
                a[r, p] = 0.0
                for c in range(w):
                    a[r, c] -= f * upper[c]


@njit(nogil=True, cache=True)
def _settle(before, change, after, keep, best, where):
    """Row of the largest value of ``before - change`` in each column, the first of equals; the values if `keep`."""
    n = before.shape[1]
    for i in range(n):
        best[i] = -np.inf
        where[i] = 0.0
    for c in range(before.shape[0]):
        row = float(c)  # as wide as the values, so that the loop vectorises
        if keep:
            for i in range(n):
                value = before[c, i] - change[c, i]
                after[c, i] = value
                more = value > best[i]
                best[i] = value if more else best[i]
                where[i] = row if more else where[i]
        else:
            for i in range(n):
                value = before[c, i] - change[c, i]
                more = value > best[i]
                best[i] = value if more else best[i]
                where[i] = row if more else where[i]
