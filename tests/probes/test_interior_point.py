"""Newton steps against scikit-learn's solver at a far smaller tolerance."""

import numpy as np
import pytest
from sklearn.svm import SVC

from audiotl.probes.svm import interior_point


@pytest.mark.parametrize("scale", [1.0, 4.0])
@pytest.mark.parametrize("cost", [0.1, 32.0])
def test_the_solution_is_that_of_libsvm(scale, cost):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(80, 5)) * scale
    y = np.sign(x[:, 0] / scale + rng.normal(size=80))
    beta, rho = interior_point.solve(x, y, y > 0, cost)
    svm = SVC(kernel="linear", C=cost, tol=1e-10).fit(x, y)
    # libsvm keeps kernel rows in single precision.
    np.testing.assert_allclose(beta @ x, svm.coef_[0], atol=5e-3)
    np.testing.assert_allclose(x @ (beta @ x) - rho, svm.decision_function(x), atol=5e-3)


def test_a_badly_conditioned_kernel_meets_its_conditions():
    """Raw columns of very different scales and fewer than clips: the kernel is singular and its values are large."""
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
    assert violation[alpha < 0.999 * cost].min() > -1e-3 and violation[alpha > 0.001 * cost].max() < 1e-3
