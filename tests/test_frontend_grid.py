import numpy as np
import pytest
import torch

from audiotl import datasets, frontend_grid
from audiotl.datasets.corpus import LeakError
from audiotl.features import features
from audiotl.frontend import Transform, statistics
from audiotl.frontend_grid import (
    CONTRASTS,
    SETTINGS,
    Budget,
    contrasts,
    fit_predict,
    grid,
    mapped,
    moments,
    score,
    table,
)

SMALL = Budget(epochs=8, batch=12, coefficients=6, hidden=16)


def test_the_three_axes_differ_in_nothing_else():
    rest = [{k: v for k, v in vars(settings).items() if k != "axis"} for settings in SETTINGS.values()]
    assert rest[0] == rest[1] == rest[2] and set(SETTINGS) == {"mel", "log", "linear"}


def test_statistics_of_a_map_come_from_the_moments_with_the_right_gradient():
    torch.manual_seed(0)
    level = torch.randn(5, 12, 9).cumsum(2) * 10 - 40
    one, other = (torch.nn.Parameter(torch.nn.init.orthogonal_(torch.empty(4, 12))) for _ in range(2))
    other.data.copy_(one.data)
    aim = torch.randn(5, 24)
    left, right = mapped(one, *moments(level)), statistics(other @ level)
    assert torch.allclose(left, right, rtol=1e-4, atol=1e-3)
    (left * aim).sum().backward()
    (right * aim).sum().backward()
    assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("learnt", [False, True])
def test_seeds_side_by_side_are_the_seeds_one_by_one_when_nothing_is_dropped(learnt):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 60)
    shape = 3 * np.sin(np.outer(y, np.arange(12)))[:, :, None]
    level = torch.from_numpy(rng.standard_normal((60, 12, 9)) + shape).float()
    x = moments(level) if learnt else (statistics(level),)
    budget = Budget(epochs=30, batch=16, coefficients=5, hidden=8, dropout=0.0, learning_rate=1e-2)
    args = (x, torch.from_numpy(y), [(np.arange(48), np.arange(48, 60))], 3, budget)
    both, alone = fit_predict(*args, (0, 0))[0], fit_predict(*args, (0,))[0]
    assert (both[0] == both[1]).all() and (both[0] == alone[0]).all()
    assert (both[0] == y[48:]).mean() > 0.6


def test_a_learnt_transform_finds_what_the_first_cepstra_cannot_see():
    # Classes differ in the sign of the finest ripple over the bands, the last coefficient of the DCT.
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    ripple = np.cos(np.pi * 15 * (np.arange(16) + 0.5) / 16) * np.where(y, 1.0, -1.0)[:, None]
    level = torch.from_numpy(rng.standard_normal((300, 16, 6)) * 0.5 + ripple[:, :, None]).float()
    budget = Budget(epochs=25, batch=32, coefficients=3, hidden=8, dropout=0.0, learning_rate=1e-2)
    args = (torch.from_numpy(y), [(np.arange(200), np.arange(200, 300))], 2, budget, (0, 1))
    (fixed,) = fit_predict((statistics(Transform("dct", 16, 3)(level)),), *args)
    (learnt,) = fit_predict(moments(level), *args)
    assert (fixed == y[200:]).mean() < 0.65 < 0.95 < (learnt == y[200:]).mean()


def test_the_grid_scores_every_cell_and_remembers(class_folders, fresh_cache, monkeypatch):
    corpus = datasets.load("folder", class_folders)
    cells = grid(corpus, (0, 1), SMALL, progress=False)
    assert len(cells) == 9 and {right.shape for right in cells.values()} == {(2, 36)}
    frame = table({"toy": cells}, (0, 1))
    assert list(frame.columns) == ["axis", "transform", "target", "seed", "score"] and len(frame) == 18
    assert frame["score"].mean() > 0.5
    gaps = contrasts({"toy": cells}, {"toy": corpus.groups[:36]})
    assert len(gaps) == len(CONTRASTS) and (gaps["ci_low"] <= gaps["difference"]).all()
    assert ((gaps["seed_low"] <= gaps["difference"]) & (gaps["difference"] <= gaps["seed_high"])).all()
    monkeypatch.setattr(frontend_grid, "fit_predict", None)
    again = grid(corpus, (0, 1), SMALL, progress=False)
    assert all((again[cell] == cells[cell]).all() for cell in cells)


def test_a_leaking_split_is_refused(class_folders, fresh_cache):
    aim = features(datasets.load("folder", class_folders), progress=False)
    with pytest.raises(LeakError):
        score(aim, "dct", [(np.arange(10), np.arange(9, 20))], (0,), SMALL)
