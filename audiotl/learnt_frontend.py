"""What may follow a log spectrogram, all else equal: DCT, PCA, a learnt map, nothing.

Behind each stand the same statistics over time and the same small network: one hidden layer,
trained with a learnt map or behind a fixed one, on the training clips of each fold alone. A map
along the bands is linear, so its statistics follow from the moments of the bands: training needs no
frames, and the map is learnt at the price of a few small products.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from audiotl import cache, parallel, stats
from audiotl.datasets.corpus import Split, check_split
from audiotl.features import Features
from audiotl.frontend import dct, statistics

VERSION = 1
TRANSFORMS = ("dct", "pca", "learnt", "none")


@dataclasses.dataclass(frozen=True)
class Budget:
    """How the network behind every front end is trained."""

    epochs: int = 30
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    hidden: int = 64
    dropout: float = 0.3
    coefficients: int = 20


class _Variance(torch.autograd.Function):
    """``w C w`` for each row w of a weight; C is symmetric, so the gradient is ``2 C w``."""

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

    Shape:
        ``(n, bands, frames)`` to ``(n, 3, bands)`` and ``(n, 3, bands, bands)``.
    """
    means, covariances = [], []
    for part in (level, level.diff(dim=-1), level.diff(2, dim=-1)):
        means.append(part.mean(-1))
        centred = part - means[-1][..., None]
        covariances.append(centred @ centred.transpose(1, 2) / part.shape[-1])
    return torch.stack(means, 1), torch.stack(covariances, 1)


def mapped(weight: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """`frontend.statistics` of ``weight @ level`` from the `moments`: ``(n, 6 * outputs)``."""
    deviations = _Variance.apply(weight, covariances).clamp(min=1e-12).sqrt()
    return torch.cat([(means @ weight.T).flatten(1), deviations.flatten(1)], 1)


def principal(means: Tensor, covariances: Tensor, outputs: int) -> Tensor:
    """First principal components of the bands over all frames of clips, ``(outputs, bands)``."""
    centred = means[:, 0] - means[:, 0].mean(0)
    total = covariances[:, 0].mean(0) + centred.T @ centred / len(centred)
    return torch.linalg.eigh(total)[1].flip(1)[:, :outputs].T


class Networks(nn.Module):
    """Several seeds of [map, statistics, standardise, hidden layer, classes], side by side.

    Args:
        learnt: whether the map is learnt; its input is then the two `moments`.
        width: bands behind the moments, or columns of the statistics of a fixed map.

    Shape:
        ``(batch, columns)``, or the two `moments`, to ``(seeds, batch, n_classes)`` logits.
    """

    def __init__(self, learnt: bool, width: int, n_classes: int, budget: Budget,
                 seeds: Sequence[int]):
        super().__init__()
        self.seeds, self.learnt, self.drop, drawn = len(seeds), learnt, budget.dropout, []
        columns = 6 * budget.coefficients if learnt else width
        for seed in seeds:
            torch.manual_seed(seed)
            own = [nn.init.orthogonal_(torch.empty(budget.coefficients, width))] if learnt else []
            for layer in (nn.Linear(columns, budget.hidden), nn.Linear(budget.hidden, n_classes)):
                own += [layer.weight.T, layer.bias[None]]
            drawn.append([weight.detach() for weight in own])
        self.weights = nn.ParameterList(torch.stack(same) for same in zip(*drawn, strict=True))
        self.norm = nn.BatchNorm1d(columns * (len(seeds) if learnt else 1), affine=False)
        self.chance = torch.Generator().manual_seed(int(seeds[0]))

    def forward(self, *x: Tensor) -> Tensor:
        *front, w1, b1, w2, b2 = self.weights
        if self.learnt:
            # Columns come as (statistic, seed, coefficient); each seed's go to its own network.
            columns = self.norm(mapped(front[0].flatten(0, 1), *x))
            columns = columns.unflatten(1, (6, self.seeds, -1)).permute(2, 0, 1, 3).flatten(2)
        else:
            columns = self.norm(x[0]).expand(self.seeds, *x[0].shape)
        hidden = torch.relu(columns @ w1 + b1)
        if self.training and self.drop:
            kept = torch.rand(hidden.shape, generator=self.chance) >= self.drop
            hidden = hidden * kept / (1 - self.drop)
        return hidden @ w2 + b2


def fit(net: Networks, x: Sequence[Tensor], y: Tensor, rows: np.ndarray, budget: Budget,
        seed: int = 0) -> Networks:
    """Train all seeds on the clips `rows`; batches come in one order for all of them."""
    steps = -(-len(rows) // budget.batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=budget.learning_rate,
                                  weight_decay=budget.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, budget.learning_rate,
                                                   total_steps=steps * budget.epochs)
    rng = np.random.default_rng(seed)
    net.train()
    for _ in range(budget.epochs):
        for chunk in np.array_split(rng.permutation(rows), steps):
            here = torch.from_numpy(chunk)
            logits = net(*(part[here] for part in x)).flatten(0, 1)
            # A sum over seeds: each seed's gradient is its own.
            loss = nn.functional.cross_entropy(logits, y[here].repeat(net.seeds)) * net.seeds
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def score(sound: Features, transform: str, splits: Sequence[Split], seeds: Sequence[int],
          budget: Budget = Budget(), **keys) -> stats.Scored:  # noqa: B008 (frozen)
    """What each clip scored behind one of `TRANSFORMS`, its fold held out, kept in the cache.

    Nothing is selected: the last epoch is scored. LeakError if a split has a group on both sides.
    """
    corpus, folds = sound.corpus, np.full(len(sound.corpus), -1)
    for k, (train, test) in enumerate(splits):
        check_split(corpus.groups, train, test, f"fold {k} of {corpus.name}")
        folds[test] = k
    content = [cache.array_key(rows) for split in splits for rows in split]
    folder = _score(sound.key, transform, corpus.targets(), [*map(int, seeds)], content, budget,
                    sound=sound, splits=splits)
    correct = np.load(folder / "right.npy")
    return stats.Scored(correct[:, None].astype(float), folds[None], corpus.groups, keys)


@cache.step("frontends", VERSION)
def _score(folder: Path, key: str, transform: str, y: np.ndarray, seeds: list[int], content: list,
           budget: Budget, *, sound: Features, splits: Sequence[Split]) -> None:
    x = _inputs(sound, transform, budget.coefficients)
    width = 6 * budget.coefficients if transform == "pca" else x[0].shape[-1]
    # The networks are drawn here, one after the other: threads share torch's chance.
    how = transform == "learnt", width, len(sound.corpus.classes), budget, seeds
    jobs = [(Networks(*how), split) for split in splits]
    shared = (x, torch.from_numpy(y), budget, int(seeds[0]))
    correct = np.zeros((len(seeds), len(y)), bool)
    found = parallel.in_threads(_fold, jobs, shared, os.cpu_count() or 1)
    for (_, test), predicted in zip(splits, found, strict=True):
        correct[:, test] = predicted == y[test]
    np.save(folder / "right.npy", correct)


def _inputs(sound: Features, transform: str, coefficients: int) -> list[Tensor]:
    # The statistics of a fixed map of all clips, or the moments of their bands.
    levels = (torch.from_numpy(sound.spectrograms[i:i + 256].astype(np.float32))
              for i in range(0, len(sound.corpus), 256))
    if transform == "none":
        return [torch.cat(list(map(statistics, levels)))]
    if transform == "dct":
        cosines = dct(coefficients, sound.spectrograms.shape[1])
        return [torch.cat([statistics(cosines @ level) for level in levels])]
    return [torch.cat(part) for part in zip(*map(moments, levels), strict=True)]


def _fold(job: tuple[Networks, Split], x: list[Tensor], y: Tensor, budget: Budget,
          seed: int) -> np.ndarray:
    net, (train, test) = job
    if len(x) == 2 and not net.learnt:
        here = torch.from_numpy(train)
        x = [mapped(principal(*(part[here] for part in x), budget.coefficients), *x)]
    fit(net, x, y, train, budget, seed)
    with torch.inference_mode():
        return torch.cat([net(*(part[torch.from_numpy(rows)] for part in x)).argmax(2)
                          for rows in np.array_split(test, -(-len(test) // 256))], 1).numpy()
