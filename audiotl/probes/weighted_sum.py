"""One weighted sum of the layers and a linear classifier on it, learnt together.

The rule of SUPERB (Yang et al. 2021, arXiv 2105.01051, section 3): the weights are a softmax, so a
network is read at the width of one layer. A rival of all layers side by side.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from audiotl.probes import Blocks, Probe, Subset

STEPS = 60


class WeightedSum(Probe):
    """The weighted sum; blocks narrower than the widest are filled up with zeros.

    Args:
        decays: penalties on the squared weights of the classifier.
    """

    def __init__(self, decays: Sequence[float] = (1e-4, 1e-3, 1e-2)):
        self.name = "weighted sum"
        self.cells = [{"decay": float(value)} for value in decays]

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks,
             subsets: Sequence[Subset]) -> np.ndarray:
        classes, index = np.unique(y, return_inverse=True)
        out = []
        for subset in subsets:
            x, tested = (_stacked([side[name] for name in subset]) for side in (train, test))
            found = [_fit(x, torch.from_numpy(index), len(classes), **cell) for cell in self.cells]
            out.append([classes[_scores(tested, *one).argmax(1).numpy()] for one in found])
        return np.array(out)


def _stacked(blocks: list[np.ndarray]) -> torch.Tensor:
    width = max(block.shape[1] for block in blocks)
    return torch.from_numpy(np.stack([
        np.pad(block, ((0, 0), (0, width - block.shape[1]))) for block in blocks])).float()


def _scores(x: torch.Tensor, share: torch.Tensor, weight: torch.Tensor,
            bias: torch.Tensor) -> torch.Tensor:
    return torch.einsum("l,lnd->nd", share.softmax(0), x) @ weight + bias


def _fit(x: torch.Tensor, y: torch.Tensor, n_classes: int, decay: float) -> tuple:
    free = [torch.zeros(size, requires_grad=True)
            for size in ((len(x),), (x.shape[2], n_classes), (n_classes,))]
    optimiser = torch.optim.LBFGS(free, max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = nn.functional.cross_entropy(_scores(x, *free), y) + decay * free[1].square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimiser.step(loss)
    return tuple(value.detach() for value in free)
