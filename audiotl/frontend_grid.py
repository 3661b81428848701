"""Frequency axis by transform, all else equal: what of an MFCC does the work?

Nine front ends: mel, logarithmic or linear axis, then a DCT, a learnt convolution or nothing. What is equal: the
range (60 Hz to the top) and the number of bands, the STFT, decibels below the clip's loudest point, the statistics
over time, the network behind them (one hidden layer), its training, the folds, and the seeds. DCT and learnt
convolution give the same number of coefficients, so they differ only in whether their weights were trained; that
happens with the network, on the training clips of each fold alone. "None" hands on all bands, hence more columns.
Nothing is selected: the budget was fixed before any score was seen, and the last epoch is scored.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from audiotl import cache, stats
from audiotl.datasets.corpus import Corpus, check_split
from audiotl.features import Features, features
from audiotl.frontend import AXES, TRANSFORMS, Settings, Transform, statistics

VERSION = 1
SETTINGS = {axis: Settings(n_fft=1024, hop=512, n_bands=64, low=60.0, axis=axis) for axis in AXES}
"""The three axes: 64 bands from 60 Hz to 8 kHz."""

Cell = tuple[str, str]
"""An axis and a transform."""

CONTRASTS: dict[str, tuple[Cell, Cell]] = {
    "log axis - mel axis (DCT)": (("log", "dct"), ("mel", "dct")),
    "linear axis - mel axis (DCT)": (("linear", "dct"), ("mel", "dct")),
    "learnt - DCT (mel)": (("mel", "learnt"), ("mel", "dct")),
    "none - DCT (mel)": (("mel", "none"), ("mel", "dct")),
    "log axis and learnt - MFCC": (("log", "learnt"), ("mel", "dct")),
    "log axis and none - MFCC": (("log", "none"), ("mel", "dct")),
}
"""The conjecture and its parts, each as a difference of two cells; mel with DCT is the MFCC."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """How the network behind every front end is trained; the same for all nine."""

    epochs: int = 30
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    hidden: int = 64
    dropout: float = 0.3
    coefficients: int = 20


class _Variance(torch.autograd.Function):
    """``w C w`` for every row w of a weight; its gradient needs no second product, because C is symmetric."""

    @staticmethod
    def forward(ctx, weight: Tensor, covariance: Tensor) -> Tensor:
        product = covariance @ weight.T
        ctx.save_for_backward(product)
        return (product * weight.T).sum(-2)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (product,) = ctx.saved_tensors
        return 2 * (product * gradient[..., None, :]).flatten(0, -3).sum(0).T, None


def moments(level: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the bands over time, of a series and its first two differences.

    All that `statistics` of any linear map along the bands can depend on, so that training needs no frames.

    Shape:
        ``(n, bands, frames)`` to ``(n, 3, bands)`` and ``(n, 3, bands, bands)``.
    """
    second = level.diff(dim=-1)
    means, covariances = [], []
    for part in (level, second, second.diff(dim=-1)):
        means.append(part.mean(-1))
        centred = part - means[-1][..., None]
        covariances.append(centred @ centred.transpose(1, 2) / part.shape[-1])
    return torch.stack(means, 1), torch.stack(covariances, 1)


def mapped(weight: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """`statistics` of ``weight @ level`` from the moments of `level`: ``(n, 6 * outputs)``."""
    deviations = _Variance.apply(weight, covariances).clamp(min=1e-12).sqrt()
    return torch.cat([(means @ weight.T).flatten(1), deviations.flatten(1)], 1)


class Nets(nn.Module):
    """Several seeds of [transform, statistics, standardise, hidden layer, classes], trained side by side.

    A fixed transform has its statistics taken beforehand, so its input is those; a learnt one sees moments.

    Args:
        learnt: whether to learn a transform.
        width: bands behind the moments, or columns of the statistics.

    Shape:
        ``(batch, columns)``, or the two `moments`, to ``(seeds, batch, n_classes)`` logits.
    """

    def __init__(self, learnt: bool, width: int, n_classes: int, budget: Budget, seeds: Sequence[int]):
        super().__init__()
        self.seeds, self.learnt, self.drop, parts = len(seeds), learnt, budget.dropout, []
        columns = 6 * budget.coefficients if learnt else width
        for seed in seeds:
            torch.manual_seed(seed)
            parts.append(([Transform("learnt", width, budget.coefficients).weight.detach()] if learnt else [])
                         + [weight for layer in (nn.Linear(columns, budget.hidden), nn.Linear(budget.hidden, n_classes))
                            for weight in (layer.weight.detach().T, layer.bias.detach()[None])])
        self.weights = nn.ParameterList(torch.stack(same) for same in zip(*parts, strict=True))
        self.norm = nn.BatchNorm1d(columns * (len(seeds) if learnt else 1), affine=False)
        self.chance = torch.Generator().manual_seed(int(seeds[0]))

    def forward(self, *x: Tensor) -> Tensor:
        *front, w1, b1, w2, b2 = self.weights
        if self.learnt:
            # Columns come as (statistic, seed, coefficient), and each seed's go to its own network.
            columns = self.norm(mapped(front[0].flatten(0, 1), *x)).unflatten(1, (6, self.seeds, -1))
            columns = columns.permute(2, 0, 1, 3).flatten(2)
        else:
            columns = self.norm(x[0]).expand(self.seeds, *x[0].shape)
        hidden = torch.relu(columns @ w1 + b1)
        if self.training and self.drop:
            hidden = hidden * (torch.rand(hidden.shape, generator=self.chance) >= self.drop) / (1 - self.drop)
        return hidden @ w2 + b2


def fit(net: Nets, x: tuple[Tensor, ...], y: Tensor, rows: np.ndarray, budget: Budget, seed: int = 0) -> Nets:
    """Train all seeds on the clips `rows`; batches come in one order for all of them."""
    steps = -(-len(rows) // budget.batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=budget.learning_rate, weight_decay=budget.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, budget.learning_rate, total_steps=steps * budget.epochs)
    rng = np.random.default_rng(seed)
    net.train()
    for _ in range(budget.epochs):
        for chunk in np.array_split(rng.permutation(rows), steps):
            here = torch.from_numpy(chunk)
            logits = net(*(part[here] for part in x))
            # A sum over seeds: each seed's gradient is its own.
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), y[here].repeat(net.seeds)) * net.seeds
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def fit_predict(x: tuple[Tensor, ...], y: Tensor, splits: Sequence[tuple[np.ndarray, np.ndarray]], n_classes: int,
                budget: Budget, seeds: Sequence[int], progress: bool = False, title: str = "") -> list[np.ndarray]:
    """Classes predicted for the test clips of every split, each ``(seeds, n_test)``; one split a core.

    Args:
        x: the two `moments`, to learn a transform on, or the statistics ``(n, columns)`` of a fixed one.
    """
    nets = [Nets(len(x) == 2, x[0].shape[-1], n_classes, budget, seeds) for _ in splits]

    def one(net: Nets, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        torch.set_num_threads(1)
        fit(net, x, y, train, budget, int(seeds[0]))
        with torch.inference_mode():
            return torch.cat([net(*(part[torch.from_numpy(rows)] for part in x)).argmax(2)
                              for rows in np.array_split(test, -(-len(test) // 256))], 1).numpy()

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = [pool.submit(one, net, *split) for net, split in zip(nets, splits, strict=True)]
        return [job.result() for job in tqdm(jobs, desc=title, unit="fold", disable=not progress)]


def score(aim: Features, transform: str, splits: Sequence[tuple[np.ndarray, np.ndarray]], seeds: Sequence[int],
          budget: Budget, progress: bool = True) -> np.ndarray:
    """Which clips one front end got right when their fold was held out, ``(seeds, n)`` bool, from the cache or now.

    Args:
        aim: spectrograms on one axis; see `SETTINGS`.

    Raises:
        LeakError: a split has a group on both sides.
    """
    corpus = aim.corpus
    y = corpus.targets()
    for k, (train, test) in enumerate(splits):
        check_split(corpus.groups, train, test, where=f"fold {k} of {corpus.name}")
    key = cache.key_of("frontends", VERSION, aim.key, transform, cache.array_key(y), list(map(int, seeds)),
                       [cache.array_key(part) for split in splits for part in split], dataclasses.asdict(budget))

    def make(folder: Path) -> None:
        front = Transform(transform, aim.spectrograms.shape[1], budget.coefficients)
        take = moments if transform == "learnt" else lambda level: (statistics(front(level)),)
        with torch.no_grad():
            parts = [take(torch.from_numpy(aim.spectrograms[i:i + 256].astype(np.float32)))
                     for i in range(0, len(y), 256)]
        x = tuple(torch.cat(same) for same in zip(*parts, strict=True))
        found = fit_predict(x, torch.from_numpy(y), splits, len(corpus.classes), budget, seeds, progress,
                            f"{corpus.name}, {transform}")
        right = np.zeros((len(seeds), len(y)), bool)
        for (_, test), predicted in zip(splits, found, strict=True):
            right[:, test] = predicted == y[test]
        np.save(folder / "right.npy", right)

    return np.load(cache.entry("frontends", key, make) / "right.npy")


def grid(corpus: Corpus, seeds: Sequence[int], budget: Budget = Budget(), split_seed: int = 0,  # noqa: B008
         progress: bool = True) -> dict[Cell, np.ndarray]:
    """All nine front ends on one corpus: ``{(axis, transform): (seeds, n) bool}``."""
    out = {}
    for axis in AXES:
        aim = features(corpus, SETTINGS[axis], progress=progress)
        for transform in TRANSFORMS:
            out[axis, transform] = score(aim, transform, aim.corpus.splits(seed=split_seed), seeds, budget, progress)
    return out


def table(grids: dict[str, dict[Cell, np.ndarray]], seeds: Sequence[int]) -> pd.DataFrame:
    """Scores ``axis, transform, target, seed, score`` of the grids of some targets."""
    return pd.DataFrame([{"axis": axis, "transform": transform, "target": target, "seed": seed, "score": row.mean()}
                         for target, cells in grids.items() for (axis, transform), right in cells.items()
                         for seed, row in zip(seeds, right, strict=True)])


def contrasts(grids: dict[str, dict[Cell, np.ndarray]], groups: dict[str, np.ndarray]) -> pd.DataFrame:
    """Paired differences of `CONTRASTS`, means over seeds, with a bootstrap interval over groups.

    Args:
        groups: group of each clip, by target.

    Returns:
        ``contrast, target, difference, ci_low, ci_high, seed_low, seed_high``: the last two are the smallest and
        largest difference of a single seed, which the interval does not cover.
    """
    rows = []
    for target, cells in grids.items():
        for name, (this, other) in CONTRASTS.items():
            gap = cells[this].astype(float) - cells[other]
            difference, low, high = stats.bootstrap_mean(gap.mean(0), groups[target])
            rows.append({"contrast": name, "target": target, "difference": difference, "ci_low": low, "ci_high": high,
                         "seed_low": gap.mean(1).min(), "seed_high": gap.mean(1).max()})
    return pd.DataFrame(rows)
