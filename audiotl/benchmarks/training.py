"""A training step of DenseNet-121 as this package takes it, against the plain one."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from audiotl import datasets, stats
from audiotl.features import Features, features
from audiotl.models import DenseNet121
from audiotl.training import has_bfloat16, predict

BATCH, BANDS, FRAMES = 32, 64, 128
RATE = 1e-3


def bench_densenet_step(runs: int = 5, epochs: int = 2) -> list[dict]:
    """Forward, backward and AdamW step on 32 spectrograms of 64 x 128, both ways in turn.

    The check trains both ways on built-in sounds from the same weights in the same order, and
    compares them clip by clip on sounds that neither has seen.
    """
    before, threads = torch.get_num_threads(), min(2, os.cpu_count() or 1)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    x, targets = -80 * torch.rand(BATCH, 1, BANDS, FRAMES), torch.randint(0, 10, (BATCH,))
    model = DenseNet121(10)
    steps = {"ours": stepper(copy.deepcopy(model)),
             "theirs": textbook_stepper(copy.deepcopy(model))}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(runs + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            step(x, targets)
            if turn:
                times[name].append(time.perf_counter() - started)
    ours, theirs = float(np.median(times["ours"])), float(np.median(times["theirs"]))
    check = agreement(epochs)
    torch.set_num_threads(before)
    return [
        {
            "name": f"DenseNet-121 training step, batch {BATCH}, {BANDS} x {FRAMES}",
            "ours_s": ours,
            "peer": "the plain step (float32, channels first)",
            "peer_s": theirs,
            "ratio": theirs / ours,
            "threads": threads,
            "check": check,
        }
    ]


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


def agreement(epochs: int) -> str:
    """What to say of two short trainings from the same weights on the same batches."""
    sound = features(datasets.load("environment", size="smoke"), progress=False)
    fit, held = sound.corpus.splits()[0]
    torch.manual_seed(0)
    models = [DenseNet121(len(sound.corpus.classes)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    first, right = [], []
    for model, make in zip(models, (stepper, textbook_stepper), strict=True):
        losses = _short_run(make(model), sound, fit, epochs)
        first.append(losses[0])
        answers = predict(model, sound.spectrograms, held).argmax(1)
        right.append(answers == sound.corpus.targets()[held])
    difference, low, high = stats.paired_bootstrap(*right, sound.corpus.groups[held])
    return (
        f"first loss equal to {abs(first[0] - first[1]):.0e}; after {epochs} epochs accuracy "
        f"{right[0].mean():.2f} against {right[1].mean():.2f} on {len(held)} clips, difference "
        f"{difference:+.2f} [{low:+.2f}, {high:+.2f}]"
    )


def _short_run(
    step: Callable[[Tensor, Tensor], float], sound: Features, rows: np.ndarray, epochs: int
) -> list[float]:
    targets, rng, losses = torch.from_numpy(sound.corpus.targets()), np.random.default_rng(0), []
    for _ in range(epochs):
        for chunk in np.array_split(rng.permutation(rows), -(-len(rows) // BATCH)):
            start = rng.integers(0, sound.spectrograms.shape[2] - FRAMES + 1)
            part = sound.spectrograms[np.sort(chunk), :, start:start + FRAMES]
            x = torch.from_numpy(part.astype(np.float32))
            losses.append(step(x[:, None], targets[np.sort(chunk)]))
    return losses
