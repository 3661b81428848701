"""From a recipe to a folder of FLAC files that is there whole or not at all.

A folder is filled under a temporary name and renamed when complete; its last file, ``complete``, is
the marker without which nothing is read. Jobs (one a group) depend on nothing but their seed, so
they may run anywhere in any order. Threads would wait for each other inside the renderers, hence
processes.

A recipe is a module with ``DURATION`` (seconds), ``MULTILABEL``, ``TITLE``, ``NOTE``, ``SIZES``
(``tiny`` is for tests), ``classes(size)``, ``plan(size)`` (one tuple a group) and ``render(seed,
*job)``, which yields the `Clip` of a group one by one.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import joblib
import numpy as np
import soundfile
from joblib.externals.loky.process_executor import BrokenProcessPool

from audiotl import AudiotlError
from audiotl.datasets.corpus import COLUMNS
from audiotl.datasets.synthetic.acoustics import RATE

MARKER = "complete"
JOBS_A_WORKER = 20
"""Fewer groups than this are not worth the start of another interpreter."""


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
    workers = max(1, min(joblib.cpu_count(), 4, len(jobs) // JOBS_A_WORKER))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            made = Path(temporary) / "corpus"
            made.mkdir()
            parts = joblib.Parallel(workers, backend="loky")(
                joblib.delayed(write)(name, seed, job, made) for job in jobs)
            rows = [row for part in parts for row in part]
            with open(made / "index.csv", "w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
            (made / MARKER).write_text(f"{len(rows)} clips\n")
            publish(made, folder)
    except BrokenProcessPool as error:
        raise AudiotlError(f"A process died while making the built-in corpus {folder.name} "
                           f"({type(error).__name__}); look for its last words above.") from error
    except OSError as error:
        raise AudiotlError(f"The built-in corpus {folder.name} cannot be written to {folder.parent} "
                           f"({error.strerror or error}); set AUDIOTL_CACHE to a folder with room."
                           ) from error


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
