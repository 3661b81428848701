"""The published material of Choi, Fazekas, Sandler and Cho (ISMIR 2017), arXiv 1703.09179.

The authors' repository holds, for six corpora and seven tasks, the features of all five layers (32
columns each, averaged over time and frequency), MFCC statistics (120 columns), labels, and 210
scores. Here each task has the folds that the authors had: those of scikit-learn before version
0.22. Feature sets keep the authors' names, which count layers from 0.
"""

import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd

from audiotl import AudiotlError, check_known
from audiotl.datasets.corpus import Split, need_folder, splits_of
from audiotl.datasets.own_sounds import read_table

LAYERS = ("0", "1", "2", "3", "4")
UNPUBLISHED = ("0124", "0134", "0234")  # the authors' list of four-layer subsets lacks them

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


@dataclasses.dataclass(frozen=True)
class Task:
    """One task of the study.

    Args:
        name: as in `TASKS`.
        regression: scored by R² instead of accuracy.
        blocks: ``"0"`` to ``"4"``, ``(n, 32)``, and, where published, ``"mfcc"``, ``(n, 120)``.
        y: labels (int) or values (float), ``(n,)``.
        splits: the folds.
        inner: for every fold, splits of its training rows alone, for nested selection.
        groups: recording of each clip where several clips share one (Jamendo songs, Freesound
            sources), else the clip itself; ``(n,)``.
    """

    name: str
    regression: bool
    blocks: dict[str, np.ndarray]
    y: np.ndarray
    splits: list[Split]
    inner: list[list[Split]]
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    @property
    def tested(self) -> np.ndarray:
        """Rows that are tested, in the order of the folds."""
        return np.concatenate([test for _, test in self.splits])


def load(root: str | Path, name: str) -> Task:
    """One task from ``choi2017`` below the data root; AudiotlError if it is not whole."""
    check_known("2017 task", name, TASKS)
    folder = need_folder(Path(root) / "choi2017", "The 2017 study")
    regression = name.startswith("emoMusic")
    corpus = "emoMusic" if regression else name
    column = {"emoMusic_a": "label_arousal", "emoMusic_v": "label_valence"}.get(name, "label")
    table = read_table(folder / "data_csv" / f"{corpus}.csv", (column,))
    blocks = {layer: _features(folder, f"{corpus}_layer_{layer}", len(table)) for layer in LAYERS}
    if (folder / "data_feats" / f"{corpus}_mfcc.npy").is_file():
        blocks["mfcc"] = _features(folder, f"{corpus}_mfcc", len(table))
    y = table[column].to_numpy(np.float64 if regression else np.int64)
    return Task(name, regression, blocks, y, *_folds(corpus, table, y))


def demonstration(seed: int = 0, n: int = 150) -> Task:
    """A synthetic task of the same make, for readers without the data: three classes, five layers.

    Each layer sees the class through its own noise; the block called ``mfcc`` knows the class too,
    on a scale a hundred times as large.
    """
    rng = np.random.default_rng(seed)
    y, blocks = np.sort(rng.integers(0, 3, n)), {}
    for name in (*LAYERS, "mfcc"):
        width, strength, scale = (8, 0.6, 1.0) if name in LAYERS else (100, 0.35, 100.0)
        centres = strength * rng.normal(size=(3, width))
        blocks[name] = scale * (centres[y] + rng.normal(size=(n, width)))
    splits, inner = _ten(contiguous(y, 10))
    return Task("demonstration", False, blocks, y, splits, inner, np.arange(n).astype(str))


def contiguous(classes: np.ndarray, n_folds: int) -> np.ndarray:
    """Fold of each row when every class is cut into contiguous blocks (scikit-learn before 0.22).

    A class with fewer clips than folds takes the first folds, one clip each.

    >>> contiguous(np.array([0, 0, 0, 1, 1, 0]), 2).tolist()
    [0, 0, 1, 0, 1, 1]
    """
    fold = np.empty(len(classes), dtype=int)
    for label in np.unique(classes):
        for k, rows in enumerate(np.array_split(np.flatnonzero(classes == label), n_folds)):
            fold[rows] = k
    return fold


def inner_splits(fold: np.ndarray, outer: int, parts: int = 3) -> list[Split]:
    """Splits of the training rows of fold `outer`: its folds dealt to `parts` parts."""
    rest = [k for k in np.unique(fold) if k != outer]
    held = [np.isin(fold, rest[part::parts]) for part in range(parts)]
    return [(np.flatnonzero(~part & (fold != outer)), np.flatnonzero(part)) for part in held]


def features() -> list[str]:
    """All feature sets of the study: 31 layer subsets by size, MFCC, and MFCC with all layers."""
    subsets = [c for size in range(1, 6) for c in itertools.combinations(LAYERS, size)]
    return ["".join(subset) for subset in subsets] + ["mfcc", "mfcc+01234"]


def names_of(feature: str) -> list[str]:
    """Blocks of a feature set, in the authors' order of columns.

    >>> names_of("mfcc+01234"), names_of("02")
    (['0', '1', '2', '3', '4', 'mfcc'], ['0', '2'])
    """
    layers = feature.removeprefix("mfcc").removeprefix("+")
    return [*layers] + ["mfcc"] * feature.startswith("mfcc")


def inputs_of(task: str, feature: str) -> str:
    """Whether the files at hand are those behind a published score.

    ``same``; ``other file`` (layer 4 of UrbanSound8K and Jamendo: every row without it comes out to
    the last digit, on its own it is off by points); ``missing`` (the MFCCs of UrbanSound8K); or
    ``unpublished`` (the subsets nobody ran).
    """
    if feature in UNPUBLISHED or task not in TASKS:
        return "unpublished"
    if task == "urbansound" and feature.startswith("mfcc"):
        return "missing"
    other = task in ("urbansound", "jamendo_vd") and "4" in feature
    return "other file" if other else "same"


def published(root: str | Path) -> pd.DataFrame:
    """The 210 published scores: ``task``, ``features``, ``published`` (accuracy or R²)."""
    folder = need_folder(Path(root) / "choi2017" / "result_transfer", "The table of 2017")
    renamed = {"mfcc_4": "mfcc", "mfcc+12345_4": "mfcc+01234"}
    rows = []
    for path in sorted(folder.glob("T_*.npy")):
        task, feature = re.fullmatch(r"T_(.+)_F_(.+)_CL_SV[CR]", path.stem).groups()
        feature = renamed.get(feature, feature.removeprefix("mine_"))
        rows.append((task, feature, float(np.load(path, allow_pickle=False))))
    return pd.DataFrame(rows, columns=["task", "features", "published"])


def _folds(corpus: str, table: pd.DataFrame,
           y: np.ndarray) -> tuple[list[Split], list[list[Split]], np.ndarray]:
    clips = np.arange(len(y)).astype(str)
    if corpus == "jamendo_vd":
        # The authors fit on training and validation songs and scored, hence chose, on test songs.
        train, valid, test = (np.flatnonzero(table["category"] == part)
                              for part in ("train", "valid", "test"))
        songs = table["id"].str.replace(r"_\d+$", "", regex=True).to_numpy(str)
        return [(np.sort(np.r_[train, valid]), test)], [[(train, valid)]], songs
    if corpus == "urbansound":
        return *_ten(table["fold"].to_numpy() - 1), table["id"].str.split("-").str[0].to_numpy(str)
    return *_ten(contiguous(np.zeros(len(y)) if corpus == "emoMusic" else y, 10)), clips


def _ten(fold: np.ndarray) -> tuple[list[Split], list[list[Split]]]:
    return splits_of(fold), [inner_splits(fold, k) for k in range(10)]


def _features(folder: Path, stem: str, n: int) -> np.ndarray:
    path = folder / "data_feats" / f"{stem}.npy"
    try:
        x = np.load(path, allow_pickle=False).astype(np.float64)
        if x.ndim != 2 or len(x) != n:
            raise ValueError(f"shape {x.shape} for {n} clips")
    except (ValueError, OSError) as error:
        raise AudiotlError(f"The features {path} cannot be read ({error}); fetch them with: "
                           "python -m audiotl data fetch choi2017") from error
    return x
