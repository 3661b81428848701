"""ResNet and DenseNet: the published sizes, strides and amounts of work; taps against hooks."""


import pytest
import torch
from torch import nn

from audiotl import AudiotlError
from audiotl.models import DenseNet121, ResNet, build

# Weights with 3 input channels and 1,000 classes, and 1e9 multiply-adds at 224 x 224 (torchvision).
PUBLISHED = {"resnet18": (11_689_512, 1.814), "resnet34": (21_797_672, 3.664),
             "resnet50": (25_557_032, 4.089), "densenet121": (7_978_856, 2.834)}
TAPS = {"resnet18": 9, "resnet34": 17, "resnet50": 17, "densenet121": 12}


def shapes(model, x):
    """Output of every convolution and linear layer, and the multiply-adds spent on it."""
    seen, work = [], []

    def note(module, _, out):
        per_value = module.weight[0].numel()
        seen.append((module, tuple(out.shape)))
        work.append(out[0].numel() * per_value)

    hooks = [module.register_forward_hook(note) for module in model.modules()
             if isinstance(module, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        model.eval()(x)
    for hook in hooks:
        hook.remove()
    return seen, sum(work)


@pytest.mark.parametrize("name", PUBLISHED)
def test_weights_and_work_are_the_published_ones(name):
    model = build(name, 1000, in_channels=3)
    count, work = PUBLISHED[name]
    assert sum(p.numel() for p in model.parameters()) == count
    assert shapes(model, torch.zeros(1, 3, 224, 224))[1] / 1e9 == pytest.approx(work, abs=6e-4)


@pytest.mark.parametrize("depth,widest,last", [(18, 512, 2), (34, 512, 2), (50, 2048, 3)])
def test_resnet_stages_have_the_papers_sizes(depth, widest, last):
    model = ResNet(10, depth, 1).eval()
    sizes = []
    for block in model.blocks:
        block.register_forward_hook(lambda _block, _in, out: sizes.append(tuple(out.shape[1:])))
    with torch.no_grad():
        model(torch.zeros(1, 1, 224, 224))
    stages = {18: (2, 2, 2, 2)}.get(depth, (3, 4, 6, 3))
    assert sizes == [(widest // 2**(3 - i), 56 // 2**i, 56 // 2**i)
                     for i in range(4) for _ in range(stages[i])]
    for block in model.blocks:
        convolutions = [module for module in block.body.modules() if isinstance(module, nn.Conv2d)]
        assert len(convolutions) == last
        strided = [module.kernel_size for module in convolutions if module.stride == (2, 2)]
        assert strided in ([], [(3, 3)])


def test_densenet_blocks_have_the_papers_sizes():
    model = DenseNet121(10).eval()
    seen, _ = shapes(model, torch.zeros(1, 1, 224, 224))
    new = [shape[1:] for module, shape in seen if getattr(module, "kernel_size", 0) == (3, 3)]
    assert new == [(32, side, side) for side, layers in ((56, 6), (28, 12), (14, 24), (7, 16))
                   for _ in range(layers)]
    halved = [module.weight.shape[:2] for name, part in model.body.items() if "transition" in name
              for module in part if isinstance(module, nn.Conv2d)]
    assert halved == [(128, 256), (256, 512), (512, 1024)] and model.head.in_features == 1024


@pytest.mark.parametrize("name", TAPS)
def test_taps_are_what_hooks_find_in_one_pass(name):
    model, x = build(name, 7).eval(), -80 * torch.rand(2, 1, 64, 32)
    found, passes = {}, []

    def keep(where):
        return lambda module, _, out: found.setdefault(where, []).append(out.mean((-2, -1)))

    places = {"stem": model.stem}
    if "resnet" in name:
        places |= {f"block{i + 1}": block for i, block in enumerate(model.blocks)}
    else:
        places["final"] = model.final
        for where, part in model.body.items():
            for module in part if "dense" in where else [part]:
                module.register_forward_hook(keep(where))
    for where, module in places.items():
        module.register_forward_hook(keep(where))
    model.stem[0].register_forward_hook(lambda *_: passes.append(1))
    with torch.no_grad():
        taps = model.taps(x)
    assert len(passes) == 1 and tuple(taps) == model.tap_names and len(taps) == TAPS[name]
    for where, value in taps.items():
        assert torch.allclose(value, torch.cat(found[where], 1), atol=1e-6), where
    with torch.no_grad():
        assert torch.allclose(model.head(list(taps.values())[-1]), model(x), atol=1e-6)


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
