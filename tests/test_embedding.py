import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import small_wav2vec2
from safetensors.torch import save_file
from torch import nn

from audiotl import AudiotlError, audio, datasets, embedding
from audiotl.degrade import Degradation
from audiotl.embedding import embed, embed_files, with_weights
from audiotl.features import features
from audiotl.models import ConvNet5, build, pretrained, taps_of

LAYERS = [f"encoder.transformer.layers.{i}" for i in range(3)]


class Loudness(pretrained.PublishedNetwork):
    """A published network in the smallest: level and length of a clip, at a rate of its own."""

    sample_rate, tap_names = 12_000, ("loudness", "samples")

    def forward(self, waveform, pooling="mean"):
        samples = torch.full((len(waveform), 1), float(waveform.shape[1]))
        return {"loudness": waveform.square().mean(1, keepdim=True), "samples": samples}, None


def untouched(*_):
    raise AssertionError


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_taps(sound):
    model = build("convnet5", 3)
    here, there = (embed(model, sound, progress=False, device=name) for name in ("cpu", "cuda"))
    assert all(np.allclose(here[name], there[name], atol=1e-3) for name in here)


def test_a_second_run_touches_neither_audio_nor_network(sound, class_folders, monkeypatch):
    model, other = ConvNet5(3), ConvNet5(3)
    first = embed(model, sound, progress=False)
    assert list(first) == [f"layer{i}" for i in range(1, 6)]
    assert {block.shape for block in first.values()} == {(36, 32)}
    assert not np.allclose(first["layer1"], embed(other, sound, progress=False)["layer1"])
    bare = (taps_of(nn.Sequential(nn.Flatten(), last), ["1"]) for last in (nn.ReLU(), nn.ELU()))
    one, two = (embed(network, sound, progress=False) for network in bare)
    assert not np.allclose(one["1"], two["1"])  # equal weights, or none, and another network
    monkeypatch.setattr(audio, "load", untouched)
    monkeypatch.setattr(ConvNet5, "taps", untouched)
    corpus = dataclasses.replace(datasets.load("folder", class_folders), duration=4.0)
    second = embed(model, features(corpus, progress=False), progress=False)
    assert all((first[name] == second[name]).all() for name in first)


def test_half_precision_is_near_and_kept_apart(sound, monkeypatch):
    model = ConvNet5(3)
    full = embed(model, sound, pooling="mean+std", progress=False)
    monkeypatch.setattr(embedding, "has_bfloat16", lambda device: True)
    half = embed(model, sound, pooling="mean+std", progress=False, half=True)
    for name, block in full.items():
        off = np.linalg.norm(half[name] - block) / np.linalg.norm(block)
        assert 0 < off < 0.03 and half[name].dtype == np.float32, name
    assert np.array_equal(embed(model, sound, pooling="mean+std", progress=False)["layer5"],
                          full["layer5"])


@pytest.mark.parametrize("network", ["convnet5", "densenet121"])
def test_mean_and_deviation_over_time_hold_the_mean_and_more(sound, network):
    model = build(network, 3)
    plain = embed(model, sound, progress=False)
    both = embed(model, sound, pooling="mean+std", progress=False)
    assert list(plain) == list(both) == list(model.tap_names)
    for name, block in plain.items():
        mean, deviation = np.split(both[name], 2, axis=1)
        assert mean.shape == block.shape and np.allclose(mean, block, atol=1e-4, rtol=1e-4)
        assert (deviation >= 0).all() and deviation.any()
    with pytest.raises(AudiotlError, match="median"):
        embed(model, sound, pooling="median", progress=False)


def test_pooling_of_any_module_by_hand(sound):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    both = embed(taps_of(model, ["0", "2"]), sound, pooling="mean+std", progress=False)
    x = torch.from_numpy(sound.spectrograms[:].astype(np.float32))[:, None]
    with torch.no_grad():
        series = model[0](x).mean(2)
    expected = torch.cat([series.mean(2), series.std(2, correction=0)], 1).numpy()
    assert np.allclose(both["0"], expected, atol=1e-3)
    assert both["2"].shape == (36, 4)  # a vector has no time axis and keeps its values

    class Pooled(Loudness):
        def taps(self, waveform):
            return self(waveform)[0]

    with pytest.raises(AudiotlError, match="Pooled"):
        embed(Pooled(), sound, pooling="mean+std", progress=False)


def test_a_published_network_hears_each_clip_at_its_own_rate(sound):
    blocks = embed(Loudness(), sound, batch=10, progress=False)
    paths, samples = sound.corpus.clips["path"], round(12_000 * sound.corpus.duration)
    waves = [audio.fit(audio.load(path, 12_000), samples) for path in paths]
    assert np.allclose(blocks["loudness"][:, 0], [np.mean(wave**2) for wave in waves], rtol=1e-4)
    assert set(blocks["samples"].ravel()) == {samples}
    quiet = features(sound.corpus, progress=False, degradation=Degradation("gain", -20.0))
    ratio = embed(Loudness(), quiet, progress=False)["loudness"] / blocks["loudness"]
    assert np.allclose(ratio, 0.01, rtol=1e-3)


def test_wav2vec2_through_the_cache_and_rows_whatever_the_batch(sound, monkeypatch):
    def blocks(names=LAYERS, layout="auto", rate=4_000, batch=16):
        model = taps_of(small_wav2vec2(), names, layout, sample_rate=rate)
        return embed(model, sound, batch=batch, progress=False)

    one, two = blocks(), blocks(batch=5)
    assert list(one) == LAYERS and {block.shape for block in one.values()} == {(36, 24)}
    assert all(np.allclose(one[name], two[name], atol=1e-4) for name in one)
    monkeypatch.setattr(audio, "load", untouched)
    again = blocks()
    assert all((one[name] == again[name]).all() for name in one)
    for other in ({"names": LAYERS[:2]}, {"rate": 2_000}, {"layout": "channels_last"}):
        with pytest.raises(AssertionError):
            blocks(**other)


def test_decoding_runs_a_few_batches_ahead_and_no_further(sound, monkeypatch):
    read, seen = [], []
    real = audio.load
    monkeypatch.setattr(audio, "load", lambda path, *rest: read.append(path) or real(path, *rest))

    class Watch(Loudness):
        def forward(self, waveform, *pooling):
            seen.append((len(waveform), len(read)))
            return super().forward(waveform, *pooling)

    embed(Watch(), sound, batch=2, workers=1, progress=False)
    assert [size for size, _ in seen] == 18 * [2] and len(read) == 36
    assert all(decoded <= 2 * (i + 4) for i, (_, decoded) in enumerate(seen))


def test_a_clip_that_is_gone_since_is_named(sound):
    gone = Path(sound.corpus.clips["path"].iloc[3])
    gone.unlink()
    with pytest.raises(AudiotlError, match=gone.name):
        embed(Loudness(), sound, progress=False)


def test_memory_does_not_grow_with_the_number_of_clips(sound):
    """Three times the clips: the peak grows by less than a quarter of their samples."""
    model, corpus = build("convnet5", 3), sound.corpus

    def peak(times):
        clips = pd.concat([corpus.clips] * times, ignore_index=True)
        tracemalloc.start()
        many = features(dataclasses.replace(corpus, clips=clips), progress=False)
        embed(model, many, batch=16, progress=False)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # what is set up once
    few, many = peak(2), peak(6)
    assert many - few < 4 * len(corpus.clips) * 16_000 * 0.6, (few, many)


def test_files_give_the_columns_that_a_probe_was_fitted_on(sound, tmp_path):
    files = sound.corpus.clips["path"].tolist()[5:8]
    model = build("convnet5", 3).eval()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()},
              tmp_path / "net.safetensors")
    made = embed_files(files, "convnet5", 4.0, pooling="mean+std",
                       weights=tmp_path / "net.safetensors")
    for name, block in embed(model, sound, pooling="mean+std", progress=False).items():
        assert np.allclose(made[name], block[5:8], atol=1e-4)
    assert np.allclose(embed_files(files, "mfcc", 4.0)["mfcc"], sound.mfcc[5:8], atol=1e-4)
    with pytest.raises(AudiotlError, match="nowhere"):
        embed_files([*files, tmp_path / "nowhere.wav"], "mfcc", 4.0)


@pytest.mark.parametrize("content", [
    b"no weights", b"", {"head.bias": torch.zeros(3)}, {"other": torch.zeros(3)},
    {name: torch.zeros(2, 2) if value.ndim == 4 else value
     for name, value in build("convnet5", 3).state_dict().items()}])
def test_weights_of_another_shape_are_refused(tmp_path, content):
    file = tmp_path / "net.safetensors"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        save_file(content, file)
    with pytest.raises(AudiotlError, match="net.safetensors"):
        with_weights("convnet5", file)


def test_a_network_that_gives_no_numbers_is_refused_and_nothing_is_kept(sound):
    model = build("convnet5", 3)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    for _ in range(2):
        with pytest.raises(AudiotlError, match="'layer1'.*ConvNet5"):
            embed(model, sound, progress=False)
