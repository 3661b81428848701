"""An interior-point solver for the few support vector problems on which pair steps take for ever.

Pairwise steps (`smo`) crawl where the kernel is badly conditioned: a linear kernel of raw columns
with values in the hundreds can need tens of millions of them. Newton steps do not feel the
conditioning, some thirty are enough, and the matrix of each is as small as the number of columns
(Ferris and Munson, "Interior-point methods for massive support vector machines", SIAM J. Optim.
2002). Predictor and corrector after Mehrotra: Nocedal and Wright, *Numerical Optimization*, 2nd
edition, algorithm 16.4.
"""

import numpy as np
from scipy import linalg

MOST_STEPS = 100
TOLERANCE = 1e-5  # how far a solution may be from its conditions, in units of the decision function


def solve(columns: np.ndarray, target: np.ndarray, positive: np.ndarray,
          cost: float) -> tuple[np.ndarray, float]:
    """The problem of `smo.solve` for a linear kernel.

    Args:
        columns: the features ``(n, d)``; ``K = columns @ columns.T``.
        target, positive: ``(n,)`` targets, and whether ``0 <= b <= cost`` (else ``-cost <= b <=
            0``).
        cost: C.

    Returns:
        ``b`` of shape ``(n,)``, inside the boxes and as good as at a bound where it belongs there,
        and the offset ``rho`` of ``f(x) = sum b k(x) - rho``.

    >>> b, rho = solve(np.array([[1.], [-1.]]), np.array([1., -1.]), np.array([True, False]), 10.0)
    >>> b.round(6).tolist(), abs(round(rho, 6))
    ([0.5, -0.5], 0.0)
    """
    n, d = columns.shape
    b = np.where(positive, 0.5, -0.5) * cost
    below, above = np.where(positive, b, cost + b), np.where(positive, cost - b, -b)
    # Duals start at the size of the gradient, so that neither side dwarfs the other.
    size = max(1.0, np.abs(columns @ (b @ columns) - target).max())
    low, high, rho = np.full(n, size), np.full(n, size), 0.0
    jitter = 1e-12 * max(1.0, (columns**2).sum(1).max())
    for _ in range(MOST_STEPS):
        residual = columns @ (b @ columns) - target - rho - low + high
        gap = (below @ low + above @ high) / (2 * n)
        missed = max(gap / 1e-3, abs(b.sum())) / cost
        if max(np.abs(residual).max(), missed) < TOLERANCE:
            break
        loose = 1 / (low / below + high / above + jitter)
        system = (columns * loose[:, None]).T @ columns
        system[np.diag_indices(d)] += 1
        factor = linalg.cho_factor(system, lower=True, check_finite=False)
        state = (b.sum(), below, above, low, high, residual, columns, loose, factor)
        move, _, d_low, d_high = _direction(*state, -below * low, -above * high)
        reach = _reach((below, move), (above, -move), (low, d_low), (high, d_high))
        ahead = ((below + reach * move) @ (low + reach * d_low)
                 + (above - reach * move) @ (high + reach * d_high))
        aim = (ahead / (2 * n) / gap) ** 3 * gap
        move, change, d_low, d_high = _direction(*state, aim - below * low - move * d_low,
                                                 aim - above * high + move * d_high)
        reach = 0.995 * _reach((below, move), (above, -move), (low, d_low), (high, d_high))
        b, rho = b + reach * move, rho + reach * change
        below, above = below + reach * move, above - reach * move
        low, high = low + reach * d_low, high + reach * d_high
    return b, float(rho)


def _direction(total, below, above, low, high, residual, columns, loose, factor, left, right):
    # A Newton step for b, rho and both duals, to complementarity changed by `left` and `right`.
    def solved(g):
        inner = linalg.cho_solve(factor, (g * loose) @ columns, check_finite=False)
        return (g - columns @ inner) * loose

    found, ones = solved(left / below - right / above - residual), solved(np.ones(len(below)))
    change = -(total + found.sum()) / ones.sum()
    move = found + change * ones
    return move, change, (left - low * move) / below, (right + high * move) / above


def _reach(*pairs: tuple[np.ndarray, np.ndarray]) -> float:
    # The longest step, one at most, that keeps every value positive.
    worst = max(float((-move / value).max()) for value, move in pairs)
    return 1.0 if worst <= 1.0 else 1.0 / worst
