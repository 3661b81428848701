import librosa
import numpy as np
import pytest
import torch

from audiotl.frontend import MFCC, LogSpectrogram, MFCCStatistics, Settings, band_edges, filterbank


@pytest.fixture(scope="module")
def sound():
    rng = np.random.default_rng(0)
    t = np.arange(32_000) / 16_000
    chirp = np.sin(2 * np.pi * (200 * t + 900 * t**2)) * np.exp(-t)
    return (0.4 * chirp + 0.01 * rng.standard_normal(len(t))).astype(np.float32)


@pytest.mark.parametrize("n_fft,hop,n_bands", [(512, 256, 64), (1024, 320, 96)])
def test_log_mel_equals_librosa(sound, n_fft, hop, n_bands):
    ours = LogSpectrogram(Settings(n_fft=n_fft, hop=hop, n_bands=n_bands))(torch.from_numpy(sound)[None])[0, 0]
    mel = librosa.feature.melspectrogram(y=sound, sr=16_000, n_fft=n_fft, hop_length=hop, n_mels=n_bands)
    theirs = librosa.power_to_db(mel, ref=np.max, top_db=80)
    assert ours.shape == theirs.shape
    assert np.abs(ours.numpy() - theirs).max() <= 1e-4 * np.abs(theirs).max()


def test_mfcc_statistics_equal_a_librosa_computation(sound):
    ours = MFCCStatistics()(torch.from_numpy(sound)[None])[0].numpy()
    mfcc = librosa.feature.mfcc(y=sound, sr=16_000, n_mfcc=20)
    series = [mfcc, np.diff(mfcc), np.diff(mfcc, 2)]
    theirs = np.concatenate([s.mean(1) for s in series] + [s.std(1) for s in series])
    assert np.abs(MFCC()(torch.from_numpy(sound)[None])[0].numpy() - mfcc).max() < 1e-2
    assert np.abs(ours - theirs).max() < 1e-3


def test_features_of_a_clip_depend_neither_on_its_batch_nor_on_its_gain(sound):
    front = LogSpectrogram()
    clip = torch.from_numpy(sound)
    alone, together = front(clip[None])[0], front(torch.stack([100 * torch.randn_like(clip), clip]))[1]
    assert torch.allclose(alone, together, atol=1e-4)
    assert torch.allclose(alone, front(0.5 * clip[None])[0], atol=1e-3)


@pytest.mark.parametrize("axis", ["log", "linear"])
def test_other_axes_put_a_tone_into_the_band_that_holds_it(axis):
    settings = Settings(axis=axis, n_bands=48)
    edges = band_edges(settings)
    tone = torch.sin(2 * torch.pi * 1500 * torch.arange(16_000) / 16_000)
    band = LogSpectrogram(settings)(tone[None])[0, 0].mean(-1).argmax().item()
    assert edges[band] < 1500 < edges[band + 2]
    assert (filterbank(settings).sum(0) > 0).all()


def test_silence_and_unknown_axis():
    assert torch.isfinite(LogSpectrogram()(torch.zeros(1, 16_000))).all()
    with pytest.raises(ValueError, match="axis"):
        LogSpectrogram(Settings(axis="bark"))
