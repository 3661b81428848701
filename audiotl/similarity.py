"""How alike two layers are (linear CKA), and how much of a corpus's spectra another one covers."""

import numpy as np
from scipy.spatial.distance import cdist

from audiotl import AudiotlError

BANDS = 16  # of a profile: the front end's 64 in fours, so that distances are not about partials
NEAREST = 5  # neighbour that sets how far the span reaches around a profile
QUIET = -60.0  # dB below the clip's loudest point; frames without a band above that are left out


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Linear centred kernel alignment: 0 unlike, 1 equal up to rotation (Kornblith et al. 2019).

    ``|X'Y|^2 / (|X'X| |Y'Y|)`` with columns centred: the cosine between the two centred Gram
    matrices. Rotations, reflections and one common scale of either side change nothing. With about
    as many columns as clips even unrelated layers come out high: give many more clips than columns.

    Args:
        x, y: the same clips through two layers, ``(n, d)`` and ``(n, e)``, neither constant.

    >>> x = np.random.default_rng(0).standard_normal((100, 3))
    >>> round(linear_cka(x, -2 * x[:, ::-1]), 6)
    1.0
    """
    if len(x) != len(y):
        raise AudiotlError(f"CKA needs two layers on the same clips, not {len(x)} and {len(y)}.")
    x, y = (side.astype(np.float64) - side.mean(0, dtype=np.float64) for side in (x, y))
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    if scale == 0:
        raise AudiotlError("A layer with the same output for every clip has no CKA with another; "
                           "leave it out.")
    return float(np.linalg.norm(x.T @ y) ** 2 / scale)


def profiles(spectrograms: np.ndarray, rows: np.ndarray, frames: int,
             seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Levels of 16 bands, in dB below the clip's loudest point, of frames drawn evenly from clips.

    Clips are visited in a seeded order, one frame each, round after round; pauses are left out.

    Args:
        spectrograms: ``(n_clips, bands, frames)`` decibels from -80 to 0.
        rows: clips to draw from.

    Returns:
        Up to `frames` profiles ``(m, 16)`` and the row of each, ``(m,)``.
    """
    rng = np.random.default_rng(seed)
    order = np.resize(rng.permutation(rows), frames)
    made, kept = [], []
    for row in np.unique(order):
        level = spectrograms[row].astype(np.float32)
        level = level.reshape(BANDS, -1, level.shape[1]).mean(1)
        loud = np.flatnonzero(level.max(0) > QUIET)
        picked = rng.choice(loud, min(len(loud), int((order == row).sum())), replace=False)
        made.append(level[:, picked].T)
        kept.append(np.full(len(picked), row))
    return np.concatenate(made), np.concatenate(kept)


def covered(target: np.ndarray, source: np.ndarray, groups: np.ndarray,
            nearest: int = NEAREST) -> np.ndarray:
    """Which target profiles lie in what the source spans (Kynkäänniemi et al. 2019, equation 1).

    A source spans the balls around its profiles, each out to its k-th nearest source profile, here
    of another group (recording, speaker), since frames of one recording are alike. A tenth of the
    balls, the widest, is left out: a few outliers would otherwise span nearly everything. The
    measure has a direction: what spans much covers what is narrow, and not the other way round.

    Args:
        target, source: ``(m, d)`` and ``(l, d)``; the answer is ``(m,)`` bool.
        groups: group of each source profile, ``(l,)``.

    >>> line = np.arange(40.0)[:, None]
    >>> int(covered(line + 0.5, line[:20], np.arange(20), nearest=1).sum())
    20
    """
    apart = cdist(source, source)
    apart[groups[:, None] == groups[None]] = np.inf
    radius = np.partition(apart, nearest - 1, axis=1)[:, nearest - 1]
    if not np.isfinite(radius).all():
        raise AudiotlError(f"A span needs {nearest} profiles of other groups around each one; use "
                           "more groups.")
    kept = radius <= np.quantile(radius, 0.9)
    return (cdist(target, source[kept]) <= radius[kept]).any(1)
