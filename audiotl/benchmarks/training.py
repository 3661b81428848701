"""A training step of DenseNet-121 as this package takes it, against the plain one."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable

import torch
from torch import Tensor, nn

from audiotl.benchmarks import median_seconds, row
from audiotl.models import DenseNet121
from audiotl.training import has_bfloat16

BATCH, BANDS, FRAMES = 32, 64, 128
RATE = 1e-3


def bench_densenet_step(runs: int = 5) -> list[dict]:
    """Forward, backward and AdamW step on 32 spectrograms of 64 x 128, both ways in turn."""
    before, threads = torch.get_num_threads(), min(2, os.cpu_count() or 1)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    x, targets = -80 * torch.rand(BATCH, 1, BANDS, FRAMES), torch.randint(0, 10, (BATCH,))
    model = DenseNet121(10)
    steps = [stepper(copy.deepcopy(model)), textbook_stepper(copy.deepcopy(model))]
    first = [step(x, targets) for step in steps]
    ours, theirs = median_seconds(*(lambda step=step: step(x, targets) for step in steps),
                                  runs=runs)
    last = [step(x, targets) for step in steps]
    torch.set_num_threads(before)
    return [row(f"DenseNet-121 training step, batch {BATCH}, {BANDS} x {FRAMES}", ours,
                "the plain step (float32, channels first)", theirs, threads,
                f"first loss equal to {abs(first[0] - first[1]):.0e}; after {runs + 1} steps "
                f"{last[0]:.2f} against {last[1]:.2f}")]


def stepper(model: nn.Module) -> Callable[[Tensor, Tensor], float]:
    """A training step as `training` takes it."""
    model.train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)

    def step(x: Tensor, targets: Tensor) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            outputs = model(x.contiguous(memory_format=torch.channels_last))
        return _descend(optimiser, outputs.float(), targets)

    return step


def textbook_stepper(model: nn.Module) -> Callable[[Tensor, Tensor], float]:
    """A training step as one would write it: nothing said of layout, precision or optimiser."""
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
    return lambda x, targets: _descend(optimiser, model(x), targets)


def _descend(optimiser: torch.optim.Optimizer, outputs: Tensor, targets: Tensor) -> float:
    loss = nn.functional.cross_entropy(outputs, targets)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.item()
