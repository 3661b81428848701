import librosa
import numpy as np
import pytest

from audiotl.cepstrum import N_BANDS, back, resynthesise, steps, survival


@pytest.fixture(scope="module")
def made():
    t = np.arange(16_000) / 16_000
    wave = 0.3 * np.sign(np.sin(2 * np.pi * 200 * t)) * np.exp(-2 * t)
    return steps(wave.astype(np.float32), 16_000)


def test_the_steps_are_librosas(made):
    mel = librosa.feature.melspectrogram(y=made.waveform, sr=16_000)
    assert np.allclose(made.mel, mel, rtol=1e-4, atol=1e-6)
    cepstra = librosa.feature.mfcc(S=librosa.power_to_db(mel, ref=np.max), n_mfcc=40)
    assert np.abs(made.cepstra[:40] - cepstra).max() < 1e-2


def test_more_coefficients_lose_less_and_all_lose_nothing(made):
    errors = [np.sqrt(np.mean((back(made.cepstra, n) - made.level) ** 2)) for n in (1, 13, 20, 40, N_BANDS)]
    assert (np.diff(errors) < 0).all() and errors[-1] < 1e-3
    frames = survival(made.level[None], np.array(["a"]), (13, 20, 40, N_BANDS))
    assert np.allclose(frames["error_db"], errors[1:], atol=1e-3)
    assert frames["detail_kept"].is_monotonic_increasing and abs(frames["detail_kept"].iloc[-1] - 1) < 1e-9


def test_detail_is_variance_across_bands():
    # One ripple of half a period over the bands is the coefficient 1, whatever level it rides on.
    ripple = np.cos(np.pi * (np.arange(64) + 0.5) / 64)[None, :, None] * np.ones((1, 1, 4)) * 10 - 40
    kept = survival(ripple, np.array(["a"]), (1, 2))
    assert np.allclose(kept["detail_kept"], [0, 1]) and np.allclose(kept["error_db"], [10 / np.sqrt(2), 0], atol=1e-6)


def test_sound_comes_back_as_loud_and_with_its_spectrum(made):
    sound = resynthesise(made, 40, iterations=4)
    assert sound.shape == made.waveform.shape and sound.dtype == np.float32
    assert np.isclose(np.std(sound), np.std(made.waveform), rtol=0.05)
    again = steps(sound, 16_000)
    assert np.corrcoef(again.level.ravel(), made.level.ravel())[0, 1] > 0.8
