"""The one shape that every corpus has: a table of clips, class names and group-safe splits."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from audiotl import AudiotlError, check_known

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
COLUMNS = ["path", "label", "fold", "group"]
Split = tuple[np.ndarray, np.ndarray]  # training and test rows


class LeakError(AudiotlError):
    """A split has one group (recording, speaker, note) on both sides."""


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Clips, their labels, and how they may be split.

    Args:
        name: short name, as ``datasets.load`` takes it.
        clips: one row a clip, index 0 to n-1, with columns ``path`` (str), ``label`` (str; tags
            joined by ``;`` when `multilabel`, a number when `numeric`), ``fold`` (int, -1 where
            there is no official fold) and ``group`` (str: clips of one group share a recording, a
            speaker or a note).
        classes: class or tag names in target order; none when `numeric`.
        duration: length in seconds to which clips are fitted.
        multilabel: whether a clip carries several tags.
        numeric: whether its label is a number.
        blocks_file: a ``.npz`` of embeddings in place of sound; the column ``row`` of `clips` says
            which of its rows is a clip's.
        synthetic: whether the sound was made by this package; said wherever a number is shown.
        listed: rows in the corpus's own table; ``listed - len(corpus)`` of them have no audio.
        drop_shared: the official folds are known to cut a few groups; the training clips of such a
            group are left out when its other clips are tested. Without it such folds are refused.
        domain: ``"environment"``, ``"speech"`` or ``"music"``; the name where nobody knows.
        title: the name as a figure shows it, e.g. ``"Speech Commands, ten words"``.
    """

    name: str
    clips: pd.DataFrame
    classes: tuple[str, ...]
    duration: float
    multilabel: bool = False
    synthetic: bool = False
    listed: int = 0
    drop_shared: bool = False
    domain: str = ""
    title: str = ""
    numeric: bool = False
    blocks_file: str = ""

    def __post_init__(self):
        object.__setattr__(self, "domain", self.domain or self.name)
        object.__setattr__(self, "title", self.title or self.name)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def groups(self) -> np.ndarray:
        """Group of each clip, shape ``(n,)``."""
        return self.clips["group"].to_numpy(dtype=str)

    @property
    def parts(self) -> set[str]:
        """The names of the corpora it was joined from, or its own."""
        return set(self.name.split("+"))

    def targets(self) -> np.ndarray:
        """Class indices ``(n,)`` int64, for tags a 0/1 matrix ``(n, n_classes)`` float32, or
        numbers ``(n,)`` float64."""
        if self.numeric:
            return self.clips["label"].to_numpy(dtype=np.float64)
        position = {name: i for i, name in enumerate(self.classes)}
        if not self.multilabel:
            return np.array([position[label] for label in self.clips["label"]], dtype=np.int64)
        out = np.zeros((len(self), len(self.classes)), dtype=np.float32)
        for row, tags in enumerate(self.clips["label"]):
            out[row, [position[tag] for tag in split_tags(tags)]] = 1.0
        return out

    def subset(self, rows: Sequence[int] | np.ndarray) -> "Corpus":
        """The same corpus with only these rows (positions or a boolean mask)."""
        clips = self.clips.iloc[np.arange(len(self))[rows]].reset_index(drop=True)
        return dataclasses.replace(self, clips=clips, listed=len(clips))

    def only(self, classes: Sequence[str]) -> "Corpus":
        """The clips of some classes."""
        for name in sorted(classes):
            check_known(f"class of {self.name}", name, self.classes)
        kept = self.subset(self.clips["label"].isin(list(classes)).to_numpy())
        return dataclasses.replace(kept, classes=tuple(classes))

    def few(self, most: int, seed: int = 0) -> "Corpus":
        """At most `most` clips, even over classes and in a class over groups; 0 is all."""
        if not 0 < most < len(self):
            return self
        drawn = self.clips.sample(frac=1, random_state=seed)
        turns = drawn.groupby(["label", "group"]).cumcount().sort_values(kind="stable")
        turns = drawn.loc[turns.index].groupby("label").cumcount().sort_values(kind="stable")
        return self.subset(np.sort(turns.index[:most]))

    def splits(self, n_folds: int = 5, seed: int = 0) -> list[Split]:
        """Train and test rows of each fold: the official folds, else those of `deal_groups`.

        Raises:
            LeakError, AudiotlError: see `check_split`; or there are too few groups or folds.
        """
        folds, targets = self.clips["fold"].to_numpy(), self.targets()
        if (folds < 0).any():
            # A class of a single group would be tested without being trained on.
            counts = self.clips.groupby("label")["group"].nunique()
            if counts.min() < 2 and not (self.multilabel or self.numeric):
                raise AudiotlError(f"{self.name} has {(counts < 2).sum()} classes of a single "
                                   f"group, the first {counts.idxmin()!r}; a class needs clips of "
                                   "two groups, one to train on and one to test.")
            folds = deal_groups(self.groups, targets, n_folds, seed, self.name)
        out = []
        for fold, (train, test) in zip(np.unique(folds), splits_of(folds), strict=True):
            if self.drop_shared:
                train = train[~np.isin(self.groups[train], self.groups[test])]
            check_split(self.groups, train, test, f"fold {fold} of {self.name}", targets)
            out.append((train, test))
        if len(out) < 2:
            raise AudiotlError(f"{self.name} has a single fold; a split needs two or more: "
                               "add folds or groups.")
        return out


def combined(corpora: Sequence[Corpus]) -> Corpus:
    """Corpora of classes as one: ``"speech: yes"`` a class, groups as they are, no folds."""
    for one in corpora:
        if one.multilabel or one.numeric or one.blocks_file:
            raise AudiotlError(f"{one.name} is no corpus of sounds with one class a clip, so it "
                               "cannot be joined to another; name it alone.")
    clips = pd.concat([one.clips.assign(label=f"{one.name}: " + one.clips["label"], fold=-1)
                       for one in corpora], ignore_index=True)[COLUMNS]
    return Corpus("+".join(one.name for one in corpora), clips, classes_of(clips),
                  max(one.duration for one in corpora), listed=len(clips),
                  synthetic=any(one.synthetic for one in corpora),
                  domain=" and ".join(sorted({one.domain for one in corpora})),
                  title=" and ".join(one.title for one in corpora))


def splits_of(folds: np.ndarray) -> list[Split]:
    """Training and test rows of each fold, of the fold of each clip ``(n,)``."""
    return [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in np.unique(folds)]


def split_tags(cell: str) -> list[str]:
    """The tags in one cell: ``"a;b"`` gives ``["a", "b"]``."""
    return [tag.strip() for tag in cell.split(";") if tag.strip()]


def classes_of(clips: pd.DataFrame) -> tuple[str, ...]:
    """The sorted labels of clips, tag by tag."""
    return tuple(sorted({tag for label in clips["label"] for tag in split_tags(label)}))


def check_split(groups: np.ndarray, train: np.ndarray, test: np.ndarray,
                where: str = "this split", classes: np.ndarray | None = None) -> None:
    """Refuse a split with one group on both sides, or one that tests a class it does not train on.

    Args:
        classes: class of each clip, ``(n,)`` int; tags, numbers and None check groups alone.

    Raises:
        LeakError: names the first such group.
        AudiotlError: names the first such class.
    """
    both = np.intersect1d(groups[train], groups[test])
    if len(both):
        raise LeakError(f"Group {str(both[0])!r} is on both sides of {where} ({len(both)} such "
                        "groups); keep all clips of a group in one fold.")
    if classes is not None and classes.ndim == 1 and classes.dtype.kind != "f":
        unseen = np.setdiff1d(classes[test], classes[train])
        if len(unseen):
            raise AudiotlError(f"Class {unseen[0]} is tested in {where} but no clip of it is "
                               f"trained on ({len(unseen)} such classes); use fewer folds, or give "
                               "the class more groups.")


def deal_groups(groups: np.ndarray, targets: np.ndarray, n_folds: int, seed: int,
                name: str = "corpus") -> np.ndarray:
    """Deal whole groups to folds so that classes stay balanced; ``(n,)`` fold numbers from 0.

    Largest groups first, each to the fold that then stays best balanced over classes and clips; a
    seeded order breaks ties.
    """
    names, member = np.unique(groups, return_inverse=True)
    if len(names) < n_folds:
        raise AudiotlError(f"{name} has {len(names)} groups, too few for {n_folds} folds; "
                           "ask for fewer folds.")
    if targets.dtype.kind == "f" and targets.ndim == 1:  # fifths of the numbers as classes
        targets = np.argsort(np.argsort(targets, kind="stable")) * 5 // len(targets)
    onehot = targets if targets.ndim == 2 else np.eye(targets.max() + 1)[targets]
    counts = np.zeros((len(names), onehot.shape[1]))
    np.add.at(counts, member, onehot)
    share = counts / np.maximum(counts.sum(0), 1)
    sizes = np.bincount(member)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    load = np.zeros((n_folds, onehot.shape[1]))
    clips = np.zeros(n_folds)
    fold_of = np.empty(len(names), dtype=int)
    here = np.eye(n_folds)
    for group in order:
        cost = [(load + here[k][:, None] * share[group]).std(0).sum()
                + ((clips + here[k] * sizes[group]) / sizes.sum()).std() for k in range(n_folds)]
        best = fold_of[group] = int(np.argmin(cost))
        load[best] += share[group]
        clips[best] += sizes[group]
    return fold_of[member]


def find_audio(folder: Path) -> dict[str, Path]:
    """Audio files below `folder` by path without suffix, e.g. ``"yes/022cd682_nohash_0"``."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
    return found


def need_folder(path: Path, corpus: str) -> Path:
    """`path` if it is a folder, else an error that says which corpus wants it."""
    if not path.is_dir():
        raise AudiotlError(f"{corpus} needs the folder {path}, which is not there; "
                           "point --data (or AUDIOTL_DATA) at the folder that holds it.")
    return path
