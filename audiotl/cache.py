"""Content-keyed storage on disk; `step` makes a cached step of a function, as joblib.Memory does.

An entry is a folder ``<root>/<step>/<key>/`` whose ``manifest.json`` lists every file with its size
and CRC-32. It is written under a temporary name and renamed when complete, so a reader (or a second
process) never sees half of it. One that fails its check is removed, with a warning, and made again.
Beside its files lies ``cost.json``: the processor seconds of it and of all that its making used.
"""

import contextlib
import dataclasses
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import time
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pooch

from audiotl import AudiotlError


def cache_root() -> Path:
    """The cache folder: ``AUDIOTL_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("AUDIOTL_CACHE") or pooch.os_cache("audiotl")).expanduser()


def step(name: str, version: int, home: str = "") -> Callable:
    """Keep on disk what a function makes of its positional arguments.

    The function fills an empty folder, its first argument; decorated, it is called without it and
    returns the folder of the entry. Positional arguments are content and make the key. Keywords say
    only how (threads, progress, an object whose content is positional) and do not count.

    Args:
        name: of the step, part of the key.
        version: part of the key, raised whenever the same content would give another result.
        home: folder of the step below the cache; `name` if not given.

    >>> @step("doctest", version=1)
    ... def squares(folder, n, *, progress=False):
    ...     np.save(folder / "squares.npy", np.arange(n) ** 2)
    >>> squares(4, progress=True) == squares.find(4) == cache_root() / "doctest" / squares.key(4)
    True
    """
    def decorate(make: Callable) -> Callable:
        @functools.wraps(make)
        def made(*content, **how) -> Path:
            return entry(home or name, made.key(*content),
                         lambda folder: make(folder, *content, **how))

        made.key = functools.partial(key_of, name, version)
        made.find = lambda *content: find(home or name, made.key(*content))
        return made

    return decorate


def key_of(*parts: Any) -> str:
    """A short stable key of numbers, strings, arrays, dataclasses, and lists and dicts of them."""
    text = json.dumps(parts, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return array_key(value)
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else str(value)


def array_key(array: np.ndarray) -> str:
    """A digest of an array's bytes, shape and type."""
    array = np.ascontiguousarray(array)
    head = f"{array.dtype}{array.shape}".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()[:20]


def fingerprint(paths: Iterable[str | Path]) -> str:
    """One digest for the bytes of many files, in order (see `digests`)."""
    paths = [Path(path) for path in paths]
    rows = (digest or f"unreadable {path.name}"
            for path, digest in zip(paths, digests(paths), strict=True))
    return hashlib.sha256("".join(rows).encode()).hexdigest()[:20]


def digests(paths: Iterable[str | Path]) -> list[str]:
    """SHA-256 of each file's bytes, ``""`` where it cannot be read.

    Bytes are read once: path, size and modification time remember them, at one ``stat`` a file.
    """
    paths = [Path(path).absolute() for path in paths]
    folder = os.path.commonpath([path.parent for path in paths]) if paths else ""
    index = cache_root() / "digests" / f"{key_of(folder)}.json"
    known: dict[str, list] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):
        known = dict(json.loads(index.read_text()))
    found = {str(path): _digest(path, known.get(str(path))) for path in paths}
    if any(known.get(name) != row for name, row in found.items() if row[2]):
        with writing(index) as temporary:
            temporary.write_text(json.dumps(known | found))
    return [str(found[str(path)][2]) for path in paths]


def _digest(path: Path, known: Any) -> list:
    # Size, modification time, SHA-256.
    try:
        mark = [path.stat().st_size, path.stat().st_mtime_ns]
        if isinstance(known, list) and len(known) == 3 and known[:2] == mark:
            return known
        return [*mark, hashlib.sha256(path.read_bytes()).hexdigest()]
    except OSError:
        return [-1, -1, ""]


def entry(step: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder of an entry; where there is no whole one, `make` fills an empty folder for it."""
    for _ in range(3):
        folder = find(step, key)
        if folder is not None:
            return folder
        with making(step, key) as temporary:
            make(temporary)
    raise AudiotlError(f"The cache {cache_root() / step} does not keep what is written to it; "
                       "check the disk, or set AUDIOTL_CACHE to a folder on another one.")


def find(step: str, key: str) -> Path | None:
    """The folder of a whole entry, or None; a damaged one is removed, with a warning."""
    folder = cache_root() / step / key
    damage = _damage(folder)
    if damage is None:
        _use(folder)
        return folder
    # Gone means never made, or dropped by another process while it was being read.
    if folder.exists():
        warnings.warn(f"Cache entry {folder} is damaged ({damage}); it is made again.",
                      stacklevel=2)
        drop(folder)
    return None


def _damage(folder: Path) -> str | None:
    # The first file that is not as its manifest says.
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        for name, mark in manifest.items():
            if _mark(folder / name) != mark:
                return name
    except OSError as error:
        return Path(error.filename or "?").name
    except (ValueError, AttributeError):
        return "manifest.json"
    return None if manifest else "manifest.json"


def _mark(path: Path) -> list[int]:
    crc = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            crc = zlib.crc32(block, crc)
    return [path.stat().st_size, crc]


@contextlib.contextmanager
def making(step: str, key: str) -> Iterator[Path]:
    """An empty folder that becomes the entry when the block ends well, and vanishes when not.

    If another process finished the same entry meanwhile, theirs stays.
    """
    home = cache_root() / step
    with explain_full_disk(home):
        home.mkdir(parents=True, exist_ok=True)
        _sweep(home)
        temporary = _beside(home / key)
        temporary.mkdir()
        _making.append(_Cost())
        try:
            yield temporary
            cost = {f"{step}/{key}": _making[-1].own()} | _making[-1].used
            (temporary / "cost.json").write_text(json.dumps(cost))
            files = sorted(path for path in temporary.rglob("*") if path.is_file())
            manifest = {path.relative_to(temporary).as_posix(): _mark(path) for path in files}
            (temporary / "manifest.json").write_text(json.dumps(manifest))
            try:
                os.rename(temporary, home / key)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            _made.add(f"{step}/{key}")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            _making.pop().leave()


@contextlib.contextmanager
def adopting(step: str, key: str, seconds: float) -> Iterator[Path]:
    """`making` for an entry that took so many processor seconds elsewhere."""
    with making(step, key) as folder:
        _making[-1].started -= seconds
        yield folder
    _made.discard(f"{step}/{key}")


def seconds_of(folder: Path) -> float:
    """Processor seconds that an entry took, and what was made for it alone and is not kept."""
    cost = json.loads((folder / "cost.json").read_text())
    own = f"{folder.parent.name}/{folder.name}"
    return sum(seconds for name, seconds in cost.items()
               if name == own or not (cache_root() / name).exists())


class _Cost:
    # Processor seconds of an entry in the making, without those of entries made for it.
    def __init__(self):
        self.used: dict[str, float] = {}
        self.started, self.inner = time.process_time(), 0.0

    def own(self) -> float:
        return round(time.process_time() - self.started - self.inner, 3)

    def leave(self) -> None:
        if _making:
            _making[-1].inner += time.process_time() - self.started


_making: list[_Cost] = []
_used, _made = _Cost(), set()


def _use(folder: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        cost = json.loads((folder / "cost.json").read_text())
        for frame in (_used, *_making[-1:]):
            frame.used |= cost


def spared() -> float:
    """Processor seconds that went into what this process found in the cache and did not make."""
    return sum(seconds for name, seconds in _used.used.items() if name not in _made)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """`making` for one file: a temporary path that replaces `path` when the block ends well."""
    with explain_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")


@functools.cache
def _sweep(home: Path) -> None:
    # What a killed process left half-made; a living one has written to its own within the week.
    for left in home.glob(".*"):
        with contextlib.suppress(OSError):
            newest = max(path.stat().st_mtime for path in (left, *left.rglob("*")))
            if newest < time.time() - 7 * 24 * 3600:
                shutil.rmtree(left)


def drop(folder: Path) -> None:
    """Remove an entry, whether or not it is there; it vanishes at once, then its files go."""
    aside = _beside(folder)
    with contextlib.suppress(OSError):
        os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Turn the system's word for a full disk (or a spent quota) into one sentence, AudiotlError."""
    try:
        yield
    except OSError as error:
        if not disk_is_full(error):
            raise
        raise AudiotlError(f"No space left on the disk of {path}; free some, or choose a folder on "
                           "another disk (AUDIOTL_CACHE, --out, --data): everything completed so "
                           "far is kept.") from error


def disk_is_full(error: Exception) -> bool:
    """Whether an error says full disk, spent quota or a file over the size allowed."""
    if not isinstance(error, OSError):
        return False
    # NumPy says how much of an array did not fit, and leaves the system's number out.
    if error.errno is None:
        return re.fullmatch(r"\d+ requested and \d+ written", str(error)) is not None
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
