"""What a finished search over subsets knows: which clips each subset got right, under two protocols.

The paper's protocol (Choi et al. 2017) picks the probe's settings, and then the best subset, on the folds that
it reports. The nested protocol picks both on the other folds only. Results stay packed, one bit for each subset,
cell and clip, and are unpacked a part at a time.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from audiotl import AudiotlError, stats
from audiotl.probes import Subset


def all_subsets(names: Sequence[str]) -> list[Subset]:
    """The 2^n - 1 subsets, small ones first.

    >>> all_subsets(["a", "b"])
    [('a',), ('b',), ('a', 'b')]
    """
    return [s for size in range(1, len(names) + 1) for s in itertools.combinations(names, size)]


def label(subset: Subset, names: Sequence[str]) -> str:
    """A subset as digits, as in the paper: ``("layer1", "layer3")`` is ``"02"``; other blocks by name."""
    layers = "".join(str(list(names).index(name)) for name in subset if name.startswith("layer"))
    return "+".join([part for part in (layers, *(name for name in subset if not name.startswith("layer"))) if part])


@dataclasses.dataclass(frozen=True)
class Search:
    """Which clips each subset and each cell of the probe's grid got right.

    Args:
        names: the blocks in order.
        subsets: the subsets scored.
        cells: the probe's grid.
        fold: test fold of each clip, ``(n,)``.
        bits: ``(n_subsets, n_cells, ceil(n / 8))`` uint8, packed by ``numpy.packbits``: each clip predicted by the
            fit without its fold.
        inner: ``(n_folds, n_subsets, n_cells)``: accuracy over the other folds when fold i is the outer one;
            None if the search was not nested.
        groups: group of each clip, for intervals.
        probe: its name.
    """

    names: tuple[str, ...]
    subsets: list[Subset]
    cells: list[dict]
    fold: np.ndarray
    bits: np.ndarray
    inner: np.ndarray | None
    groups: np.ndarray
    probe: str

    @property
    def outer(self) -> np.ndarray:
        """All of `bits` as ``(n_subsets, n_cells, n)`` bool, for small searches."""
        return self.unpack(self.bits)

    def unpack(self, bits: np.ndarray) -> np.ndarray:
        """Packed bits to one bool a clip, along the last axis."""
        return np.unpackbits(bits, axis=-1, count=len(self.fold)).astype(bool)

    def labels(self) -> list[str]:
        """The subsets as digits (see `label`)."""
        return [label(subset, self.names) for subset in self.subsets]

    def position(self, subset: Sequence[str]) -> int:
        """Where a subset stands in `subsets`, its blocks named in any order.

        Raises:
            AudiotlError: it was not scored.
        """
        ordered = tuple(name for name in self.names if name in subset)
        if ordered not in self._positions or len(ordered) != len(set(subset)):
            raise AudiotlError(f"The subset {'+'.join(subset) or '(none)'} was not scored; choose among "
                               f"{', '.join(self.names)}.")
        return self._positions[ordered]

    @functools.cached_property
    def _positions(self) -> dict[Subset, int]:
        return {subset: i for i, subset in enumerate(self.subsets)}

    @functools.cached_property
    def paper_bits(self) -> np.ndarray:
        """`paper`, packed."""
        best = count(self.bits).argmax(1)
        return self.bits[np.arange(len(self.subsets)), best]

    @functools.cached_property
    def nested_bits(self) -> np.ndarray:
        """`nested`, packed."""
        out = np.zeros((len(self.subsets), self.bits.shape[2]), np.uint8)
        for i, table in enumerate(self._inner()):
            out |= self.bits[np.arange(len(out)), table.argmax(1)] & np.packbits(self.fold == i)
        return out

    def paper(self) -> np.ndarray:
        """Per subset the clips right at the best cell on the reporting folds, ``(n_subsets, n)`` bool."""
        return self.unpack(self.paper_bits)

    def nested(self) -> np.ndarray:
        """Per subset the clips right when each fold's cell is chosen on the other folds, ``(n_subsets, n)`` bool."""
        return self.unpack(self.nested_bits)

    def scores(self, protocol: str = "nested") -> np.ndarray:
        """Accuracy of each subset under ``"nested"`` or ``"paper"``, ``(n_subsets,)``."""
        return count(self.nested_bits if protocol == "nested" else self.paper_bits) / len(self.fold)

    def nested_best(self, among: Sequence[int] | None = None) -> tuple[np.ndarray, list[Subset]]:
        """Clips right when each fold's subset *and* cell are chosen on the other folds; and those choices.

        Args:
            among: positions of the subsets to choose from; None is all of them.
        """
        among = np.arange(len(self.subsets)) if among is None else np.asarray(among)
        out, picks = np.zeros(self.bits.shape[2], np.uint8), []
        for i, table in enumerate(self._inner()):
            s, c = np.unravel_index(table[among].argmax(), (len(among), len(self.cells)))
            out |= self.bits[among[s], c] & np.packbits(self.fold == i)
            picks.append(self.subsets[among[s]])
        return self.unpack(out), picks

    def _inner(self) -> np.ndarray:
        if self.inner is None:
            raise AudiotlError("This search was not nested; run it with nested=True.")
        return self.inner

    def table(self, n: int = 2000, seed: int = 0) -> pd.DataFrame:
        """Scores with intervals: ``subset, size, probe, protocol, score, ci_low, ci_high``."""
        parts = []
        for protocol in ("paper",) if self.inner is None else ("paper", "nested"):
            bits = getattr(self, f"{protocol}_bits")
            rows = np.concatenate([stats.bootstrap_rows(self.unpack(bits[i:i + 1024]), self.groups, n, seed)
                                   for i in range(0, len(bits), 1024)])
            parts.append(pd.DataFrame({"subset": self.labels(), "size": [len(s) for s in self.subsets],
                                       "probe": self.probe, "protocol": protocol, "score": rows[:, 0],
                                       "ci_low": rows[:, 1], "ci_high": rows[:, 2]}))
        return pd.concat(parts, ignore_index=True)


def count(bits: np.ndarray) -> np.ndarray:
    """Bits that are set along the last axis of packed ones.

    >>> count(np.packbits([[1, 0, 1], [0, 0, 1]], axis=1)).tolist()
    [2, 1]
    """
    return np.bitwise_count(bits).sum(-1, dtype=np.int64)
