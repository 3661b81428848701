"""From a recipe to a folder of FLAC files that is there whole or not at all.

A folder is filled under a temporary name and renamed when complete; its last file, ``complete``, is the marker
without which nothing is read. Jobs depend on nothing but their seed, so they may run anywhere in any order:
large corpora are made by a few child interpreters. (Threads would wait for each other inside the renderers,
and `multiprocessing` imports the caller's script or notebook again, or forks a process that runs threads.)
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile

from audiotl import AudiotlError
from audiotl.datasets.synthetic.acoustics import RATE, Clip

MARKER = "complete"
COLUMNS = ("path", "label", "fold", "group")
JOBS_A_CHILD = 20
"""Fewer groups than this are not worth the start of another interpreter."""


class Recipe(Protocol):
    """What the modules ``speech``, ``music`` and ``environment`` offer.

    Attributes:
        DURATION: length of a clip in seconds.
        MULTILABEL: whether labels are tags joined by ``;``.
        NOTE: one sentence on source and licence.
        SIZES: settings by size; ``tiny`` is for tests.
    """

    DURATION: float
    MULTILABEL: bool
    NOTE: str
    SIZES: dict[str, Any]

    def classes(self, size: str) -> tuple[str, ...]:
        """Class or tag names in target order."""
        ...

    def plan(self, size: str, seed: int) -> Sequence[Any]:
        """One job a group; jobs are independent of each other and of their order."""
        ...

    def render(self, job: Any) -> Iterable[Clip]:
        """The clips of one group."""
        ...


def recipe(name: str) -> Recipe:
    """The module that makes a corpus."""
    return importlib.import_module(f"audiotl.datasets.synthetic.{name}")


def make(name: str, size: str, seed: int, folder: Path) -> None:
    """Fill a temporary folder beside `folder`, then put it in place.

    Raises:
        AudiotlError: the disk refuses, or a child failed.
    """
    print(f"Making the built-in corpus {folder.name} (once, into {folder.parent}) ...", file=sys.stderr, flush=True)
    n_jobs = len(recipe(name).plan(size, seed))
    shares = max(1, min(_cores(), 4, n_jobs // JOBS_A_CHILD))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            made = Path(temporary) / "corpus"
            made.mkdir()
            with _children(name, size, seed, made, shares) as children:
                parts = [write(name, size, seed, made, 0, shares), *(_answer(child) for child in children)]
            rows_of = {number: rows for part in parts for number, rows in part}
            rows = [row for number in sorted(rows_of) for row in rows_of[number]]
            with open(made / "index.csv", "w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
            (made / MARKER).write_text(f"{len(rows)} clips\n")
            publish(made, folder)
    except OSError as error:
        raise AudiotlError(f"The built-in corpus {folder.name} cannot be written to {folder.parent} "
                           f"({error.strerror or error}); set AUDIOTL_CACHE to a folder with room.") from error


def write(name: str, size: str, seed: int, folder: Path, share: int, shares: int) -> list[tuple[int, list]]:
    """Render every `shares`-th job from `share` on; (job number, its rows of the index) for each."""
    maker, done = recipe(name), []
    for number, job in list(enumerate(maker.plan(size, seed)))[share::shares]:
        rows = []
        for clip in maker.render(job):
            path = folder / f"{clip.name}.flac"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, np.round(clip.samples * 32767).astype(np.int16), RATE, "PCM_16")
            rows.append((f"{clip.name}.flac", clip.label, -1, clip.group))
        done.append((number, rows))
    return done


def publish(made: Path, folder: Path) -> None:
    """Rename a complete folder into place; where one lies already, repair it file by file.

    Nothing is ever removed from a folder that another process may be reading: a file is only replaced, at
    once, by one with the same bytes, and the marker goes last.
    """
    with contextlib.suppress(OSError):
        os.rename(made, folder)
        return
    files = sorted(p.relative_to(made) for p in made.rglob("*") if p.is_file())
    for path in sorted(files, key=lambda path: path.name == MARKER):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(made / path, folder / path)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _children(name: str, size: str, seed: int, folder: Path, shares: int):
    """Child interpreters for all shares but the first; none survives the block."""
    code = "from audiotl.datasets.synthetic.making import child; child()"
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH")]))
    children = []
    try:
        for share in range(1, shares):
            order = json.dumps([name, size, seed, str(folder), share, shares])
            children.append(subprocess.Popen([sys.executable, "-c", code, order], stdout=subprocess.PIPE,
                                             stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path}))
        yield children
    finally:
        for process in children:
            process.kill()
            process.wait()
            process.stdout.close()


def child() -> None:
    """What a child does: its share of the jobs, and the rows in JSON on standard output."""
    name, size, seed, folder, share, shares = json.loads(sys.argv[1])
    print(json.dumps(write(name, size, seed, Path(folder), share, shares)))


def _answer(process: subprocess.Popen) -> list:
    output, _ = process.communicate()
    if process.returncode:
        raise AudiotlError(f"A helper process failed while making a built-in corpus (exit {process.returncode}); "
                           "its message is above.")
    return json.loads(output)
