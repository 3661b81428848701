"""Corpora by name, each the same `Corpus` whatever the layout on disk."""

import itertools
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from audiotl import AudiotlError, cache, check_known
from audiotl.datasets import own_sounds, recordings
from audiotl.datasets.corpus import Corpus, LeakError, check_split, combined

__all__ = ["Corpus", "LeakError", "check_split"]

BUILTIN = ("environment", "speech", "music")
BUILT_IN = "built-in"
"""In place of a data folder: the corpora made here, or ``AUDIOTL_DATA`` for those of recordings."""

FREESOUND = {"urbansound8k", "esc50"}
OWN = {"folder": own_sounds.read, "manifest": own_sounds.read_manifest,
       "embeddings": own_sounds.read_embeddings}


def data_root(root: str | Path | None = None) -> Path | None:
    """The folder of real recordings: `root`, else ``AUDIOTL_DATA``, else None."""
    given = os.environ.get("AUDIOTL_DATA") if root in (None, "", BUILT_IN) else root
    if not given:
        return None
    path = Path(given).expanduser()
    if not path.is_dir():
        raise AudiotlError(f"The data folder {given} is not there; check --data or AUDIOTL_DATA.")
    return path


def names() -> list[str]:
    """Every corpus that `load` knows; those of `OWN` are the user's."""
    return [*BUILTIN, "music_family", *recordings.CORPORA, *OWN]


def load(name: str, data: str | Path | None = BUILT_IN, size: str = "quick",
         seed: int = 0) -> Corpus:
    """One corpus by name.

    Args:
        name: see `names`; ``"one+other"`` joins corpora, see `corpus.combined`.
        data: ``"built-in"``, or the folder that holds the corpora (``AUDIOTL_DATA`` if not given);
            for ``folder`` the folder of class folders itself, for ``manifest`` the CSV file or the
            folder of ``manifest.csv``, for ``embeddings`` the ``.npz`` or its folder.
        size: of the built-in corpora: ``quick`` or ``smoke``.
        seed: of the built-in corpora.

    Raises:
        AudiotlError: unknown name, no data folder, or a layout that is not the corpus's.
    """
    from audiotl.datasets import synthetic

    if "+" in name:
        return combined([load(part, data, size, seed) for part in name.split("+")])
    if name in BUILTIN:
        return synthetic.load(name, size=size, seed=seed)
    if name == "music_family":
        return synthetic.family_view(synthetic.load("music", size=size, seed=seed))
    check_known("corpus", name, names())
    if name in OWN and data and Path(data).is_file():
        return OWN[name](Path(data))
    where = data_root(data)
    if where is None:
        raise AudiotlError(f"{name} is a corpus of recordings and needs a folder; "
                           "give --data or set AUDIOTL_DATA.")
    held = recordings.held(where)
    if name == "folder" and len(held) > 1:
        raise AudiotlError(f"{where} holds several corpora ({', '.join(held)}), of which each "
                           "would be a class; name the folder of one.")
    corpus = OWN[name](where) if name in OWN else recordings.read(name, where)
    if len(corpus) == 0:
        raise AudiotlError(f"{name} has no audio under {where}; "
                           "fetch it, or point --data elsewhere.")
    return corpus


def shared(source: Corpus, target: Corpus) -> np.ndarray:
    """Which clips of `source` come from a recording that is also in `target`; ``(len(source),)``.

    Recordings are matched by file, by the file's bytes (a copy under another name), and by group
    where two corpora number them alike: UrbanSound8K and ESC-50 both carry Freesound identifiers.
    A copy that was encoded anew is not recognised.
    """
    same = np.isin(source.clips["path"], target.clips["path"])
    ours, theirs = (np.array(cache.digests(corpus.clips["path"])) for corpus in (source, target))
    same |= np.isin(ours, theirs) & (ours != "")
    if source.parts | target.parts >= FREESOUND and source.parts != target.parts:
        same |= np.isin(source.groups, target.groups)
    return same


def related(source: Corpus, target: Corpus) -> bool:
    """Whether the two are views of one corpus, with some file in both: neither teaches it."""
    return bool(np.isin(source.clips["path"], target.clips["path"]).any())


def shared_labels(source: Corpus, target: Corpus) -> list[str]:
    """Classes of `target` whose sound those of `source` teach by name: no case of transfer."""
    pairs = {pair for both in itertools.product(source.parts, target.parts)
             for pair in recordings.SAME_SOUND.get(frozenset(both), ())}
    heard = {name.rpartition(": ")[2] for name in source.classes}
    sounds = {b for a, b in pairs if a in heard} | {a for a, b in pairs if b in heard}
    return sorted(name for name in target.classes if name.rpartition(": ")[2] in sounds)


def without_shared(corpus: Corpus, others: Iterable[Corpus]) -> tuple[Corpus, int]:
    """A corpus without the recordings that are also in one of `others`, and how many clips went.

    Another view of the same corpus (see `related`) takes nothing away.
    """
    keep = np.ones(len(corpus), bool)
    for other in others:
        if not related(corpus, other):
            keep &= ~shared(corpus, other)
    return corpus.subset(keep), int((~keep).sum())
