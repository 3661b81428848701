"""Three corpora made here from a seed, so that the whole study runs with no data and no network.

They teach the method and stand for no recorded corpus. Each is a module, its recipe: ``DURATION``
in seconds, ``MULTILABEL``, ``TITLE``, ``NOTE``, ``SIZES`` (``tiny`` is for tests),
``classes(size)``, ``plan(size)`` (one tuple a group) and ``render(seed, *job)``, which yields each
clip of a group.

A corpus lives in ``<cache>/builtin/<name>-<size>-<seed>-v<VERSION>/`` as 16-bit FLAC beside
``index.csv``. The same seed gives the same bytes (on one machine and one set of library versions),
so processes that make the same corpus at once cannot harm each other. A folder is filled under
another name and renamed when complete; without its last file, ``complete``, nothing is read.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import importlib
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import joblib
import numpy as np
import pandas as pd
import soundfile
from joblib.externals.loky.process_executor import BrokenProcessPool

from audiotl import AudiotlError
from audiotl.cache import cache_root
from audiotl.datasets.corpus import COLUMNS, Corpus, split_tags
from audiotl.datasets.synthetic.acoustics import RATE

NAMES = ("speech", "music", "environment")
SIZES = ("quick", "smoke")
VERSION = 1
"""Part of the folder's name: raise it when the sound of any recipe changes."""

MARKER = "complete"
JOBS_A_WORKER = 20
"""Fewer groups than this are not worth the start of another process."""


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
        raise AudiotlError(f"There is no built-in corpus {name!r}; "
                           f"choose among {', '.join(NAMES)}.")
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
    return Corpus(name, clips, maker.classes(size), maker.DURATION, maker.MULTILABEL,
                  synthetic=True, listed=len(clips), note=maker.NOTE, domain=name,
                  title=maker.TITLE)


def read(folder: Path) -> pd.DataFrame | None:
    """The table of a complete corpus, with full paths; None if it or something of it is missing."""
    if not (folder / MARKER).is_file():
        return None
    try:
        clips = pd.read_csv(folder / "index.csv", keep_default_na=False)
        clips["path"] = [str(folder / path) for path in clips["path"]]
        there = {str(path) for path in folder.glob("*/*")}
    except (OSError, ValueError, KeyError):
        return None
    return clips if there.issuperset(clips["path"]) else None


def family_view(corpus: Corpus) -> Corpus:
    """The music corpus with one label a clip: the family of its instrument, its first tag."""
    labels = corpus.clips["label"].map(lambda tags: split_tags(tags)[0])
    present = set(labels)
    return dataclasses.replace(corpus, name="music_family", title="Synthetic music, families",
                               clips=corpus.clips.assign(label=labels), multilabel=False,
                               classes=tuple(c for c in corpus.classes if c in present))


def recipe(name: str) -> ModuleType:
    """The module that makes a corpus."""
    return importlib.import_module(f"audiotl.datasets.synthetic.{name}")


def make(name: str, size: str, seed: int, folder: Path) -> None:
    """Fill a temporary folder beside `folder`, then put it in place.

    Raises:
        AudiotlError: the disk refuses, or a worker died.
    """
    print(f"Making the built-in corpus {folder.name} (once, into {folder.parent}) ...",
          file=sys.stderr, flush=True)
    jobs = recipe(name).plan(size)
    # Processes, because threads would wait for each other inside the renderers.
    workers = max(1, min(joblib.cpu_count(), 4, len(jobs) // JOBS_A_WORKER))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            made = Path(temporary) / "corpus"
            made.mkdir()
            parallel = joblib.Parallel(workers, backend="loky", idle_worker_timeout=20)
            parts = parallel(joblib.delayed(write)(name, seed, job, made) for job in jobs)
            rows = [row for part in parts for row in part]
            with open(made / "index.csv", "w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
            (made / MARKER).write_text(f"{len(rows)} clips\n")
            publish(made, folder)
    except BrokenProcessPool as error:
        raise AudiotlError(f"A process died while making the built-in corpus {folder.name} "
                           f"({type(error).__name__}); look for its last words above.") from error
    except OSError as error:
        raise AudiotlError(f"The built-in corpus {folder.name} cannot be written to "
                           f"{folder.parent} ({error.strerror or error}); set AUDIOTL_CACHE to a "
                           "folder with room.") from error


def write(name: str, seed: int, job: tuple, folder: Path) -> list[tuple]:
    """Render one group to files below `folder`; its rows of the index."""
    rows = []
    for clip in recipe(name).render(seed, *job):
        path = folder / f"{clip.name}.flac"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.round(clip.samples * 32767).astype(np.int16), RATE, "PCM_16")
        rows.append((f"{clip.name}.flac", clip.label, -1, clip.group))
    return rows


def publish(made: Path, folder: Path) -> None:
    """Rename a complete folder into place; where one lies already, repair it file by file.

    Nothing is ever removed from a folder that another process may be reading: a file is only
    replaced, at once, by one with the same bytes, and the marker goes last.
    """
    with contextlib.suppress(OSError):
        os.rename(made, folder)
        return
    files = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
    for path in sorted(files, key=lambda path: path.name == MARKER):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(made / path, folder / path)
