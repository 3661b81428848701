"""Machines of SMO problems for rising C, compiled: votes of one against one, and one machine."""

import numpy as np

from audiotl.probes.svm.smo import compiled, padded, solve


@compiled
def one_vs_one(kernel, diagonal, members, starts, across, costs, tolerance, limits):
    """Votes of all pairs of classes, ``(n_costs, n_test, n_classes)``, and what was left unsolved.

    A problem that met its limit casts no vote, and neither do those of the same pair with a larger
    C, which are harder: they are marked in the second result, ``(n_costs, n_classes, n_classes)``
    bool, first class first.

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
    for first in range(n_classes):
        ours = np.arange(starts[first], starts[first + 1])
        for second in range(first + 1, n_classes):
            place = np.concatenate((ours, np.arange(starts[second], starts[second + 1])))
            positive = np.arange(len(place)) < len(ours)
            values, solved = rising(kernel, diagonal, members[place], np.where(positive, 1.0, -1.0),
                                    positive, place, across, costs, tolerance, limits)
            stuck[solved:, first, second] = True
            for c in range(solved):
                for t in range(n_test):
                    votes[c, t, first if values[c, t] > 0 else second] += 1
    return votes, stuck


@compiled
def rising(kernel, diagonal, members, target, positive, place, across, costs, tolerance, limits):
    """One problem for rising C: values ``(n_costs, n_test)``, and how many C came before a limit.

    Arguments as for `one_vs_one` and `solve`. A member has row ``place[k]`` of `across`; where
    there are twice as many members as rows, both multipliers of a clip are added first.
    """
    n = len(members)
    rows, fetched = np.empty((n, padded(n)), np.float32), np.zeros(n, np.int64)
    beta, out, bounded = np.empty(n), np.zeros((len(costs), across.shape[1])), True
    for c in range(len(costs)):
        if not bounded:
            out[c] = out[c - 1]
            continue
        rho, bounded, steps = solve(kernel, diagonal, members, target, positive, costs[c],
                                    tolerance, limits[c], rows, fetched, beta)
        if steps >= limits[c]:
            return out, c
        weights = beta.reshape(-1, len(place)).sum(axis=0)
        here = out[c]
        for k in range(len(place)):
            weight, row = weights[k], across[place[k]]
            if weight != 0:
                for t in range(len(row)):
                    here[t] += weight * row[t]
        here -= rho
    return out, len(costs)
