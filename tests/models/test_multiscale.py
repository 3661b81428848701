import pytest
import torch

from audiotl.models import Multiscale, build
from audiotl.models.layered import scale_decibel


@pytest.mark.parametrize("name", ["convnet5", "resnet18", "densenet121"])
def test_any_network_reads_the_stacked_scales_and_keeps_its_taps(name):
    model, x = build(name, 3, multiscale=(1, 2, 3, 4)).eval(), -80 * torch.rand(2, 1, 64, 40)
    plain = build(name, 3, in_channels=4)
    assert isinstance(model, Multiscale) and model.tap_names == plain.tap_names
    count = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in plain.parameters())
    assert count == 4 * 9
    with torch.no_grad():
        assert model.front(x).shape == (2, 4, 64, 40)
        assert torch.equal(model(x), model.inner(model.front(x)))
        inner = model.inner.taps(model.front(x))
        assert all(torch.equal(tap, inner[name]) for name, tap in model.taps(x).items())
    again = build(name, **model.settings)
    assert again.settings == model.settings
    again.load_state_dict(model.state_dict())


def test_each_scale_sees_as_far_as_its_dilation():
    model, x = build("convnet5", 3, multiscale=(1, 2, 3, 4)), torch.full((1, 1, 64, 63), -40.0)
    x[..., 30, 30] = 0.0  # one loud point in what the network scales to zero
    seen = scale_decibel(model.front(x).detach())[0].abs() > 1e-6
    for scale, dilation in zip(seen, (1, 2, 3, 4), strict=True):
        rows, columns = torch.nonzero(scale, as_tuple=True)
        reach = {30 - dilation, 30, 30 + dilation}
        assert {int(r) for r in rows} == {int(c) for c in columns} == reach
        assert len(rows) == 9
