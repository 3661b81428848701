"""The published material of Choi, Fazekas, Sandler and Cho (ISMIR 2017), arXiv 1703.09179: seven tasks.

The authors' repository holds, for six corpora, the features of all five layers (32 columns each, averaged over
time and frequency), MFCC statistics (120 columns), labels, and 210 published scores. Here they become one
`Task` each, with the folds the authors had: those of scikit-learn before version 0.22.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd

from audiotl import AudiotlError
from audiotl.datasets.corpus import need_folder

LAYERS = ("0", "1", "2", "3", "4")
UNPUBLISHED = ("0124", "0134", "0234")
"""The subsets that the authors' list of four-layer combinations leaves out."""

OTHER_FILES = ("urbansound", "jamendo_vd")
"""Tasks whose file for layer 4 is not the one behind the published scores: every row without that layer comes
out to the last digit, and the layer on its own is off by points. The other layers of these tasks are the same."""

TASKS = {
    "ballroom_extended": "Ballroom dance (13)",
    "gtzan_genre": "GTZAN genre (10)",
    "gtzan_speechmusic": "Speech or music (2)",
    "emoMusic_a": "Arousal (R²)",
    "emoMusic_v": "Valence (R²)",
    "jamendo_vd": "Vocals (2)",
    "urbansound": "UrbanSound8K (10)",
}
"""Tasks under the names of their result files, and what to call them in a figure."""

_CORPORA = ("ballroom_extended", "emoMusic", "gtzan_genre", "gtzan_speechmusic", "jamendo_vd", "urbansound")
FILES = tuple(
    [f"data_csv/{corpus}.csv" for corpus in _CORPORA]
    + [f"data_feats/{corpus}_layer_{layer}.npy" for corpus in _CORPORA for layer in LAYERS]
    + [f"data_feats/{corpus}_mfcc.npy" for corpus in _CORPORA if corpus != "urbansound"])
"""What the tasks are read from, relative to the folder ``choi2017`` (scores: ``result_transfer/T_*.npy``)."""


@dataclasses.dataclass(frozen=True)
class Task:
    """One task of the study.

    Args:
        name: as in `TASKS`.
        regression: scored by R² instead of accuracy.
        blocks: ``"0"`` to ``"4"`` with shape ``(n, 32)`` and, where published, ``"mfcc"`` with ``(n, 120)``.
        y: labels (int) or values (float), shape ``(n,)``.
        splits: rows to train on and to test on, of every fold.
        inner: for every fold, splits of its training rows alone, for nested selection.
        groups: recording of each clip where several clips share one (Jamendo songs, Freesound sources),
            else the clip itself; shape ``(n,)``.
    """

    name: str
    regression: bool
    blocks: dict[str, np.ndarray]
    y: np.ndarray
    splits: list[tuple[np.ndarray, np.ndarray]]
    inner: list[list[tuple[np.ndarray, np.ndarray]]]
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    @property
    def tested(self) -> np.ndarray:
        """Rows that are tested, in the order of the folds."""
        return np.concatenate([test for _, test in self.splits])


def load(root: str | Path, name: str) -> Task:
    """One task from the folder ``choi2017`` below the data root.

    Raises:
        AudiotlError: an unknown task, a missing file, or features that do not fit the labels.
    """
    if name not in TASKS:
        raise AudiotlError(f"There is no task {name!r} in the 2017 study; choose among {', '.join(TASKS)}.")
    folder = need_folder(Path(root) / "choi2017", "The 2017 study")
    regression = name.startswith("emoMusic")
    corpus = "emoMusic" if regression else name
    sheet = folder / "data_csv" / f"{corpus}.csv"
    if not sheet.is_file():
        raise AudiotlError(f"The table {sheet} is missing; fetch it with: python -m audiotl data fetch choi2017.")
    table = pd.read_csv(sheet)
    blocks = {layer: _features(folder, f"{corpus}_layer_{layer}", len(table)) for layer in LAYERS}
    if (folder / "data_feats" / f"{corpus}_mfcc.npy").is_file():
        blocks["mfcc"] = _features(folder, f"{corpus}_mfcc", len(table))
    if regression:
        y = table["label_arousal" if name.endswith("_a") else "label_valence"].to_numpy(np.float64)
    else:
        y = table["label"].to_numpy(np.int64)
    groups = np.arange(len(table)).astype(str)
    if corpus == "jamendo_vd":
        # The authors fit on training and validation songs and scored, hence chose, on the test songs.
        part = table["category"].to_numpy(str)
        groups = table["id"].str.replace(r"_\d+$", "", regex=True).to_numpy(str)
        splits = [(np.flatnonzero(part != "test"), np.flatnonzero(part == "test"))]
        inner = [[(np.flatnonzero(part == "train"), np.flatnonzero(part == "valid"))]]
        return Task(name, regression, blocks, y, splits, inner, groups)
    if corpus == "urbansound":
        fold = table["fold"].to_numpy() - 1
        groups = table["id"].str.split("-").str[0].to_numpy(str)
    else:
        fold = contiguous(len(y), 10) if regression else contiguous_in_class(y, 10)
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(10)]
    return Task(name, regression, blocks, y, splits, [inner_splits(fold, k) for k in range(10)], groups)


def demonstration(seed: int = 0, n: int = 150) -> Task:
    """A synthetic task of the same make, for readers without the data: three classes, five layers, one "MFCC".

    Each layer sees the class through its own noise; the block called ``mfcc`` knows the class too, on a scale
    a hundred times as large.
    """
    rng = np.random.default_rng(seed)
    y = np.sort(rng.integers(0, 3, n))
    blocks = {}
    for name, d, strength, scale in (*((layer, 8, 0.6, 1.0) for layer in LAYERS), ("mfcc", 100, 0.35, 100.0)):
        blocks[name] = scale * (strength * rng.normal(size=(3, d))[y] + rng.normal(size=(n, d)))
    fold = contiguous_in_class(y, 10)
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(10)]
    inner = [inner_splits(fold, k) for k in range(10)]
    return Task("demonstration", False, blocks, y, splits, inner, np.arange(n).astype(str))


def contiguous(n: int, n_folds: int) -> np.ndarray:
    """Fold of each of `n` rows when folds are contiguous blocks, the first ones a row longer if need be.

    >>> contiguous(7, 3).tolist()
    [0, 0, 0, 1, 1, 2, 2]
    """
    sizes = np.full(n_folds, n // n_folds)
    sizes[: n % n_folds] += 1
    return np.repeat(np.arange(n_folds), sizes)


def contiguous_in_class(y: np.ndarray, n_folds: int) -> np.ndarray:
    """Fold of each row when every class is cut into contiguous blocks (scikit-learn before 0.22).

    A class with fewer clips than folds takes the first folds, one clip each.
    """
    fold = np.empty(len(y), dtype=int)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        fold[rows] = contiguous(max(len(rows), n_folds), n_folds)[: len(rows)]
    return fold


def inner_splits(fold: np.ndarray, outer: int, parts: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    """Splits of the training rows of fold `outer`: its folds dealt to `parts` parts, each tested once."""
    rest = [k for k in np.unique(fold) if k != outer]
    out = []
    for part in range(parts):
        held = np.isin(fold, rest[part::parts])
        out.append((np.flatnonzero(~held & (fold != outer)), np.flatnonzero(held)))
    return out


def features() -> list[str]:
    """All feature sets of the study: 31 layer subsets by size, MFCC, and MFCC with all layers.

    >>> features()[:6], features()[-3:]
    (['0', '1', '2', '3', '4', '01'], ['01234', 'mfcc', 'mfcc+01234'])
    """
    import itertools

    return ["".join(c) for size in range(1, 6) for c in itertools.combinations(LAYERS, size)] + ["mfcc", "mfcc+01234"]


def names_of(feature: str) -> list[str]:
    """Blocks of a feature set, in the authors' order of columns.

    >>> names_of("mfcc+01234"), names_of("02")
    (['0', '1', '2', '3', '4', 'mfcc'], ['0', '2'])
    """
    layers = feature.removeprefix("mfcc").removeprefix("+")
    return [*layers] + ["mfcc"] * feature.startswith("mfcc")


def inputs_of(task: str, feature: str) -> str:
    """Whether the files at hand are those behind a published score.

    Returns:
        ``same``; ``other file`` (layer 4 of UrbanSound8K and of Jamendo, see `OTHER_FILES`); ``missing`` (the
        MFCCs of UrbanSound8K); or ``unpublished`` (the subsets nobody ran).
    """
    if feature in UNPUBLISHED or task not in TASKS:
        return "unpublished"
    if task == "urbansound" and feature.startswith("mfcc"):
        return "missing"
    return "other file" if task in OTHER_FILES and "4" in feature else "same"


def published(root: str | Path) -> pd.DataFrame:
    """The 210 published scores: ``task``, ``features``, ``published`` (accuracy or R²)."""
    folder = need_folder(Path(root) / "choi2017" / "result_transfer", "The table of 2017")
    rows = []
    for path in sorted(folder.glob("T_*.npy")):
        task, feature = re.fullmatch(r"T_(.+)_F_(.+)_CL_SV[CR]", path.stem).groups()
        feature = {"mfcc_4": "mfcc", "mfcc+12345_4": "mfcc+01234"}.get(feature, feature.removeprefix("mine_"))
        rows.append((task, feature, float(np.load(path, allow_pickle=False))))
    return pd.DataFrame(rows, columns=["task", "features", "published"])


def _features(folder: Path, stem: str, n: int) -> np.ndarray:
    path = folder / "data_feats" / f"{stem}.npy"
    try:
        x = np.load(path, allow_pickle=False).astype(np.float64)
    except FileNotFoundError as error:
        raise AudiotlError(f"The features {path} are missing; fetch them with: "
                           "python -m audiotl data fetch choi2017.") from error
    except (ValueError, OSError) as error:
        raise AudiotlError(f"The features {path} cannot be read ({error}); fetch them again.") from error
    if x.ndim != 2 or len(x) != n:
        raise AudiotlError(f"The features {path} have shape {x.shape}, but the table lists {n} clips.")
    return x
