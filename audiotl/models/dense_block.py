"""A dense block in training, computed so that a step takes less time: the same function, gradients and statistics.

Written as in the paper, every layer of a dense block copies all maps before it into one tensor and normalises them
anew, forward and backward. But a map has the same batch mean and variance whichever layer reads it. So here each
map is normalised once, when it is made, into one buffer that all later layers read in place; a layer only scales,
shifts and rectifies what it reads, and only the gradients with respect to the normalised maps are summed up, in a
second buffer. Work goes by chunks of a few images that stay in the processor's cache between one operation and the
next. What the backward pass can make again cheaply is not kept.

Arrays are ``(pixels, maps)``: the rows of a channels-last tensor.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

CHUNK = 1 << 18
"""Numbers of the widest array in a chunk: 1 MiB in single precision."""


def dense_block(x: Tensor, layers: Sequence[nn.Module], norm: nn.BatchNorm2d) -> Tensor:
    """``relu(norm(maps))`` of all the maps that a dense block in training has at its end.

    Args:
        x: maps that come in, ``(batch, c, height, width)``.
        layers: with `norm1`, `conv1` (1x1), `norm2` and `conv2` (3x3); their running statistics are updated.
        norm: the batch norm that follows the block.

    Returns:
        ``(batch, c + new, height, width)``, channels last.
    """
    weights = [p for layer in layers for p in (layer.norm1.weight, layer.norm1.bias, layer.conv1.weight,
                                               layer.norm2.weight, layer.norm2.bias, layer.conv2.weight)]
    out, mean, variance, *inner = _DenseBlock.apply(x, norm.eps, norm.weight, norm.bias, *weights)
    pixels = x.numel() // x.shape[1]
    for k, layer in enumerate(layers):
        maps = layer.norm1.num_features
        _track(layer.norm1, mean[:maps], variance[:maps], pixels)
        _track(layer.norm2, inner[2 * k], inner[2 * k + 1], pixels)
    _track(norm, mean, variance, pixels)
    return out


def _track(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, pixels: int) -> None:
    norm.num_batches_tracked += 1
    share = 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance * (pixels / (pixels - 1)), share)


class _DenseBlock(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, eps, gain, shift, *weights):
        batch, first, height, width = x.shape
        size, n = height * width, batch * height * width
        layers = [weights[i:i + 6] for i in range(0, len(weights), 6)]
        growth = layers[0][5].shape[0]
        maps = first + growth * len(layers)
        buffer, mean, variance, inverse = x.new_empty(n, maps), *(x.new_empty(maps) for _ in range(3))
        inner, kept = [], []

        def normalised(new: Tensor, start: int) -> None:
            here = slice(start, start + new.shape[1])
            mean[here], variance[here] = torch.batch_norm_update_stats(new, None, None, 0.0)
            inverse[here] = (variance[here] + eps).rsqrt()
            torch.mul(new - mean[here], inverse[here], out=buffer[:, here])

        normalised(_rows(x), 0)
        for k, (gain1, shift1, weight1, gain2, shift2, weight2) in enumerate(layers):
            read = first + growth * k
            middle = weight1.shape[0]
            hidden, new = x.new_empty(n, middle), x.new_empty(n, growth)
            for rows in _chunks(batch, size, read):
                a = torch.addcmul(shift1, buffer[rows, :read], gain1).clamp_min_(0)
                torch.mm(a, weight1.view(middle, read).T, out=hidden[rows])
            m, v = torch.batch_norm_update_stats(hidden, None, None, 0.0)
            i = (v + eps).rsqrt()
            for rows in _chunks(batch, size, middle):
                h = hidden[rows].sub_(m).mul_(i)
                z = torch.addcmul(shift2, h, gain2).clamp_min_(0)
                new[rows] = _rows(torch.conv2d(_images(z, height, width), weight2, padding=1))
            normalised(new, read)
            inner += [m, v]
            kept += [hidden, i]
        out = torch.addcmul(shift, buffer, gain).clamp_min_(0)
        ctx.save_for_backward(buffer, inverse, out, gain, *weights, *kept)
        ctx.shape = x.shape
        ctx.mark_non_differentiable(mean, variance, *inner)
        return _images(out, height, width), mean, variance, *inner

    @staticmethod
    def backward(ctx, grad, *_):
        batch, first, height, width = ctx.shape
        size, n = height * width, batch * height * width
        buffer, inverse, out, gain, *rest = ctx.saved_tensors
        count = len(rest) // 8
        weights, kept = rest[:6 * count], rest[6 * count:]
        growth = weights[5].shape[0]
        # Gradients with respect to the normalised maps; each is complete when every layer that reads it is done.
        grads = torch.ops.aten.threshold_backward(_rows(grad), out, 0)
        found = [torch.mul(grads, buffer).sum(0), grads.sum(0)]
        grads.mul_(gain)
        layers = []

        def raw(start: int, stop: int) -> Tensor:
            g, x = grads[:, start:stop], buffer[:, start:stop]
            return (g - g.mean(0) - x * (g * x).mean(0)).mul_(inverse[start:stop])

        for k in reversed(range(count)):
            gain1, shift1, weight1, gain2, shift2, weight2 = weights[6 * k:6 * k + 6]
            hidden, i = kept[2 * k:2 * k + 2]
            read, middle = first + growth * k, weight1.shape[0]
            from_new = raw(read, read + growth)
            back, kernel = torch.empty_like(hidden), torch.zeros_like(weight2)
            by_gain2, by_shift2 = torch.zeros_like(gain2), torch.zeros_like(gain2)
            for rows in _chunks(batch, size, middle):
                h = hidden[rows]
                z = torch.addcmul(shift2, h, gain2).clamp_min_(0)
                g, by_kernel, _ = torch.ops.aten.convolution_backward(
                    _images(from_new[rows], height, width), _images(z, height, width), weight2, None, [1, 1], [1, 1],
                    [1, 1], False, [0, 0], 1, [True, True, False])
                kernel += by_kernel
                g = torch.ops.aten.threshold_backward.grad_input(_rows(g), z, 0, grad_input=back[rows])
                by_shift2 += g.sum(0)
                by_gain2 += torch.mul(g, h, out=z).sum(0)
            scale = (gain2 * i)[:, None]
            matrix = weight1.view(middle, read)
            scaled, by_matrix = scale * matrix, torch.zeros_like(matrix)
            by_gain1, by_shift1 = torch.zeros_like(gain1), torch.zeros_like(gain1)
            for rows in _chunks(batch, size, read):
                x = buffer[rows, :read]
                h = torch.addcmul(back[rows], hidden[rows], by_gain2, value=-1 / n).sub_(by_shift2 / n)
                a = torch.addcmul(shift1, x, gain1).clamp_min_(0)
                by_matrix.addmm_(h.T, a)
                g = torch.mm(h, scaled)
                torch.ops.aten.threshold_backward.grad_input(g, a, 0, grad_input=g)
                by_shift1 += g.sum(0)
                by_gain1 += torch.mul(g, x, out=a).sum(0)
                grads[rows, :read].addcmul_(g, gain1)
            layers = [by_gain1, by_shift1, (scale * by_matrix).view_as(weight1), by_gain2, by_shift2, kernel, *layers]
        return _images(raw(0, first), height, width), None, *found, *layers


def _rows(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _images(rows: Tensor, height: int, width: int) -> Tensor:
    return rows.view(-1, height, width, rows.shape[1]).permute(0, 3, 1, 2)


def _chunks(batch: int, pixels: int, maps: int) -> list[slice]:
    images = max(1, CHUNK // (pixels * maps))
    return [slice(i * pixels, min(i + images, batch) * pixels) for i in range(0, batch, images)]
