import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import small_wav2vec2
from torch import nn

from audiotl import AudiotlError, audio, datasets
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.models import build, pretrained, taps_of

LAYERS = [f"encoder.transformer.layers.{i}" for i in range(3)]


@pytest.fixture
def sound(class_folders, fresh_cache):
    return features(datasets.load("folder", class_folders), progress=False)


class Loudness(pretrained.PublishedNetwork):
    """A published network in the smallest: one tap, at a rate of its own."""

    sample_rate, tap_names = 12_000, ("loudness", "samples")

    def forward(self, waveform):
        return {"loudness": waveform.square().mean(1, keepdim=True),
                "samples": torch.full((len(waveform), 1), float(waveform.shape[1]))}, waveform[:, :0]


def test_a_published_network_hears_each_clip_at_its_own_rate(sound):
    blocks = embed(Loudness(), sound, batch=10, progress=False)
    paths, seconds = sound.corpus.clips["path"], sound.corpus.duration
    waves = [audio.fit(audio.load(path, 12_000), round(12_000 * seconds)) for path in paths]
    assert len(paths) == 36 and not paths.str.contains("broken").any()
    assert np.allclose(blocks["loudness"][:, 0], [np.mean(wave**2) for wave in waves], rtol=1e-4)
    assert set(blocks["samples"].ravel()) == {round(12_000 * seconds)}


def test_wav2vec2_through_the_cache_and_rows_whatever_the_batch(sound, monkeypatch):
    model = taps_of(small_wav2vec2(), LAYERS, sample_rate=4_000)
    one = embed(model, sound, batch=16, progress=False)
    assert list(one) == LAYERS and {block.shape for block in one.values()} == {(36, 24)}
    two = embed(model, sound, batch=5, progress=False)
    assert all(np.allclose(one[name], two[name], atol=1e-4) for name in one)

    def touched(*_):
        raise AssertionError("audio was decoded")

    monkeypatch.setattr(audio, "load", touched)
    again = embed(taps_of(small_wav2vec2(), LAYERS, sample_rate=4_000), sound, batch=16, progress=False)
    assert all((one[name] == again[name]).all() for name in one)
    for names, layout, rate in ((LAYERS[:2], "auto", 4_000), (LAYERS, "auto", 2_000), (LAYERS, "channels_last", 4_000)):
        with pytest.raises(AssertionError, match="was decoded"):
            embed(taps_of(small_wav2vec2(), names, layout, rate), sound, batch=16, progress=False)


def test_networks_of_equal_weights_and_other_activations_do_not_share_blocks(sound):
    def made(activation):
        torch.manual_seed(0)
        return taps_of(nn.Sequential(nn.Conv2d(1, 4, 3), activation), ["1"])

    relu, elu = embed(made(nn.ReLU()), sound, progress=False)["1"], embed(made(nn.ELU()), sound, progress=False)["1"]
    assert relu.shape == (36, 4) and not np.allclose(relu, elu)


def test_deep_networks_through_the_same_door(sound):
    blocks = embed(build("resnet18", 3), sound, progress=False)
    assert [block.shape[1] for block in blocks.values()] == [64, 64, 64, 128, 128, 256, 256, 512, 512]


def test_decoding_runs_one_batch_ahead_and_no_further(sound, monkeypatch):
    read, seen = [], []
    real = audio.load
    monkeypatch.setattr(audio, "load", lambda path, *rest: read.append(path) or real(path, *rest))

    class Watch(Loudness):
        def forward(self, waveform):
            seen.append((len(waveform), len(read)))
            return super().forward(waveform)

    embed(Watch(), sound, batch=8, progress=False)
    assert [size for size, _ in seen] == [8, 8, 8, 8, 4]
    assert all(decoded <= 8 * (i + 2) for i, (_, decoded) in enumerate(seen)) and len(read) == 36


def test_a_clip_that_is_gone_since_is_named(sound):
    gone = sound.corpus.clips["path"].iloc[3]
    Path(gone).unlink()
    with pytest.raises(AudiotlError, match="cannot be decoded for this network.*is not there"):
        embed(Loudness(), sound, progress=False)


def test_memory_does_not_grow_with_the_number_of_clips(class_folders, fresh_cache):
    """Three times the clips, and the most that is allocated at once grows by less than a quarter of their samples."""
    def peak(times):
        clips = pd.concat([corpus.clips] * times, ignore_index=True)
        tracemalloc.start()
        embed(model, features(dataclasses.replace(corpus, clips=clips), progress=False), batch=16, progress=False)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    corpus = datasets.load("folder", class_folders)
    corpus = corpus.subset(np.flatnonzero(~corpus.clips["path"].str.contains("broken")))
    model = build("convnet5", 3)
    peak(1)  # what is set up once
    few, many = peak(2), peak(6)
    samples = 4 * len(corpus.clips) * 16_000 * 0.6 * 4
    assert many - few < samples / 4, (few, many)
