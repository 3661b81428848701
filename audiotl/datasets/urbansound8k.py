"""UrbanSound8K (Salamon et al. 2014): 8,732 clips of up to 4 s, ten classes, ten official folds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from audiotl.datasets.corpus import Corpus, find_audio, need_folder
from audiotl.datasets.own_sounds import read_table

CLASSES = ("air_conditioner", "car_horn", "children_playing", "dog_bark", "drilling", "engine_idling", "gun_shot",
           "jackhammer", "siren", "street_music")


def read(root: Path) -> Corpus:
    """Clips under ``UrbanSound8K/audio/foldN`` listed in ``metadata/UrbanSound8K.csv``; group = Freesound recording.

    Rows without audio are left out and counted (``listed - len``). Five recordings of the full corpus lie in two
    folds each, under two classes (fsID 77751, 106905, 132016, 176638, 180937).
    """
    home = need_folder(root / "UrbanSound8K", "urbansound8k")
    table = read_table(home / "metadata" / "UrbanSound8K.csv", ("slice_file_name", "fsID", "fold", "class"))
    found = find_audio(need_folder(home / "audio", "urbansound8k"))
    stem = "fold" + table["fold"].astype(str) + "/" + table["slice_file_name"].str.rsplit(".", n=1).str[0]
    clips = pd.DataFrame({"path": [str(found.get(s, "")) for s in stem], "label": table["class"],
                          "fold": table["fold"].astype(int), "group": table["fsID"].astype(str)})
    clips = clips[clips["path"] != ""].reset_index(drop=True)
    return Corpus("urbansound8k", clips, CLASSES, duration=4.0, listed=len(table),
                  drop_shared=True, domain="environment", title="UrbanSound8K",
                  note="UrbanSound8K, field recordings from Freesound (CC BY-NC 3.0), official folds.")
