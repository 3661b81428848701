import numpy as np
import pytest
import torch

from audiotl import AudiotlError, audio, datasets
from audiotl.degrade import Degradation
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.models import ConvNet5


def test_a_bad_clip_is_skipped_counted_and_named(class_folders, fresh_cache):
    corpus = datasets.load("folder", class_folders)
    made = features(corpus, progress=False, batch=8)
    assert len(made.corpus) == 36 and made.spectrograms.shape == (36, 64, 251) and made.mfcc.shape == (36, 120)
    assert len(made.skipped) == 1 and "broken.wav" in made.skipped[0][0]
    assert made.corpus.clips["path"].str.contains("broken").sum() == 0
    assert made.spectrograms.max() == 0 and made.spectrograms.min() >= -80


def test_rows_belong_to_their_clips_whatever_the_batch(class_folders, fresh_cache, monkeypatch):
    corpus = datasets.load("folder", class_folders)
    one = features(corpus, progress=False, batch=5)
    spectrograms, mfcc = np.array(one.spectrograms), one.mfcc
    monkeypatch.setenv("AUDIOTL_CACHE", str(fresh_cache / "other"))
    two = features(corpus, progress=False, batch=64, workers=1)
    assert np.abs(spectrograms.astype(float) - two.spectrograms).max() < 0.1 and np.allclose(mfcc, two.mfcc, atol=1e-2)


def test_a_second_run_touches_no_audio(class_folders, fresh_cache, monkeypatch):
    corpus = datasets.load("folder", class_folders)
    model = ConvNet5(3)
    first = embed(model, features(corpus, progress=False), progress=False)

    def touched(*_):
        raise AssertionError("audio was decoded")

    monkeypatch.setattr(audio, "load", touched)
    monkeypatch.setattr(ConvNet5, "taps", touched)
    second = embed(model, features(corpus, progress=False), progress=False)
    assert all((first[name] == second[name]).all() for name in first)


def test_taps_are_the_means_of_each_block_and_weights_decide_the_key(class_folders, fresh_cache):
    made = features(datasets.load("folder", class_folders), progress=False)
    blocks = embed(ConvNet5(3), made, progress=False)
    assert list(blocks) == [f"layer{i}" for i in range(1, 6)] and {b.shape for b in blocks.values()} == {(36, 32)}
    other = embed(ConvNet5(3), made, progress=False)
    assert not np.allclose(blocks["layer1"], other["layer1"])


def test_a_corpus_without_one_good_clip_is_an_error(tmp_path, fresh_cache):
    for name in ("a", "b"):
        (tmp_path / "sounds" / name).mkdir(parents=True)
        (tmp_path / "sounds" / name / "x.wav").write_bytes(b"no sound")
    with pytest.raises(AudiotlError, match="Not one of the 2 clips"):
        features(datasets.load("folder", tmp_path / "sounds"), progress=False)


def test_a_degradation_has_its_own_entry_and_its_own_sound(class_folders, fresh_cache):
    corpus = datasets.load("folder", class_folders)
    clean = features(corpus, progress=False)
    noisy, quiet = (features(corpus, progress=False, degradation=Degradation(kind, amount))
                    for kind, amount in (("noise", 0.0), ("gain", -12.0)))
    assert len({clean.key, noisy.key, quiet.key}) == 3
    # The spectrogram is relative to the clip's maximum; of the cepstra only the mean of the first sees the gain.
    assert np.abs(clean.spectrograms[:].astype(float) - quiet.spectrograms).max() < 0.2
    shift = quiet.mfcc - clean.mfcc
    assert np.allclose(shift[:, 0], -12 * np.sqrt(128), atol=0.5) and np.abs(shift[:, 1:20]).max() < 1.0
    assert np.abs(clean.spectrograms[:].astype(float) - noisy.spectrograms).mean() > 5


def test_a_network_of_raw_sound_hears_the_degraded_clips(class_folders, fresh_cache):
    class Loudness(torch.nn.Module):
        sample_rate = 8000

        def taps(self, waveform):
            return {"layer1": waveform.square().mean(1, keepdim=True).log10() * 10}

    corpus = datasets.load("folder", class_folders)
    clean, quiet = (embed(Loudness(), features(corpus, progress=False, degradation=how), progress=False)["layer1"]
                    for how in (None, Degradation("gain", -12.0)))
    assert np.allclose(quiet - clean, -12, atol=0.01)
