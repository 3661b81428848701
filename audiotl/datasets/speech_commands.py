"""Speech Commands v0.01 and v0.02 (Warden 2018): single words of one second, many speakers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from audiotl import AudiotlError
from audiotl.datasets.corpus import Corpus, find_audio, need_folder

TEN_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
WORDS = ("backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four", "go", "happy",
         "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right", "seven", "sheila", "six",
         "stop", "three", "tree", "two", "up", "visual", "wow", "yes", "zero")
"""The 35 words of v0.02; the 30 of v0.01 are among them."""


def read(root: Path, words: Sequence[str] | None = None) -> Corpus:
    """Clips under ``SpeechCommands/speech_commands_v0.02/WORD`` (else v0.01, else WORD folders in `root` itself).

    Group = speaker, the hexadecimal digits before ``_nohash_``. There are no folds: `Corpus.splits` deals
    whole speakers. Folders whose name begins with ``_`` (background noise) are no class.

    Args:
        words: keep only these words.
    """
    places = [root / "SpeechCommands" / version for version in ("speech_commands_v0.02", "speech_commands_v0.01")]
    home = next((place for place in places if place.is_dir()), None)
    if home is None:
        home = root if (root / "yes").is_dir() else need_folder(places[0], "speech_commands")
    rows = []
    for stem, path in find_audio(home).items():
        word, _, clip = stem.partition("/")
        if word.startswith("_") or "_nohash_" not in clip:
            continue
        rows.append((str(path), word, -1, clip.split("_nohash_")[0]))
    clips = pd.DataFrame(rows, columns=["path", "label", "fold", "group"])
    corpus = Corpus("speech_commands", clips, tuple(sorted(clips["label"].unique())), duration=1.0, listed=len(clips),
                    domain="speech", title="Speech Commands",
                    note="Speech Commands, crowd-sourced single words (CC BY 4.0), folds by speaker.")
    if words is None:
        return corpus
    missing = [word for word in words if word not in corpus.classes]
    if missing:
        raise AudiotlError(f"speech_commands has no word {missing[0]!r} under {home}; check the download.")
    return dataclasses.replace(corpus.only(words), title="Speech Commands, ten words")
