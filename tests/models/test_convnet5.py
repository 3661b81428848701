import pytest
import torch

from audiotl import AudiotlError
from audiotl.models import build
from audiotl.models.convnet5 import PAPER_POOLS, ConvNet5
from audiotl.models.layered import scale_decibel


def test_the_papers_input_ends_as_one_by_one_and_five_blocks_of_32():
    model, x = ConvNet5(50, pools=PAPER_POOLS).eval(), -80 * torch.rand(2, 1, 96, 1360)
    taps = model.taps(x)
    assert [tuple(tap.shape) for tap in taps.values()] == [(2, 32)] * 5
    assert torch.allclose(model.head(taps["layer5"]), model(x), atol=1e-6)


def test_pooling_before_the_elu_gives_the_papers_values():
    model, x = ConvNet5(10).eval(), -80 * torch.rand(2, 1, 64, 63)
    y = scale_decibel(x)
    for block in model.blocks:
        convolution, norm, pool, elu = block
        y = pool(elu(norm(convolution(y))))
    assert torch.allclose(model.head(y.mean((-2, -1))), model(x), atol=1e-5)


def test_clips_of_any_length_and_other_channels():
    assert ConvNet5(4, in_channels=4)(torch.zeros(2, 4, 64, 33)).shape == (2, 4)
    with pytest.raises(AudiotlError, match="resnet9"):
        build("resnet9", 10)
