"""Downloads: files of a pinned version, each checked against its SHA-256 before it takes its name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pooch
from tqdm.auto import tqdm

from audiotl import AudiotlError

CHOI2017 = "https://raw.githubusercontent.com/keunwoochoi/transfer_learning_music/" \
           "6fffbab6bfcd46c3973130b357f54ba9be172da3/"
"""The authors' public repository at a pinned commit."""

SETS = {"choi2017": (CHOI2017, Path(__file__).with_name("choi2017.sha256"))}
"""What can be fetched: base address, and the list of ``SHA-256 path`` lines."""


def fetch(name: str, root: str | Path, base: str = "", progress: bool = True) -> Path:
    """Bring a published set into ``ROOT/NAME``; files that are there and whole are kept, so a cut run goes on.

    Args:
        base: another address to fetch from.

    Raises:
        AudiotlError: unknown set, a file that cannot be fetched, or one whose checksum is wrong (it is not kept).
    """
    if name not in SETS:
        raise AudiotlError(f"There is nothing to fetch called {name!r}; choose among {', '.join(SETS)}.")
    address, listing = SETS[name]
    home = Path(root) / name
    wanted = [line.split(maxsplit=1) for line in listing.read_text().splitlines()]
    for digest, relative in tqdm(wanted, desc=f"fetching {name}", unit="file", disable=not progress):
        path = home / relative
        if not path.resolve().is_relative_to(home.resolve()):
            raise AudiotlError(f"{relative} in {listing.name} leads out of {home}; it is refused.")
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        url = (base or address).rstrip("/") + "/" + relative.replace("+", "%2B")
        try:
            pooch.retrieve(url, f"sha256:{digest}", fname=path.name, path=path.parent)
        except ValueError:
            raise AudiotlError(f"{url} has not the checksum it should have and was not kept; "
                               "try again later.") from None
        except OSError as error:  # requests' errors are OSErrors
            raise AudiotlError(f"{url} could not be fetched ({type(error).__name__}); run the same command again, "
                               "what is complete is kept.") from None
    return home
