import types

import numpy as np
import pytest
import torch
from conftest import small_wav2vec2
from test_embedding import Loudness
from torch import nn

from audiotl import AudiotlError
from audiotl.embedding import embed
from audiotl.models import HiddenStates, build, hear, pretrained, tap_table, taps_of
from audiotl.models.hear import FromHear
from audiotl.models.taps import pooled


def counted(module):
    return sum(len(part._forward_hooks) for part in module.modules())


def test_transformer_layers_of_wav2vec2_on_raw_sound():
    model, wave = small_wav2vec2(), torch.randn(4, 4000)
    names = [f"encoder.transformer.layers.{i}" for i in range(3)]
    tapped = taps_of(model, names, sample_rate=16_000)
    taps = tapped.taps(wave)
    assert tapped.tap_names == tuple(names) == tuple(taps) and tapped.sample_rate == 16_000
    theirs, _ = model.extract_features(wave)
    for value, layer in zip(taps.values(), theirs, strict=True):
        assert value.shape == (4, 24) and torch.allclose(value, layer.mean(1), atol=1e-5)
    convolved = taps_of(model, ["feature_extractor.conv_layers.2"], "channels_first").taps(wave)
    assert next(iter(convolved.values())).shape == (4, 16)
    assert counted(model) == 0


def test_taps_of_our_own_network_are_its_taps():
    model, x = build("convnet5", 3).eval(), -80 * torch.rand(2, 1, 64, 63)
    taps = taps_of(model, [f"blocks.{i}" for i in range(5)]).taps(x)
    with torch.no_grad():
        for ours, tapped in zip(model.taps(x).values(), taps.values(), strict=True):
            torch.testing.assert_close(ours, tapped)


def test_a_name_that_is_not_there_and_a_layer_that_does_not_run():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    with pytest.raises(AudiotlError, match="encoder.transformer.layers.1"):
        taps_of(small_wav2vec2(), ["encoder.transformer.layer.1"])
    with pytest.raises(AudiotlError, match="7"):
        taps_of(net, ["0", "7"])
    with pytest.raises(AudiotlError, match="flat"):
        taps_of(net, ["0"], "flat")
    idle = nn.ModuleDict({"net": net, "spare": nn.Linear(2, 2)})
    idle.forward = net.forward
    with pytest.raises(AudiotlError, match="spare"):
        taps_of(idle, ["net.0", "spare"]).taps(torch.zeros(1, 1, 8, 8))
    with pytest.raises(AudiotlError, match=r"raw sound of shape \(4, 800\)"):
        taps_of(net, ["0"], sample_rate=16_000).taps(torch.zeros(4, 800))
    assert counted(idle) == counted(net) == 0


def test_layers_by_number_and_all():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 3))
    assert taps_of(net, [1, -1]).tap_names == ("0", "2")
    assert taps_of(net, "all").tap_names == ("0", "1", "2")
    for number in (0, 4, -4):
        with pytest.raises(AudiotlError, match=f"no layer {number}; near it are 1 to 3 and -1"):
            taps_of(net, [number])


def test_what_counts_of_an_output():
    x = torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(pooled(x, "auto", "n", 2), x.mean(1))
    assert torch.equal(pooled(x, "channels_first", "n", 2), x.mean(2))
    maps = torch.rand(2, 3, 4, 5)
    assert torch.equal(pooled([maps, x], "auto", "n", 2), maps.mean((2, 3)))
    assert torch.equal(pooled(maps, "channels_last", "n", 2), maps.mean((1, 2)))
    for odd in (None, torch.zeros(3), torch.zeros(5, 2), torch.zeros(2, 1, 1, 1, 1)):
        with pytest.raises(AudiotlError, match="'n'"):
            pooled(odd, "auto", "n", 2)


def test_settings_tell_networks_apart_that_have_the_same_weights():
    def made(net, names=("0",)):
        torch.manual_seed(0)
        return taps_of(net, names).settings

    class Gain(nn.Module):
        def __init__(self, gain):
            super().__init__()
            self.gain = gain
            self.register_buffer("window", torch.full((3,), float(gain > 2)), persistent=False)

        def forward(self, x):
            return self.gain * x

    one = made(nn.Sequential(Gain(1.0), nn.ReLU()))
    assert one == made(nn.Sequential(Gain(1.0), nn.ReLU()))
    others = [made(nn.Sequential(Gain(2.0), nn.ReLU())), made(nn.Sequential(Gain(1.0), nn.ELU())),
              made(nn.Sequential(Gain(1.0), nn.ReLU()), ("1",)),
              made(nn.Sequential(Gain(3.0), nn.ReLU()))]
    assert len({str(settings) for settings in (one, *others)}) == 5


class Hidden(nn.Module):
    """An encoder as in transformers, in the smallest; a dict or an object with hidden states."""

    def __init__(self, as_dict=False, states=True):
        super().__init__()
        self.front = nn.Conv1d(1, 6, 8, 4)
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))
        self.as_dict, self.states = as_dict, states

    def forward(self, x, output_hidden_states=False):
        x = self.front(x[:, None]).transpose(1, 2)
        states = [x]
        for layer in self.layers:
            states.append(torch.tanh(layer(states[-1])))
        out = {"hidden_states": tuple(states) if output_hidden_states and self.states else None}
        return out if self.as_dict else types.SimpleNamespace(**out)


class Transposed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 6, 8, 4)

    def forward(self, x):
        return self.conv(x).transpose(1, 2)


def test_a_series_of_a_1d_convolution_is_not_averaged_over_its_channels():
    net = nn.Sequential(nn.Conv1d(1, 5, 3), nn.ReLU(), nn.Sequential(
        nn.Conv1d(5, 7, 3, bias=False), nn.BatchNorm1d(7), nn.ELU()), nn.AvgPool1d(2)).eval()
    x = torch.randn(4, 1, 40)
    taps = taps_of(net, "all").taps(x)
    assert [tap.shape[1] for tap in taps.values()] == [5, 5, 7, 7]
    with torch.no_grad():
        assert torch.allclose(taps["1"], net[1](net[0](x)).mean(2))
    both = taps_of(net, ["2"]).taps(x, "mean+std")["2"]
    assert both.shape == (4, 14) and torch.allclose(both[:, :7], taps["2"])
    assert taps_of(nn.Sequential(Transposed()), [1]).taps(x)["0"].shape == (4, 6)
    square, mixed = nn.Sequential(nn.Conv1d(1, 38, 3)), nn.Sequential(
        nn.Sequential(Transposed(), nn.LayerNorm(6)))
    for ambiguous in (square, mixed):  # as many channels as times; another layer ran last
        with pytest.raises(AudiotlError, match="channels_first"):
            taps_of(ambiguous, [1]).taps(x)
    assert taps_of(square, [1], "channels_first").taps(x)["0"].shape == (4, 38)
    assert taps_of(mixed, [1], "channels_last").taps(x)["0"].shape == (4, 6)
    assert counted(net) == counted(square) == 0


def test_layers_that_make_no_taps():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    for names in ([], ["0", "0"], [1, "0"], [-2, 1]):
        with pytest.raises(AudiotlError):
            taps_of(net, names)
    with torch.no_grad():
        net[0].weight[1, 2] = torch.nan
    with pytest.raises(AudiotlError, match="'0'"):
        taps_of(net, [1]).taps(torch.ones(3, 4))
    net[0].weight.data.fill_(torch.inf)
    with pytest.raises(AudiotlError, match="'1'"):
        taps_of(net, [-1]).taps(torch.ones(3, 4))


def test_table_of_taps():
    net = nn.Sequential(nn.Sequential(nn.Conv2d(1, 3, 5, padding=2), nn.ReLU()),
                        nn.MaxPool2d((2, 4)), nn.Conv2d(3, 4, 3, dilation=2))
    table = tap_table(net, torch.zeros(2, 1, 16, 64))
    assert table["tap"].tolist() == ["0", "1", "2"] and table["number"].tolist() == [1, 2, 3]
    assert table["module"].tolist() == ["Sequential", "MaxPool2d", "Conv2d"]
    assert table["shape"].tolist() == [(2, 3, 16, 64), (2, 3, 8, 16), (2, 4, 4, 12)]
    # By hand: 5; 3 steps more; 4 times two of the 4 steps apart.
    assert table["receptive_field"].tolist() == [5, 8, 24]
    x = torch.zeros(1, 1, 16, 64, requires_grad=True)
    net[2](net[0:2](x))[0, 0, 2, 6].backward()
    heard = x.grad.abs().sum((0, 1, 2)).nonzero()
    assert heard.max() - heard.min() + 1 <= 24
    recurrent = tap_table(small_wav2vec2(), torch.zeros(2, 4000), ["encoder.transformer.layers.1"])
    assert recurrent["receptive_field"].isna().all() and recurrent["number"].tolist() == [0]


def test_hidden_states(sound):
    torch.manual_seed(0)
    module, wave = Hidden(), torch.randn(3, 400)
    taps = HiddenStates(module, 4_000).taps(wave, "mean+std")
    assert list(taps) == ["input", "layer1", "layer2"]
    states = module(wave, output_hidden_states=True).hidden_states
    assert torch.allclose(taps["layer2"][:, :6], states[2].mean(1))
    assert torch.allclose(taps["layer2"][:, 6:], states[2].std(1, correction=0), atol=1e-6)
    assert list(HiddenStates(Hidden(as_dict=True), 4_000).taps(wave)) == list(taps)
    with pytest.raises(AudiotlError, match="Hidden"):
        HiddenStates(Hidden(states=False), 4_000).taps(wave)
    blocks = embed(HiddenStates(module, 4_000), sound, progress=False)
    assert {name: block.shape for name, block in blocks.items()} == dict.fromkeys(taps, (36, 6))


def a_hear_module(**missing):
    def load_model(path):
        model = nn.Conv1d(1, 5, 16, 8)
        model.sample_rate = 4_000
        return model

    def timestamps(audio, model):
        series = model(audio[:, None]).transpose(1, 2)
        return series, torch.arange(series.shape[1]).expand(len(audio), -1) * 2.0

    functions = {"load_model": load_model, "get_timestamp_embeddings": timestamps,
                 "get_scene_embeddings": lambda audio, model: timestamps(audio, model)[0].amax(1)}
    module = types.ModuleType("heard")
    vars(module).update({name: f for name, f in functions.items() if name not in missing})
    return module


def test_a_hear_module_in():
    module, wave = a_hear_module(), torch.randn(3, 400)
    network = FromHear(module)
    taps = network.taps(wave, "mean+std")
    assert network.sample_rate == 4_000
    assert {name: tap.shape[1] for name, tap in taps.items()} == {"scene": 5, "timestamps": 10}
    with torch.no_grad():
        assert torch.allclose(taps["timestamps"][:, :5], network.model(wave[:, None]).mean(2),
                              atol=1e-6)
    with pytest.raises(AudiotlError, match="get_scene_embeddings"):
        FromHear(a_hear_module(get_scene_embeddings=True))


class Level(Loudness):
    sample_rate = 1_000


def test_ours_as_a_hear_module(monkeypatch):
    monkeypatch.setattr(pretrained, "load", lambda name: Level())
    model = hear.load_model("level")
    assert model.sample_rate == 1_000
    assert model.scene_embedding_size == model.timestamp_embedding_size == 2
    wave = torch.cat([torch.zeros(2, 1500), torch.ones(2, 1500)], 1)
    assert np.allclose(hear.get_scene_embeddings(wave, model), [[0.5, 3000], [0.5, 3000]])
    series, times = hear.get_timestamp_embeddings(wave, model)
    assert series.shape == (2, 61, 2) and times.shape == (2, 61) and times[0, 20] == 1000
    assert torch.allclose(series[0, [20, 30, 40], 0], torch.tensor([0.0, 0.5, 1.0]), atol=1e-6)
    assert (series[:, :, 1] == 1000).all()
    both = FromHear(hear, "level").taps(wave)
    assert both["scene"].shape == both["timestamps"].shape == (2, 2)
