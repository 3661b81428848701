"""Spoken words: the 35 words of Speech Commands said by forty voices of the synthesiser eSpeak NG.

A voice is an accent of English, a voice variant (the shape of the vocal tract), a pitch, a pitch
range, a rate, a microphone and a room. It is the group. Each clip varies pitch and rate a little,
and has its own onset, level and background noise. eSpeak NG is under the
GPL-3.0; its output carries no licence of its own that we know of.
"""

from collections.abc import Iterator

import numpy as np
import soxr

from audiotl.datasets.synthetic import acoustics as ac
from audiotl.datasets.synthetic import espeak

DURATION = 1.0
MULTILABEL = False
TITLE = "Synthetic words"
N = int(DURATION * ac.RATE)

WORDS = (
    "backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four",
    "go", "happy", "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right",
    "seven", "sheila", "six", "stop", "three", "tree", "two", "up", "visual", "wow", "yes", "zero")
"""The words of Speech Commands version 2 (Warden 2018, arXiv:1804.03209)."""

TEN = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
"""The ten commands of its usual small task."""

ACCENTS = ("en-us", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc", "en-029", "en-gb-x-gbclan", "en",
           "en-gb-x-gbcwmd")
"""American, received, Scottish, New York, Caribbean, Lancaster, British, West Midlands English."""

VARIANTS = (
    "f1", "m1", "f2", "m2", "f3", "m3", "f4", "m4", "f5", "m5", "linda", "m6", "belinda", "m7",
    "steph", "adam", "aunty", "Alex", "anika", "benjamin", "grandma", "grandpa", "Andrea", "Denis",
    "Annie", "Diogo", "shelby", "edward", "steph2", "Hugo", "quincy", "Lee", "Storm", "marcelo",
    "zac", "max", "victor", "michel", "rob", "miguel")
"""One a voice, women and men by turns as far as the library has them."""

SIZES = {"quick": (WORDS, 40), "smoke": (TEN, 12), "tiny": (("no", "yes"), 3)}
"""Words and number of voices."""


def classes(size: str) -> tuple[str, ...]:
    return SIZES[size][0]


def plan(size: str) -> list[tuple]:
    """Number of each voice, and the words it says."""
    words, voices = SIZES[size]
    return [(number, words) for number in range(voices)]


def render(seed: int, number: int, words: tuple[str, ...]) -> Iterator[ac.Clip]:
    """All words of one voice."""
    rng = ac.generator(seed, "speech", number)
    rate, pitch, pitch_range = rng.uniform(120, 185), rng.uniform(25, 75), rng.uniform(30, 75)
    mic_low, mic_high = rng.uniform(60, 250), ac.log_uniform(rng, 3000, 7800)
    reverb, wet = rng.uniform(0.1, 0.5), rng.uniform(0.02, 0.25)
    orders = [espeak.Utterance(word, int(rate * rng.uniform(0.88, 1.12)),
                               int(pitch + rng.uniform(-8, 8)), int(pitch_range)) for word in words]
    voice = f"{ACCENTS[number % len(ACCENTS)]}+{VARIANTS[number]}"
    native_rate, sounds = espeak.say(voice, orders)
    group = f"voice{number:02d}"
    for word, sound in zip(words, sounds, strict=True):
        take = ac.generator(seed, "speech", number, word)
        x = soxr.resample(sound, native_rate, ac.RATE, quality="HQ")
        loud = np.flatnonzero(np.abs(x) > 0.01 * np.abs(x).max())
        x = x[loud[0]:loud[-1] + 1][:N]  # a word that is too long loses its end
        onset = int(take.uniform(0.1, 0.9) * (N - len(x)))
        x = np.pad(x, (onset, N - len(x) - onset))
        x = ac.band(ac.room(take, x, reverb, wet), mic_low, mic_high)
        x = ac.mix(x, ac.noise(take, len(x), take.uniform(0, 2)), take.uniform(8, 30))
        yield ac.Clip(f"{word}/{group}", word, group, ac.finish(x, take.uniform(2, 20)))
