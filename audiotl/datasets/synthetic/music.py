"""Short pieces of music with tags: General MIDI instruments play phrases, some of them over drums.

The tags are not equally easy: register is a place in the spectrum, a family is a timbre among many,
a mode only the relation of a few notes.

The group is a band: one instrument (a General MIDI program), one key, one drum loop, one mix, and a
few pieces. A program may be on both sides of a split: the question is to know instruments heard
before in music not heard before.
"""

import io
import wave
from collections.abc import Iterator
from pathlib import Path

import midirenderer
import numpy as np
import pretty_midi
import soxr

from audiotl.datasets.synthetic import acoustics as ac

SOUND_FONT = (Path(pretty_midi.__file__).parent / "TimGM6mb.sf2").read_bytes()
"""General MIDI, 6 MB, as pretty_midi ships it (GPL-2.0 by Debian)."""

DURATION = 3.0
MULTILABEL = True
TITLE = "Synthetic music, tags"

FAMILIES = {
    "piano": (0, 1, 2, 3), "mallet": (9, 11, 12, 13), "organ": (16, 17, 18, 19),
    "guitar": (24, 25, 26, 27), "bass": (32, 33, 34, 36), "strings": (40, 41, 42, 48),
    "brass": (56, 57, 60, 61), "reed": (65, 66, 68, 71), "pipe": (72, 73, 74, 75),
    "synth": (80, 81, 84, 87)}
"""General MIDI programs (from 0) of each family."""

REGISTERS = {"low": (33, 48), "mid": (52, 67), "high": (71, 85)}
"""MIDI numbers between which the key note lies."""

RANGE = {"bass": ("low", "low", "mid"), "pipe": ("mid", "high"), "mallet": ("mid", "high")}
"""Registers of a family, where not all three; one named twice is drawn twice as often."""

KEYS = (0, 5, 7)
"""Pitch classes C, F and G: with few keys a mode is a set of pitches, which can be learnt."""

TEMPI = {"slow": (55, 80), "fast": (140, 190), "": (90, 125)}
"""Beats a minute; what lies between has no tag."""

MODES = {"major": ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)),
         "minor": ((0, 3, 7), (5, 8, 12), (7, 10, 14), (0, 3, 7))}
"""The chords I, IV, V, I in semitones above the key note."""

KICK, SNARE, HAT, OPEN_HAT = 36, 38, 42, 46
LOOPS = (((KICK, 0, 4), (SNARE, 2, 6), (HAT, 0, 1, 2, 3, 4, 5, 6, 7)),
         ((KICK, 0, 3, 4), (SNARE, 2, 6), (HAT, 0, 2, 4, 6), (OPEN_HAT, 7)),
         ((KICK, 0, 2, 4, 6), (SNARE, 2, 6), (OPEN_HAT, 1, 3, 5, 7)),
         ((KICK, 0, 5), (SNARE, 2, 6, 7), (HAT, 0, 1, 2, 3, 4, 5, 6, 7)))
"""Drum loops of eight half beats: an instrument, then the half beats on which it plays."""

TAGS = (*FAMILIES, *REGISTERS, "slow", "fast", *MODES, "drums")

SIZES = {"quick": (4, 5, 5), "smoke": (2, 2, 3), "tiny": (1, 1, 2)}
"""Programs a family, bands a program, pieces a band."""


def classes(size: str) -> tuple[str, ...]:
    return TAGS


def plan(size: str) -> list[tuple]:
    """Family, program, number and pieces of each band."""
    programs, bands, pieces = SIZES[size]
    return [(family, program, number, pieces) for family, members in FAMILIES.items()
            for program in members[:programs] for number in range(bands)]


def render(seed: int, family: str, program: int, index: int, pieces: int) -> Iterator[ac.Clip]:
    """All pieces of one band."""
    group = f"{family}{program:03d}-{index}"
    rng = ac.generator(seed, "music", group)
    key, loop = rng.choice(KEYS), LOOPS[rng.integers(len(LOOPS))]
    loud = ac.log_uniform(rng, 35, 95)
    low, high = ac.log_uniform(rng, 20, 120), ac.log_uniform(rng, 3500, 8000)
    hiss = rng.uniform(25, 50)
    for number in range(pieces):
        take = ac.generator(seed, "music", group, number)
        register = str(take.choice(RANGE.get(family, tuple(REGISTERS))))
        tempo = str(take.choice(list(TEMPI), p=[0.4, 0.4, 0.2]))
        mode = str(take.choice(list(MODES)))
        beat, drums = 60 / take.uniform(*TEMPI[tempo]), take.random() < 0.4
        tonic = take.choice([note for note in range(*REGISTERS[register]) if note % 12 == key])
        score = [phrase(take, program, int(tonic), MODES[mode], beat)]
        x = perform(score + [drumming(take, loop, loud, beat)] * drums)
        x = ac.band(x * ac.fade(len(x), 0.005, 0.05), low, high)
        x = ac.finish(ac.mix(x, ac.noise(take, len(x), 1.0), hiss), take.uniform(1, 15))
        tags = [family, register, tempo, mode, "drums" * drums]
        yield ac.Clip(f"{family}/{group}-{number}", ";".join(filter(None, tags)), group, x)


def phrase(rng: np.random.Generator, program: int, tonic: int, chords: tuple,
           beat: float) -> pretty_midi.Instrument:
    """A phrase of two beats a chord as block chords, broken chords or a melody of chord notes."""
    instrument = pretty_midi.Instrument(program)
    style = rng.choice(["chords", "broken", "melody"])
    velocity, held = rng.uniform(75, 115), rng.uniform(0.5, 1.0)
    start, step = -rng.uniform(0, beat), 0
    while start < DURATION:
        chord = chords[step // 2 % len(chords)]
        if style == "chords":
            pitches, lasts = chord, beat
        elif style == "broken":
            pitches, lasts = (chord[step % 3],), beat / 2
        else:
            pitches, lasts = (chord[rng.integers(3)],), beat * rng.choice([0.5, 1.0])
        onset = max(start + rng.normal(0, 0.008), 0.0)
        for pitch in pitches:
            force = int(np.clip(velocity + rng.normal(0, 6), 40, 127))
            end = max(start + lasts * held, onset + 0.05)
            instrument.notes.append(pretty_midi.Note(force, tonic + pitch, onset, end))
        start, step = start + lasts, step + 1
    return instrument


def drumming(rng: np.random.Generator, loop: tuple, loud: float,
             beat: float) -> pretty_midi.Instrument:
    """A drum loop, from a random half beat to the end of the clip."""
    kit, offset = pretty_midi.Instrument(0, is_drum=True), rng.integers(8)
    for half_beat in range(int(DURATION / beat * 2) + 1):
        start = half_beat * beat / 2
        for drum, *hits in loop:
            if (half_beat + offset) % 8 in hits:
                velocity = int(np.clip(loud + rng.normal(0, 5), 25, 127))
                kit.notes.append(pretty_midi.Note(velocity, drum, start, start + 0.1))
    return kit


def perform(instruments: list[pretty_midi.Instrument]) -> np.ndarray:
    """The instruments together as sound: float64 of shape ``(48000,)``."""
    score, midi = pretty_midi.PrettyMIDI(), io.BytesIO()
    score.instruments.extend(instruments)
    # The renderer stops at the last event: a controller that changes nothing keeps it to the end.
    instruments[0].control_changes.append(pretty_midi.ControlChange(119, 0, DURATION + 0.02))
    score.write(midi)
    sound = midirenderer.render_wave_from(SOUND_FONT, midi.getvalue())
    with wave.open(io.BytesIO(sound)) as file:
        stereo = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32768
        rate = file.getframerate()
    # Four times as fast as ``mean(axis=1)``, and the same bits.
    mono = soxr.resample((stereo[:, 0] + stereo[:, 1]) / 2, rate, ac.RATE, quality="HQ")
    n = int(DURATION * ac.RATE)
    return np.pad(mono, (0, max(0, n - len(mono))))[:n]
