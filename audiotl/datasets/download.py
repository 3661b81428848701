"""Downloads: files of a pinned version, each checked against its SHA-256 before it takes its name.

What has arrived when a connection breaks is kept as ``NAME.part``, and the next run asks for the rest. An archive is
looked through before anything of it is unpacked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import http.client
import os
import shutil
import stat
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from tqdm.auto import tqdm

from audiotl import AudiotlError, cache

CHOI2017 = "https://raw.githubusercontent.com/keunwoochoi/transfer_learning_music/" \
           "6fffbab6bfcd46c3973130b357f54ba9be172da3/"
"""The authors' public repository at a pinned commit."""

SETS = {"choi2017": (CHOI2017, Path(__file__).with_name("choi2017.sha256"))}
"""Sets of single files: base address, and the list of ``SHA-256 path`` lines."""


@dataclasses.dataclass(frozen=True)
class Archive:
    """A corpus that comes as one ``.tar.gz`` or ``.zip``.

    Args:
        url: its address.
        sha256: of the whole archive.
        folder: where its content belongs, relative to the data root.
    """

    url: str
    sha256: str
    folder: str


ARCHIVES = {
    # 2.4 GB; the digest is the one in torchaudio.datasets.SPEECHCOMMANDS and in TensorFlow Datasets.
    "speech_commands": Archive("http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
                               "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
                               "SpeechCommands/speech_commands_v0.02"),
}
"""Corpora that come as one archive. The others publish no SHA-256 to pin."""


def fetch(name: str, root: str | Path, base: str = "", progress: bool = True) -> Path:
    """Bring a published set below ``ROOT``; what is there and whole is kept, so a cut run goes on.

    Args:
        base: another address to fetch from.

    Returns:
        The folder of the set.

    Raises:
        AudiotlError: unknown set, a file that cannot be fetched, or one whose checksum is wrong (it is not kept).
    """
    if name in ARCHIVES:
        return _archive(ARCHIVES[name], Path(root), base, progress)
    if name not in SETS:
        raise AudiotlError(f"There is nothing to fetch called {name!r}; choose among "
                           f"{', '.join([*SETS, *ARCHIVES])}.")
    home, address = Path(root) / name, base or SETS[name][0]
    for relative, digest in tqdm(pinned(name).items(), desc=f"fetching {name}", unit="file", disable=not progress):
        path = home / relative
        if not path.resolve().is_relative_to(home.resolve()):
            raise AudiotlError(f"{relative} in {SETS[name][1].name} leads out of {home}; it is refused.")
        if not (path.is_file() and sha256(path) == digest):
            download(address.rstrip("/") + "/" + relative.replace("+", "%2B"), path, digest)
    return home


def pinned(name: str) -> dict[str, str]:
    """SHA-256 of each file of a set, by its path."""
    lines = [line.split(maxsplit=1) for line in SETS[name][1].read_text().splitlines()]
    return {path: digest for digest, path in lines}


def sha256(path: Path) -> str:
    """SHA-256 of a file, read in blocks of 4 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def download(url: str, path: Path, digest: str, progress: bool = False) -> None:
    """One file, from where an earlier try broke off; it takes its name once its SHA-256 is right.

    Raises:
        AudiotlError: it cannot be fetched, the connection was cut (what came is kept), or the checksum is wrong
            (nothing is kept).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with cache.explain_full_disk(part):
            missing = _receive(url, part, progress)
    except (OSError, http.client.HTTPException) as error:  # urllib's errors are OSErrors
        raise AudiotlError(f"{url} could not be fetched ({type(error).__name__}: {error}); run the same command again, "
                           "what has arrived is kept.") from None
    if missing > 0:
        raise AudiotlError(f"{url} broke off {missing:,} bytes before its end; run the same command again, it goes on "
                           "from there.")
    if sha256(part) != digest:
        part.unlink()
        raise AudiotlError(f"{url} has not the checksum it should have and was not kept; try again later.")
    os.replace(part, path)


def _receive(url: str, part: Path, progress: bool) -> int:
    # Appends to `part` what is not in it yet; returns how many bytes the server still owes.
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            left = int(answer.headers.get("Content-Length") or 0)
            bar = tqdm(total=left or None, desc=part.stem, unit="B", unit_scale=True, disable=not progress)
            with bar, open(part, "ab" if goes_on else "wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
                    left -= len(block)
                    bar.update(len(block))
            return left
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing is left to send: the part is whole, or not of this file
            raise
        return 0


def _archive(archive: Archive, root: Path, base: str, progress: bool) -> Path:
    home, name = root / archive.folder, archive.url.rsplit("/", 1)[1]
    if home.is_dir():
        return home
    path = root / name
    if not (path.is_file() and sha256(path) == archive.sha256):
        download(f"{base.rstrip('/')}/{name}" if base else archive.url, path, archive.sha256, progress)
    unpack(path, home)
    path.unlink()
    return home


def unpack(path: Path, home: Path) -> None:
    """Unpack an archive into the folder `home`, which appears whole or not at all.

    Raises:
        AudiotlError: not an archive, or one with a member that is a link, a device or leads out of the folder
            (nothing is unpacked).
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=home.parent, prefix=f".{home.name}."))
    try:
        with cache.explain_full_disk(home), contextlib.closing(_opened(path)) as archive:
            for name, plain, _ in _members(archive):
                _check_member(path, name, plain)
            for name, _, content in _members(archive):
                target = temporary / name
                (target.parent if content else target).mkdir(parents=True, exist_ok=True)
                if content:
                    with content() as source, open(target, "wb") as file:
                        shutil.copyfileobj(source, file, 1 << 20)
            temporary.chmod(0o755)
            os.rename(temporary, home)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise AudiotlError(f"{path} cannot be unpacked ({error}); remove it and fetch it again.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _opened(path: Path) -> tarfile.TarFile | zipfile.ZipFile:
    return zipfile.ZipFile(path) if zipfile.is_zipfile(path) else tarfile.open(path)


def _members(archive: tarfile.TarFile | zipfile.ZipFile) -> Iterator[tuple[str, bool, Callable | None]]:
    # Name, whether it is a plain file or folder, and what opens it (None for a folder).
    if isinstance(archive, tarfile.TarFile):
        for item in archive.getmembers():
            opener = None if item.isdir() else functools.partial(archive.extractfile, item)
            yield item.name, item.isfile() or item.isdir(), opener
    else:
        for item in archive.infolist():
            kind = stat.S_IFMT(item.external_attr >> 16)
            opener = None if item.is_dir() else functools.partial(archive.open, item)
            yield item.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR), opener


def _check_member(path: Path, name: str, plain: bool) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name:
        raise AudiotlError(f"{path} holds {name!r}, which leads out of its folder; nothing of it was unpacked.")
    if not plain:
        raise AudiotlError(f"{path} holds {name!r}, which is a link or a device; nothing of it was unpacked.")
