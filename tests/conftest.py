"""What the tests share: a cache of their own, small clips on disk, the recordings if present."""

import contextlib
import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

os.environ["AUDIOTL_CACHE"] = tempfile.mkdtemp(prefix="audiotl-tests-")
ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.pop("AUDIOTL_DATA", "") or ROOT.parent / "shared" / "data")


def pytest_collection_modifyitems(items):
    """What runs whole notebooks goes first: one of two processes has it for as long as the rest."""
    items.sort(key=lambda item: item.path.name != "test_run.py")


@pytest.fixture
def recordings() -> Path:
    """The folder of real recordings, or skip."""
    if not DATA.is_dir():
        pytest.skip("no recordings: set AUDIOTL_DATA to the folder that holds the corpora")
    return DATA


@pytest.fixture
def fresh_cache(tmp_path, monkeypatch) -> Path:
    """An empty cache for this test alone."""
    monkeypatch.setenv("AUDIOTL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def cut_off(monkeypatch):
    """``with cut_off(n):`` writes a checkpoint an epoch, and interrupts training after the n-th."""
    from audiotl import training

    @contextlib.contextmanager
    def cutting(after: int):
        keep, written = training.keep_checkpoint, []

        def cut(*args):
            keep(*args)
            written.append(args)
            if len(written) == after:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(training, "keep_checkpoint", cut)
            patch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
            yield

    return cutting


def write_clip(path: Path, seconds: float = 0.5, hertz: float = 440.0, seed: int = 0) -> Path:
    """A noisy tone on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(seconds * 16_000)) / 16_000
    noise = np.random.default_rng(seed).standard_normal(len(t))
    samples = 0.4 * np.sin(2 * np.pi * hertz * t) + 0.02 * noise
    soundfile.write(path, samples.astype(np.float32), 16_000)
    return path


def pitches(home: Path, classes: int, hertz: float, seconds: float, seed: int) -> Path:
    """Class folders of six clips, an octave apart."""
    for c in range(classes):
        for i in range(6):
            path = home / f"class{c}" / f"clip{i}.wav"
            write_clip(path, seconds, hertz * 2**c * (1 + 0.02 * i), seed + 100 * c + i)
    return home


def tones(folder: Path, n: int):
    """A corpus of `n` tones of half a second in three classes, each clip its own group."""
    from audiotl.datasets.corpus import Corpus

    paths = [str(write_clip(folder / f"{i:02d}.wav", 0.5, 200 + 40 * i, i)) for i in range(n)]
    clips = pd.DataFrame({"path": paths, "label": [f"class {i % 3}" for i in range(n)],
                          "fold": -1, "group": list(map(str, range(n)))})
    return Corpus("tiny", clips, ("class 0", "class 1", "class 2"), 0.5)


@pytest.fixture
def class_folders(tmp_path) -> Path:
    """Three classes of twelve clips, told apart by pitch, with one unreadable file among them."""
    home = tmp_path / "sounds"
    for c, name in enumerate(("low", "middle", "high")):
        for i in range(12):
            hertz = 150 * 4**c * (1 + 0.02 * i)
            write_clip(home / name / f"{name}{i}.wav", 0.6, hertz, 100 * c + i)
    (home / "low" / "broken.wav").write_bytes(b"this is no sound")
    return home


@pytest.fixture
def sound(class_folders, fresh_cache):
    """Features of the class folders."""
    from audiotl import datasets
    from audiotl.features import features

    corpus = dataclasses.replace(datasets.load("folder", class_folders), duration=4.0)
    return features(corpus, progress=False)


def small_wav2vec2():
    """torchaudio's wav2vec 2.0 with random weights, three convolutions and layers of width 24."""
    import torch

    from audiotl.frontend import torchaudio

    torch.manual_seed(0)
    return torchaudio.models.wav2vec2_model(
        "group_norm", [(16, 10, 5), (16, 8, 4), (16, 4, 4)], False, 24, 0.1, 8, 2, 3, 4, 0.1, 48,
        0.1, 0.1, False, 0.1, None).eval()
