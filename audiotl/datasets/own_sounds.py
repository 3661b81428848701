"""The user's own sounds: a folder of class folders, or a CSV manifest."""

from pathlib import Path

import pandas as pd

from audiotl import AudiotlError, cache
from audiotl.datasets import corpus
from audiotl.datasets.corpus import Corpus, LeakError

DURATION = 4.0
"""Seconds to which the user's clips are fitted."""


def read(root: Path) -> Corpus:
    """A folder of class folders: ``ROOT/CLASS/any/depth/clip.wav``.

    Each clip is its own group, copies of it included. Clips that belong together (one recording,
    one speaker) need a manifest with a ``group`` column.
    """
    corpus.need_folder(root, "folder")
    rows = [(str(path), stem.split("/")[0], -1, stem)
            for stem, path in corpus.find_audio(root).items() if "/" in stem]
    clips = pd.DataFrame(rows, columns=corpus.COLUMNS)
    clips["group"] = _first_group(clips)
    classes = tuple(sorted(clips["label"].unique()))
    if len(classes) < 2:
        raise AudiotlError(f"{root} has {len(classes)} class folders with audio "
                           f"({', '.join(corpus.SUFFIXES)}); put the clips of each class into a "
                           "folder of its own, two classes or more.")
    return Corpus("folder", clips, classes, DURATION, listed=len(clips), title=root.name)


def read_manifest(path: Path) -> Corpus:
    """A CSV with columns ``path,label[,fold,group]``; paths relative to the CSV; tags joined by
    ``;``.

    Without groups each clip is its own, copies of it included.

    Args:
        path: the CSV, or a folder with ``manifest.csv``.

    Raises:
        AudiotlError: the table cannot be read or lacks a column, no file of it is there, a fold is
            no number.
        LeakError: two files are equal byte for byte and in different groups.
    """
    path = path / "manifest.csv" if path.is_dir() else path
    table = read_table(path, ("path", "label"))
    files = [path.parent / name for name in table["path"].astype(str)]
    clips = pd.DataFrame({"path": map(str, files), "label": table["label"].astype(str),
                          "fold": _folds(table, path),
                          "group": table["group" if "group" in table else "path"].astype(str)})
    clips = clips[[file.is_file() for file in files]].reset_index(drop=True)
    if clips.empty:
        raise AudiotlError(f"None of the {len(files)} files listed in {path} is there; paths are "
                           "relative to the folder of the table.")
    first = _first_group(clips)
    split = clips["group"] != first
    if "group" not in table:
        clips["group"] = first
    elif split.any():
        row = split.idxmax()
        raise LeakError(f"{path}: {Path(clips['path'][row]).name} of group {clips['group'][row]!r} "
                        f"is a copy of a clip of group {first[row]!r}; give copies one group, or "
                        "list the recording once.")
    return Corpus("manifest", clips, corpus.classes_of(clips), DURATION, listed=len(table),
                  multilabel=bool(table["label"].astype(str).str.contains(";").any()),
                  title=path.stem)


def _first_group(clips: pd.DataFrame) -> pd.Series:
    # The group of the first clip with the same bytes; of a file that cannot be read, its own.
    digests = cache.digests(clips["path"])
    same = [digest or path for digest, path in zip(digests, clips["path"], strict=True)]
    return clips["group"].groupby(same).transform("first")


def _folds(table: pd.DataFrame, path: Path) -> pd.Series | int:
    try:
        return table["fold"].astype(int) if "fold" in table else -1
    except (ValueError, TypeError):
        raise AudiotlError(f"{path} has a fold that is not a whole number; "
                           "number the folds 1, 2, 3, ...") from None


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A CSV file that must have these columns.

    Raises:
        AudiotlError: no such file, not a CSV, or the first missing column.
    """
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise AudiotlError(f"{path} is not there; check --data or the download.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError,
            IsADirectoryError) as error:
        raise AudiotlError(f"{path} cannot be read as a CSV table ({error}).") from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise AudiotlError(f"{path} has no column {missing[0]!r}; it needs {', '.join(columns)}.")
    return table
