import numpy as np
import pytest

from audiotl import AudiotlError
from audiotl.degrade import Degradation, add_noise, telephone

RATE = 16_000
NOISE = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)


def tone(hertz):
    return np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32)


def band_level(x, low, high):
    # Windowed, or the clip's own edges would leak into the bands that should be empty.
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    hertz = np.fft.rfftfreq(len(x), 1 / RATE)
    return 10 * np.log10(power[(hertz >= low) & (hertz < high)].sum())


@pytest.mark.parametrize("snr", [20, 10, 0])
@pytest.mark.parametrize("clean", [tone(440), NOISE], ids=["tone", "noise"])
def test_the_signal_to_noise_ratio_is_exact(clean, snr):
    added = add_noise(clean, snr).astype(np.float64) - clean
    ratio = np.mean(clean.astype(np.float64)**2) / np.mean(added**2)
    assert abs(10 * np.log10(ratio) - snr) < 0.01


def test_noise_depends_on_clip_and_seed():
    added = add_noise(NOISE, 10) - NOISE
    assert (add_noise(NOISE, 10) - NOISE == added).all()
    assert not np.allclose(add_noise(NOISE[::-1], 10) - NOISE[::-1], added, atol=1e-3)
    assert not np.allclose(add_noise(NOISE, 10, seed=1) - NOISE, added, atol=1e-3)
    assert (add_noise(np.zeros(100, np.float32), 0) == 0).all()


def test_a_telephone_keeps_its_band_and_is_50_db_down_outside():
    heard = telephone(NOISE, RATE)
    assert heard.shape == NOISE.shape and heard.dtype == np.float32
    for band in ((0, 200), (3500, 8000)):
        assert band_level(NOISE, *band) - band_level(heard, *band) > 50
    assert abs(band_level(NOISE, 350, 3350) - band_level(heard, 350, 3350)) < 0.1
    assert np.abs(telephone(tone(1000), RATE) - tone(1000))[2000:14_000].max() < 1e-2


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_speed_changes_length_and_pitch_by_its_factor(factor):
    moved = Degradation("speed", factor)(tone(500), RATE)
    assert abs(len(moved) - RATE / factor) <= 1
    peak = np.abs(np.fft.rfft(moved * np.hanning(len(moved)))).argmax() * RATE / len(moved)
    assert abs(peak - 500 * factor) < 2


def test_gain_and_names():
    assert np.allclose(Degradation("gain", 6)(tone(100), RATE), 10**0.3 * tone(100), atol=1e-5)
    assert Degradation("gain", -12).name == "gain -12 dB"
    with pytest.raises(AudiotlError, match="echo"):
        Degradation("echo")
