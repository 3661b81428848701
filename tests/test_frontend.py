import librosa
import numpy as np
import pytest
import torch

from audiotl import AudiotlError, frontend
from audiotl.frontend import LogSpectrogram, Settings, band_edges, dct, statistics

TIME = np.arange(32_000) / 16_000
CHIRP = np.sin(2 * np.pi * (200 * TIME + 900 * TIME**2)) * np.exp(-TIME)
SOUND = (0.4 * CHIRP + 0.01 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)
WAVE = torch.from_numpy(SOUND)[None]


def librosa_level(n_fft, hop, n_bands, low=0.0):
    mel = librosa.feature.melspectrogram(y=SOUND, sr=16_000, n_fft=n_fft, hop_length=hop,
                                         n_mels=n_bands, fmin=low)
    return librosa.power_to_db(mel, ref=np.max, top_db=80)


def by_numpy(series):
    series = [series, np.diff(series), np.diff(series, 2)]
    return np.concatenate([s.mean(1) for s in series] + [s.std(1) for s in series])


@pytest.mark.parametrize("n_fft,hop,n_bands", [(512, 256, 64), (1024, 320, 96)])
def test_log_mel_equals_librosa(n_fft, hop, n_bands):
    ours = LogSpectrogram(Settings(n_fft=n_fft, hop=hop, n_bands=n_bands))(WAVE)[0, 0]
    theirs = librosa_level(n_fft, hop, n_bands)
    assert ours.shape == theirs.shape
    assert np.abs(ours.numpy() - theirs).max() <= 1e-4 * np.abs(theirs).max()


@pytest.mark.parametrize("n_mfcc", [20, 40])
def test_mfcc_and_their_statistics_equal_a_librosa_computation(n_mfcc):
    theirs = librosa.feature.mfcc(y=SOUND, sr=16_000, n_mfcc=n_mfcc)
    assert np.abs(frontend.MFCC(n_mfcc=n_mfcc)(WAVE)[0].numpy() - theirs).max() < 1e-3
    ours = frontend.MFCCStatistics(n_mfcc=n_mfcc)(WAVE)[0].numpy()
    assert np.abs(ours - by_numpy(theirs)).max() < 1e-3
    stored = librosa.feature.mfcc(S=librosa_level(1024, 512, 64, 60.0), n_mfcc=n_mfcc)
    ours = dct(n_mfcc, 64) @ LogSpectrogram(Settings(hop=512, low=60.0))(WAVE)[0, 0]
    assert np.abs(ours.numpy() - stored).max() < 1e-3


def test_the_linear_axis_with_a_band_a_bin_is_librosas_spectrogram():
    # Corners one bin apart make each triangle a single bin, from the first to the last but one.
    settings = Settings(n_fft=64, hop=64, n_bands=31, axis="linear")
    power = np.abs(librosa.stft(SOUND, n_fft=64, hop_length=64)) ** 2
    ours = frontend.PowerSpectrum(settings)(WAVE)[0].numpy()
    assert np.abs(ours * 250.0 - power[1:-1]).max() < 1e-3


def test_the_logarithmic_axis_has_equal_ratios_and_the_linear_one_equal_steps():
    edges = band_edges(Settings(axis="log", low=60.0, n_bands=64))
    assert len(edges) == 66 and abs(edges[0] - 60) < 1e-6 and abs(edges[-1] - 8000) < 1e-6
    assert (edges[1:] / edges[:-1] - edges[1] / edges[0]).abs().max() < 1e-9
    assert abs(band_edges(Settings(axis="log"))[0] - 16_000 / 1024) < 1e-9
    tone = torch.sin(2 * torch.pi * 1500 * torch.arange(16_000) / 16_000)
    band = LogSpectrogram(Settings(axis="log", low=60.0))(tone[None])[0, 0].mean(-1).argmax()
    assert edges[band] < 1500 < edges[band + 2]
    linear = band_edges(Settings(axis="linear", low=60.0)).diff()
    assert (linear - linear[0]).abs().max() < 1e-9


@pytest.mark.parametrize("axis", frontend.AXES)
def test_no_axis_depends_on_batch_or_gain(axis):
    torch.manual_seed(0)
    front = LogSpectrogram(Settings(low=60.0, axis=axis))
    made = statistics(front(torch.cat([WAVE, torch.randn_like(WAVE)]))[:, 0])
    assert made.shape == (2, 6 * 64)
    assert torch.allclose(made[:1], statistics(front(0.5 * WAVE)[:, 0]), atol=2e-3)
    assert torch.isfinite(front(torch.zeros(1, 16_000))).all()


def test_statistics_have_a_finite_gradient_in_silence():
    weight = torch.eye(64)[:20].requires_grad_(True)
    statistics(weight @ torch.zeros(1, 64, 9)).sum().backward()
    assert torch.isfinite(weight.grad).all()


def test_what_is_not_there_is_named():
    with pytest.raises(ValueError, match="bark"):
        LogSpectrogram(Settings(axis="bark"))
    with pytest.raises(AudiotlError):
        statistics(torch.zeros(1, 4, 2))
