"""Columns before a probe reads them: scaled, reduced, widened.

Whatever is measured (means, scales, axes) is measured on the training clips alone. Each function
takes the blocks of the training and of the test clips and gives back both.
"""

from collections.abc import Iterable

import numpy as np
from scipy import linalg

Blocks = dict[str, np.ndarray]
"""Named feature blocks (taps, MFCC), each ``(n_clips, d)``, rows aligned."""


def rows_of(blocks: Blocks, *sides: np.ndarray) -> list[Blocks]:
    """The blocks of the rows of each side, e.g. of a split."""
    return [{name: block[rows] for name, block in blocks.items()} for rows in sides]


def beside(blocks: Blocks, names: Iterable[str]) -> np.ndarray:
    """Some blocks side by side, ``(n, columns)``."""
    return np.concatenate([blocks[name] for name in names], 1)


def standardise(train: Blocks, test: Blocks) -> tuple[Blocks, Blocks]:
    """Zero mean and unit variance per column; a constant column is centred only."""
    out: tuple[Blocks, Blocks] = ({}, {})
    for name, block in train.items():
        block = block.astype(np.float64)
        mean, scale = block.mean(0), block.std(0)
        scale[scale < 1e-12 * max(1.0, np.abs(mean).max(initial=0.0))] = 1.0
        out[0][name] = (block - mean) / scale
        out[1][name] = (test[name].astype(np.float64) - mean) / scale
    return out


def reduce(train: Blocks, test: Blocks, width: int) -> tuple[Blocks, Blocks]:
    """Each block wider than `width` as its first principal components.

    Returns:
        Blocks of at most `width` columns (no more than training clips), largest variance first.
    """
    out: tuple[Blocks, Blocks] = ({}, {})
    for name, block in train.items():
        axes = _axes(block - block.mean(0), width) if block.shape[1] > width else None
        for side, values in zip(out, (block, test[name]), strict=True):
            side[name] = values if axes is None else (values - block.mean(0)) @ axes
    return out


def _axes(centred: np.ndarray, width: int) -> np.ndarray:
    # Principal axes ``(d, width)`` from the smaller of the two products of the columns.
    n, d = centred.shape
    width = min(width, n - 1)
    wide = d > n
    product = centred @ centred.T if wide else centred.T @ centred
    kept = (len(product) - width, len(product) - 1)
    vectors = linalg.eigh(product, subset_by_index=kept, check_finite=False)[1][:, ::-1]
    if not wide:
        return vectors
    axes = centred.T @ vectors
    return axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-12)


def joint_pca(train: Blocks, test: Blocks, width: int) -> tuple[Blocks, Blocks]:
    """All blocks side by side as one, ``"joint"``, of their first `width` principal components.

    The control for width: all layers are thereby as wide as one of them.
    """
    beside = (np.concatenate(list(side.values()), 1, dtype=np.float64) for side in (train, test))
    return reduce(*({"joint": columns} for columns in beside), width)


def random_features(train: Blocks, test: Blocks, width: int,
                    seed: int = 0) -> tuple[Blocks, Blocks]:
    """The last block widened to `width` columns by random Fourier features of its own.

    The control for width from the other side: one layer that is thereby as wide as all of them.
    The features are those of a Gaussian kernel of gamma 1/d (Rahimi and Recht, "Random features
    for large-scale kernel machines", NIPS 2007), standardised, beside the block's `d` columns.

    Returns:
        One block ``(n, max(width, d))`` under the name of the last one.
    """
    from sklearn.kernel_approximation import RBFSampler

    name = list(train)[-1]
    d = train[name].shape[1]
    if width <= d:
        return {name: train[name]}, {name: test[name]}
    sampler = RBFSampler(gamma=1 / d, n_components=width - d, random_state=seed).fit(train[name])
    drawn = ({name: sampler.transform(side[name])} for side in (train, test))
    return tuple({name: np.concatenate([side[name], features[name]], 1)}
                 for side, features in zip((train, test), standardise(*drawn), strict=True))
