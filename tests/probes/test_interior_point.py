"""Newton steps by their optimality conditions; test_svm compares them with scikit-learn."""

import numpy as np

from audiotl.probes.svm import interior_point


def test_a_badly_conditioned_kernel_meets_its_conditions():
    """Raw columns of very different scales, fewer than clips: a singular kernel of large values."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 20)) * np.logspace(0, 2.5, 20)
    y = np.where(np.arange(120) < 50, 1.0, -1.0)
    kernel, positive, cost = x @ x.T, y > 0, 8.0
    beta, rho = interior_point.solve(x, y, positive, cost)
    assert abs(beta.sum()) < 1e-6 * cost
    alpha = beta * y
    assert (alpha >= 0).all() and (alpha <= cost).all()
    violation = y * (kernel @ beta - rho) - 1
    # Clips below C lie on or outside the margin, clips above 0 on or inside it.
    assert violation[alpha < 0.999 * cost].min() > -1e-3
    assert violation[alpha > 0.001 * cost].max() < 1e-3
