import numpy as np
import pytest
import torch

from audiotl import learnt_frontend
from audiotl.datasets.corpus import LeakError
from audiotl.frontend import dct, statistics
from audiotl.learnt_frontend import Budget, Networks, fit, mapped, moments, principal, score


def predict(x, y, rows, n_classes, budget, seeds, test):
    net = fit(Networks(len(x) == 2, x[0].shape[-1], n_classes, budget, seeds), x, y, rows, budget)
    return net(*(part[test] for part in x)).argmax(2)


def test_statistics_of_a_map_come_from_the_moments_with_the_right_gradient():
    torch.manual_seed(0)
    level = torch.randn(5, 12, 9).cumsum(2) * 10 - 40
    one = torch.nn.Parameter(torch.nn.init.orthogonal_(torch.empty(4, 12)))
    other = torch.nn.Parameter(one.detach().clone())
    aim = torch.randn(5, 24)
    left, right = mapped(one, *moments(level)), statistics(other @ level)
    assert torch.allclose(left, right, rtol=1e-4, atol=1e-3)
    (left * aim).sum().backward()
    (right * aim).sum().backward()
    assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-3)


def test_principal_components_are_those_of_all_frames():
    level = torch.randn(7, 6, 9, generator=torch.manual_seed(0)) * torch.arange(1.0, 7)[:, None]
    frames = level.transpose(1, 2).reshape(-1, 6).double().numpy()
    expected = np.linalg.svd(frames - frames.mean(0))[2][:3]
    assert np.allclose(np.abs(principal(*moments(level), 3).numpy() @ expected.T), np.eye(3),
                       atol=1e-3)


@pytest.mark.parametrize("learnt", [False, True])
def test_seeds_side_by_side_are_the_seeds_one_by_one_when_nothing_is_dropped(learnt):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 60)
    shape = 3 * np.sin(np.outer(y, np.arange(12)))[:, :, None]
    level = torch.from_numpy(rng.standard_normal((60, 12, 9)) + shape).float()
    x = moments(level) if learnt else (statistics(level),)
    budget = Budget(epochs=30, batch=16, coefficients=5, hidden=8, dropout=0.0, learning_rate=1e-2)
    args = (x, torch.from_numpy(y), np.arange(48), 3, budget)
    both, alone = (predict(*args, seeds, np.arange(48, 60)) for seeds in ((0, 0), (0,)))
    assert (both[0] == both[1]).all() and (both[0] == alone[0]).all()
    assert (both[0].numpy() == y[48:]).mean() > 0.6


def test_a_learnt_transform_finds_what_the_first_cepstra_cannot_see():
    # Classes differ in the sign of the finest ripple over the bands, the DCT's last coefficient.
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    ripple = np.cos(np.pi * 15 * (np.arange(16) + 0.5) / 16) * np.where(y, 1.0, -1.0)[:, None]
    noise = rng.standard_normal((300, 16, 6)) * 0.5
    level = torch.from_numpy(noise + ripple[:, :, None]).float()
    budget = Budget(epochs=25, batch=32, coefficients=3, hidden=8, dropout=0.0, learning_rate=1e-2)
    args = (torch.from_numpy(y), np.arange(200), 2, budget, (0, 1), np.arange(200, 300))
    fixed = predict((statistics(dct(3, 16) @ level),), *args).numpy()
    learnt = predict(moments(level), *args).numpy()
    assert (fixed == y[200:]).mean() < 0.65 < 0.95 < (learnt == y[200:]).mean()


def test_every_transform_is_scored_and_remembered(sound, monkeypatch):
    small = Budget(epochs=8, batch=12, coefficients=6, hidden=16)
    args = (sound.corpus.splits(), (0, 1), small)
    found = {name: score(sound, name, *args) for name in learnt_frontend.TRANSFORMS}
    assert {one.values.shape for one in found.values()} == {(2, 1, 36)}
    assert np.mean([one.mean for one in found.values()]) > 0.5
    monkeypatch.setattr(learnt_frontend, "fit", None)
    again = {name: score(sound, name, *args) for name in found}
    assert all((again[name].values == one.values).all() for name, one in found.items())
    with pytest.raises(LeakError):
        score(sound, "dct", [(np.arange(10), np.arange(9, 20))], (0,), small)
