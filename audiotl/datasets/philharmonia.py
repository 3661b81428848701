"""Philharmonia Orchestra samples: single notes of orchestral instruments with pitch and dynamics in the name."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from audiotl.datasets.corpus import Corpus, find_audio, need_folder

FAMILY = {
    "strings": ("violin", "viola", "cello", "double_bass"),
    "plucked": ("banjo", "guitar", "mandolin"),
    "brass": ("french_horn", "trombone", "trumpet", "tuba"),
    "reed": ("bass_clarinet", "bassoon", "clarinet", "contrabassoon", "cor_anglais", "oboe", "saxophone"),
    "flute": ("flute", "piccolo"),
}
NOTE = re.compile(r"[A-G]s?\d")
SOFT, LOUD = ("pianissimo", "piano", "mezzo-piano"), ("fortissimo", "forte", "mezzo-forte")


def read(root: Path, tags: bool = False) -> Corpus:
    """Clips ``philharmonia/INSTRUMENT/NAME_NOTE_DURATION_DYNAMICS_ARTICULATION``.

    Group = instrument and note, so that one note of one instrument stays on one side.

    Args:
        tags: label each clip with music tags (instrument, family, register, dynamics) in place of the
            instrument alone; registers are low (below C3), middle (C3 to B4) and high.
    """
    home = need_folder(root / "philharmonia", "philharmonia")
    rows = []
    for stem, path in find_audio(home).items():
        instrument, _, name = stem.partition("/")
        # The name before the note is not always the folder's: cor_anglais/english-horn_A3_1_forte_normal.
        parts = name.removeprefix(f"{instrument}_").split("_")
        parts = parts if NOTE.fullmatch(parts[0]) else parts[1:]
        if len(parts) < 4:
            continue
        note, dynamics = parts[0], parts[2]
        label = ";".join(_tags(instrument, note, dynamics)) if tags else instrument
        rows.append((str(path), label, -1, f"{instrument} {note}"))
    clips = pd.DataFrame(rows, columns=["path", "label", "fold", "group"])
    classes = tuple(sorted({tag for label in clips["label"] for tag in label.split(";")}))
    return Corpus("philharmonia_tags" if tags else "philharmonia", clips, classes, duration=3.0, multilabel=tags,
                  listed=len(clips), domain="music",
                  title="Philharmonia, tags" if tags else "Philharmonia, instruments", note="Philharmonia Orchestra sound samples (CC BY-SA 3.0), folds by note.")


def _tags(instrument: str, note: str, dynamics: str) -> list[str]:
    family = next((name for name, members in FAMILY.items() if instrument in members), "other")
    out = [instrument, family]
    if note[-1:].isdigit():
        octave = int(note[-1])
        out.append("low" if octave < 3 else "middle" if octave < 5 else "high")
    if dynamics in SOFT + LOUD:
        out.append("soft" if dynamics in SOFT else "loud")
    return out
