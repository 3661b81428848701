import numpy as np
import pytest

from audiotl import AudiotlError
from audiotl.degrade import USUAL, Degradation, add_noise, change_speed, telephone

RATE = 16_000
NOISE = (0.1 * np.random.default_rng(0).standard_normal((3, RATE))).astype(np.float32)


def tone(hertz):
    return np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32)


def band_level(x, low, high):
    # Windowed, or the clip's own edges would leak into the bands that should be empty.
    power = np.abs(np.fft.rfft(x * np.hanning(x.shape[-1]))) ** 2
    hertz = np.fft.rfftfreq(x.shape[-1], 1 / RATE)
    return 10 * np.log10(power[..., (hertz >= low) & (hertz < high)].sum(-1))


@pytest.mark.parametrize("snr", [20, 10, 0])
@pytest.mark.parametrize("clean", [tone(440), NOISE], ids=["tone", "noise"])
def test_the_signal_to_noise_ratio_is_exact(clean, snr):
    added = add_noise(clean, snr).astype(np.float64) - clean
    ratio = np.mean(clean.astype(np.float64)**2, -1) / np.mean(added**2, -1)
    assert np.abs(10 * np.log10(ratio) - snr).max() < 0.01


def test_noise_depends_on_clip_and_seed_and_not_on_the_batch():
    batch = add_noise(NOISE, 10)
    assert (batch[1] == add_noise(NOISE[1], 10)).all()
    assert not np.allclose(batch[0] - NOISE[0], batch[1] - NOISE[1], atol=1e-3)
    assert not np.allclose(batch[1], add_noise(NOISE[1], 10, seed=1), atol=1e-3)
    assert (add_noise(np.zeros(100, np.float32), 0) == 0).all()


def test_a_telephone_keeps_its_band_and_is_50_db_down_outside():
    heard = telephone(NOISE, RATE)
    assert heard.shape == NOISE.shape and heard.dtype == np.float32
    for band in ((0, 200), (3500, 8000)):
        assert (band_level(NOISE, *band) - band_level(heard, *band) > 50).all()
    assert np.abs(band_level(NOISE, 350, 3350) - band_level(heard, 350, 3350)).max() < 0.1
    assert np.abs(telephone(tone(1000), RATE) - tone(1000))[2000:14_000].max() < 1e-2


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_speed_changes_length_and_pitch_by_its_factor(factor):
    moved = change_speed(np.stack([tone(500), tone(1000)]), factor)
    assert abs(moved.shape[1] - RATE / factor) <= 1
    for row, hertz in zip(moved, (500, 1000), strict=True):
        peak = np.abs(np.fft.rfft(row * np.hanning(len(row)))).argmax() * RATE / len(row)
        assert abs(peak - hertz * factor) < 2
    assert np.allclose(change_speed(tone(500), factor), moved[0], atol=1e-6)


def test_gain_and_names():
    assert np.allclose(Degradation("gain", 6)(tone(100), RATE), 10**0.3 * tone(100), atol=1e-5)
    assert len({one.name for one in USUAL}) == len(USUAL)
    with pytest.raises(AudiotlError, match="echo"):
        Degradation("echo")
