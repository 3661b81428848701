import librosa
import numpy as np
import pytest
import torch

from audiotl import AudiotlError
from audiotl.frontend import (
    AXES,
    MFCC,
    TRANSFORMS,
    FrontEnd,
    LogSpectrogram,
    MFCCStatistics,
    PowerSpectrum,
    Settings,
    Transform,
    band_edges,
    filterbank,
    statistics,
)


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
    assert np.abs(MFCC()(torch.from_numpy(sound)[None])[0].numpy() - mfcc).max() < 1e-3
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


def test_cepstra_of_the_log_mel_spectrogram_equal_librosa(sound):
    settings = Settings(n_fft=1024, hop=512, n_bands=64, low=60.0)
    wave = torch.from_numpy(sound)[None]
    mel = librosa.feature.melspectrogram(y=sound, sr=16_000, n_fft=1024, hop_length=512, n_mels=64, fmin=60.0)
    theirs = librosa.feature.mfcc(S=librosa.power_to_db(mel, ref=np.max, top_db=80), n_mfcc=20)
    ours = Transform("dct")(LogSpectrogram(settings)(wave)[:, 0])[0].numpy()
    assert np.abs(ours - theirs).max() < 1e-3
    series = [theirs, np.diff(theirs), np.diff(theirs, 2)]
    expected = np.concatenate([s.mean(1) for s in series] + [s.std(1) for s in series])
    assert np.abs(FrontEnd(settings, "dct")(wave)[0].numpy() - expected).max() < 1e-3


def test_the_linear_axis_with_a_band_a_bin_is_librosas_spectrogram(sound):
    # Corners one bin apart make each triangle a single bin, from the first bin to the last but one.
    settings = Settings(n_fft=64, hop=64, n_bands=31, axis="linear")
    power = np.abs(librosa.stft(sound, n_fft=64, hop_length=64)) ** 2
    ours = PowerSpectrum(settings)(torch.from_numpy(sound)[None])[0].numpy() * 250.0
    assert np.abs(ours - power[1:-1]).max() < 1e-3


@pytest.mark.parametrize("axis,transform", [(axis, transform) for axis in AXES for transform in TRANSFORMS])
def test_every_axis_and_transform_works_on_a_batch_as_on_one_clip(sound, axis, transform):
    torch.manual_seed(0)
    front = FrontEnd(Settings(n_bands=64, low=60.0, axis=axis), transform)
    batch = torch.stack([torch.from_numpy(sound), torch.randn(len(sound))])
    made = front(batch)
    assert made.shape == (2, 6 * (64 if transform == "none" else 20))
    assert torch.allclose(made[:1], front(batch[:1]), atol=1e-3)
    assert any(p.requires_grad for p in front.parameters()) == (transform == "learnt")


def test_the_logarithmic_axis_has_equal_ratios_from_low_to_high():
    edges = band_edges(Settings(axis="log", low=60.0, n_bands=64))
    assert len(edges) == 66 and abs(edges[0] - 60) < 1e-6 and abs(edges[-1] - 8000) < 1e-6
    ratios = edges[1:] / edges[:-1]
    assert (ratios - ratios[0]).abs().max() < 1e-9
    assert abs(band_edges(Settings(axis="log"))[0] - 16_000 / 1024) < 1e-9
    linear = band_edges(Settings(axis="linear", low=60.0)).diff()
    assert (linear - linear[0]).abs().max() < 1e-9


def test_a_learnt_transform_starts_orthonormal_and_keeps_a_finite_gradient_in_silence():
    learnt = Transform("learnt", 64, 20)
    assert torch.allclose(learnt.weight @ learnt.weight.T, torch.eye(20), atol=1e-5)
    statistics(learnt(torch.zeros(1, 64, 9))).sum().backward()
    assert torch.isfinite(learnt.weight.grad).all()
    with pytest.raises(AudiotlError, match="three frames"):
        statistics(torch.zeros(1, 4, 2))
    with pytest.raises(ValueError, match="transform"):
        Transform("wavelet")
