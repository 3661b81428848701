"""Damaged audio files of many kinds, drawn from a seed."""

import functools
from pathlib import Path

import numpy as np
import soundfile

FORMATS = {
    "pcm16.wav": ("WAV", "PCM_16"), "pcm24.wav": ("WAV", "PCM_24"), "float.wav": ("WAV", "FLOAT"),
    "ulaw.wav": ("WAV", "ULAW"), "adpcm.wav": ("WAV", "IMA_ADPCM"), "clip.flac": ("FLAC", "PCM_16"),
    "vorbis.ogg": ("OGG", "VORBIS"), "opus.ogg": ("OGG", "OPUS"),
    "clip.mp3": ("MP3", "MPEG_LAYER_III"), "clip.aiff": ("AIFF", "PCM_16"),
    "clip.au": ("AU", "PCM_16"), "clip.caf": ("CAF", "PCM_16"), "clip.w64": ("W64", "PCM_16"),
    "clip.rf64": ("RF64", "PCM_16")}
"""Name of the file, and the container and coding that soundfile calls it."""
RATE = 24_000
DAY = 24 * 3600 * RATE


def make(folder: Path, n: int, seed: int = 0) -> list[Path]:
    """`n` files ``NUMBER-KIND-FORMAT``, each format and each kind of damage in turn."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    whole = {name: _encode(folder / name, _sound(rng, 1.0), RATE) for name in FORMATS}
    kinds, names, paths = list(DAMAGE), list(FORMATS), []
    for i in range(n):
        kind, name = kinds[i % len(kinds)], names[(i // len(kinds) + i) % len(names)]
        path = folder / f"{i:04d}-{kind}-{name}"
        content = DAMAGE[kind](path, bytearray(whole[name]), rng)
        if content is not None:
            path.write_bytes(content)
        paths.append(path)
    return paths


def _sound(rng, seconds: float, rate: int = RATE, channels: int = 1) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    noise = rng.standard_normal((len(t), channels))
    return 0.4 * np.sin(2 * np.pi * 440 * t)[:, None] + 0.02 * noise


def _encode(path: Path, samples: np.ndarray, rate: int) -> bytes:
    form, coding = next(FORMATS[name] for name in FORMATS if path.name.endswith(name))
    soundfile.write(path, samples, rate, format=form, subtype=coding)
    return path.read_bytes()


def _written(seconds: float, rate: int = RATE, channels: int = 1):
    # A sound that the format may refuse (192 kHz in an MP3): the file is what was written.
    def damage(path, content, rng):
        try:
            return _encode(path, _sound(rng, seconds, rate, channels), rate)
        except (soundfile.LibsndfileError, ValueError):
            return path.read_bytes() if path.exists() else b""
    return damage


def _flipped(most: int, within: int):
    def damage(path, content, rng):
        for _ in range(int(rng.integers(1, most))):
            content[rng.integers(min(len(content), within))] ^= 1 << int(rng.integers(8))
        return content
    return damage


def _other_header(path, content, rng):
    other = path.parent / list(FORMATS)[rng.integers(len(FORMATS))]
    return other.read_bytes()[:int(rng.integers(4, 200))] + content[100:]


def _hole(path, content, rng, filled=True):
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 4000))
    hole = bytes(len(content[start:start + length])) if filled else b""
    return content[:start] + hole + content[start + length:]


def _wild_samples(path, content, rng):
    # NaN, infinities and numbers near the largest float, in a float file whatever the suffix says.
    samples = _sound(rng, 0.5)
    wild = rng.choice([np.nan, np.inf, -np.inf, 3e38, 1e30], 5)
    samples[rng.integers(len(samples), size=5), 0] = wild
    soundfile.write(path, samples.astype(np.float32), RATE, format="WAV", subtype="FLOAT")


def _day(path, content, rng):
    """A header that promises 24 hours."""
    if content[:4] == b"fLaC":
        content[21] = content[21] & 0xF0 | DAY >> 32
        content[22:26] = (DAY & 0xFFFFFFFF).to_bytes(4, "big")
    elif path.suffix == ".mp3":
        at = max(content.find(b"Xing"), content.find(b"Info"))
        if at > 0:
            content[at + 8:at + 12] = (DAY // 576).to_bytes(4, "big")
    else:  # the size of a WAV's data, or the first size after the header's magic
        at = content.find(b"data") + 4
        content[at:at + 4] = min(2 * DAY, 2**32 - 2).to_bytes(4, "little")
        content[4:12] = (2 * DAY).to_bytes(8, "little")
    return content


def _lying_format(path, content, rng):
    """A WAV header that claims any rate or number of channels."""
    plain = bytearray((path.parent / "pcm16.wav").read_bytes())
    if rng.random() < 0.5:
        plain[22:24] = int(rng.choice([0, 2, 255, 1023, 1024, 65535])).to_bytes(2, "little")
    else:
        rate = int(rng.choice([0, 1, 7, 999, 384_000, 2**31 - 1, 2**32 - 1]))
        plain[24:28] = rate.to_bytes(4, "little")
    return plain


DAMAGE = {
    "truncated": lambda path, content, rng: content[:int(rng.integers(1, len(content)))],
    "flipped": _flipped(60, 2**31), "flipped_header": _flipped(12, 80),
    "wrong_header": lambda path, content, rng: rng.bytes(44) + content[44:],
    "other_header": _other_header, "no_bytes": lambda path, content, rng: b"",
    "hole": _hole, "torn_out": functools.partial(_hole, filled=False),
    "one_sample": _written(1 / RATE), "no_sample": _written(0), "wild_samples": _wild_samples,
    "eight_channels": _written(1.0, channels=8), "192_kilohertz": _written(1.0, 192_000),
    "text": lambda path, content, rng: b"A note and not a sound. " * int(rng.integers(1, 400)),
    "day": _day, "lying_format": _lying_format,
}
"""Kinds of damage: each takes (path, content of a whole file, generator) and gives what to write,
or writes itself."""
