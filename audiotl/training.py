"""The one training loop: a recipe, whole groups set aside, augmentation, checkpoints, exact resume.

Read `_fit` for the loop over epochs and `_epoch` for the steps of one.
"""

import contextlib
import dataclasses
import io
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from tqdm import tqdm

from audiotl import AudiotlError, cache, models, parallel
from audiotl.datasets.corpus import Corpus, Split, check_split
from audiotl.features import Features
from audiotl.models.resnet import Convolution
from audiotl.models.start import Start

VERSION = 1  # raised whenever the same recipe would give another network
CHECKPOINT_SECONDS = 60.0
"""A run that is cut off loses the epoch it was in, or this much work where epochs are short."""

MOVING = "model", "optimiser", "schedule"  # what of a state is written to checkpoints
NEAR = 0.05  # how far whole passes may be from a budget of steps, as a part of it


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained; equal recipes on equal data give equal networks.

    Args:
        epochs: passes over the clips; the learning rate warms up and falls to zero over them.
        batch: clips a step.
        learning_rate: peak rate of AdamW.
        weight_decay: of AdamW.
        crop: frames of the random excerpt of each clip at each epoch; 0 takes whole clips.
        mixup, mask, tilt: see `augment`; 0 is off.
        validation: fraction of the training groups kept aside to draw the curves (and to stop).
        patience: epochs without a better validation loss before stopping, best weights kept; 0
            runs all epochs and keeps the last weights, so that nothing is selected.
        seed: of weights, order and crops.
        steps: optimiser steps after which the last epoch is cut short; 0 takes it whole.
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
        """What determines a network, for keys."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if value or name != "steps"}


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained network, its curves and its scores on the held-out test clips.

    The history has ``epoch, train_loss, validation_loss, validation_score, seconds``.
    """

    model: nn.Module  # in evaluation mode, on the CPU
    history: pd.DataFrame
    test_rows: np.ndarray  # rows of the corpus
    outputs: np.ndarray  # logits of the test clips, (n_test, n_classes)
    score: float  # accuracy, or mean AUC over tags
    key: str  # of the weights


def train(features: Features, split: Split, recipe: Recipe = Recipe(),  # noqa: B008
          network: str = "convnet5", progress: bool = True, start: Start | None = None,
          device: str = "cpu", **settings) -> Trained:
    """Train a network by name on one split, from the cache where the same was trained before.

    A run that was cut off goes on from its last checkpoint to the same end. Products are taken in
    bfloat16 where the device multiplies it natively (`has_bfloat16`).

    Args:
        features: of the source corpus; tags get a sigmoid each, classes a softmax.
        start: pretrained weights; None starts from random ones.
        device: see `find_device`. Order, crops and augmentation are the same on each; a GPU holds
            the spectrograms for as long as it trains.

    Raises:
        LeakError: the split has a group on both sides.
        AudiotlError: weights of another network to start from, or too few clips.
    """
    corpus, device = features.corpus, find_device(device)
    check_split(corpus.groups, *split, where=f"the training split of {corpus.name}")
    content = _content(features, split, recipe, network, start, device, settings)
    torch.manual_seed(recipe.seed)
    model = models.build(network, len(corpus.classes), **settings)
    if start is not None:
        start.copy_to(model)
    folder = _trained(*content, model=model.to(device), features=features, split=split,
                      recipe=recipe, start=start, progress=progress)
    key = _trained.key(*content)
    drop_checkpoints(key)
    model.cpu().load_state_dict(load_file(folder / "model.safetensors"))
    outputs = np.load(folder / "outputs.npy")
    return Trained(model.eval(), pd.read_csv(folder / "history.csv"), split[1], outputs,
                   score(outputs, corpus.targets()[split[1]]), key)


def find_device(name: str) -> str:
    """A device, if this machine has it; for ``"auto"`` CUDA, else Apple's MPS, else the CPU."""
    usable = ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    usable.append("cpu")
    if name not in ("auto", *usable):
        raise AudiotlError(f"The device {name!r} is not on this machine, which has "
                           f"{', '.join(usable)}; give one of these, or auto.")
    return usable[0] if name == "auto" else name


def network_key(features: Features, split: Split, recipe: Recipe, network: str,
                start: Start | None = None, device: str = "cpu", **settings) -> str:
    """The content key of what `train` makes of the same arguments, without making it."""
    return _trained.key(*_content(features, split, recipe, network, start, device, settings))


def _content(features: Features, split: Split, recipe: Recipe, network: str,
             start: Start | None, device: str, settings: dict) -> list:
    labels = [list(features.corpus.classes), features.corpus.clips["label"].tolist()]
    settings = (settings | ({"start": start.key} if start else {})
                | ({"device": device} if device != "cpu" else {}))
    return [features.key, labels, *(rows.tolist() for rows in split), recipe.key(), network,
            settings]


@cache.step("training", VERSION, home="networks")
def _trained(folder: Path, *content, model: nn.Module, features: Features, split: Split,
             recipe: Recipe, start: Start | None, progress: bool) -> None:
    parallel.keep_freed_memory()
    key = _trained.key(*content)
    history = _fit(model, features, split[0], recipe, key, start, progress)
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    (folder / "model.safetensors").write_bytes(save(weights))
    np.save(folder / "outputs.npy", predict(model, features.spectrograms, split[1]))
    history.to_csv(folder / "history.csv", index=False)


@dataclasses.dataclass
class _State:
    # All that the next epoch depends on, beside seed and epoch.
    model: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    history: list[dict]
    best: dict[str, Tensor] | None = None


def _fit(model: nn.Module, features: Features, rows: np.ndarray, recipe: Recipe, key: str,
         start: Start | None, progress: bool) -> pd.DataFrame:
    corpus = features.corpus
    fit_rows, held = inner_split(corpus.groups, rows, recipe.validation, recipe.seed)
    if len(fit_rows) < 2:
        raise AudiotlError(f"{corpus.name} leaves {len(fit_rows)} clips to train on; use more "
                           "clips or larger folds.")
    state = _begin(model, recipe, len(fit_rows), start)
    # A state goes on only with weights that lie as they did.
    key += "-first" * any(getattr(layer, "channels_first", False) for layer in model.modules())
    device = next(model.parameters()).device
    if device.type != "cpu":  # a GPU gets all spectrograms once
        levels = torch.tensor(features.spectrograms).to(device)
        features = dataclasses.replace(features, spectrograms=levels)
    resume(key, recipe.epochs, state)
    bar = tqdm(total=recipe.epochs, initial=len(state.history), unit="epoch",
               desc=f"training on {corpus.name}", disable=not progress)
    saved = time.perf_counter()
    while len(state.history) < recipe.epochs and not _stalled(state.history, recipe.patience):
        started = time.perf_counter()
        row = {"epoch": len(state.history) + 1}
        row["train_loss"] = _epoch(state, features, fit_rows, recipe)
        if len(held):
            row |= _validate(state, features, held, recipe.patience)
        state.history.append(row | {"seconds": time.perf_counter() - started})
        if time.perf_counter() - saved >= CHECKPOINT_SECONDS:
            keep_checkpoint(key, len(state.history), state)
            saved = time.perf_counter()
        bar.update()
    bar.close()
    if state.best is not None:
        model.load_state_dict(state.best)
    return pd.DataFrame(state.history)


def _begin(model: nn.Module, recipe: Recipe, clips: int, start: Start | None) -> _State:
    lay_out(model)
    groups = (start.rates(model, recipe.learning_rate) if start is not None
              else [{"params": [*model.parameters()], "lr": recipe.learning_rate}])
    optimiser = AdamW(groups, weight_decay=recipe.weight_decay, fused=is_large(model))
    steps = -(-clips // recipe.batch) * recipe.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in groups], min(recipe.steps or steps, steps))
    return _State(model, optimiser, schedule, [])


class AdamW(torch.optim.AdamW):
    """AdamW on weights as they lie in memory: torch's fused step copies channels-last ones.

    A step takes the gradients of those away.
    """

    def __init__(self, groups: list[dict], **settings):
        self.views: list[tuple[Tensor, Tensor]] = []
        super().__init__([group | {"params": [*map(self._view, group["params"])]}
                          for group in groups], **settings)

    def _view(self, weight: Tensor) -> Tensor:
        if weight.is_contiguous():
            return weight
        self.views.append((weight, weight.detach().permute(0, 2, 3, 1)))
        return self.views[-1][1]

    def step(self) -> None:
        """One step; see `torch.optim.AdamW`."""
        for weight, view in self.views:
            if weight.grad is not None:  # a frozen one has none
                view.grad, weight.grad = weight.grad.permute(0, 2, 3, 1), None
        super().step()


def _epoch(state: _State, features: Features, rows: np.ndarray, recipe: Recipe) -> float:
    # One pass over the clips in a new order: the mean loss.
    model, epoch, losses = state.model, len(state.history), []
    device = next(model.parameters()).device
    half = has_bfloat16(device.type)
    criterion, _, encoded = _answers(features.corpus)
    # Order and crops depend on seed and epoch alone, so a resumed run draws what a whole one does.
    torch.manual_seed(1_000_003 * recipe.seed + epoch)
    rng = np.random.default_rng([recipe.seed, epoch])
    left = (recipe.steps or np.inf) - epoch * -(-len(rows) // recipe.batch)
    order = rng.permutation(rows)[:int(min(left * recipe.batch, len(rows)))]
    model.train()
    for first in range(0, len(order), recipe.batch):
        chunk = order[first:first + recipe.batch]
        x = _batch(features.spectrograms, chunk, recipe.crop, rng)
        x, answers = augment(x, encoded[chunk].to(device), rng, recipe.tilt, recipe.mask,
                             recipe.mixup)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            outputs = model(x)
        loss = criterion(outputs.float(), answers)
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        state.optimiser.step()
        state.schedule.step()
        losses.append((loss.detach(), len(chunk)))
    # Read once an epoch: a GPU would stop at each step to answer.
    return sum(loss.item() * clips for loss, clips in losses) / len(order)


def _validate(state: _State, features: Features, rows: np.ndarray, patience: int) -> dict:
    # Loss and score of the clips set aside; the weights are remembered if they are the best so far.
    criterion, targets, _ = _answers(features.corpus)
    outputs = predict(state.model, features.spectrograms, rows)
    loss = criterion(torch.from_numpy(outputs), targets[rows]).item()
    if patience and loss <= min((row["validation_loss"] for row in state.history), default=np.inf):
        weights = state.model.state_dict()
        state.best = {name: value.detach().clone() for name, value in weights.items()}
    return {"validation_loss": loss, "validation_score": score(outputs, targets[rows].numpy())}


def _answers(corpus: Corpus) -> tuple[nn.Module, Tensor, Tensor]:
    # The loss, and the targets as they are and as floats ``(n, n_classes)``, which mixup blends.
    if corpus.numeric:
        raise AudiotlError(f"{corpus.name} has numbers for labels, and networks are trained on "
                           "classes or tags; choose another source.")
    targets = torch.from_numpy(corpus.targets())
    if corpus.multilabel:
        return nn.BCEWithLogitsLoss(), targets, targets
    encoded = nn.functional.one_hot(targets, len(corpus.classes)).float()
    return nn.CrossEntropyLoss(), targets, encoded


def _stalled(history: list[dict], patience: int) -> bool:
    losses = [row.get("validation_loss", np.inf) for row in history]
    return 0 < patience < len(losses) and np.argmin(losses) < len(losses) - patience


def _batch(levels: np.ndarray | Tensor, rows: np.ndarray, crop: int = 0,
           rng: np.random.Generator | None = None) -> Tensor:
    frames, starts = levels.shape[2], np.zeros(len(rows), int)
    if rng is not None and 0 < crop < frames:
        starts, frames = rng.integers(0, frames - crop + 1, len(rows)), crop
    if isinstance(levels, Tensor):
        rows, starts = (torch.from_numpy(each).to(levels.device) for each in (rows, starts))
        frame = starts[:, None, None] + torch.arange(frames, device=levels.device)
        x = levels[rows].gather(2, frame.expand(-1, levels.shape[1], -1))
    else:
        x = torch.from_numpy(np.stack([levels[row, :, start:start + frames]
                                       for row, start in zip(rows, starts, strict=True)]))
    return x.float()[:, None].contiguous(memory_format=torch.channels_last)


def augment(x: Tensor, targets: Tensor, rng: np.random.Generator, tilt: float = 0.0,
            mask: float = 0.0, mixup: float = 0.0) -> tuple[Tensor, Tensor]:
    """Tilt, mask and mix a batch of decibel spectrograms; each is off at 0.

    Args:
        tilt: largest slope in dB at the edges of the band axis, as of another microphone.
        mask: largest fraction of bands, and of frames, in whose place each clip gets its mean
            (Park et al. 2019).
        mixup: parameter of the Beta distribution by which pairs of clips and their targets are
            blended (Zhang et al. 2018).

    Shape:
        `x` ``(batch, 1, bands, frames)``, `targets` ``(batch, n_classes)`` float; the same out.
    """
    batch, _, bands, frames = x.shape
    if tilt:
        slope = rng.uniform(-tilt, tilt, (batch, 1, 1, 1)) * np.linspace(-1, 1, bands)[:, None]
        x = x + torch.from_numpy(slope.astype(np.float32)).to(x.device)
        x = (x - x.amax((1, 2, 3), keepdim=True)).clamp(min=-80)
    if mask:
        mean = x.mean((1, 2, 3), keepdim=True)
        bands_hidden, frames_hidden = (_hidden(length, batch, mask, rng).to(x.device)
                                       for length in (bands, frames))
        x = torch.where(bands_hidden[:, None, :, None], mean, x)
        x = torch.where(frames_hidden[:, None, None, :], mean, x)
    if mixup:
        share = rng.beta(mixup, mixup, batch).astype(np.float32)
        share = torch.from_numpy(np.maximum(share, 1 - share))[:, None].to(x.device)
        other = torch.from_numpy(rng.permutation(batch))
        x = share[..., None, None] * x + (1 - share)[..., None, None] * x[other]
        targets = share * targets + (1 - share) * targets[other]
    return x, targets


def _hidden(length: int, batch: int, mask: float, rng: np.random.Generator) -> Tensor:
    width = rng.integers(0, max(1, round(mask * length)) + 1, batch)
    start = rng.integers(0, length - width + 1)
    place = np.arange(length)[None]
    return torch.from_numpy((place >= start[:, None]) & (place < (start + width)[:, None]))


def keep_checkpoint(key: str, epoch: int, state: _State) -> None:
    """Write down where training stands; the one before is kept too, in case this is cut off."""
    with cache.making("checkpoints", f"{key}-{epoch:04d}") as folder:
        content = io.BytesIO()  # written by Python, so that a full disk is an OSError
        parts = {name: getattr(state, name).state_dict() for name in MOVING}
        torch.save(parts | {"best": state.best}, content)
        (folder / "training.pt").write_bytes(content.getbuffer())
        (folder / "history.json").write_text(json.dumps(state.history))
    drop_checkpoints(key, but=2)


def resume(key: str, epochs: int, state: _State) -> None:
    """Set `state` to the last checkpoint, if there is one. What is damaged is passed over."""
    for epoch in range(epochs, 0, -1):
        folder = cache.find("checkpoints", f"{key}-{epoch:04d}")
        if folder is None:
            continue
        # Another process that is further on with the same network drops old checkpoints.
        with contextlib.suppress(FileNotFoundError):
            parts = torch.load(folder / "training.pt", "cpu", weights_only=True)
            history = json.loads((folder / "history.json").read_text())
            for name in MOVING:
                getattr(state, name).load_state_dict(parts[name])
            state.best, state.history = parts["best"], history
            return


def drop_checkpoints(key: str, but: int = 0) -> None:
    """Forget the checkpoints of a network, all but the latest `but`."""
    folders = sorted((cache.cache_root() / "checkpoints").glob(f"{key}-*"))
    for folder in folders[:len(folders) - but]:
        cache.drop(folder)


def untrained(features: Features, network: str = "convnet5", seed: int = 0,
              **settings) -> nn.Module:
    """A network of random weights, `calibrated` on the sound: else too weak a baseline."""
    torch.manual_seed(seed)
    model = models.build(network, len(features.corpus.classes), **settings)
    return calibrated(model, features, seed)


def calibrated(model: nn.Module, features: Features, seed: int = 0) -> nn.Module:
    """The network with its batch-norm statistics measured anew on 256 clips; no labels are used.

    Li et al., "Revisiting batch normalization for practical domain adaptation" (2016).
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    rows = np.random.default_rng(seed).permutation(len(features.corpus))[:256]
    model.train()
    with torch.no_grad():
        for chunk in np.array_split(rows, 8):
            model(_batch(features.spectrograms, chunk))
    return model.eval()


def predict(model: nn.Module, spectrograms: np.ndarray | Tensor, rows: np.ndarray) -> np.ndarray:
    """Logits of whole clips, ``(len(rows), n_classes)`` float32."""
    model = lay_out(model.eval())
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = [model(_batch(spectrograms, part).to(device)).cpu().numpy()
                 for part in np.split(rows, range(64, len(rows), 64))]
    return np.concatenate(parts)


def score(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Accuracy of class logits, or mean AUC over the tags with both a 0 and a 1 in `targets`."""
    if targets.ndim == 1:
        return float((outputs.argmax(1) == targets).mean())
    both = np.flatnonzero((targets.min(0) == 0) & (targets.max(0) == 1))
    return float(np.mean([roc_auc_score(targets[:, k], outputs[:, k]) for k in both]))


def inner_split(groups: np.ndarray, rows: np.ndarray, fraction: float, seed: int) -> Split:
    """Whole groups set aside up to `fraction` of the clips `rows`: ``(fit, validation)`` rows."""
    names, member = np.unique(groups[rows], return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    size = np.bincount(member)[order]
    held = np.isin(member, order[np.cumsum(size) <= fraction * len(rows)])
    return rows[~held], rows[held]


def budget(recipe: Recipe, groups: np.ndarray, rows: np.ndarray, steps: int) -> tuple[Recipe, int]:
    """The recipe with `steps` optimiser steps on these rows, and how many it takes.

    Whole passes over the rows where some number of them comes within `NEAR` of `steps`, else the
    last pass is cut. With 0 `steps` the recipe stays as it is.
    """
    fitted, _ = inner_split(groups, rows, recipe.validation, recipe.seed)
    a_pass = -(-len(fitted) // recipe.batch)
    if steps == 0:
        return recipe, recipe.epochs * a_pass
    epochs = max(1, round(steps / a_pass))
    if abs(epochs * a_pass - steps) <= NEAR * steps:
        return dataclasses.replace(recipe, epochs=epochs), epochs * a_pass
    return dataclasses.replace(recipe, epochs=-(-steps // a_pass), steps=steps), steps


def lay_out(model: nn.Module) -> nn.Module:
    """A network channels last; on AVX-512 without bfloat16 all but convolutions of 512 maps."""
    model.to(memory_format=torch.channels_last)
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512" and not has_bfloat16("cpu")
    for layer in model.modules() if wide else ():
        if (isinstance(layer, Convolution) and layer.weight.is_cpu and layer.padding[0]
                and layer.out_channels >= 512):
            layer.weight.data, layer.channels_first = layer.weight.data.contiguous(), True
    return model


def is_large(model: nn.Module) -> bool:
    """Whether AdamW's fused step pays: it has more than a million weights."""
    return sum(weight.numel() for weight in model.parameters()) > 1_000_000


def has_bfloat16(device: str = "cpu") -> bool:
    """Whether a device multiplies bfloat16 natively: CUDA, and on a CPU AMX or AVX-512 BF16."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    can = getattr(torch.cpu, "get_capabilities", dict)()
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"  # not so where that is switched off
    return device == "cpu" and wide and bool(can.get("amx_bf16") or can.get("avx512_bf16"))
