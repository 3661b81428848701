import numpy as np
import pytest

from audiotl import AudiotlError
from audiotl.similarity import covered, linear_cka, profiles


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_cka_is_the_cosine_of_centred_gram_matrices(rng):
    x, y = rng.standard_normal((40, 5)) + 3, rng.standard_normal((40, 7)) ** 2
    centre = np.eye(40) - 1 / 40
    k, l = centre @ (x @ x.T) @ centre, centre @ (y @ y.T) @ centre  # noqa: E741
    cosine = np.sum(k * l) / np.sqrt(np.sum(k * k) * np.sum(l * l))
    assert linear_cka(x, y) == pytest.approx(cosine, abs=1e-12)


def test_cka_does_not_see_rotation_scale_or_shift_and_does_see_other_linear_maps(rng):
    x, y = rng.standard_normal((60, 6)) * np.arange(1, 7), rng.standard_normal((60, 4))
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    assert linear_cka(x, x) == pytest.approx(1)
    assert linear_cka(x, 0.01 * x @ turn + 5) == pytest.approx(1)
    assert linear_cka(x @ turn, y) == pytest.approx(linear_cka(x, y))
    assert linear_cka(x, y) == pytest.approx(linear_cka(y, x))
    assert linear_cka(x, x / np.arange(1, 7)) < 0.9
    for other in (y[1:], np.ones((60, 2))):
        with pytest.raises(AudiotlError):
            linear_cka(x, other)


def test_a_wide_source_covers_a_narrow_target_and_not_the_other_way_round(rng):
    wide, narrow = rng.uniform(-1, 1, (800, 2)), rng.uniform(-0.2, 0.2, (800, 2))
    alone = np.arange(800)
    assert covered(narrow, wide, alone).mean() > 0.99
    assert covered(wide, narrow, alone).mean() == pytest.approx(0.05, abs=0.03)
    assert covered(rng.uniform(-1, 1, (800, 2)), wide, alone).mean() > 0.9
    assert not covered(wide + 3, wide, alone).any()
    assert covered(wide, np.vstack([narrow, [[5.0, 5.0]]]), np.arange(801)).mean() < 0.1


def test_frames_of_one_recording_do_not_shrink_each_others_neighbourhood(rng):
    places = rng.uniform(-1, 1, (100, 2))
    source = np.repeat(places, 8, 0) + 1e-6 * rng.standard_normal((800, 2))
    groups = np.repeat(np.arange(100), 8)
    target = rng.uniform(-1, 1, (800, 2))
    assert covered(target, source, groups).mean() > 0.4
    assert covered(target, source, np.arange(800)).mean() < 0.01
    with pytest.raises(AudiotlError):
        covered(target, source, np.repeat([0, 1], 400), nearest=401)


def test_profiles_come_from_all_clips_and_leave_pauses_out():
    sound = np.full((6, 64, 50), -80, np.float16)
    sound[:5, :, :10] = -5 * np.arange(5)[:, None, None]
    made, rows = profiles(sound, np.arange(6), 30)
    assert made.shape == (25, 16) and (np.bincount(rows, minlength=6) == [5] * 5 + [0]).all()
    assert np.allclose(made, -5.0 * rows[:, None])
