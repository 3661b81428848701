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


def test_duration_limits_what_is_read_and_fit_cuts_or_repeats(tmp_path):
    assert len(load(write_clip(tmp_path / "a.wav", 2.0), 16_000, duration=0.5)) == 8000
    clip = np.arange(1, 4, dtype=np.float32)
    assert fit(clip, 7).tolist() == [1, 2, 3, 1, 2, 3, 1] and fit(clip, 2).tolist() == [1, 2]


@pytest.mark.parametrize("content", [b"", b"no sound at all" * 20,
                                     b"RIFF\x00\x00\x00\x00WAVEfmt ", None, [], [0.5, np.nan]])
def test_a_file_that_is_no_sound_is_named(tmp_path, content):
    path = tmp_path / "bad.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        soundfile.write(path, np.array(content, np.float32), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"bad\.wav"):
        load(path, 16_000)
