"""What the tests share: a cache of their own, small clips on disk, the recordings where they are present."""

import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

os.environ["AUDIOTL_CACHE"] = tempfile.mkdtemp(prefix="audiotl-tests-")
ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.pop("AUDIOTL_DATA", "") or ROOT.parent / "shared" / "data")


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
    """``with cut_off(n):`` writes a checkpoint an epoch, and interrupts training once the n-th is written."""
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


def write_clip(path: Path, seconds: float = 0.5, hertz: float = 440.0, rate: int = 16_000, seed: int = 0) -> Path:
    """A noisy tone on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(t))
    soundfile.write(path, (0.4 * np.sin(2 * np.pi * hertz * t) + 0.02 * noise).astype(np.float32), rate)
    return path


@pytest.fixture
def class_folders(tmp_path) -> Path:
    """Three class folders of twelve clips, told apart by pitch, with one unreadable file among them."""
    home = tmp_path / "sounds"
    for c, name in enumerate(("low", "middle", "high")):
        for i in range(12):
            write_clip(home / name / f"{name}{i}.wav", 0.6, 150 * 4**c * (1 + 0.02 * i), seed=100 * c + i)
    (home / "low" / "broken.wav").write_bytes(b"this is no sound")
    return home


def small_wav2vec2():
    """torchaudio's wav2vec 2.0 in small, random weights: three convolutions and three layers of width 24."""
    import torch

    from audiotl.frontend import torchaudio

    torch.manual_seed(0)
    return torchaudio.models.wav2vec2_model(
        "group_norm", [(16, 10, 5), (16, 8, 4), (16, 4, 4)], False, 24, 0.1, 8, 2, 3, 4, 0.1, 48, 0.1, 0.1,
        False, 0.1, None).eval()
