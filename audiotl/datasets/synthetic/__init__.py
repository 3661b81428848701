"""Three corpora made here from a seed, so that the whole study runs with no data and no network.

``speech`` (words), ``music`` (tags) and ``environment`` (city sounds) are synthetic: they teach the
method and stand for no recorded corpus. Each has a module of its name; `acoustics` is what they
share, `espeak` speaks the words, and `making` puts a corpus on disk.

A corpus lives in ``<cache>/builtin/<name>-<size>-<seed>-v<VERSION>/`` as 16 kHz mono 16-bit FLAC
beside ``index.csv``. The same seed gives the same bytes (on one machine and one set of library
versions), so processes that make the same corpus at once cannot harm each other, and the folder is
safe to delete.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pandas as pd

from audiotl import AudiotlError
from audiotl.cache import cache_root
from audiotl.datasets.corpus import Corpus, split_tags
from audiotl.datasets.synthetic.making import MARKER, make, recipe

NAMES = ("speech", "music", "environment")
SIZES = ("quick", "smoke")
VERSION = 1
"""Part of the folder's name: raise it when the sound of any recipe changes."""


def load(name: str, size: str = "quick", seed: int = 0, cache: str | Path | None = None) -> Corpus:
    """A built-in corpus, made on first use (some ten seconds for ``quick``), then read.

    Args:
        name: ``speech``, ``music`` or ``environment``.
        size: ``quick`` (1,000 to 1,400 clips, for the study) or ``smoke`` (120, for tests).
        seed: another seed gives other sounds.
        cache: cache folder; None is `audiotl.cache.cache_root`.

    Raises:
        AudiotlError: unknown name or size, or the folder cannot be written.
    """
    if name not in NAMES:
        raise AudiotlError(f"There is no built-in corpus {name!r}; choose among {', '.join(NAMES)}.")
    maker = recipe(name)
    if size not in maker.SIZES:
        raise AudiotlError(f"The built-in corpora have no size {size!r}; "
                           f"choose among {', '.join(SIZES)}.")
    home = Path(cache).expanduser() if cache else cache_root()
    folder = home.absolute() / "builtin" / f"{name}-{size}-{seed}-v{VERSION}"
    clips = read(folder)
    if clips is None:
        make(name, size, seed, folder)
        clips = read(folder)
    if clips is None:
        raise AudiotlError(f"{folder} was made and then changed; remove it and try again.")
    return Corpus(name, clips, maker.classes(size), maker.DURATION, maker.MULTILABEL, synthetic=True,
                  listed=len(clips), note=maker.NOTE, domain=name, title=maker.TITLE)


def read(folder: Path) -> pd.DataFrame | None:
    """The table of a complete corpus, with full paths; None if it or something of it is missing."""
    if not (folder / MARKER).is_file():
        return None
    try:
        clips = pd.read_csv(folder / "index.csv", keep_default_na=False)
        clips["path"] = [str(folder / path) for path in clips["path"]]
        there = {file.path for sub in os.scandir(folder) if sub.is_dir() for file in os.scandir(sub)}
    except (OSError, ValueError, KeyError):
        return None
    return clips if there.issuperset(clips["path"]) else None


def family_view(corpus: Corpus) -> Corpus:
    """The music corpus with one label a clip: the family of its instrument, which is its first tag."""
    labels = corpus.clips["label"].map(lambda tags: split_tags(tags)[0])
    present = set(labels)
    return dataclasses.replace(corpus, name="music_family", title="Synthetic music, families",
                               clips=corpus.clips.assign(label=labels), multilabel=False,
                               classes=tuple(c for c in corpus.classes if c in present))
