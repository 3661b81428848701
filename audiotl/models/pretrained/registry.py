"""Published networks by name: where their weights lie, what they heard, the tags they give."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from audiotl import AudiotlError
from audiotl.datasets import data_root, download
from audiotl.models.pretrained.choi2017 import KerasTwoRelease, OriginalRelease
from audiotl.models.pretrained.crnn import CRNN
from audiotl.models.pretrained.fcn5 import FCN5
from audiotl.models.pretrained.musicnn import Musicnn
from audiotl.models.pretrained.network import PublishedNetwork
from audiotl.models.pretrained.speech_embedding import SpeechEmbedding
from audiotl.models.pretrained.tags import JAMENDO, MSD, MTT
from audiotl.models.pretrained.yamnet import CLASSES, Yamnet

CORAL = "google-coral/coralmicro/c9f665b0a8b973d35cb9d383b3e92e9f14b4dd72/models/"
TENSORFLOW = ("tensorflow/models/dbeeb148f10adf723067040eedcccda00bdce1e8/research/audioset/"
              "yamnet/")
WON = ("ethman/sota-music-tagging-models/2969b12498d9c8efa749d99c3ba7a36487b02d21/"
       "sota_music_taggers/models/")
DINKEL = "RicherMans/Datadriven-GPVAD/6c94570bee753271722f64826a0ed00c030b089c/pretrained_models/"
WAKEWORD = ("dscripka/openWakeWord/b865676d5cb20dfe3215c8263f03bb7ee552c762/openwakeword/"
            "openwakeword/resources/models/")
"""Public repositories at a pinned commit, and the folder in each."""
STUDENT = ("no speech", "speech")


class Card(NamedTuple):
    """What is to be known of a published network before it is used.

    Attributes:
        file: its weights under the data root.
        read: makes the network of that file's path.
        kind: its class, which has the taps, the rate and the length of the input.
        domain: of the sound it heard: ``"environment"``, ``"speech"``, ``"music"``, ``"general"``.
        heard: the corpus it was trained on.
        parameters: how many weights it has.
        licence: of the weights.
        origin: the paper or repository that they are from.
        sources: ``{file's name: (repository/commit/path, SHA-256)}`` where that is pinned.
    """

    file: str
    read: Callable[[Path], PublishedNetwork]
    kind: type[PublishedNetwork]
    domain: str
    heard: str
    parameters: int
    licence: str
    origin: str
    sources: dict[str, tuple[str, str]] = {}  # noqa: B006 (never written to)

    @property
    def files(self) -> list[str]:
        """Every file that the network needs, under the data root."""
        folder = self.file.rpartition("/")[0]
        return [self.file, *(path for name in self.sources
                             if (path := f"{folder}/{name}") != self.file)]


def _choi(file: str, kind: type, heard: str = "Million Song Dataset") -> Card:
    return Card(file, kind.read, kind, "music", heard, 39_282, "MIT", "arXiv 1703.09179")


def _musicnn(file: str, corpus: str, heard: str) -> Card:
    return Card(file, partial(Musicnn.read, corpus=corpus), Musicnn, "music", heard, 787_159,
                "ISC", "arXiv 1909.06654")


def _fcn5(name: str, heard: str, tags: tuple[str, ...], digest: str) -> Card:
    sources = {f"{name}.pth": (f"{WON}{name}/fcn/best_model.pth", digest)}
    return Card(f"networks/fcn/{name}.pth", partial(FCN5.read, tags=tags), FCN5, "music", heard,
                447_732, "MIT", "arXiv 2006.00751", sources)


def _crnn(name: str, domain: str, heard: str, digest: str) -> Card:
    student = name != "teacher1"
    sources = {f"{name}.pth": (f"{DINKEL}{name}/model.pth", digest)}
    return Card(f"networks/crnn/{name}.pth", partial(CRNN.read, tags=STUDENT if student else ()),
                CRNN, domain, heard, 679_012 if student else 813_937, "MIT", "arXiv 2105.04065",
                sources)


NETWORKS = {
    "choi2017": _choi("choi2017/weights_transfer/weights_layer4_theano.hdf5", OriginalRelease),
    "choi2017-keras2": _choi("choi2017/keras2_model/model_best.hdf5", KerasTwoRelease),
    "musicnn-mtt": _musicnn("musicnn/MTT_musicnn.h5", "MTT", "MagnaTagATune"),
    "musicnn-msd": _musicnn("musicnn/MSD_musicnn.h5", "MSD", "Million Song Dataset"),
    "fcn5-msd": _fcn5("msd", "Million Song Dataset", MSD,
                      "6012aa7eecf864a8081faedca56af054521e8dfb9c5c98659a3dd5d3e1e66f21"),
    "fcn5-jamendo": _fcn5("jamendo", "MTG-Jamendo", JAMENDO,
                          "7bce08a66dbc70d096b0a330f44b4cacd9aa25519b83489fbb98f2164a194e2b"),
    "fcn5-mtat": _fcn5("mtat", "MagnaTagATune", MTT,
                       "e89d751202d38c3ae69855782bc27010f87051958dbec64f5aa762364dbac271"),
    "yamnet": Card(
        "networks/yamnet/yamnet_spectra_in.tflite", Yamnet.read, Yamnet, "general", "AudioSet",
        3_729_481, "Apache 2.0", "TensorFlow models, research/audioset/yamnet", {
            "yamnet_spectra_in.tflite": (
                f"{CORAL}yamnet_spectra_in.tflite",
                "0a266465c46718f3fcc4137366be82882a8c93bfcc4f0278581a11d11dddcdf9"),
            CLASSES: (f"{TENSORFLOW}{CLASSES}",
                      "cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2")}),
    "crnn-audioset2": _crnn("audioset2", "general", "AudioSet, speech or not",
                            "d8e7e5422745f900d327887ff03beb12adcb50e66339bd1f428305ff821f25c0"),
    "crnn-vox2": _crnn("vox2", "speech", "VoxCeleb2, speech or not",
                       "b92e4cecd19e0878bc9331d91fb47612347f4c54c857e201adf50a9d732f510e"),
    "crnn-audio2_vox2": _crnn("audio2_vox2", "general", "AudioSet and VoxCeleb2, speech or not",
                              "c6d57455ec183fa5d009f69a1736184c0c401099f5a9b25df9374f51b1b239fe"),
    "crnn-sre": _crnn("sre", "speech", "NIST SRE (telephone), speech or not",
                      "7dc8a2010d34c17a444b8856f7b1984588967b1d974372d5d28a8fa7090c8ea5"),
    "crnn-c1": _crnn("c1", "speech", "Aurora-4, speech or not",
                     "d31987a85b071ae1a2593dbf72ef1e6c0bbffa27ca65e473791079d3acfdfdbd"),
    "crnn-teacher1": _crnn("teacher1", "general", "AudioSet, 527 classes",
                           "9b87fff630931c132585de504c89584fa3cce6504a6bfc7a0bc22c0a82ca67aa"),
    "speech_embedding": Card(
        "networks/speech_embedding/embedding_model.onnx", SpeechEmbedding.read, SpeechEmbedding,
        "speech", "keywords on YouTube", 328_128, "Apache 2.0", "arXiv 2002.01322", {
            "embedding_model.onnx": (
                f"{WAKEWORD}embedding_model.onnx",
                "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f"),
            "melspectrogram.onnx": (
                f"{WAKEWORD}melspectrogram.onnx",
                "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f")}),
}
"""Every published network."""


def card(name: str) -> Card:
    """What is to be known of a network.

    Raises:
        AudiotlError: unknown name.
    """
    if name not in NETWORKS:
        raise AudiotlError(f"There is no published network {name!r}; choose among "
                           f"{', '.join(NETWORKS)}.")
    return NETWORKS[name]


def available(name: str, root: str | Path | None = None) -> bool:
    """Whether the weights of a published network are at hand."""
    where = data_root(root)
    return where is not None and all((where / file).is_file() for file in NETWORKS[name].files)


def table(root: str | Path | None = None) -> pd.DataFrame:
    """Every published network, a row each: what it heard, how it hears, whether it is here."""
    return pd.DataFrame([
        {"network": name, "domain": known.domain, "heard": known.heard,
         "parameters": known.parameters, "licence": known.licence,
         "taps": len(known.kind.tap_names), "hertz": known.kind.sample_rate,
         "seconds": round(known.kind.seconds, 3), "shorter": known.kind.shorter,
         "longer": known.kind.longer, "here": available(name, root),
         "get": f"data fetch {name}" if known.sources else known.file, "origin": known.origin}
        for name, known in NETWORKS.items()])


def fetch(name: str, root: str | Path, progress: bool = True) -> Path:
    """Bring a network's pinned files below `root`; what is there and whole is kept.

    Returns:
        The folder of the files.

    Raises:
        AudiotlError: unknown name, a network without pinned files, or a file that cannot be had.
    """
    known = card(name)
    if not known.sources:
        raise AudiotlError(f"The weights of {name} cannot be fetched; put {known.file} under the "
                           "data root.")
    home = (Path(root) / known.file).parent
    for file, (address, digest) in known.sources.items():
        download.download(f"https://raw.githubusercontent.com/{address}", home / file, digest,
                          progress)
    return home


def load(name: str, root: str | Path | None = None,
         file: str | Path | None = None) -> PublishedNetwork:
    """A published network with its weights, in evaluation mode.

    Args:
        name: one of `NETWORKS`.
        root: folder that holds ``networks``, ``choi2017`` and ``musicnn`` (``AUDIOTL_DATA`` if not
            given).
        file: weights of this architecture to use in their place, e.g. trained further; what else
            the network needs is looked for beside it.

    Raises:
        AudiotlError: unknown name, weights that are missing, or a file that does not hold them.
    """
    known = card(name)
    if file is None and not available(name, root):
        how = f"run `python -m audiotl data fetch {name}`" if known.sources else \
            f"put the folder {known.file.partition('/')[0]} under the data root"
        raise AudiotlError(f"The network {name} needs {' and '.join(known.files)}, not all of them "
                           f"there; {how}, and give the data root or set AUDIOTL_DATA.")
    path = data_root(root) / known.file if file is None else Path(file)
    try:
        network = known.read(path)
    except (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError, AttributeError,
            pickle.UnpicklingError) as error:
        cause = f"no layer {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise AudiotlError(f"{path} does not hold the weights of {name} "
                           f"({cause[:160].rstrip('.')}); copy the file anew.") from None
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise AudiotlError(f"{path} holds weights that are not numbers; copy the file anew.")
    if file is None:
        for one in known.files:
            _check_digest(known, one, data_root(root))
    return network.eval().requires_grad_(False)


def _check_digest(known: Card, file: str, root: Path) -> None:
    folder, _, inside = file.partition("/")
    digest = known.sources.get(file.rpartition("/")[2], (None, None))[1]
    if folder in download.SETS:
        digest = download.pinned(folder).get(inside)
    if digest and download.sha256(root / file) != digest:
        raise AudiotlError(f"{root / file} is not the file that was published (its SHA-256 is "
                           "another); copy the file anew.")


def top_tags(network: PublishedNetwork, waveform: Tensor, k: int = 5) -> list[tuple[str, float]]:
    """The `k` likeliest tags of one clip, likeliest first.

    Args:
        network: see `load`. The ``choi2017`` network needs a whole batch to normalise by: use its
            `tag` there.
        waveform: one clip at the network's sample rate, ``(samples,)`` or ``(1, samples)``.

    Raises:
        AudiotlError: a network whose outputs have no names.
    """
    if not network.tags:
        raise AudiotlError(f"The outputs of {type(network).__name__} have no names here; use its "
                           "taps, or the numbers of `tag`.")
    probability = network.tag(waveform.reshape(1, -1))[0]
    best = probability.topk(min(k, len(network.tags)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [(network.tags[i], p) for i, p in pairs]
