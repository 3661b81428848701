"""Shapley values and pairwise interactions of a game given by the score of every subset of players.

The value of a player is the mean of what it adds to a coalition, over all orders in which players
may come (Shapley 1953). The interaction index of two players is the mean of what they add together
beyond what each adds alone (Grabisch and Roubens 1999): above zero they need each other, below zero
each can in part stand in for the other. Both are linear in the scores. So where a score is a mean
over clips they are computed clip by clip, and a bootstrap over groups of clips gives their
intervals.

A coalition is a bit mask: bit i is set where player i is in.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from audiotl import AudiotlError, stats
from audiotl.probes.subset_search import unpacked

CHUNK = 2048  # coalitions unpacked at a time


def masks(subsets: Sequence[Sequence[str]], names: Sequence[str]) -> np.ndarray:
    """The bit mask of each subset.

    >>> masks([(), ("b",), ("a", "b")], ["a", "b"]).tolist()
    [0, 2, 3]
    """
    bit = {name: 1 << i for i, name in enumerate(names)}
    return np.array([sum(bit[name] for name in subset) for subset in subsets], np.int64)


def value_weights(n: int, coalitions: np.ndarray) -> np.ndarray:
    """Weight of each coalition's score in the value of each player, ``(n, len(coalitions))``."""
    size = np.bitwise_count(coalitions).astype(int)
    # A coalition of s adds its score s!(n-s-1)!/n! times less for a player outside, (s-1)!(n-s)!/n!
    # more within.
    table = np.array([1 / (n * math.comb(n - 1, s)) for s in range(n)])
    inside, outside = table[np.maximum(size - 1, 0)], table[np.minimum(size, n - 1)]
    member = (coalitions >> np.arange(n)[:, None]) & 1
    return np.where(member, inside, -outside)


def interaction_weights(n: int, coalitions: np.ndarray) -> np.ndarray:
    """The same for the index of each pair, as ``itertools.combinations(range(n), 2)`` has them."""
    size = np.bitwise_count(coalitions).astype(int)
    table = np.array([1 / ((n - 1) * math.comb(n - 2, s)) for s in range(n - 1)])
    member = (coalitions >> np.arange(n)[:, None]) & 1
    first, second = np.array(list(itertools.combinations(range(n), 2)), int).reshape(-1, 2).T
    both = member[first] + member[second]
    return np.where(both == 1, -1.0, 1.0) * table[size - both]


def values(scores: np.ndarray) -> np.ndarray:
    """Exact Shapley values.

    Shape:
        scores of every coalition ``(2^n,)``, or ``(2^n, m)`` for m games, position = bit mask, to
        ``(n,)`` or ``(n, m)``, which sum to the score of all minus the score of none.

    >>> values(np.array([0.0, 1.0, 2.0, 5.0])).tolist()  # alone 1 and 2, together 5
    [2.0, 3.0]
    """
    return value_weights(*_whole(scores)) @ scores


def interactions(scores: np.ndarray) -> np.ndarray:
    """Exact interaction index of each pair, ``(n_pairs,)`` or ``(n_pairs, m)``; see `values`.

    >>> interactions(np.array([0.0, 1.0, 2.0, 5.0])).tolist()
    [2.0]
    """
    return interaction_weights(*_whole(scores)) @ scores


def _whole(scores: np.ndarray) -> tuple[int, np.ndarray]:
    n = len(scores).bit_length() - 1
    if len(scores) != 1 << n or n < 1:
        raise AudiotlError(f"A game needs the score of every coalition, and {len(scores)} is no "
                           "power of two; add the score of no player at all.")
    return n, np.arange(len(scores))


def attribute(bits: np.ndarray, coalitions: np.ndarray, nobody: np.ndarray, groups: np.ndarray,
              names: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Values and interactions of players by what coalitions score on clips, with 95 % intervals.

    Args:
        bits: clips right, ``(2^n - 1, ceil(n_clips / 8))`` uint8, packed by ``numpy.packbits``, or
            scores ``(2^n - 1, n_clips)`` float.
        coalitions: bit mask of each row, every mask but 0 once.
        nobody: score of each clip without any player, ``(n_clips,)``.
        groups: group of each clip.
        names: the players, bit 0 first.

    Returns:
        Tables ``layer, value, ci_low, ci_high`` and ``first, second, index, ci_low, ci_high``.
    """
    n, n_clips = len(names), len(nobody)
    if len(bits) != (1 << n) - 1 or not np.array_equal(np.sort(coalitions), np.arange(1, 1 << n)):
        raise AudiotlError(f"The exact values of {n} layers need all {(1 << n) - 1:,} subsets, and "
                           f"{len(bits):,} are there; search them all, or use shapley.sampled.")
    none = np.zeros(1, np.int64)
    each, pair = value_weights(n, none) * nobody, interaction_weights(n, none) * nobody
    for start in range(0, len(bits), CHUNK):
        here = coalitions[start:start + CHUNK]
        clips = unpacked(bits[start:start + CHUNK], n_clips).astype(np.float64)
        each += value_weights(n, here) @ clips
        pair += interaction_weights(n, here) @ clips
    rows = stats.bootstrap_rows(np.concatenate([each, pair]), groups)
    values = pd.DataFrame(rows[:n], columns=["value", "ci_low", "ci_high"])
    values.insert(0, "layer", list(names))
    indices = pd.DataFrame(rows[n:], columns=["index", "ci_low", "ci_high"])
    pairs = pd.DataFrame(itertools.combinations(names, 2), columns=["first", "second"])
    return values, pd.concat([pairs, indices], axis=1)


def orders(n: int, pairs: int, seed: int = 0) -> np.ndarray:
    """Random orders of `n` players, each followed by its reverse, ``(2 pairs, n)``."""
    rng = np.random.default_rng(seed)
    forward = np.array([rng.permutation(n) for _ in range(pairs)])
    return np.stack([forward, forward[:, ::-1]], 1).reshape(-1, n)


def sample(names: Sequence[str], pairs: int = 50, seed: int = 0) -> list[tuple[str, ...]]:
    """The subsets whose scores `sampled` will ask for, the empty one left out."""
    wanted = {tuple(sorted(order[:end])) for order in orders(len(names), pairs, seed).tolist()
              for end in range(1, len(names) + 1)}
    return [tuple(names[i] for i in subset) for subset in sorted(wanted, key=lambda s: (len(s), s))]


def sampled(score: Callable[[tuple[str, ...]], float], names: Sequence[str], pairs: int = 50,
            seed: int = 0) -> pd.DataFrame:
    """Shapley values estimated from random orders, for more players than can be searched whole.

    Each order is used with its reverse (antithetic sampling): a player that comes early in one
    comes late in the other, which takes out most of the variance.

    Args:
        score: of a subset of `names` (in their order), also of ``()``.
        pairs: of orders, two or more; the error falls with its square root.

    Returns:
        ``layer, value, error``, the standard error over pairs.
    """
    n = len(names)

    @functools.cache
    def ask(players: frozenset) -> float:
        return score(tuple(name for i, name in enumerate(names) if i in players))

    gains = np.empty((2 * pairs, n))
    for row, order in zip(gains, orders(n, pairs, seed).tolist(), strict=True):
        for end, player in enumerate(order):
            row[player] = ask(frozenset(order[:end + 1])) - ask(frozenset(order[:end]))
    means = gains.reshape(pairs, 2, n).mean(1)
    return pd.DataFrame({"layer": list(names), "value": means.mean(0),
                         "error": means.std(0, ddof=1) / pairs**0.5})
