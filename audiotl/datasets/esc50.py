"""ESC-50 and ESC-10 (Piczak 2015): 2,000 (400) clips of 5 s, 50 (10) classes, five official folds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from audiotl.datasets.corpus import Corpus, find_audio, need_folder
from audiotl.datasets.own_sounds import read_table


def read(root: Path, esc10: bool = False) -> Corpus:
    """Clips under ``ESC-50/audio`` listed in ``meta/esc50.csv``; group = Freesound recording.

    Four recordings lie in two folds each, under two classes (131943, 134049, 209698, 234879).
    """
    name = "esc10" if esc10 else "esc50"
    home = need_folder(root / "ESC-50", name)
    table = read_table(home / "meta" / "esc50.csv", ("filename", "fold", "category", "esc10", "src_file"))
    if esc10:
        table = table[table["esc10"].astype(str) == "True"]
    found = find_audio(need_folder(home / "audio", name))
    stem = table["filename"].str.rsplit(".", n=1).str[0]
    clips = pd.DataFrame({"path": [str(found.get(s, "")) for s in stem], "label": table["category"],
                          "fold": table["fold"].astype(int), "group": table["src_file"].astype(str)})
    clips = clips[clips["path"] != ""].reset_index(drop=True)
    classes = tuple(sorted(table["category"].unique()))
    return Corpus(name, clips, classes, duration=5.0, listed=len(table),
                  drop_shared=True, domain="environment", title="ESC-10" if esc10 else "ESC-50",
                  note="ESC-50, field recordings from Freesound (CC BY-NC), official folds.")
