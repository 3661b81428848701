import pytest
import torch
from conftest import small_wav2vec2
from torch import nn

from audiotl import AudiotlError
from audiotl.models import build
from audiotl.models.taps import pooled, taps_of


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
    assert counted(idle) == 0


def test_layers_by_number_and_all():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 3))
    assert taps_of(net, [1, -1]).tap_names == ("0", "2")
    assert taps_of(net, "all").tap_names == ("0", "1", "2")
    for number in (0, 4, -4):
        with pytest.raises(AudiotlError, match=str(number)):
            taps_of(net, [number])


def test_hooks_go_when_the_pass_fails():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(1, 1))
    with pytest.raises(RuntimeError):
        taps_of(net, ["0", "1"]).taps(torch.zeros(1, 1, 8, 8))
    assert counted(net) == 0


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
