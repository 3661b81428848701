"""Machines of many SMO problems, compiled: votes of one against one, and epsilon regression, each
for rising C."""

from __future__ import annotations

import numpy as np
from numba import njit

from audiotl.probes.svm.smo import padded, solve

_SMALLEST = 1.2e-38


@njit(nogil=True, cache=True)
def one_vs_one(kernel, diagonal, members, starts, across, costs, tolerance, limits):
    """Votes of all pairs of classes, ``(n_costs, n_test, n_classes)``, and the problems that were
    left unsolved.

    A problem that met its limit casts no vote, and neither do those of the same pair with a larger
    C, which are
    harder: they are marked in the second result, ``(n_costs, n_classes, n_classes)`` bool, first
    class first.

    Args:
        kernel, diagonal: as `solve` takes them.
        members: rows of `kernel` to train on, class after class; class ``c`` is
            ``members[starts[c]:starts[c + 1]]``.
        across: ``(len(members), n_test)`` float64, the kernel of members and test clips.
        costs: values of C in rising order.
        tolerance: as `solve` takes it.
        limits: of each C, as `solve` takes it.
    """
    n_classes, n_test = len(starts) - 1, across.shape[1]
    votes = np.zeros((len(costs), n_test, n_classes), dtype=np.int32)
    stuck = np.zeros((len(costs), n_classes, n_classes), dtype=np.bool_)
    largest = 2 * np.max(starts[1:] - starts[:-1])
    size = largest * padded(largest)
    homes, rows, curvatures = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size)
    decision = np.empty(n_test)
    for first in range(n_classes):
        for second in range(first + 1, n_classes):
            edge = starts[first + 1] - starts[first]
            n = edge + starts[second + 1] - starts[second]
            place, positive = np.empty(n, np.int64), np.empty(n, np.bool_)
            target, beta = np.empty(n), np.empty(n)
            for k in range(n):
                positive[k] = k < edge
                place[k] = starts[first] + k if k < edge else starts[second] + k - edge
                target[k] = 1.0 if k < edge else -1.0
            size = n * padded(n)
            home, row = homes[:size].reshape(n, -1), rows[:size].reshape(n, -1)
            curvature, whole = curvatures[:size].reshape(n, -1), np.zeros(n, np.int64)
            chosen, bounded = members[place], True
            for c in range(len(costs)):
                if bounded:
                    rho, bounded, steps = solve(
                        kernel,
                        diagonal,
                        chosen,
                        target,
                        positive,
                        costs[c],
                        tolerance,
                        limits[c],
                        home,
                        whole,
                        row,
                        curvature,
                        beta,
                    )
                    if steps >= limits[c]:
                        stuck[c:, first, second] = True
                        break
                    decide(across, place, beta, rho, decision)
                for t in range(n_test):
                    votes[c, t, first if decision[t] > 0 else second] += 1
    return votes, stuck


@njit(nogil=True, cache=True)
def regress(kernel, diagonal, members, y, across, costs, tube, tolerance, limits):
    """Values ``(n_costs, n_test)`` predicted by epsilon regression, and which C were left unsolved.

    Arguments, and what is unsolved, as for `one_vs_one`.
    """
    n, n_test = len(members), across.shape[1]
    twice, target, positive = np.empty(2 * n, np.int64), np.empty(2 * n), np.empty(2 * n, np.bool_)
    for k in range(n):
        twice[k] = twice[k + n] = members[k]
        target[k], target[k + n] = y[k] - tube, y[k] + tube
        positive[k], positive[k + n] = True, False
    width, whole = padded(2 * n), np.zeros(2 * n, np.int64)
    home, rows = np.empty((2 * n, width), np.float32), np.empty((2 * n, width), np.float32)
    curvature = np.empty((2 * n, width))
    beta, place, values = np.empty(2 * n), np.arange(n), np.empty((len(costs), n_test))
    stuck = np.zeros(len(costs), dtype=np.bool_)
    bounded = True
    for c in range(len(costs)):
        if bounded:
            rho, bounded, steps = solve(
                kernel,
                diagonal,
                twice,
                target,
                positive,
                costs[c],
                tolerance,
                limits[c],
                home,
                whole,
                rows,
                curvature,
                beta,
            )
            if steps >= limits[c]:
                stuck[c:] = True
                break
            decide(across, place, beta[:n] + beta[n:], rho, values[c])
        else:
            values[c] = values[c - 1]
    return values, stuck


@njit(nogil=True, cache=True)
def decide(across, place, beta, rho, out):
    """``out[t] = sum_k beta[k] across[place[k], t] - rho``, summed in the order of the clips."""
    out[:] = 0.0
    for k in range(len(place)):
        weight = beta[k]
        if weight != 0:
            row = across[place[k]]
            for t in range(len(out)):
                out[t] += weight * row[t]
    for t in range(len(out)):
        out[t] -= rho


@njit(nogil=True, cache=True)
def square(values, times):
    """Square all entries of a matrix in place, `times` times over; what falls below 1e-150 becomes
    0."""
    flat = values.reshape(-1)
    for k in range(len(flat)):
        x = flat[k]
        for _ in range(times):
            x = x * x if x > 1e-150 else 0.0
        flat[k] = x


@njit(nogil=True, cache=True)
def single(values, n):
    """The first `n` columns in single precision, without the subnormal numbers that stall a
    processor."""
    out = np.empty((values.shape[0], n), dtype=np.float32)
    for r in range(values.shape[0]):
        for k in range(n):
            x = values[r, k]
            out[r, k] = np.float32(x if abs(x) > _SMALLEST else 0.0)
    return out
