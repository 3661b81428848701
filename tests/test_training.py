import contextlib
import dataclasses
from functools import partial

import numpy as np
import pytest
import torch

from audiotl import AudiotlError, training
from audiotl.models import build
from audiotl.models.start import Start
from audiotl.training import Recipe, budget, find_device, inner_split, score, train, untrained

RECIPE = Recipe(epochs=6, batch=8, crop=64, validation=0.2)
LONGER = dataclasses.replace(RECIPE, epochs=12)
CUT_SHORT = dataclasses.replace(RECIPE, epochs=3, steps=7, validation=0.0)
AUGMENTED = dataclasses.replace(RECIPE, mixup=0.3, mask=0.2, tilt=4.0)


@pytest.fixture
def learn(sound):
    return partial(train, sound, sound.corpus.splits(3)[0], progress=False)


def weights(model):
    return torch.cat([p.flatten() for p in model.state_dict().values()])


def test_an_easy_problem_is_learnt_the_same_twice(learn, tmp_path, monkeypatch):
    one = learn(LONGER)
    assert one.score > 0.9 and len(one.history) == 12
    monkeypatch.setenv("AUDIOTL_CACHE", str(tmp_path / "again"))
    two = learn(LONGER)
    assert one.key == two.key and (one.outputs == two.outputs).all()
    assert torch.equal(weights(one.model), weights(two.model))


@pytest.mark.parametrize(("recipe", "start", "damaged"), [
    (RECIPE, None, False), (RECIPE, None, True), (CUT_SHORT, None, False),
    (AUGMENTED, Start(build("convnet5", 4)), False)])
def test_a_run_cut_off_ends_as_an_unbroken_one(learn, tmp_path, monkeypatch, cut_off, recipe,
                                               start, damaged):
    whole = learn(recipe, start=start)
    monkeypatch.setenv("AUDIOTL_CACHE", str(tmp_path / "cut"))
    with cut_off(recipe.epochs - 1):
        learn(recipe, start=start)
    *_, newest = sorted((tmp_path / "cut" / "checkpoints").iterdir())
    if damaged:  # it is passed over
        (newest / "training.pt").write_bytes(b"torn")
    with pytest.warns(UserWarning, match=newest.name) if damaged else contextlib.nullcontext():
        resumed = learn(recipe, start=start)
    assert resumed.key == whole.key and (resumed.outputs == whole.outputs).all()
    assert torch.equal(weights(whole.model), weights(resumed.model))
    assert np.allclose(whole.history["train_loss"], resumed.history["train_loss"], atol=0)
    assert not list((tmp_path / "cut" / "checkpoints").iterdir())


def test_a_last_epoch_is_cut_after_the_steps(learn, monkeypatch):
    taken, step = [], torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step",
                        lambda self, *args: taken.append(1) or step(self, *args))
    assert len(learn(CUT_SHORT).history) == 3 and len(taken) == 7
    assert "steps" not in Recipe().key() and CUT_SHORT.key()["steps"] == 7


@pytest.mark.parametrize("fused", [False, True])
def test_adamw_takes_weights_as_they_lie_in_memory_to_the_same_bits(fused):
    weight = torch.rand(8, 5, 3, 3).contiguous(memory_format=torch.channels_last)
    given, wanted = (weight.clone().requires_grad_() for _ in range(2))
    ours = training.AdamW([{"params": [given]}], fused=fused)
    theirs = torch.optim.AdamW([wanted], fused=fused)
    assert ours.param_groups[0]["params"][0].is_contiguous()
    for one, optimiser in 3 * ((given, ours), (wanted, theirs)):
        optimiser.zero_grad()
        one.square().sum().backward()
        optimiser.step()
    assert torch.equal(given, wanted) and not torch.equal(given, weight)


def test_patience_stops_and_keeps_the_best_weights(learn):
    made = learn(Recipe(epochs=40, batch=8, crop=64, validation=0.3, patience=2,
                        learning_rate=0.05))
    losses = made.history["validation_loss"].to_numpy()
    assert len(losses) < 40 and losses.argmin() == len(losses) - 3


def test_inner_split_keeps_groups_whole():
    groups, rows = np.repeat(np.arange(20), 5), np.arange(10, 100)
    fit, held = inner_split(groups, rows, 0.2, seed=3)
    assert 0 < len(held) <= 0.2 * len(rows) and not set(groups[fit]) & set(groups[held])
    assert sorted([*fit, *held]) == rows.tolist()


def test_tags_are_scored_by_mean_auc_over_tags_that_have_both_answers():
    targets = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    outputs = np.array([[3, 0, 0], [1, 0, 1], [2, 0, 0], [0, 0, 1]], np.float32)
    assert score(outputs, targets) == pytest.approx((1.0 + 0.5) / 2)
    assert score(np.array([[0.1, 0.2], [0.9, 0.3]]), np.array([1, 1])) == 0.5


def test_random_weights_differ_by_seed_only(sound):
    one, two, three = (untrained(sound, seed=s) for s in (0, 0, 1))
    assert torch.equal(weights(one), weights(two)) and not torch.equal(weights(one), weights(three))
    assert one.blocks[4][1].running_var.std() > 0  # batch-norm statistics were measured


def test_short_epochs_are_not_each_written_to_disk(learn, monkeypatch):
    monkeypatch.setattr(training, "keep_checkpoint", lambda *args: pytest.fail("written"))
    learn(RECIPE)


def test_half_precision_learns_the_same_problem(learn, monkeypatch):
    monkeypatch.setattr(training, "has_bfloat16", lambda device: True)
    cast, real = [], torch.autocast
    monkeypatch.setattr(torch, "autocast",
                        lambda *args, **kw: cast.append((args, kw)) or real(*args, **kw))
    made = learn(LONGER)
    assert made.score > 0.9 and {p.dtype for p in made.model.parameters()} == {torch.float32}
    assert cast and all(call == (("cpu", torch.bfloat16), {"enabled": True}) for call in cast)


def test_bfloat16_is_not_used_where_it_is_switched_off(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, False)
    for kind in ("AVX512", "AVX2"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: kind)  # noqa: B023
        assert training.has_bfloat16() == (kind == "AVX512")


def test_a_device_that_is_not_here_is_refused_before_any_work(learn, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert find_device("auto") == find_device("cpu") == "cpu"
    monkeypatch.setattr(training, "_fit", lambda *args: pytest.fail("training has begun"))
    for name in ("cuda", "mps", "abacus"):
        with pytest.raises(AudiotlError, match=name):
            learn(RECIPE, device=name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_device("auto") == find_device("cuda") == "cuda"


def test_a_batch_is_the_same_from_spectrograms_that_were_moved(sound):
    levels, rows = sound.spectrograms, np.array([3, 0, 7])
    one, other = (training._batch(where, rows, 10, np.random.default_rng(5))
                  for where in (levels, torch.tensor(levels)))
    assert torch.equal(one, other) and one.shape == (3, 1, 64, 10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_learns_what_a_cpu_learns(learn):
    recipe = dataclasses.replace(LONGER, mixup=0.3)
    made = {name: learn(recipe, device=name) for name in ("cpu", "cuda")}
    assert made["cuda"].score > 0.9 and made["cuda"].key != made["cpu"].key
    one, two = (each.history["train_loss"].iloc[0] for each in made.values())
    assert one == pytest.approx(two, rel=0.05)


def test_the_budget_is_a_number_of_whole_passes_where_one_is_near():
    groups, recipe = np.arange(100), Recipe(batch=10, validation=0.0)
    for rows, steps, wanted in ((100, 95, (10, 95, 95)), (100, 96, (10, 0, 100)),
                                (25, 95, (32, 0, 96)), (100, 4, (1, 4, 4)), (100, 0, (25, 0, 250))):
        made, taken = budget(recipe, groups, np.arange(rows), steps)
        assert (made.epochs, made.steps, taken) == wanted
