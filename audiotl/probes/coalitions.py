"""Scores of coalitions of blocks, clip by clip: what Shapley values are made of."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from audiotl import cache, shapley, stats
from audiotl.probes import Blocks, standardise
from audiotl.probes.subset_search import Search, Splits


def guesses(y: np.ndarray, splits: Splits) -> np.ndarray:
    """What no block gets right, ``(n,)``: a fold guesses its training clips' largest class."""
    out = np.zeros(len(y))
    for train, test in splits:
        out[test] = y[test] == np.bincount(y[train]).argmax()
    return out


def of_one_block(found: Search, name: str, y: np.ndarray, splits: Splits) -> pd.DataFrame:
    """Shapley values of all blocks, and the interactions of one with each of the others.

    Args:
        found: a search of all subsets; nested scores are taken.
        name: of the block.

    Returns:
        ``kind, player, value, ci_low, ci_high, groups``: kind is ``"value"`` (of the player) or
        ``"interaction"`` (of the block with the player).
    """
    values, pairs = shapley.attribute(
        found.nested_bits, shapley.masks(found.subsets, found.names), guesses(y, splits),
        found.groups, found.names)
    values = values.rename(columns={"layer": "player"}).assign(kind="value")
    first, second = pairs["first"], pairs["second"]
    pairs = pairs.assign(player=first.where(second == name, second), kind="interaction")
    pairs = pairs[(first == name) | (second == name)].rename(columns={"index": "value"})
    columns = ["kind", "player", "value", "ci_low", "ci_high"]
    return pd.concat([values, pairs], ignore_index=True)[columns].assign(
        groups=len(np.unique(found.groups)))


def against_null(layers: Blocks, block: np.ndarray, y: np.ndarray, splits: Splits,
                 groups: np.ndarray, seed: int = 0, **keys) -> list[stats.Scored]:
    """Value and mean interaction of a block beside layers, of a copy of a layer, and of noise.

    In nats a clip (see `log_likelihoods`). A copy of the middle layer can only repeat, noise as
    wide as the block can do nothing.

    Returns:
        Six, under the further keys ``block`` (``"block"``, ``"copy"``, ``"noise"``) and ``what``
        (``"value"``, ``"interaction"``).
    """
    rivals = {"block": block, "copy": list(layers.values())[len(layers) // 2],
              "noise": np.random.default_rng(seed).standard_normal(block.shape)}
    folds = np.empty(len(y), int)
    for k, (_, test) in enumerate(splits):
        folds[test] = k
    last = [j == len(layers) for _, j in itertools.combinations(range(len(layers) + 1), 2)]
    out = []
    for name, rival in rivals.items():
        game = log_likelihoods(layers | {"rival": rival}, y, splits)
        for what, values in {"value": shapley.values(game)[-1],
                             "interaction": shapley.interactions(game)[last].mean(0)}.items():
            out.append(stats.Scored.of(values, folds, groups, block=name, what=what, **keys))
    return out


def log_likelihoods(blocks: Blocks, y: np.ndarray, splits: Splits, c: float = 0.01) -> np.ndarray:
    """Log-likelihood of every held-out clip for every coalition, ``(2^k, n)`` in nats.

    Unlike accuracy it has no ceiling near which good blocks seem to repeat each other. Logistic
    regression on standardised columns; no block at all predicts the shares of the training classes.

    Args:
        blocks: k blocks, each ``(n, d)``; bit i of a row's number is set where block i is in.
        c: inverse penalty.
    """
    content = list(blocks.values()), y, [rows for split in splits for rows in split], c
    return np.load(_made(*content, blocks=blocks, splits=splits) / "nats.npy")


@cache.step("coalitions", version=1)
def _made(folder: Path, _, y: np.ndarray, rows: list, c: float, *, blocks: Blocks,
          splits: Splits) -> None:
    from sklearn.linear_model import LogisticRegression

    out = np.empty((2 ** len(blocks), len(y)))
    for train, test in splits:
        classes, counts = np.unique(y[train], return_counts=True)
        answers = np.arange(len(test)), np.searchsorted(classes, y[test])
        out[0, test] = np.log(counts / len(train))[answers[1]]
        sides = standardise(*({name: block[side] for name, block in blocks.items()}
                              for side in (train, test)))
        for mask in range(1, len(out)):
            chosen = [name for i, name in enumerate(blocks) if mask >> i & 1]
            x, tested = (np.concatenate([side[name] for name in chosen], 1) for side in sides)
            fitted = LogisticRegression(C=c, max_iter=200).fit(x, y[train])
            out[mask, test] = fitted.predict_log_proba(tested)[answers]
    np.save(folder / "nats.npy", out)
