"""Content-keyed storage on disk: entries appear whole or not at all, are checked on reading, and may be deleted.

An entry is a folder ``<root>/<step>/<key>/`` whose ``manifest.json`` lists every file with its size and
CRC-32. It is written under a temporary name and renamed when complete, so a reader (or a second process)
never sees half of it. An entry that fails its check is removed, with a warning, and made again.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import sys
import time
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from audiotl import AudiotlError


def cache_root() -> Path:
    """The cache folder: ``AUDIOTL_CACHE``, else the user's cache folder."""
    if os.environ.get("AUDIOTL_CACHE"):
        return Path(os.environ["AUDIOTL_CACHE"]).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "audiotl"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audiotl"


def key_of(*parts: Any) -> str:
    """A short stable key of anything JSON can write (numbers, strings, lists, dicts).

    >>> key_of("logmel", {"n_mels": 64}) == key_of("logmel", {"n_mels": 64})
    True
    """
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def crc32(path: Path) -> int:
    """CRC-32 of a file, read in blocks of 4 MiB."""
    value = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            value = zlib.crc32(block, value)
    return value


def fingerprint(paths: Iterable[str | Path]) -> str:
    """One digest for the bytes of many files, in order (see `digests`)."""
    total, paths = hashlib.sha256(), [Path(p) for p in paths]
    for path, digest in zip(paths, digests(paths), strict=True):
        total.update(digest.encode() or b"unreadable " + path.name.encode())
    return total.hexdigest()[:20]


def digests(paths: Iterable[str | Path]) -> list[str]:
    """SHA-256 of each file's bytes, ``""`` where it cannot be read.

    Bytes are read once: digests are remembered by path, size and modification time, so that asking again
    costs one ``stat`` a file.
    """
    paths = [Path(p) for p in paths]
    folder = os.path.commonpath([str(p.parent.absolute()) for p in paths]) if paths else ""
    index_path = cache_root() / "digests" / f"{key_of(folder)}.json"
    known: dict[str, list] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):
        read = json.loads(index_path.read_text())
        known = {name: row for name, row in dict(read).items() if len(list(row)) == 3}
    out, changed = [], False
    for path in paths:
        name = str(path.absolute())
        try:
            stat = path.stat()
            mark = [stat.st_size, stat.st_mtime_ns]
            if known.get(name, [None, None])[:2] != mark:
                known[name] = [*mark, hashlib.sha256(path.read_bytes()).hexdigest()]
                changed = True
            out.append(str(known[name][2]))
        except OSError:
            out.append("")
    if changed:
        with writing(index_path) as temporary:
            temporary.write_text(json.dumps(known))
    return out


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well, and vanishes when not.

    Raises:
        AudiotlError: the disk is full (what was complete before stays).
    """
    with explain_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def entry(step: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder of an entry; where there is none that is whole, `make` fills an empty folder, which becomes it.

    Raises:
        AudiotlError: the disk is full, or does not give back what was written to it.
    """
    for _ in range(3):
        folder = find(step, key)
        if folder is not None:
            return folder
        with making(step, key) as temporary:
            make(temporary)
    raise AudiotlError(f"The cache {cache_root() / step} does not keep what is written to it; check the disk, or set "
                       "AUDIOTL_CACHE to a folder on another one.")


def find(step: str, key: str) -> Path | None:
    """The folder of a complete, undamaged entry, or None; a damaged one is removed, with a warning."""
    folder = cache_root() / step / key
    damage = _damage(folder)
    if damage is None:
        return folder
    # Gone means never made, or dropped by another process while it was being read.
    if folder.exists():
        warnings.warn(f"Cache entry {folder} is damaged ({damage}); it is made again.", stacklevel=2)
        drop(folder)
    return None


def _damage(folder: Path) -> str | None:
    # The first file that is not as its manifest says.
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        if not isinstance(manifest, dict) or not manifest:
            return "manifest.json"
        for name, (size, crc) in manifest.items():
            if (folder / name).stat().st_size != size or crc32(folder / name) != crc:
                return name
    except OSError as error:
        return Path(error.filename or "?").name
    except (ValueError, TypeError):
        return "manifest.json"
    return None


@contextlib.contextmanager
def making(step: str, key: str) -> Iterator[Path]:
    """An empty folder to fill; when the block ends well it becomes the entry, else it is removed.

    If another process finished the same entry meanwhile, theirs stays.

    Raises:
        AudiotlError: the disk is full (what was complete before stays).
    """
    home = cache_root() / step
    with explain_full_disk(home):
        home.mkdir(parents=True, exist_ok=True)
        _sweep(home)
        temporary = _beside(home / key)
        temporary.mkdir()
        try:
            yield temporary
            files = sorted(p for p in temporary.rglob("*") if p.is_file())
            manifest = {p.relative_to(temporary).as_posix(): [p.stat().st_size, crc32(p)] for p in files}
            (temporary / "manifest.json").write_text(json.dumps(manifest))
            try:
                os.rename(temporary, home / key)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")


@functools.cache
def _sweep(home: Path) -> None:
    # What a killed process left half-made; a living one has written to its own within the week.
    for left in home.glob(".*"):
        with contextlib.suppress(OSError):
            newest = max(p.stat().st_mtime for p in (left, *left.rglob("*")))
            if newest < time.time() - 7 * 24 * 3600:
                shutil.rmtree(left)


@contextlib.contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Turn the system's word for a full disk (or a spent quota) into one sentence.

    Raises:
        AudiotlError: no space was left in the block.
    """
    try:
        yield
    except OSError as error:
        if not disk_is_full(error):
            raise
        raise AudiotlError(f"No space left on the disk of {path}; free some, or choose a folder on another disk "
                           "(AUDIOTL_CACHE, --out, --data): everything completed so far is kept.") from error


def disk_is_full(error: Exception) -> bool:
    """Whether an error is the system's word for a full disk, a spent quota or a file over the size allowed."""
    if not isinstance(error, OSError):
        return False
    # NumPy says of an array that did not fit how much of it was written, and leaves the system's number out.
    short = error.errno is None and re.fullmatch(r"\d+ requested and \d+ written", str(error)) is not None
    return short or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def drop(folder: Path) -> None:
    """Remove an entry's folder, whether or not it is there; it vanishes at once, then its files go."""
    aside = _beside(folder)
    with contextlib.suppress(OSError):
        os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


def array_key(array: np.ndarray) -> str:
    """A digest of an array's bytes, shape and type."""
    array = np.ascontiguousarray(array)
    return hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()[:20]
