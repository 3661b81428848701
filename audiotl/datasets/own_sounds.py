"""One's own sounds: a folder of class folders, a CSV manifest, or embeddings with a manifest."""

import contextlib
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from audiotl import AudiotlError, cache
from audiotl.datasets import corpus
from audiotl.datasets.corpus import Corpus, LeakError

LENGTHS = (1.0, 10.0)
"""Seconds that the user's clips are fitted to at least and at most."""

MOST_CLASSES = 2000


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
    classes = _few_classes(tuple(sorted(clips["label"].unique())), root)
    if len(classes) < 2:
        raise AudiotlError(f"{root} has {len(classes)} class folders with audio "
                           f"({', '.join(corpus.SUFFIXES)}); put the clips of each class into a "
                           "folder of its own, two classes or more.")
    return Corpus("folder", clips, classes, usual_length(clips["path"]), listed=len(clips),
                  title=root.name)


def read_manifest(path: Path) -> Corpus:
    """A CSV with columns ``path,label[,fold,group,start,end]``; paths relative to the CSV.

    Labels are classes; tags where some are joined by ``;``; numbers where all are and either some
    are not whole or there are more than 20, shared by fewer than ten clips each on average. Rows
    with ``start`` or ``end``, in seconds, are cut out of their file and kept in the cache. Without
    groups each file is its own, copies of it included.

    Args:
        path: the CSV, or a folder with ``manifest.csv``.

    Raises:
        AudiotlError: the table cannot be read or lacks a column, none of its files is there, or a
            row cannot be used as it stands.
        LeakError: two files are equal byte for byte and in different groups.
    """
    path = path / "manifest.csv" if path.is_dir() else path
    table = read_table(path, ("path", "label"), text=True)
    clips = _clips(table, path)
    clips["path"] = [str(_file(path.parent, name)) for name in table["path"]]
    again = table.duplicated([name for name in ("path", "start", "end") if name in table])
    if again.any():
        row = again.idxmax()
        raise AudiotlError(f"{_row(path, row)} lists {table['path'][row]} again; list a clip once, "
                           "several labels joined by ';'.")
    there = np.array([Path(file).is_file() for file in clips["path"]], bool)
    if not there.any():
        raise AudiotlError(f"None of the {len(table)} files listed in {path} is there; paths are "
                           "relative to the folder of the table.")
    clips, listed = clips[there], len(table)
    first = _first_group(clips)
    split = clips["group"] != first
    if "group" not in table:
        clips = clips.assign(group=first)
    elif split.any():
        row = split.idxmax()
        raise LeakError(f"{path}: {Path(clips['path'][row]).name} of group {clips['group'][row]!r} "
                        f"is a copy of a clip of group {first[row]!r}; give copies one group, or "
                        "list the recording once.")
    kind = _kind(clips["label"], path)
    clips = _cut_out(clips, table, path).reset_index(drop=True)
    return Corpus("manifest", clips, duration=usual_length(clips["path"]), listed=listed,
                  title=path.stem, **kind)


def read_embeddings(path: Path) -> Corpus:
    """Blocks ``(n, d)`` in a ``.npz``, a layer each, first to last, and a manifest with n rows.

    Args:
        path: the ``.npz``, or a folder with one; ``manifest.csv`` lies beside it and has ``path``
            or ``clip``, ``label[,fold,group]``.

    Raises:
        AudiotlError: the files do not fit each other, or hold what no probe can read.
    """
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if len(files) != 1:
        raise AudiotlError(f"{path} has {len(files)} .npz files where one of blocks is needed; "
                           "name the file.")
    file, manifest = files[0], files[0].parent / "manifest.csv"
    table = read_table(manifest, ("label",), text=True)
    table = table if "path" in table else table.rename(columns={"clip": "path"})
    if "path" not in table:
        raise AudiotlError(f"{manifest} has neither a column 'path' nor 'clip'; name the clips.")
    clips = _clips(table, manifest).assign(row=range(len(table)))
    for block, values in blocks_of(file).items():
        fault = _unfit(values, len(table))
        if fault:
            raise AudiotlError(f"The block {block!r} of {file} {fault}.")
    return Corpus("embeddings", clips, duration=0.0, listed=len(table), title=file.stem,
                  blocks_file=str(file), **_kind(clips["label"], manifest))


def blocks_of(file: Path | str) -> dict[str, np.ndarray]:
    """The arrays of a ``.npz``.

    Raises:
        AudiotlError: it is not one, holds objects, or nothing.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            blocks = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, TypeError, AttributeError, EOFError, MemoryError,
            zipfile.BadZipFile) as error:
        raise AudiotlError(f"{file} cannot be read as .npz of number arrays ({error}); write it "
                           "with numpy.savez.") from None
    if not blocks:
        raise AudiotlError(f"{file} holds no block; write one (clips, columns) a layer.")
    return blocks


def _unfit(values: np.ndarray, clips: int) -> str:
    if values.ndim != 2 or values.dtype.kind not in "fiu" or 0 in values.shape:
        return (f"is {values.dtype} of shape {values.shape}; it must be numbers of shape (clips, "
                "columns)")
    if len(values) != clips:
        return f"has {len(values)} rows, and manifest.csv {clips}; give both one row a clip"
    bad = ~np.isfinite(values).all(1)
    if bad.any():
        return (f"holds values that are not numbers, first in row {bad.argmax() + 1}; leave such "
                "clips out of both files")
    return ""


def usual_length(paths: pd.Series) -> float:
    """A length in seconds that 95 of 100 clips do not exceed, in tenths, within `LENGTHS`."""
    seconds = []
    for path in paths:
        with contextlib.suppress(RuntimeError, TypeError, ValueError, OSError):
            seconds.append(soundfile.info(path).duration)
    length = np.percentile(seconds, 95) if seconds else 0.0
    return float(np.clip(np.ceil(10 * length - 1e-6) / 10, *LENGTHS))


def _row(path: Path, row: int) -> str:
    return f"{path}, line {row + 2},"


def _clips(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if table.empty:
        raise AudiotlError(f"{path} lists no clips; give it a row a clip.")
    for name in ("path", "label"):
        empty = table[name] == ""
        if empty.any() and not (name == "label" and table[name].str.contains(";").any()):
            raise AudiotlError(f"{_row(path, empty.idxmax())} has no {name}; fill it in, or "
                               "delete the row.")
    group = table.get("group", table["path"])
    try:
        fold = table["fold"].astype(int) if "fold" in table else -1
    except (ValueError, TypeError):
        raise AudiotlError(f"{path} has a fold that is not a whole number; "
                           "number the folds 1, 2, 3, ...") from None
    return pd.DataFrame({"path": table["path"], "label": table["label"], "fold": fold,
                         "group": group.where(group != "", table["path"])})


def _file(folder: Path, name: str) -> Path:
    # As named, or with the slashes of Windows.
    file = folder / name
    return file if file.is_file() else folder / name.replace("\\", "/")


def _kind(labels: pd.Series, path: Path) -> dict:
    if labels.str.contains(";").any():
        classes = corpus.classes_of(labels.to_frame())
        return {"classes": _few_classes(classes, path), "multilabel": True}
    values = pd.to_numeric(labels, errors="coerce").replace([np.inf, -np.inf], np.nan)
    broken = values.notna() & (values % 1 != 0)
    many = labels.nunique() > max(20, len(labels) / 10)
    if values.notna().all() and (broken.any() or many):
        return {"classes": (), "numeric": True}
    if broken.mean() > 0.5:
        raise AudiotlError(f"{path} has numbers for labels, but also "
                           f"{labels[values.isna().idxmax()]!r}; make all labels numbers, or none.")
    classes = _few_classes(tuple(sorted(labels.unique())), path)
    if len(classes) < 2:
        raise AudiotlError(f"{path} has one label, {classes[0]!r}, for all clips; list clips of "
                           "two classes or more.")
    return {"classes": classes}


def _few_classes(classes: tuple, path: Path) -> tuple:
    if len(classes) > MOST_CLASSES:
        raise AudiotlError(f"{path} has {len(classes):,} classes, and {MOST_CLASSES:,} are the "
                           "most that can be told apart here; join some.")
    return classes


def _first_group(clips: pd.DataFrame) -> pd.Series:
    # The group of the first clip with the same bytes; of a file that cannot be read, its own.
    digests = cache.digests(clips["path"])
    same = [digest or path for digest, path in zip(digests, clips["path"], strict=True)]
    return clips["group"].groupby(same).transform("first")


def _cut_out(clips: pd.DataFrame, table: pd.DataFrame, path: Path) -> pd.DataFrame:
    # Clips with a start or an end as files of their own.
    if not {"start", "end"} & set(table):
        return clips
    times = pd.DataFrame({name: table.get(name, "") for name in ("start", "end")}, clips.index)
    blank, values = times == "", times.apply(pd.to_numeric, errors="coerce")
    start, end = values["start"].where(~blank["start"], 0.0), values["end"]
    wrong = ~((start >= 0) & (blank["end"] | (end > start)) & np.isfinite(start))
    if wrong.any():
        row = wrong.idxmax()
        raise AudiotlError(f"{_row(path, row)} says start {table.get('start', {}).get(row, '')!r} "
                           f"and end {table.get('end', {}).get(row, '')!r}; give seconds from 0, "
                           "the end after the start.")
    wanted = clips[~blank.all(axis=1)]
    content = cache.fingerprint(wanted["path"]), [*start[wanted.index]], [
        *end[wanted.index].fillna(-1.0)]
    folder = _segments(*content, files=wanted["path"], names=[_row(path, i) for i in wanted.index])
    paths = clips["path"].to_dict()
    for number, row in enumerate(wanted.index):
        cut = folder / _segment(number, paths[row])
        if cut.is_file():
            paths[row] = str(cut)
    return clips.assign(path=list(paths.values()))


def _segment(number: int, file: str) -> str:
    return f"{Path(file).stem[:60]}_{number}.wav"


@cache.step("segments", version=1)
def _segments(folder: Path, _, starts: list, ends: list, *, files: pd.Series, names: list) -> None:
    for number, (file, start, end, row) in enumerate(zip(files, starts, ends, names, strict=True)):
        try:
            with soundfile.SoundFile(file) as sound:
                first = round(start * sound.samplerate)
                if first >= sound.frames:
                    raise AudiotlError(f"{row} starts at {start:g} s, and {file} ends before; "
                                       "correct the start.")
                sound.seek(first)
                length = round((end - start) * sound.samplerate) if end > 0 else -1
                samples = sound.read(length, dtype="float32", always_2d=True)
                rate = sound.samplerate
        except (RuntimeError, TypeError, ValueError, OSError):
            continue  # the features say what is wrong with the file
        soundfile.write(folder / _segment(number, file), samples, rate, subtype="FLOAT")


def read_table(path: Path, columns: tuple[str, ...], text: bool = False) -> pd.DataFrame:
    """A CSV file that must have these columns.

    Args:
        text: every cell as it stands, without blanks around it; numbers are not looked for.

    Raises:
        AudiotlError: no such file, not a CSV, or the first missing column.
    """
    how = {"dtype": str, "keep_default_na": False} if text else {}
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", **how)
    except FileNotFoundError:
        raise AudiotlError(f"{path} is not there; check --data or the download.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError,
            IsADirectoryError) as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise AudiotlError(f"{path} cannot be read as a CSV table ({cause}); save it as one, in "
                           "UTF-8, columns parted by commas.") from None
    if text:
        table = table.rename(columns=str.strip).apply(lambda column: column.str.strip())
    missing = [column for column in columns if column not in table]
    if missing:
        raise AudiotlError(f"{path} has no column {missing[0]!r}; it needs {', '.join(columns)}.")
    return table
