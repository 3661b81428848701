"""The clips of the book's listening page and what a network's front end leaves of them.

Made once and kept beside this module: ``python -m audiotl.report.book.clips FOLDER_OF_CORPORA``.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import soundfile
import torch

from audiotl import audio
from audiotl.degrade import Degradation
from audiotl.frontend import LIBROSA, LogSpectrogram, dct, filterbank, torchaudio
from audiotl.plots.spectrogram import spectrogram
from audiotl.plots.style import styled

CLIPS = Path(__file__).parent / "static" / "clips"
RATE, SECONDS = 16_000, 1.5
KEPT = (128, 40, 13, 5)


def inverted(samples: np.ndarray, coefficients: int) -> np.ndarray:
    """A clip rebuilt from the first of its 128 mel cepstral coefficients, with phases guessed.

    Phases by Griffin and Lim (1984). Float32 ``(n,)`` in, about as many samples out.
    """
    torch.manual_seed(0)
    level = LogSpectrogram(LIBROSA)(torch.from_numpy(samples)[None])[0, 0]
    cosines = dct(coefficients, LIBROSA.n_bands)
    kept = 10 ** ((cosines.T @ (cosines @ level)).clamp(-80, 0) / 10)
    power = (torch.linalg.pinv(filterbank(LIBROSA).T) @ kept).clamp(min=0)
    back = torchaudio.transforms.GriffinLim(LIBROSA.n_fft, hop_length=LIBROSA.hop)(power)
    return back.numpy()


def versions(samples: np.ndarray) -> dict[str, np.ndarray]:
    """The clip, its inversions and its degradations, by name."""
    worse = [Degradation("noise", 10), Degradation("noise", 0), Degradation("telephone")]
    return ({"as recorded": samples}
            | {f"back from {n} MFCC": inverted(samples, n) for n in KEPT}
            | {one.name: one(samples, RATE) for one in worse})


@styled
def render(corpora: Path) -> None:
    """Write every version of the clips in ``clips.csv`` as MP3, and a picture of them a clip."""
    for clip in pd.read_csv(CLIPS / "clips.csv").itertuples():
        samples = np.trim_zeros(audio.load(corpora / clip.source, RATE))[:int(SECONDS * RATE)]
        figure, axes = plt.subplots(4, 2, figsize=(5, 6.4))
        made = versions(samples)
        for i, (axis, (name, sound)) in enumerate(zip(axes.flat, made.items(), strict=True)):
            sound = 0.5 * sound / np.abs(sound).max()
            soundfile.write(CLIPS / f"{clip.name}_{i}.mp3", sound, RATE, compression_level=0.3)
            level = LogSpectrogram()(torch.from_numpy(sound.astype(np.float32))[None])[0, 0]
            spectrogram(axis, level.numpy(), round(len(sound) / RATE, 2))
            axis.set_title(name, fontsize=9)
        figure.savefig(CLIPS / f"{clip.name}.jpg", dpi=100, pil_kwargs={"quality": 70})
        plt.close(figure)


if __name__ == "__main__":
    render(Path(sys.argv[1]))
