"""Published networks; skipped where the data folder lacks their weights or recordings."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import DATA as ROOT
from torch import nn
from torch.nn import functional

from audiotl import AudiotlError
from audiotl.models import pretrained
from audiotl.models.pretrained.choi2017 import batch_norm_block
from audiotl.models.pretrained.network import over_patches, patches_of, repeat_to
from audiotl.models.pretrained.reproduction import clips_at_hand

HOME = ROOT if ROOT.is_dir() else None  # packages may hold weights where there is no data


def there(*parts: str):
    path = ROOT.joinpath(*parts)
    return pytest.mark.skipif(not path.exists(), reason=f"{path} is not there; set AUDIOTL_DATA")


HERE = {name for name in pretrained.NETWORKS if pretrained.available(name, HOME)}
WEIGHTS = {name: pytest.mark.skipif(name not in HERE, reason=f"{card.file} is not there; "
                                    f"{card.wheel or 'set AUDIOTL_DATA'}")
           for name, card in pretrained.NETWORKS.items()}
EVERY = [pytest.param(name, marks=mark) for name, mark in WEIGHTS.items()]
EVERY_BY_CLIP = [param for param in EVERY if param.values[0] != "choi2017"]
ORIGINAL, KERAS2 = WEIGHTS["choi2017"], WEIGHTS["choi2017-keras2"]


@pytest.fixture(scope="module")
def network():
    kept = {}

    def get(name: str) -> pretrained.PublishedNetwork:
        if name not in kept:
            kept[name] = pretrained.load(name, HOME)
        return kept[name]
    return get


def sound(sample_rate: int, duration: float) -> torch.Tensor:
    """A swelling chord of harmonics and a rising whistle: ``(1, samples)``."""
    t = np.arange(int(sample_rate * duration)) / sample_rate
    tone = sum(np.sin(2 * np.pi * 220 * k * t) / k for k in range(1, 9))
    whistle = 0.05 * np.sin(2 * np.pi * (500 * t + 400 * t**2))
    wave = 0.1 * tone * (0.6 + 0.4 * np.sin(4 * np.pi * t)) + whistle
    return torch.from_numpy(wave.astype(np.float32))[None]


@pytest.mark.parametrize("name", EVERY)
def test_one_protocol_for_all(network, name):
    net, card = network(name), pretrained.card(name)
    weights = sum(p.numel() for p in net.parameters())
    assert 0.99 * card.parameters < weights <= card.parameters  # FCN-5's norms are folded in
    assert isinstance(net, card.kind) and len(net.tags) == len(set(net.tags))
    assert card.domain in ("environment", "speech", "music", "general")
    x = torch.cat([sound(net.sample_rate, 1.0), 3 * sound(net.sample_rate, 1.0).flip(1)])
    taps, both, alone = net.taps(x), net.taps(x, "mean+std"), net.taps(x[:1])
    assert tuple(taps) == tuple(both) == net.tap_names
    for tap, value in taps.items():
        mean, deviation = both[tap].chunk(2, 1)
        assert value.shape == mean.shape == deviation.shape and len(value) == 2
        assert torch.allclose(value, mean, rtol=1e-4, atol=1e-4) and not value.requires_grad
        assert torch.isfinite(both[tap]).all() and (deviation >= 0).all()
        if name != "choi2017":  # depends on its batch; see below
            assert torch.allclose(alone[tap][0], value[0], rtol=1e-4, atol=1e-4), tap
    tags = net.tag(x)
    assert len(tags) == 2 and ((tags >= 0) & (tags <= 1)).all()
    if net.tags:
        assert tags.shape[1] == len(net.tags)
    with pytest.raises(AudiotlError, match="median"):
        net.taps(x, "median")


@pytest.mark.parametrize("name", EVERY_BY_CLIP)
def test_short_and_long_clips_are_heard_as_the_network_says(network, name):
    net = network(name)
    needed = round(net.seconds * net.sample_rate)
    torch.manual_seed(0)
    short = 0.1 * torch.randn(1, needed // 3)
    filled = {"repeated": repeat_to(short, needed), "padded": functional.pad(
        short, (0, needed - short.shape[1]))}[net.shorter]
    first, last = net.tap_names[0], net.tap_names[-1]
    ours, same = net.taps(short), net.taps(filled)
    assert all(torch.allclose(ours[t], same[t], rtol=1e-3, atol=1e-4) for t in (first, last))
    longer = torch.cat([0.1 * torch.randn(1, needed), 0.3 * torch.randn(1, needed)], 1)
    cut, whole = net.taps(longer[:, :needed]), net.taps(longer)
    assert torch.allclose(cut[first], whole[first], rtol=1e-4) == (net.longer == "cut")


def test_a_patch_more_is_taken_when_frames_would_stay_unheard():
    x = torch.arange(500.0)[None, None]
    for frames, spare, count in ((96, 0, 1), (97, 0, 2), (108, 12, 1), (109, 12, 2), (145, 0, 3)):
        patches = patches_of(x[:, :, :frames], 96, 48, spare)
        assert patches.shape == (1, count, 1, 96) and patches[0, 0, 0, 0] == 0
        assert count == 1 or patches.max() == frames - 1
    loud = patches_of(torch.rand(3, 8, 200), 50, 50)
    taps, tags = over_patches(lambda part: ({"n": part, "v": part.mean((1, 2))[:, None]},
                                            part[:, :2, 0]), loud, 5, "mean+std")
    assert torch.allclose(taps["v"][:, 0], loud.mean((1, 2, 3))) and tags.shape == (3, 2)


@there("musicnn", "MTT_musicnn.h5")
@pytest.mark.parametrize("name,first,last,top", [
    # The authors' TensorFlow code and checkpoints (musicnn 0.1.0) on the same 187 frames.
    ("musicnn-mtt", 0.901648760, 0.439984679,
     {"slow": 0.163485885, "solo": 0.091970302, "guitar": 0.069142103}),
    ("musicnn-msd", 0.118910730, 0.929500401,
     {"blues": 0.550477743, "jazz": 0.261436790, "oldies": 0.060703874}),
])
def test_musicnn_equals_the_authors_code(network, name, first, last, top):
    net = network(name)
    x = sound(16_000, 186 * 256 / 16_000)
    taps = list(net.taps(x).values())
    assert taps[0].mean().item() == pytest.approx(first, abs=1e-5)
    assert taps[-1].abs().mean().item() == pytest.approx(last, abs=1e-5)
    tags = pretrained.top_tags(net, x, 3)
    assert [tag for tag, _ in tags] == list(top)
    assert [p for _, p in tags] == pytest.approx(list(top.values()), abs=1e-5)


@KERAS2
def test_keras2_release_equals_keras(network):
    # Keras 2.15 with the layers of kapre 0.1.3 and the stored weights, on the same 29 s.
    net = network("choi2017-keras2")
    x = sound(12_000, 3.5)
    means = [value.mean().item() for value in net.taps(x).values()]
    theirs = [0.138152421, 0.411305368, 0.161743253, 0.443965733, 0.416355699]
    assert means == pytest.approx(theirs, abs=1e-5)
    tags = pretrained.top_tags(net, x, 3)
    assert [tag for tag, _ in tags] == ["instrumental", "ambient", "Progressive rock"]
    assert [p for _, p in tags] == pytest.approx([0.086475223, 0.053941224, 0.053189915], abs=1e-5)


@ORIGINAL
def test_the_original_release_depends_on_its_batch(network):
    net = network("choi2017")
    x = torch.cat([sound(12_000, 1.0), 3 * sound(12_000, 1.0).flip(1), torch.randn(1, 12_000)])
    alone, beside = net.taps(x[:2]), net.taps(x)
    assert all((alone[tap] - beside[tap][:2]).abs().max() > 0.1 for tap in net.tap_names)


def test_batch_norm_block_equals_its_textbook_order():
    torch.manual_seed(0)
    x = torch.randn(19, 3, 12, 20)
    convolution = nn.Conv2d(3, 8, 3, padding=1)
    norm = nn.BatchNorm2d(8, 1e-3, track_running_stats=False)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(8))
        norm.bias.copy_(torch.randn(8))
        ours = batch_norm_block(x, convolution, norm, (2, 5))
        theirs = functional.max_pool2d(functional.elu(norm(convolution(x))), (2, 5))
    assert (norm.weight < 0).any() and torch.allclose(ours, theirs, atol=1e-5)


@ORIGINAL
@there("UrbanSound8K", "audio")
def test_features_correlate_with_the_published_ones(fresh_cache):
    clips = clips_at_hand(ROOT)
    assert clips.index.is_monotonic_increasing and 0 < len(clips) <= 8732
    assert clips["duration"].between(0.04, 4.001).all()
    table = pretrained.correlate_with_published(ROOT, limit=64, progress=False)
    assert table["layer"].tolist() == [0, 1, 2, 3, 4] and (table["n_clips"] == 64).all()
    assert (table["median_r"] >= [0.98, 0.98, 0.97, 0.95, 0.90]).all()
    assert (table["min_r"] <= table["median_r"]).all()
    kept = pretrained.correlate_with_published(ROOT, limit=64, progress=False)
    np.testing.assert_allclose(kept, table, rtol=1e-12)
    assert len(list((fresh_cache / "correlations").iterdir())) == 1


def test_unknown_names_and_missing_weights(tmp_path, monkeypatch):
    with pytest.raises(AudiotlError, match="vggish"):
        pretrained.load("vggish", tmp_path)
    monkeypatch.setattr(pretrained.registry, "find_spec", lambda package: None)
    for name, card in pretrained.NETWORKS.items():
        assert not pretrained.available(name, tmp_path)
        with pytest.raises(AudiotlError, match=Path(card.file).name):
            pretrained.load(name, tmp_path)
    monkeypatch.delenv("AUDIOTL_DATA", raising=False)
    with pytest.raises(AudiotlError, match="choi2017"):
        pretrained.load("choi2017")
    with pytest.raises(AudiotlError, match="choi2017"):
        pretrained.correlate_with_published(tmp_path)


@pytest.mark.parametrize("name", pretrained.NETWORKS)
@pytest.mark.parametrize("damage", ["empty", "text", "cut", "other layers", "other shapes"])
def test_damaged_weights(tmp_path, name, damage):
    card = pretrained.NETWORKS[name]
    path = tmp_path / card.file
    path.parent.mkdir(parents=True)
    for other in card.files[1:]:
        (tmp_path / other).write_text("index,mid,display_name\n0,a,b\n")
    if damage in ("empty", "text"):
        path.write_bytes(b"" if damage == "empty" else b"<html>404 not found</html>")
    else:
        with h5py.File(path, "w") as file:
            layers = ["melgram/param_2", "melgram/melgram/Variable:0", "conv2d/kernel_1:0"]
            for layer in layers if damage == "other shapes" else ["dense/kernel"]:
                file[layer] = np.zeros((5, 7), np.float32)
            file["large"] = np.zeros(100_000)
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(AudiotlError, match=path.name) as caught:
        pretrained.load(name, tmp_path)
    assert "\n" not in str(caught.value)


@KERAS2
def test_weights_that_are_not_numbers(tmp_path):
    relative = pretrained.NETWORKS["choi2017-keras2"].file
    path = tmp_path / relative
    path.parent.mkdir(parents=True)
    path.write_bytes((ROOT / relative).read_bytes())
    with h5py.File(path, "r+") as file:
        file["model_weights/dense_1/dense_1/bias:0"][3] = np.nan
    with pytest.raises(AudiotlError, match=path.name):
        pretrained.load("choi2017-keras2", tmp_path)


@pytest.mark.parametrize("name", [p for p in EVERY if "musicnn" not in p.values[0]])
def test_one_flipped_bit_in_the_published_weights_is_noticed(tmp_path, name):
    for relative in pretrained.NETWORKS[name].files:
        path = tmp_path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pretrained.registry.place(name, relative, HOME).read_bytes())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(AudiotlError, match=path.name):
        pretrained.load(name, tmp_path)


@WEIGHTS["crnn-sre"]
def test_a_file_given_is_the_file_used(tmp_path):
    weights = torch.load(ROOT / pretrained.card("crnn-sre").file, "cpu", weights_only=True)
    weights["outputlayer.bias"] += 1
    torch.save(weights, tmp_path / "mine.pth")
    mine = pretrained.load("crnn-sre", tmp_path, tmp_path / "mine.pth")
    assert torch.equal(mine.head.bias, weights["outputlayer.bias"])
    with pytest.raises(AudiotlError, match="gone.pth"):
        pretrained.load("crnn-sre", ROOT, tmp_path / "gone.pth")


@KERAS2
@pytest.mark.parametrize("waveform", [torch.zeros(100), torch.zeros(0, 100), torch.zeros(2, 0),
                                      torch.full((1, 9), torch.nan)])
def test_waveforms_that_cannot_be_used(network, waveform):
    for method in (network("choi2017-keras2").taps, network("choi2017-keras2").tag):
        with pytest.raises(AudiotlError):
            method(waveform)


@pytest.mark.parametrize("name", EVERY)
def test_silence_and_single_samples_give_numbers(network, name):
    net = network(name)
    for x in (torch.zeros(1, 800), torch.ones(1, 1)):
        assert all(torch.isfinite(value).all() for value in net.taps(x, "mean+std").values())
