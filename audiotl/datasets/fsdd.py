"""Free Spoken Digit Dataset (Jackson et al. 2018): ten digits, six speakers, 8 kHz."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from audiotl.datasets.corpus import Corpus, find_audio, need_folder


def read(root: Path) -> Corpus:
    """Clips ``fsdd/recordings/DIGIT_SPEAKER_TAKE``; group and fold = speaker (leave one speaker out).

    The official test set is takes 0 to 4 of every speaker: `official_split`.
    """
    home = need_folder(root / "fsdd" / "recordings", "fsdd")
    rows = [(str(path), *stem.split("_")[:2]) for stem, path in find_audio(home).items() if stem.count("_") == 2]
    clips = pd.DataFrame(rows, columns=["path", "label", "group"])
    clips["fold"] = clips["group"].astype("category").cat.codes.astype(int)
    return Corpus("fsdd", clips[["path", "label", "fold", "group"]], tuple("0123456789"), duration=1.0,
                  listed=len(clips), domain="speech", title="Free Spoken Digits",
                  note="Free Spoken Digit Dataset (CC BY-SA 4.0), leave one speaker out.")


def official_split(corpus: Corpus):
    """Train and test rows of the official split, which shares speakers between the two sides."""
    take = corpus.clips["path"].map(lambda path: int(Path(path).stem.split("_")[2])).to_numpy()
    return (take >= 5).nonzero()[0], (take < 5).nonzero()[0]
