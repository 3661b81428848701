"""The one training loop: a recipe, an inner validation split by groups, checkpoints, exact resume."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from tqdm.auto import tqdm

from audiotl import AudiotlError, cache, checkpoints, models, parallel
from audiotl.augmentation import augment
from audiotl.datasets.corpus import check_split
from audiotl.features import Features
from audiotl.finetuning import Start, adopt, rates
from audiotl.models.weights import weights_key

VERSION = 1
"""Raised whenever the same recipe would give another network."""

CHECKPOINT_SECONDS = 60.0
"""A run that is cut off loses the epoch it was in, or this much work where epochs are short."""

LARGE = 1_000_000
"""Weights from which the optimiser's fused step and half precision pay; smaller networks are trained as ever."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained; equal recipes on equal data give equal networks.

    Args:
        epochs: passes over the training clips; the learning rate warms up and falls to zero over them.
        batch: clips a step.
        learning_rate: peak rate of AdamW.
        weight_decay: of AdamW.
        crop: frames of the random excerpt taken of each clip at each epoch; 0 takes whole clips.
        mixup: parameter of the Beta distribution that mixes pairs of clips; 0 mixes none (see `augmentation`).
        mask: largest fraction of bands, and of frames, hidden in a clip; 0 hides none.
        tilt: largest spectral tilt in dB at the edges of the band axis; 0 tilts none.
        validation: fraction of the training groups kept aside to draw the curves (and to stop).
        patience: epochs without a better validation loss before stopping, best weights kept; 0 runs all
            epochs and keeps the last weights, so that nothing is selected.
        seed: of weights, order and crops.
        steps: optimiser steps after which the last epoch is cut short; 0 takes every epoch whole.
    """

    epochs: int = 25
    batch: int = 32
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    crop: int = 128
    mixup: float = 0.0
    mask: float = 0.0
    tilt: float = 0.0
    validation: float = 0.03
    patience: int = 0
    seed: int = 0
    steps: int = 0

    def key(self) -> dict:
        """What determines a network, for keys; those made before there were cut epochs stay valid."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value or name != "steps"}


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained network, its curves and its scores on the held-out test clips.

    Args:
        model: in evaluation mode.
        history: one row an epoch: ``epoch, train_loss, validation_loss, validation_score, seconds``.
        test_rows: rows of the features' corpus that were tested.
        outputs: logits of the test clips, ``(n_test, n_classes)``.
        score: test accuracy, or mean AUC over tags.
        key: content key of the weights.
    """

    model: nn.Module
    history: pd.DataFrame
    test_rows: np.ndarray
    outputs: np.ndarray
    score: float
    key: str


def train(features: Features, split: tuple[np.ndarray, np.ndarray], recipe: Recipe = Recipe(),  # noqa: B008
          network: str = "convnet5", progress: bool = True, start: Start | None = None, **settings) -> Trained:
    """Train a network by name on one split, from the cache where the same was trained before.

    A run that was cut off goes on from its last checkpoint, a whole epoch, to the same end. Networks of more than
    a million weights are trained with AdamW's fused step, and in bfloat16 on processors that multiply it natively
    (AMX or AVX-512 BF16; elsewhere bfloat16 is slower than float32).

    Args:
        features: of the source corpus; tags are trained with a sigmoid each, classes with a softmax.
        split: train and test rows.
        start: pretrained weights; None starts from random ones.
        **settings: of the network.

    Raises:
        LeakError: the split has a group on both sides.
        AudiotlError: the weights to start from are another network's.
    """
    train_rows, test_rows = split
    corpus = features.corpus
    check_split(corpus.groups, train_rows, test_rows, where=f"the training split of {corpus.name}")
    key = network_key(features, split, recipe, network, start, **settings)
    torch.manual_seed(recipe.seed)
    model = models.build(network, len(corpus.classes), **settings)
    if start is not None:
        adopt(model, start.model)

    def make(folder: Path) -> None:
        parallel.keep_freed_memory()
        history = _loop(model, features, train_rows, recipe, key, progress,
                        1.0 if start is None else start.early)
        weights = {name: value.contiguous() for name, value in model.state_dict().items()}
        (folder / "model.safetensors").write_bytes(save(weights))
        np.save(folder / "outputs.npy", predict(model, features.spectrograms, test_rows))
        history.to_csv(folder / "history.csv", index=False)

    folder = cache.entry("networks", key, make)
    checkpoints.drop(key)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    outputs = np.load(folder / "outputs.npy")
    return Trained(model.eval(), pd.read_csv(folder / "history.csv"), test_rows, outputs,
                   score(outputs, corpus.targets()[test_rows]), key)


def network_key(features: Features, split: tuple[np.ndarray, np.ndarray], recipe: Recipe, network: str,
                start: Start | None = None, **settings) -> str:
    """The content key of what `train` makes of the same arguments, without making it."""
    corpus = features.corpus
    return cache.key_of("training", VERSION, features.key, [list(corpus.classes), corpus.clips["label"].tolist()],
                        *(rows.tolist() for rows in split), recipe.key(), network,
                        settings | ({"start": [weights_key(start.model), start.early]} if start else {}))


def untrained(features: Features, network: str = "convnet5", seed: int = 0, **settings) -> nn.Module:
    """A network of random weights, with batch-norm statistics of the sound in `features` (no labels are used).

    Without the statistics a random deep network is a nearly linear map of shrinking values, too weak a baseline.
    """
    torch.manual_seed(seed)
    model = models.build(network, len(features.corpus.classes), **settings)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    rows = np.random.default_rng(seed).permutation(len(features.corpus))[:256]
    model.train()
    with torch.no_grad():
        for chunk in np.array_split(rows, 8):
            model(_batch(features.spectrograms, chunk))
    return model.eval()


def predict(model: nn.Module, spectrograms: np.ndarray, rows: np.ndarray, batch: int = 64) -> np.ndarray:
    """Logits of whole clips, ``(len(rows), n_classes)`` float32."""
    model = model.eval().to(memory_format=torch.channels_last)
    with torch.inference_mode():
        parts = [model(_batch(spectrograms, rows[i:i + batch])).numpy() for i in range(0, len(rows), batch)]
    return np.concatenate(parts)


def score(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Accuracy of class logits, or mean AUC over the tags that have both a 0 and a 1 among `targets`."""
    if targets.ndim == 1:
        return float((outputs.argmax(1) == targets).mean())
    both = (targets.min(0) == 0) & (targets.max(0) == 1)
    return float(np.mean([roc_auc_score(targets[:, k], outputs[:, k]) for k in np.flatnonzero(both)]))


def inner_split(groups: np.ndarray, rows: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole groups of `rows` set aside until they make up `fraction` of the clips: ``(fit, validation)`` rows."""
    names, member = np.unique(groups[rows], return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    size = np.bincount(member)[order]
    aside = order[np.cumsum(size) <= fraction * len(rows)]
    held = np.isin(member, aside)
    return rows[~held], rows[held]


def _loop(model: nn.Module, features: Features, rows: np.ndarray, recipe: Recipe, key: str,
          progress: bool, early: float) -> pd.DataFrame:
    corpus, targets = features.corpus, torch.from_numpy(features.corpus.targets())
    fit_rows, validation = inner_split(corpus.groups, rows, recipe.validation, recipe.seed)
    if len(fit_rows) < 2:
        raise AudiotlError(f"{corpus.name} leaves {len(fit_rows)} clips to train on; use more clips or larger folds.")
    criterion = nn.BCEWithLogitsLoss() if corpus.multilabel else nn.CrossEntropyLoss()
    encoded = targets if corpus.multilabel else nn.functional.one_hot(targets, len(corpus.classes)).float()
    model.to(memory_format=torch.channels_last)
    large = sum(p.numel() for p in model.parameters()) > LARGE
    groups = rates(model, recipe.learning_rate, early)
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=large)
    half = large and has_bfloat16()
    a_pass = -(-len(fit_rows) // recipe.batch)
    steps = min(recipe.steps or np.inf, a_pass * recipe.epochs)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [group["lr"] for group in groups],
                                                   total_steps=steps)
    history: list[dict] = []
    best: dict[str, Tensor] | None = None
    state = checkpoints.last(key, recipe.epochs)
    if state is not None:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        history, best = state["history"], state["best"]
    bar = tqdm(total=recipe.epochs, initial=len(history), desc=f"training on {corpus.name}", unit="epoch",
               disable=not progress)
    saved = time.perf_counter()
    while len(history) < recipe.epochs and not _stalled(history, recipe.patience):
        started, epoch = time.perf_counter(), len(history)
        # Order and crops depend on seed and epoch alone, so a resumed run draws what an unbroken one does.
        torch.manual_seed(1_000_003 * recipe.seed + epoch)
        rng = np.random.default_rng([recipe.seed, epoch])
        order = rng.permutation(fit_rows)[:(steps - epoch * a_pass) * recipe.batch]
        losses = []
        model.train()
        if early == 0:
            for stage in model.stages[:-1]:
                stage.eval()
        for first in range(0, len(order), recipe.batch):
            chunk = order[first:first + recipe.batch]
            x = _batch(features.spectrograms, chunk, recipe.crop, rng)
            x, answers = augment(x, encoded[chunk], rng, recipe.tilt, recipe.mask, recipe.mixup)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                outputs = model(x)
            loss = criterion(outputs.float(), answers)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item() * len(chunk))
        row = {"epoch": epoch + 1, "train_loss": sum(losses) / len(order)}
        if len(validation):
            outputs = predict(model, features.spectrograms, validation)
            row["validation_loss"] = criterion(torch.from_numpy(outputs), targets[validation]).item()
            row["validation_score"] = score(outputs, targets[validation].numpy())
            if recipe.patience and row["validation_loss"] <= min(
                    [past["validation_loss"] for past in history], default=np.inf):
                best = {k: v.detach().clone() for k, v in model.state_dict().items()}
        history.append(row | {"seconds": time.perf_counter() - started})
        if time.perf_counter() - saved >= CHECKPOINT_SECONDS:
            checkpoints.keep(key, len(history), {"model": model.state_dict(), "optimiser": optimiser.state_dict(),
                                            "schedule": schedule.state_dict(), "history": history, "best": best})
            saved = time.perf_counter()
        bar.update()
        bar.set_postfix({name: f"{row[name]:.3f}" for name in ("train_loss", "validation_score") if name in row})
    bar.close()
    if best is not None:
        model.load_state_dict(best)
    model.requires_grad_(True)
    return pd.DataFrame(history)


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 natively."""
    can = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(can.get("amx_bf16") or can.get("avx512_bf16"))


def _stalled(history: list[dict], patience: int) -> bool:
    if not patience or len(history) <= patience:
        return False
    losses = [row.get("validation_loss", np.inf) for row in history]
    return int(np.argmin(losses)) < len(losses) - patience


def _batch(spectrograms: np.ndarray, rows: np.ndarray, crop: int = 0, rng: np.random.Generator | None = None) -> Tensor:
    frames = spectrograms.shape[2]
    if rng is None or not 0 < crop < frames:
        x = np.stack([spectrograms[row] for row in rows])
    else:
        starts = rng.integers(0, frames - crop + 1, len(rows))
        x = np.stack([spectrograms[row, :, s:s + crop] for row, s in zip(rows, starts, strict=True)])
    return torch.from_numpy(x).float()[:, None].contiguous(memory_format=torch.channels_last)
