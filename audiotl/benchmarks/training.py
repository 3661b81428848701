"""A training step of each network as this package takes it, against the plain one."""

import copy
import os
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from audiotl import models, parallel
from audiotl.benchmarks import median_seconds, row, using
from audiotl.training import AdamW, find_device, has_bfloat16, is_large, lay_out

BATCH, BANDS, FRAMES = 32, 64, 63
NETWORKS = ("convnet5", "resnet18", "densenet121")


def bench_training_step() -> Iterator[dict]:
    """Forward, backward and AdamW step on 32 words of a second, both ways in turn, by network."""
    threads, device = min(2, os.cpu_count() or 1), find_device("auto")
    parallel.keep_freed_memory()  # as training does
    torch.manual_seed(0)
    x, targets = -80 * torch.rand(BATCH, 1, BANDS, FRAMES), torch.randint(0, 10, (BATCH,))
    x, targets = x.to(device), targets.to(device)
    kind = "bfloat16" if has_bfloat16(device) else "no bfloat16"
    for name in NETWORKS:
        model = models.build(name, 10).to(device)
        steps = [stepper(copy.deepcopy(model), plain) for plain in (False, True)]
        first, second = (step(x, targets) for step in steps)
        with using(threads):
            ours, theirs = median_seconds(*(partial(step, x, targets) for step in steps), runs=5)
        yield row(f"{name} training step, batch {BATCH}, {BANDS} x {FRAMES}, {device}, {kind}",
                  ours, "the plain step (float32, channels first)", theirs, threads,
                  f"first losses {first:.4f} and {second:.4f}, "
                  f"{'equal' if abs(first / second - 1) < 0.01 else 'NOT EQUAL'} within 1 %; "
                  f"{BATCH / ours:,.0f} clips a second")


def stepper(model: nn.Module, plain: bool = False) -> Callable[[Tensor, Tensor], float]:
    """A training step as `training` takes it, or `plain`: nothing said of layout or precision."""
    layout = torch.contiguous_format if plain else torch.channels_last
    model = model.train() if plain else lay_out(model.train())
    groups = [{"params": [*model.parameters()], "lr": 1e-3}]
    optimiser = AdamW(groups, fused=is_large(model) and not plain)

    def step(x: Tensor, targets: Tensor) -> float:
        half = has_bfloat16(x.device.type) and not plain
        with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
            outputs = model(x.contiguous(memory_format=layout))
        loss = nn.functional.cross_entropy(outputs.float(), targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return loss.item()

    return step
