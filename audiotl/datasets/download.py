"""Downloads by pooch: files of a pinned version, kept only if their SHA-256 is right.

What came before a connection breaks stays as ``NAME.part``; the next run asks for the rest.
"""

import os
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import pooch
import requests
from tqdm import tqdm

from audiotl import AudiotlError, cache, check_known

MOST_TIMES = 100  # its size that an archive may fill
SETS = {
    "choi2017": ("https://raw.githubusercontent.com/keunwoochoi/transfer_learning_music/"
                 "6fffbab6bfcd46c3973130b357f54ba9be172da3/",
                 Path(__file__).with_name("choi2017.sha256")),
}
"""Sets of single files: base address, of a pinned commit, and list of ``SHA-256 path`` lines."""


class Archive(NamedTuple):
    """A corpus that comes as one ``.tar.gz``; its content goes to ``ROOT/folder``."""

    url: str
    sha256: str
    folder: str


ARCHIVES = {
    # 2.4 GB; the digest is that of torchaudio.datasets.SPEECHCOMMANDS and TensorFlow Datasets.
    "speech_commands": Archive(
        "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        "SpeechCommands/speech_commands_v0.02"),
}
"""Corpora that come as one archive. The others publish no SHA-256 to pin."""


def fetch(name: str, root: str | Path, progress: bool = True) -> Path:
    """Bring a published set below `root`, and its folder back.

    What is there and whole is kept, so a cut run goes on; AudiotlError as by `download`.
    """
    if name in ARCHIVES:
        archive = ARCHIVES[name]
        home, packed = Path(root) / archive.folder, Path(root) / archive.url.rsplit("/", 1)[1]
        if not home.is_dir():
            download(archive.url, packed, archive.sha256, progress)
            unpack(packed, home)
            packed.unlink()
        return home
    check_known("set to fetch", name, [*SETS, *ARCHIVES])
    home = Path(root) / name
    files = tqdm(pinned(name).items(), desc=f"fetching {name}", unit="file", disable=not progress)
    for relative, digest in files:
        if not (home / relative).resolve().is_relative_to(home.resolve()):
            raise AudiotlError(f"{relative} in {SETS[name][1].name} leads out of {home}; "
                               "it is refused.")
        download(SETS[name][0] + relative.replace("+", "%2B"), home / relative, digest)
    return home


def pinned(name: str) -> dict[str, str]:
    """SHA-256 of each file of a set, by its path."""
    lines = [line.split(maxsplit=1) for line in SETS[name][1].read_text().splitlines()]
    return {path: digest for digest, path in lines}


def download(url: str, path: Path, digest: str, progress: bool = False) -> None:
    """One file, from where an earlier try broke off; it takes its name once its SHA-256 is right.

    Raises:
        AudiotlError: it cannot be fetched, the connection was cut (what came is kept), or the
            checksum is wrong (nothing is kept).
    """
    part = path.with_name(path.name + ".part")

    def receive(url: str, temporary: str, _) -> None:
        _receive(url, part, progress)
        os.replace(part, temporary)

    pooch.get_logger().setLevel("WARNING")
    try:
        with cache.explain_full_disk(part):
            pooch.retrieve(url, f"sha256:{digest}", path.name, path.parent, downloader=receive)
    except OSError as error:  # those of requests are
        raise AudiotlError(f"{url} could not be fetched ({type(error).__name__}: {error}); run the "
                           "same command again, it goes on with what has arrived.") from None
    except ValueError:
        raise AudiotlError(f"{url} has not the checksum it should have and was not kept; "
                           "try again later.") from None


def _receive(url: str, part: Path, progress: bool) -> None:
    # Appends to `part` what is not in it yet.
    have = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
    with requests.get(url, headers=headers, stream=True, timeout=60) as answer:
        if answer.status_code == 416:
            return  # nothing is left to send: the part is whole, or not of this file
        answer.raise_for_status()
        goes_on = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        bar = tqdm(total=int(answer.headers.get("Content-Length") or 0) or None, desc=part.stem,
                   unit="B", unit_scale=True, disable=not progress)
        with bar, open(part, "ab" if goes_on else "wb") as file:
            for block in answer.iter_content(1 << 15):
                file.write(block)
                bar.update(len(block))


def unpack(path: Path, home: Path) -> None:
    """Unpack a ``.tar.gz`` into the folder `home`, which appears whole or not at all.

    Raises:
        AudiotlError: not an archive, one with a member that is a device or leads out of the folder,
            or one that would fill `MOST_TIMES` its size (nothing is unpacked).
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (cache.explain_full_disk(home), tarfile.open(path) as archive,
              tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{home.name}.") as temporary):
            room = [MOST_TIMES * path.stat().st_size + 1_000_000]

            def fits(member: tarfile.TarInfo, where: str) -> tarfile.TarInfo | None:
                room[0] -= member.size
                if room[0] < 0:
                    raise tarfile.TarError(f"it would fill {MOST_TIMES} times its size and more")
                return tarfile.data_filter(member, where)

            archive.extractall(Path(temporary) / "content", filter=fits)
            os.rename(Path(temporary) / "content", home)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise AudiotlError(f"{path} cannot be unpacked ({error}); "
                           "remove it and fetch it again.") from None
