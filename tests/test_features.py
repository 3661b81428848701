import librosa
import numpy as np
import pytest
from test_frontend import by_numpy

from audiotl import AudiotlError, audio, datasets
from audiotl.degrade import Degradation
from audiotl.features import features


@pytest.fixture
def corpus(class_folders, fresh_cache):
    return datasets.load("folder", class_folders)


def test_a_bad_clip_is_skipped_counted_and_named(corpus):
    made = features(corpus, progress=False, batch=8)
    assert len(made.corpus) == 36 and not made.corpus.clips["path"].str.contains("broken").any()
    assert made.spectrograms.shape == (36, 64, 63) and made.mfcc.shape == (36, 120)
    assert [path.endswith("broken.wav") for path, _ in made.skipped] == [True]
    assert made.spectrograms.max() == 0 and made.spectrograms.min() >= -80


def test_baselines_are_the_statistics_of_librosas_mfcc_and_of_the_stored_bands(corpus, monkeypatch):
    made = features(corpus, progress=False)
    baselines = made.baselines(progress=False)
    assert {name: block.shape[1] for name, block in baselines.items()} == {
        "mfcc": 120, "mfcc40": 240, "logmel": 128}
    assert {block.dtype for block in baselines.values()} == {np.dtype(np.float32)}
    assert baselines["mfcc"] is made.mfcc
    for row in (0, 35):
        wave = audio.load(made.corpus.clips["path"].iloc[row], 16_000, corpus.duration)
        wave = audio.fit(wave, round(16_000 * corpus.duration))
        mfcc = librosa.feature.mfcc(y=wave, sr=16_000, n_mfcc=40)
        assert np.abs(baselines["mfcc40"][row] - by_numpy(mfcc)).max() < 1e-2
        level = made.spectrograms[row].astype(float)
        expected = np.r_[level.mean(1), level.std(1)]
        assert np.abs(baselines["logmel"][row] - expected).max() < 1e-3
    # The first 20 coefficients are those of the 20.
    first = np.concatenate([40 * part + np.arange(20) for part in range(6)])
    assert np.allclose(baselines["mfcc40"][:, first], made.mfcc, atol=1e-3)
    monkeypatch.setattr(audio, "load", None)
    assert (made.baselines(progress=False)["mfcc40"] == baselines["mfcc40"]).all()


def test_a_corpus_without_one_good_clip_is_an_error(tmp_path, fresh_cache):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.wav").write_bytes(b"no sound")
    with pytest.raises(AudiotlError, match="x.wav"):
        features(datasets.load("folder", tmp_path), progress=False)


def test_a_degradation_has_its_own_entry_and_its_own_sound(corpus):
    clean, noisy, quiet = (
        features(corpus, progress=False, degradation=how)
        for how in (None, Degradation("noise", 0.0), Degradation("gain", -12.0)))
    assert len({clean.key, noisy.key, quiet.key}) == 3
    levels = [made.spectrograms[:].astype(float) for made in (clean, noisy, quiet)]
    # The spectrogram is relative to the clip's maximum; of the cepstra only the first has the gain.
    assert np.abs(levels[0] - levels[2]).max() < 0.2 and np.abs(levels[0] - levels[1]).mean() > 5
    shift = quiet.mfcc - clean.mfcc
    assert np.allclose(shift[:, 0], -12 * np.sqrt(128), atol=0.5)
    assert np.abs(shift[:, 1:20]).max() < 1.0
    shift = quiet.baselines(progress=False)["mfcc40"] - clean.baselines(progress=False)["mfcc40"]
    assert np.allclose(shift[:, 0], -12 * np.sqrt(128), atol=0.5)
