import numpy as np
import pytest
import soundfile
from conftest import write_clip

from audiotl.audio import AudioError, fit, load


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_every_suffix_decodes_to_mono_at_the_rate_asked_for(tmp_path, suffix):
    t = np.arange(22_050) / 22_050
    stereo = np.stack([np.sin(2 * np.pi * 440 * t), np.zeros_like(t)], 1)
    soundfile.write(tmp_path / f"clip{suffix}", stereo, 22_050)
    samples = load(tmp_path / f"clip{suffix}", 16_000)
    assert samples.dtype == np.float32
    assert abs(len(samples) - 16_000) < 16_000 * 0.15  # lossy codecs pad
    spectrum = np.abs(np.fft.rfft(samples[2000:10_000] * np.hanning(8000)))
    assert abs(spectrum.argmax() * 2 - 440) <= 2
    assert 0.4 < samples[2000:10_000].max() < 0.6  # mono is the mean of the channels


def test_duration_limits_what_is_read(tmp_path):
    assert len(load(write_clip(tmp_path / "a.wav", 2.0), 16_000, duration=0.5)) == 8000


@pytest.mark.parametrize("content,word", [(b"", "empty"), (b"no sound at all" * 20, "decoded"),
                                          (b"RIFF\x00\x00\x00\x00WAVEfmt ", "decoded")])
def test_a_file_that_is_no_sound_is_named(tmp_path, content, word):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=rf"bad\.wav.*{word}"):
        load(path, 16_000)


def test_missing_silent_and_not_a_number(tmp_path):
    with pytest.raises(AudioError, match="not there"):
        load(tmp_path / "none.wav", 16_000)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan, np.float32), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not numbers"):
        load(tmp_path / "nan.wav", 16_000)
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), 16_000)
    with pytest.raises(AudioError, match="no samples"):
        load(tmp_path / "none.wav", 16_000)


def test_a_truncated_file_gives_what_is_there_or_is_named(tmp_path):
    whole = write_clip(tmp_path / "a.wav", 1.0).read_bytes()
    (tmp_path / "a.wav").write_bytes(whole[:len(whole) // 2])
    assert 0 < len(load(tmp_path / "a.wav", 16_000)) <= 8000
    (tmp_path / "a.wav").write_bytes(whole[:20])
    with pytest.raises(AudioError, match="a.wav"):
        load(tmp_path / "a.wav", 16_000)


def test_fit_repeats_pads_and_cuts():
    clip = np.arange(1, 4, dtype=np.float32)
    assert fit(clip, 7).tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert fit(clip, 2).tolist() == [1, 2]
    assert fit(clip, 5, "pad").tolist() == [0, 1, 2, 3, 0]
    with pytest.raises(ValueError, match="mirror"):
        fit(clip, 5, "mirror")
