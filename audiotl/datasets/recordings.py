"""Published corpora of recordings, each read from its official layout with audio of any suffix.

One function a corpus; `root` is the folder that holds them all. A row of a published table without
audio is left out and counted (``corpus.listed - len(corpus)``).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from audiotl import AudiotlError
from audiotl.datasets.corpus import COLUMNS, Corpus, find_audio, need_folder
from audiotl.datasets.own_sounds import read_table

URBAN_CLASSES = ("air_conditioner", "car_horn", "children_playing", "dog_bark", "drilling",
                 "engine_idling", "gun_shot", "jackhammer", "siren", "street_music")
TEN_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
FAMILIES = {
    "strings": ("violin", "viola", "cello", "double_bass"),
    "plucked": ("banjo", "guitar", "mandolin"),
    "brass": ("french_horn", "trombone", "trumpet", "tuba"),
    "reed": ("bass_clarinet", "bassoon", "clarinet", "contrabassoon", "cor_anglais", "oboe",
             "saxophone"),
    "flute": ("flute", "piccolo"),
}
SOFT = ("pianissimo", "piano", "mezzo-piano")
LOUD = ("fortissimo", "forte", "mezzo-forte")


def urbansound8k(root: Path) -> Corpus:
    """UrbanSound8K (Salamon et al. 2014): 8,732 clips of up to 4 s, ten classes, ten official
    folds.

    Group = Freesound recording. Five of them lie in two folds each, under two classes (fsID 77751,
    106905, 132016, 176638, 180937).
    """
    home = need_folder(root / "UrbanSound8K", "urbansound8k")
    table = read_table(home / "metadata" / "UrbanSound8K.csv",
                       ("slice_file_name", "fsID", "fold", "class"))
    names = "fold" + table["fold"].astype(str) + "/" + table["slice_file_name"]
    clips = _with_audio(home / "audio", names, table["class"], table["fold"], table["fsID"])
    return Corpus("urbansound8k", clips, URBAN_CLASSES, 4.0, listed=len(table), drop_shared=True,
                  domain="environment", title="UrbanSound8K",
                  note="UrbanSound8K, recordings from Freesound (CC BY-NC 3.0), official folds.")


def esc50(root: Path, esc10: bool = False) -> Corpus:
    """ESC-50 and ESC-10 (Piczak 2015): 2,000 (400) clips of 5 s, 50 (10) classes, five official
    folds.

    Group = Freesound recording. Four of them lie in two folds each, under two classes (131943,
    134049, 209698, 234879).
    """
    name = "esc10" if esc10 else "esc50"
    home = need_folder(root / "ESC-50", name)
    table = read_table(home / "meta" / "esc50.csv",
                       ("filename", "fold", "category", "esc10", "src_file"))
    if esc10:
        table = table[table["esc10"].astype(str) == "True"]
    clips = _with_audio(home / "audio", table["filename"], table["category"], table["fold"],
                        table["src_file"])
    return Corpus(name, clips, tuple(sorted(table["category"].unique())), 5.0, listed=len(table),
                  drop_shared=True, domain="environment", title="ESC-10" if esc10 else "ESC-50",
                  note="ESC-50, field recordings from Freesound (CC BY-NC), official folds.")


def speech_commands(root: Path, words: Sequence[str] = ()) -> Corpus:
    """Speech Commands v0.01 and v0.02 (Warden 2018): single words of one second, many speakers.

    Clips under ``SpeechCommands/speech_commands_v0.02/WORD`` (else v0.01, else WORD folders in
    `root` itself). Group = speaker, the hexadecimal digits before ``_nohash_``. Folders whose name
    begins with ``_`` (background noise) are no class.

    Args:
        words: keep only these words.
    """
    places = [root / "SpeechCommands" / f"speech_commands_v0.0{version}" for version in (2, 1)]
    home = next((place for place in places if place.is_dir()), None)
    if home is None:
        home = root if (root / "yes").is_dir() else need_folder(places[0], "speech_commands")
    rows = [(str(path), word, -1, clip.split("_nohash_")[0]) for word, clip, path in _files(home)
            if "_nohash_" in clip and not word.startswith("_")]
    corpus = _of(rows, "speech_commands", 1.0, domain="speech", title="Speech Commands",
                 note="Speech Commands, crowd-sourced single words (CC BY 4.0), folds by speaker.")
    if not words:
        return corpus
    missing = [word for word in words if word not in corpus.classes]
    if missing:
        raise AudiotlError(f"speech_commands has no word {missing[0]!r} under {home}; "
                           "check the download.")
    return dataclasses.replace(corpus.only(words), title="Speech Commands, ten words")


def arabic_speech_commands(root: Path) -> Corpus:
    """Arabic Speech Commands v1 (Ghandoura et al. 2021): 40 keywords x 30 speakers x 10 rounds, 1
    s.

    Group = speaker. The official split (18, 6 and 6 speakers) is the column ``official``:
    ``train``, ``val`` or ``test``. Labels are English translations of what is said.
    """
    home = need_folder(root / "ArabicSpeechCommands", "arabic_speech_commands")
    parts = [read_table(home / f"{part}.csv", ("file", "class")).assign(official=part)
             for part in ("train", "val", "test")]
    table = pd.concat(parts, ignore_index=True)
    names = table["file"].str.removeprefix("dataset/")
    speaker = names.str.rsplit("/", n=1).str[-1].str.split("_").str[0]
    clips = _with_audio(home / "dataset", names, table["class"], -1, speaker,
                        official=table["official"])
    return Corpus("arabic_speech_commands", clips, tuple(sorted(table["class"].unique())), 1.0,
                  listed=len(table), domain="speech", title="Arabic Speech Commands",
                  note="Arabic Speech Commands, 40 keywords (CC BY 4.0), folds by speaker.")


def ravdess(root: Path, task: str = "emotion") -> Corpus:
    """RAVDESS speech (Livingstone and Russo 2018): two sentences in eight emotions by 24 actors.

    Clips ``RAVDESS/Actor_NN/03-01-EMOTION-INTENSITY-STATEMENT-REPETITION-ACTOR``; group = actor.
    The longest lasts 5.3 s; the first 4 s are used.

    Args:
        task: what the label is: ``"emotion"``, ``"sex"`` of the actor (odd numbers are men), or
            ``"intensity"``, where the neutral clips, which have only one, are left out.
    """
    home = need_folder(root / "RAVDESS", "ravdess")
    rows = []
    for _, name, path in _files(home):
        fields = name.split("-")
        if len(fields) != 7 or fields[:2] != ["03", "01"]:
            continue
        emotion, intensity, actor = (int(fields[i]) for i in (2, 3, 6))
        label = {"emotion": EMOTIONS[emotion - 1], "sex": ("female", "male")[actor % 2],
                 "intensity": ("normal", "strong")[intensity - 1]}[task]
        if task != "intensity" or EMOTIONS[emotion - 1] != "neutral":
            rows.append((str(path), label, -1, f"actor {actor:02d}"))
    return _of(rows, "ravdess" if task == "emotion" else f"ravdess_{task}", 4.0, domain="speech",
               title=f"RAVDESS, {task}",
               note="RAVDESS acted emotional speech (CC BY-NC-SA 4.0), folds by actor.")


def fsdd(root: Path) -> Corpus:
    """Free Spoken Digit Dataset (Jackson et al. 2018): ten digits, six speakers, 8 kHz.

    Clips ``fsdd/recordings/DIGIT_SPEAKER_TAKE``; group and fold = speaker (leave one speaker out).
    The official test set, takes 0 to 4, shares speakers with training and is not used.
    """
    home = need_folder(root / "fsdd" / "recordings", "fsdd")
    clips = [(*name.split("_")[:2], path) for _, name, path in _files(home) if name.count("_") == 2]
    speakers = sorted({speaker for _, speaker, _ in clips})
    rows = [(str(path), digit, speakers.index(speaker), speaker) for digit, speaker, path in clips]
    return _of(rows, "fsdd", 1.0, classes=tuple("0123456789"), domain="speech",
               title="Free Spoken Digits",
               note="Free Spoken Digit Dataset (CC BY-SA 4.0), leave one speaker out.")


def gtzan(root: Path) -> Corpus:
    """GTZAN (Tzanetakis and Cook 2002): ten genres, excerpts of 30 s, of which 10 s are used.

    Clips ``GTZAN/genres/GENRE/GENRE.000NN``; the excerpt is the group.
    """
    home = root / "GTZAN" / "genres"
    home = need_folder(home if home.is_dir() else root / "genres", "gtzan")
    rows = [(str(path), genre, -1, f"{genre}/{name}")
            for genre, name, path in _files(home) if genre]
    return _of(rows, "gtzan", 10.0, domain="music", title="GTZAN genres",
               note="GTZAN genres; it has known faults (Sturm 2013: repeats, distortions, "
                    "several clips an artist).")


def philharmonia(root: Path, tags: bool = False) -> Corpus:
    """Philharmonia Orchestra samples: single notes of orchestral instruments.

    Clips ``philharmonia/INSTRUMENT/NAME_NOTE_DURATION_DYNAMICS_ARTICULATION``. Group = instrument
    and note, so that one note of one instrument stays on one side.

    Args:
        tags: label each clip with music tags (instrument, family, register, dynamics) in place of
            the instrument; registers are low (below C3), middle (C3 to B4) and high.
    """
    rows = []
    for instrument, name, path in _files(need_folder(root / "philharmonia", "philharmonia")):
        # The name before the note is not always the folder's: cor_anglais/english-horn_A3_1_...
        parts = name.removeprefix(f"{instrument}_").split("_")
        parts = parts if re.fullmatch(r"[A-G]s?\d", parts[0]) else parts[1:]
        if len(parts) >= 4:
            label = _tags(instrument, parts[0], parts[2]) if tags else instrument
            rows.append((str(path), label, -1, f"{instrument} {parts[0]}"))
    return _of(rows, "philharmonia_tags" if tags else "philharmonia", 3.0, multilabel=tags,
               domain="music", title=f"Philharmonia, {'tags' if tags else 'instruments'}",
               note="Philharmonia Orchestra sound samples (CC BY-SA 3.0), folds by note.")


def _tags(instrument: str, note: str, dynamics: str) -> str:
    family = next((name for name, members in FAMILIES.items() if instrument in members), "other")
    tags = [instrument, family]
    if note[-1:].isdigit():
        tags.append("low" if int(note[-1]) < 3 else "middle" if int(note[-1]) < 5 else "high")
    if dynamics in SOFT + LOUD:
        tags.append("soft" if dynamics in SOFT else "loud")
    return ";".join(tags)


def _files(home: Path) -> list[tuple[str, str, Path]]:
    # Folders below `home`, name without suffix, and path of every audio file.
    return [(*stem.rpartition("/")[::2], path) for stem, path in find_audio(home).items()]


def _of(rows: list[tuple], name: str, duration: float, classes: tuple = (), **more) -> Corpus:
    clips = pd.DataFrame(rows, columns=COLUMNS)
    found = sorted({tag for label in clips["label"] for tag in label.split(";")})
    return Corpus(name, clips, classes or tuple(found), duration, listed=len(clips), **more)


def _with_audio(folder: Path, names: pd.Series, label, fold, group, **more) -> pd.DataFrame:
    # The clips of a published table whose audio is there, with whatever suffix.
    found = find_audio(need_folder(folder, folder.parent.name))
    paths = [str(found.get(stem, "")) for stem in names.str.rsplit(".", n=1).str[0]]
    clips = pd.DataFrame({"path": paths, "label": label, "fold": fold, "group": group, **more})
    clips = clips.astype({"fold": int, "group": str})
    return clips[clips["path"] != ""].reset_index(drop=True)


READERS = {
    "urbansound8k": urbansound8k,
    "esc50": esc50,
    "esc10": partial(esc50, esc10=True),
    "speech_commands": speech_commands,
    "speech_commands_10": partial(speech_commands, words=TEN_WORDS),
    "arabic_speech_commands": arabic_speech_commands,
    "ravdess": ravdess,
    "ravdess_sex": partial(ravdess, task="sex"),
    "ravdess_intensity": partial(ravdess, task="intensity"),
    "fsdd": fsdd,
    "gtzan": gtzan,
    "philharmonia": philharmonia,
    "philharmonia_tags": partial(philharmonia, tags=True),
}
