"""The built-in corpora: what they hold, a seed fixes every byte, half a corpus is never read."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
import soundfile
from joblib.externals.loky import get_reusable_executor

from audiotl import AudiotlError
from audiotl.datasets import synthetic
from audiotl.datasets.synthetic import acoustics, environment, espeak, music, speech


@pytest.fixture
def two_workers(monkeypatch):
    get_reusable_executor().shutdown(wait=True)
    monkeypatch.setattr(synthetic, "JOBS_A_WORKER", 1)
    monkeypatch.setattr(joblib, "cpu_count", lambda *_: 2)
    yield
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def content(corpus) -> dict[str, bytes]:
    """The bytes of every clip by its path below the corpus folder."""
    return {"/".join(Path(path).parts[-2:]): Path(path).read_bytes()
            for path in corpus.clips["path"]}


@pytest.mark.parametrize("name, clips, groups, classes, duration", [
    ("speech", 6, 3, 2, 1.0), ("music", 20, 10, 18, 3.0), ("environment", 20, 20, 10, 3.0)])
def test_a_corpus_has_its_shape_and_usable_sound(name, clips, groups, classes, duration):
    corpus = synthetic.load(name, "tiny")
    assert (len(corpus), len(set(corpus.groups)), len(corpus.classes)) == (clips, groups, classes)
    assert corpus.synthetic and (corpus.duration, corpus.domain) == (duration, name)
    targets = corpus.targets()
    assert targets.sum(1).min() >= 3 if corpus.multilabel else set(targets) == set(range(classes))
    for path in corpus.clips["path"]:
        samples, rate = soundfile.read(path)
        assert (len(samples), rate) == (duration * 16_000, 16_000)
        assert 0.05 < np.abs(samples).max() < 0.999, path
        assert np.sqrt(np.mean(samples**2)) > 0.003 and abs(samples.mean()) < 1e-4, path


def test_a_seed_fixes_every_byte_in_whatever_process(tmp_path, monkeypatch, two_workers):
    before = {name: synthetic.load(name, "tiny") for name in synthetic.NAMES}
    monkeypatch.setenv("AUDIOTL_CACHE", str(tmp_path))
    for name, first in before.items():
        again = synthetic.load(name, "tiny")
        assert content(first) == content(again) and first.clips["path"][0] != again.clips["path"][0]
        assert first.clips.drop(columns="path").equals(again.clips.drop(columns="path"))


@pytest.mark.parametrize("recipe", [speech, music, environment])
def test_another_seed_gives_other_sound(recipe):
    one, other = (next(recipe.render(seed, *recipe.plan("tiny")[0])).samples for seed in (0, 1))
    assert np.isfinite(one).all() and not np.allclose(one, other)


def test_a_word_does_not_depend_on_what_was_said_before():
    word = espeak.Utterance("seven", 150, 50, 50)
    rate, (alone,) = espeak.say("en-us+f3", [word])
    _, (first, second) = espeak.say("en-us+f3", [word, word])
    assert rate == 22_050 and np.array_equal(alone, first)
    assert not np.array_equal(first, second)  # the state that makes a fresh process necessary


def test_every_voice_is_one_the_library_has():
    import espeakng_loader

    variants = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    assert len(set(speech.VARIANTS)) == 40
    assert all((variants / name).is_file() for name in speech.VARIANTS)
    for accent in speech.ACCENTS:
        espeak.say(accent, [espeak.Utterance("no", 150, 50, 50)])
    with pytest.raises(AudiotlError, match="klingon-x"):
        espeak.say("klingon-x", [espeak.Utterance("no", 150, 50, 50)])


def test_takes_of_a_scene_share_the_device():
    # What a take draws must not change how much is drawn from the scene, or the device changes too.
    states = []
    for take in range(2):
        scene = acoustics.generator(0, "x", "device")
        for source in environment.SOURCES.values():
            source(scene, acoustics.generator(0, "x", take))
        states.append(scene.bit_generator.state["state"])
    assert states[0] == states[1]


def test_family_view():
    view = synthetic.family_view(synthetic.load("music", "tiny"))
    assert not view.multilabel and view.classes == tuple(music.FAMILIES) and view.synthetic
    assert np.bincount(view.targets()).tolist() == [2] * 10


def test_a_corpus_is_made_once_and_again_if_a_clip_is_gone(fresh_cache, monkeypatch):
    corpus = synthetic.load("speech", "tiny")
    assert Path(corpus.clips["path"][0]).is_relative_to(fresh_cache / "builtin/speech-tiny-0-v1")
    before = content(corpus)
    Path(corpus.clips["path"][3]).unlink()
    with pytest.warns(UserWarning, match="speech-tiny"):
        assert content(synthetic.load("speech", "tiny")) == before
    monkeypatch.setattr(synthetic, "make", None)
    assert synthetic.load("speech", "tiny").clips.equals(corpus.clips)


def test_two_makers_at_once(fresh_cache):
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: synthetic.load("speech", "tiny"), range(2))
    assert one.clips.equals(other.clips) and len(one) == 6
    assert [p.name for p in (fresh_cache / "builtin").iterdir()] == ["speech-tiny-0-v1"]


def test_errors_name_the_culprit(fresh_cache):
    with pytest.raises(AudiotlError, match="'birds'"):
        synthetic.load("birds")
    with pytest.raises(AudiotlError, match="'huge'"):
        synthetic.load("speech", "huge")
    fresh_cache.mkdir()
    (fresh_cache / "builtin").write_text("a file where the folder should be")
    with pytest.raises(AudiotlError, match="speech-tiny.*AUDIOTL_CACHE"):
        synthetic.load("speech", "tiny")


def test_a_process_that_dies_is_reported_and_leaves_nothing(fresh_cache, monkeypatch, two_workers):
    monkeypatch.setattr(joblib, "delayed", lambda _: lambda *_: (os._exit, (1,), {}))
    with pytest.raises(AudiotlError, match="speech-tiny"):
        synthetic.load("speech", "tiny")
    assert list((fresh_cache / "builtin").iterdir()) == []


def test_brown_noise_loses_six_decibels_an_octave_and_a_mode_falls_by_sixty_in_its_time():
    brown = acoustics.noise(acoustics.generator(0, "test"), 1 << 16, 2.0)
    power = np.abs(np.fft.rfft(brown)) ** 2
    assert power[4096:8192].mean() / power[8192:16384].mean() == pytest.approx(4, rel=0.1)
    mode = acoustics.ring(np.eye(1, 16_000)[0], np.array([1000.0]), np.array([0.5]), np.ones(1))
    fall = np.abs(mode[8000:8100]).max() / np.abs(mode[:100]).max()
    assert fall == pytest.approx(1e-3, rel=0.1)
