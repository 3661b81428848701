"""Published corpora of recordings, each read from its official layout with audio of any suffix.

`CORPORA` says of each where it lies and what its clips are called. A row of a published table
without audio is left out and counted (``corpus.listed - len(corpus)``).
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from audiotl.datasets.corpus import COLUMNS, Corpus, classes_of, find_audio, need_folder
from audiotl.datasets.own_sounds import read_table

TEN_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
FAMILIES = {
    "strings": ("violin", "viola", "cello", "double_bass"),
    "plucked": ("banjo", "guitar", "mandolin"),
    "brass": ("french_horn", "trombone", "trumpet", "tuba"),
    "reed": ("bass_clarinet", "bassoon", "clarinet", "contrabassoon", "cor_anglais", "oboe",
             "saxophone"),
    "flute": ("flute", "piccolo"),
}
DYNAMICS = {"pianissimo": "soft", "piano": "soft", "mezzo-piano": "soft",
            "fortissimo": "loud", "forte": "loud", "mezzo-forte": "loud"}

Rows = Callable[[Path, dict[str, Path]], pd.DataFrame]
"""From the folder of a corpus and its audio by path without suffix: `COLUMNS`, the path without
suffix where there is no audio."""


class Published(NamedTuple):
    """Where a corpus lies and what it is; see `Corpus` for what is not said here."""

    folders: tuple[str, ...]  # below the data root; the first that is there is read
    rows: Rows  # how its clips are found
    duration: float
    domain: str
    title: str
    drop_shared: bool = False
    multilabel: bool = False


def held(root: Path) -> list[str]:
    """Folders of `CORPORA` that lie directly in `root`."""
    folders = {folder for about in CORPORA.values() for folder in about.folders}
    return sorted(folder for folder in folders if (root / folder).is_dir())


def read(name: str, root: Path) -> Corpus:
    """A corpus of `CORPORA` from the folder that holds them all."""
    about = CORPORA[name]
    places = [root / folder for folder in about.folders]
    home = need_folder(next((place for place in places if place.is_dir()), places[0]), name)
    found = find_audio(home)
    table = about.rows(home, found).astype({"fold": int, "group": str})
    clips = table[table["path"].isin(found)].reset_index(drop=True)
    clips["path"] = [str(found[stem]) for stem in clips["path"]]
    corpus = Corpus(name.removesuffix("_10"), clips, classes_of(table), about.duration,
                    about.multilabel, listed=len(table), drop_shared=about.drop_shared,
                    domain=about.domain, title=about.title)
    return corpus.only(TEN_WORDS) if name == "speech_commands_10" else corpus


def named(pattern: str, label: Callable[[re.Match], str] = lambda said: said["label"],
          group: str = "{group}", fold_by_group: bool = False) -> Rows:
    """Rows of a corpus whose file names say what is in them.

    Args:
        pattern: what a path without suffix must match, with groups ``label`` and ``group``.
        label: what to call a clip, given its match.
        group: format of the group of a clip, of the same.
        fold_by_group: whether each group is a fold; else there are no folds.
    """
    def rows(home: Path, found: dict[str, Path]) -> pd.DataFrame:
        matches = (re.fullmatch(pattern, stem) for stem in found)
        table = pd.DataFrame([(said[0], label(said), -1, group.format(**said.groupdict()))
                              for said in matches if said], columns=COLUMNS)
        if fold_by_group:
            table["fold"] = pd.factorize(table["group"], sort=True)[0]
        return table

    return rows


def _listed(files: pd.Series, label: pd.Series, fold, group: pd.Series) -> pd.DataFrame:
    paths = files.str.rsplit(".", n=1).str[0]
    return pd.DataFrame({"path": paths, "label": label, "fold": fold, "group": group})


def urbansound8k(home: Path, _) -> pd.DataFrame:
    """8,732 clips of up to 4 s in ten classes and ten folds; a group is a Freesound recording.

    Five recordings lie in two folds, under two classes (77751, 106905, 132016, 176638, 180937).
    """
    table = read_table(home / "metadata" / "UrbanSound8K.csv",
                       ("slice_file_name", "fsID", "fold", "class"))
    files = "audio/fold" + table["fold"].astype(str) + "/" + table["slice_file_name"]
    return _listed(files, table["class"], table["fold"], table["fsID"])


def esc50(home: Path, _) -> pd.DataFrame:
    """2,000 clips of 5 s in 50 classes and five folds; a group is a Freesound recording.

    Four recordings lie in two folds each, under two classes (131943, 134049, 209698, 234879).
    """
    table = read_table(home / "meta" / "esc50.csv",
                       ("filename", "fold", "category", "esc10", "src_file"))
    return _listed("audio/" + table["filename"], table["category"], table["fold"],
                   table["src_file"])


def arabic_speech_commands(home: Path, _) -> pd.DataFrame:
    """40 keywords by 30 speakers in 10 rounds; labels are English translations of what is said.

    The column ``official`` names the part of the corpus's own split, by speaker: 18, 6 and 6.
    """
    table = pd.concat([read_table(home / f"{part}.csv", ("file", "class")).assign(official=part)
                       for part in ("train", "val", "test")], ignore_index=True)
    speaker = table["file"].str.extract(r"([^/_]+)_[^/]*$")[0]
    return _listed(table["file"], table["class"], -1, speaker).assign(official=table["official"])


def music_tags(said: re.Match | dict[str, str]) -> str:
    """Tags of a note: instrument, family, register (middle is C3 to B4) and dynamics.

    >>> music_tags({"label": "tuba", "group": "C2", "dynamics": "forte"})
    'tuba;brass;low;loud'
    """
    instrument, octave = said["label"], said["group"][-1:]
    family = next((name for name, members in FAMILIES.items() if instrument in members), "other")
    register = octave and ("low" if octave < "3" else "middle" if octave < "5" else "high")
    return ";".join(filter(None, (instrument, family, register, DYNAMICS.get(said["dynamics"]))))


WORD = r"(?P<label>[^_/][^/]*)/(?P<group>[^/]*?)_nohash_[^/]*"
"""A word and its speaker; folders that begin with ``_`` hold noise."""

NOTE = r"(?P<label>[^/]+)/(?:[^/]*?_)?(?P<group>[A-G]s?\d|)_[^_]+_(?P<dynamics>[^_]+)_.+"
"""The name before the note is not always the folder's: ``cor_anglais/english-horn_A3_1_...``."""

WORDS = Published(
    ("SpeechCommands/speech_commands_v0.02", "SpeechCommands/speech_commands_v0.01"), named(WORD),
    1.0, "speech", "Speech Commands")
NOTES = Published(("philharmonia",), named(NOTE, group="{label} {group}"), 3.0, "music",
                  "Philharmonia, instruments")

SPOKEN = r".*/03-01-(?P<emotion>\d\d)-\d\d-\d\d-\d\d-(?P<group>\d\d)"
"""Emotion, intensity, statement, repetition and actor."""

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SAME_SOUND = {
    frozenset(("urbansound8k", "esc50")): {("dog_bark", "dog"), ("car_horn", "car_horn"),
                                           ("engine_idling", "engine"), ("siren", "siren")},
    frozenset(("speech_commands", "fsdd")): {(word, str(k)) for k, word in enumerate(DIGITS)},
}
"""Classes of two corpora that are one sound; equal names need not be (the Arabic ``yes``)."""

CORPORA = {
    # Salamon et al. 2014
    "urbansound8k": Published(("UrbanSound8K",), urbansound8k, 4.0, "environment", "UrbanSound8K",
                              drop_shared=True),
    # Piczak 2015
    "esc50": Published(("ESC-50",), esc50, 5.0, "environment", "ESC-50", drop_shared=True),
    # Warden 2018; a group is a speaker
    "speech_commands": WORDS,
    "speech_commands_10": WORDS._replace(title="Speech Commands, ten words"),
    # Ghandoura et al. 2021; a group is a speaker
    "arabic_speech_commands": Published(("ArabicSpeechCommands",), arabic_speech_commands, 1.0,
                                        "speech", "Arabic Speech Commands"),
    # Livingstone and Russo 2018; a group is an actor. Up to 5.3 s, of which 4 s are used
    "ravdess": Published(
        ("RAVDESS",),
        named(SPOKEN, lambda said: EMOTIONS[int(said["emotion"]) - 1], "actor {group}"), 4.0,
        "speech", "RAVDESS, emotion"),
    # Jackson et al. 2018; the official test set shares speakers with training and is not used
    "fsdd": Published(
        ("fsdd/recordings",),
        named(r"(?P<label>\d)_(?P<group>[^_/]+)_[^_/]+", fold_by_group=True), 1.0, "speech",
        "Free Spoken Digits"),
    # Tzanetakis and Cook 2002: excerpts of 30 s, of which 10 s are used. Known faults are repeats,
    # distortions and several clips an artist (Sturm 2013)
    "gtzan": Published(
        ("GTZAN/genres", "genres"),
        named(r"(?P<label>[^/]+)/(?P<group>[^/]+)", group="{label}/{group}"), 10.0, "music",
        "GTZAN genres"),
    # A group is an instrument and a note
    "philharmonia": NOTES,
    "philharmonia_tags": NOTES._replace(
        rows=named(NOTE, music_tags, "{label} {group}"), title="Philharmonia, tags",
        multilabel=True),
}
