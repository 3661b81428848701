"""Three corpora made here from a seed, so that the whole study runs with no data and no network.

They teach the method and stand for no recorded corpus. Each is a module, its recipe: ``DURATION``
in seconds, ``MULTILABEL``, ``TITLE``, ``SIZES`` (``tiny`` is for tests),
``classes(size)``, ``plan(size)`` (one tuple a group) and ``render(seed, *job)``, which yields each
clip of a group.

A corpus is an entry of the cache, 16-bit FLAC beside ``index.csv``. The same seed gives the same
bytes (on one machine and one set of library versions).
"""

import dataclasses
import importlib
import sys
from pathlib import Path
from types import ModuleType

import joblib
import numpy as np
import pandas as pd
import soundfile
from joblib.externals.loky.process_executor import BrokenProcessPool

from audiotl import AudiotlError, cache, check_known
from audiotl.datasets.corpus import COLUMNS, Corpus, split_tags
from audiotl.datasets.synthetic.acoustics import RATE

NAMES = ("speech", "music", "environment")
VERSION = 1  # part of the entry's name: raise it when the sound of any recipe changes
JOBS_A_WORKER = 20  # fewer groups than this are not worth the start of another process


def load(name: str, size: str = "quick", seed: int = 0) -> Corpus:
    """A built-in corpus, made on first use (some ten seconds for ``quick``), then read.

    Args:
        size: ``quick`` (1,000 to 1,400 clips, for the study) or ``smoke`` (120, for tests).
        seed: another seed gives other sounds.
    """
    check_known("built-in corpus", name, NAMES)
    maker = recipe(name)
    check_known("size of built-in corpora", size, maker.SIZES)
    entry = f"{name}-{size}-{seed}-v{VERSION}"
    try:
        folder = cache.entry("builtin", entry, lambda folder: make(name, size, seed, folder))
    except OSError as error:
        raise AudiotlError(f"The built-in corpus {entry} cannot be written ({error}); set "
                           "AUDIOTL_CACHE to a folder that can.") from error
    folder = folder.absolute()
    clips = pd.read_csv(folder / "index.csv", keep_default_na=False)
    clips["path"] = [str(folder / path) for path in clips["path"]]
    return Corpus(name, clips, maker.classes(size), maker.DURATION, maker.MULTILABEL,
                  synthetic=True, listed=len(clips), domain=name, title=maker.TITLE)


def family_view(corpus: Corpus) -> Corpus:
    """The music corpus with one label a clip: the family of its instrument, its first tag."""
    labels = corpus.clips["label"].map(lambda tags: split_tags(tags)[0])
    present = set(labels)
    return dataclasses.replace(corpus, name="music_family", title="Synthetic music, families",
                               clips=corpus.clips.assign(label=labels), multilabel=False,
                               classes=tuple(c for c in corpus.classes if c in present))


def recipe(name: str) -> ModuleType:
    """The module of a corpus."""
    return importlib.import_module(f"audiotl.datasets.synthetic.{name}")


def make(name: str, size: str, seed: int, folder: Path) -> None:
    """Fill a folder with the clips and ``index.csv``."""
    print(f"Making the built-in corpus {name}-{size}-{seed} (once, into {folder.parent}) ...",
          file=sys.stderr, flush=True)
    jobs = recipe(name).plan(size)
    # Processes, because threads would wait for each other inside the renderers.
    workers = max(1, min(joblib.cpu_count(), 4, len(jobs) // JOBS_A_WORKER))
    try:
        parallel = joblib.Parallel(workers, backend="loky", idle_worker_timeout=20)
        parts = parallel(joblib.delayed(write)(name, seed, job, folder) for job in jobs)
    except BrokenProcessPool as error:
        raise AudiotlError(f"A process died while making the built-in corpus {name}-{size} "
                           f"({type(error).__name__}); look for its last words above.") from error
    rows = pd.DataFrame([row for part in parts for row in part], columns=COLUMNS)
    rows.to_csv(folder / "index.csv", index=False, lineterminator="\n")


def write(name: str, seed: int, job: tuple, folder: Path) -> list[tuple]:
    """Render one group to files below `folder`; its rows of the index."""
    rows = []
    for clip in recipe(name).render(seed, *job):
        path = folder / f"{clip.name}.flac"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.round(clip.samples * 32767).astype(np.int16), RATE, "PCM_16")
        rows.append((f"{clip.name}.flac", clip.label, -1, clip.group))
    return rows
