"""GTZAN genres (Tzanetakis and Cook 2002): ten genres, 30 s excerpts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from audiotl.datasets.corpus import Corpus, find_audio, need_folder


def read(root: Path) -> Corpus:
    """Clips ``GTZAN/genres/GENRE/GENRE.000NN``; the excerpt is the group, and the first 10 s are used."""
    home = root / "GTZAN" / "genres"
    home = need_folder(home if home.is_dir() else root / "genres", "gtzan")
    rows = [(str(path), stem.split("/")[0], -1, stem) for stem, path in find_audio(home).items() if "/" in stem]
    clips = pd.DataFrame(rows, columns=["path", "label", "fold", "group"])
    return Corpus("gtzan", clips, tuple(sorted(clips["label"].unique())), duration=10.0, listed=len(clips), domain="music",
                  title="GTZAN genres",
                  note="GTZAN genres; it has known faults (Sturm 2013: repeats, distortions, several clips an artist).")
