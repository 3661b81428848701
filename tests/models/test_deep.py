"""ResNet and DenseNet: the published sizes, strides and amounts of work; taps against hooks."""

import pytest
import torch
from torch import nn

from audiotl import AudiotlError, training
from audiotl.models import DenseNet121, build
from audiotl.models.resnet import Convolution

# Weights with 3 input channels and 1,000 classes, and 1e9 multiply-adds at 224 x 224 (torchvision).
PUBLISHED = {"resnet18": (11_689_512, 1.814), "resnet34": (21_797_672, 3.664),
             "resnet50": (25_557_032, 4.089), "densenet121": (7_978_856, 2.834)}
TAPS = {"resnet18": 9, "resnet34": 17, "resnet50": 17, "densenet121": 12}


def multiply_adds(model, x):
    work = []

    def note(module, _, out):
        work.append(out[0].numel() * module.weight[0].numel())

    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(note)
    with torch.no_grad():
        model.eval()(x)
    return sum(work)


@pytest.mark.parametrize("name", PUBLISHED)
def test_weights_and_work_are_the_published_ones(name):
    model = build(name, 1000, in_channels=3)
    count, work = PUBLISHED[name]
    assert sum(p.numel() for p in model.parameters()) == count
    assert multiply_adds(model, torch.zeros(1, 3, 224, 224)) / 1e9 == pytest.approx(work, abs=6e-4)


@pytest.mark.parametrize("name", TAPS)
def test_taps_are_what_hooks_find_in_one_pass(name):
    model, x = build(name, 7).eval(), -80 * torch.rand(2, 1, 64, 32)
    found, passes = {}, []

    def keep(where):
        return lambda module, _, out: found.setdefault(where, []).append(out.mean((-2, -1)))

    for where, part in model.layers.items():
        for module in part if where.startswith("dense") else [part]:
            module.register_forward_hook(keep(where))
    model.stem[0].register_forward_hook(lambda *_: passes.append(1))
    with torch.no_grad():
        taps = model.taps(x)
    assert len(passes) == 1 and tuple(taps) == model.tap_names and len(taps) == TAPS[name]
    for where, value in taps.items():
        assert torch.allclose(value, torch.cat(found[where], 1), atol=1e-6), where
    with torch.no_grad():
        assert torch.allclose(model.head(list(taps.values())[-1]), model(x), atol=1e-6)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (1, 2), (7, 2)])
def test_a_convolution_of_few_positions_is_one_product(monkeypatch, size, stride, half):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    layer = Convolution(5, 64, size, stride).to(memory_format=torch.channels_last)
    x, weight = torch.rand(2, 5, 5, 4), layer.weight.detach().clone().requires_grad_()
    wanted = nn.functional.conv2d(x, weight, None, stride, size // 2)
    found, product = [], nn.functional.linear
    monkeypatch.setattr(nn.functional, "linear", lambda *args: found.append(1) or product(*args))
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        given = layer(x)
    for one in (wanted, given):
        one.float().square().sum().backward()
    layer.eval()(x)
    assert len(found) == (size > 1)
    for one, other in ((given, wanted), (layer.weight.grad, weight.grad)):
        assert (one - other).norm() < (0.01 if half else 1e-5) * other.norm()


@pytest.mark.parametrize("name", TAPS)
def test_small_spectrograms_and_more_channels_train(name):
    model = build(name, 5, in_channels=4)
    out = model(-80 * torch.rand(2, 4, 64, 32))
    out.sum().backward()
    assert out.shape == (2, 5)
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in model.parameters())
    assert build(name, **model.settings).settings == model.settings


def test_densenet_says_which_spectrograms_are_too_small():
    assert DenseNet121(3).eval()(torch.zeros(1, 1, 29, 29)).shape == (1, 3)
    with pytest.raises(AudiotlError, match="64 x 28"):
        DenseNet121(3)(torch.zeros(1, 1, 64, 28))


@pytest.mark.parametrize("half", [False, True])
def test_512_maps_stay_channels_first_in_float32_on_avx512(monkeypatch, half):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(training, "has_bfloat16", lambda device: half)
    layers = nn.Sequential(Convolution(4, 8, 3, 1), Convolution(8, 512, 3, 2))
    wanted = layers(x := torch.rand(2, 4, 6, 6))
    training.lay_out(layers)
    assert [layer.weight.is_contiguous() for layer in layers] == [False, not half]
    given = layers(x.contiguous(memory_format=torch.channels_last))
    assert given.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(given, wanted, atol=1e-5)
