"""Do these weights, run as here, give the features that Choi et al. published?

The published UrbanSound8K features were made in batches of 256 consecutive rows of the authors'
table, and every clip's features depend on its whole batch. Where only a part of the corpus is at
hand, the rest of each batch is missing, and the correlation says how close it comes all the same.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from audiotl import AudiotlError, cache
from audiotl.audio import load
from audiotl.datasets import choi2017, data_root
from audiotl.datasets.corpus import find_audio, need_folder
from audiotl.models.pretrained import registry
from audiotl.models.pretrained.choi2017 import SAMPLES, OriginalRelease

VERSION = 1
BATCH = 256


def correlate_with_published(root: str | Path | None = None, limit: int | None = None,
                             progress: bool = True) -> pd.DataFrame:
    """Our ``choi2017`` features of UrbanSound8K against the published ones, map by map.

    Args:
        root: folder that holds ``choi2017`` and ``UrbanSound8K`` (``AUDIOTL_DATA`` if not given).
        limit: use the first so many clips; None uses every clip that has audio.

    Returns:
        A row a layer (counted from 0, as in the authors' files): ``layer``, ``median_r`` and
        ``min_r`` (Pearson correlation over clips, median and least of the 32 maps), ``n_clips``.
    """
    where = data_root(root)
    network = registry.load("choi2017", root)
    table = clips_at_hand(where)
    kept = table if limit is None else table.iloc[:limit]
    if len(kept) < 3:
        raise AudiotlError(f"A correlation needs three clips or more, and {len(kept)} have audio "
                           f"under {where / 'UrbanSound8K'}; point the data root at UrbanSound8K.")
    layers = choi2017.load(where, "urbansound").blocks.values()
    files = [where / "choi2017" / "data_feats" / f"urbansound_layer_{i}.npy" for i in range(5)]
    files.insert(0, where / registry.NETWORKS["choi2017"].file)
    folder = _correlated(cache.fingerprint(kept["path"]), cache.fingerprint(map(str, files)),
                         kept.index.tolist(), kept["duration"].tolist(),
                         network=network, published=list(layers), kept=kept, progress=progress)
    return pd.read_csv(folder / "layers.csv")


@cache.step("correlation", VERSION, home="correlations")
def _correlated(folder: Path, _clips: str, _files: str, index: list[int], _durations: list, *,
                network: OriginalRelease, published: list[np.ndarray], kept: pd.DataFrame,
                progress: bool) -> None:
    batches = tqdm(kept.groupby(kept.index // BATCH), "published features", disable=not progress)
    ours = [_taps(network, batch) for _, batch in batches]
    r = [pd.DataFrame(np.concatenate(taps), dtype=float).corrwith(pd.DataFrame(features[index]))
         for *taps, features in zip(*ours, published, strict=True)]
    pd.DataFrame({"layer": range(5), "median_r": np.median(r, axis=1), "min_r": np.min(r, axis=1),
                  "n_clips": len(index)}).to_csv(folder / "layers.csv", index=False)


def clips_at_hand(root: Path) -> pd.DataFrame:
    """The authors' UrbanSound8K table where there is audio: ``path, duration`` (s)."""
    home = need_folder(root / "UrbanSound8K", "The comparison with published features")
    found = find_audio(home / "audio")
    try:
        table = pd.read_csv(root / "choi2017" / "data_csv" / "urbansound.csv", index_col=0)
        metadata = pd.read_csv(home / "metadata" / "UrbanSound8K.csv")
        metadata = metadata.set_index("slice_file_name")
        names = table["filepath"].str.rsplit("/", n=1).str[-1]
        table["duration"] = (metadata["end"] - metadata["start"]).reindex(names).to_numpy()
        stems = table["filepath"].str.rsplit(".", n=1).str[0]
        table["path"] = [str(found.get(stem, "")) for stem in stems]
    except (OSError, KeyError, ValueError) as error:
        raise AudiotlError(f"A table of UrbanSound8K under {root} cannot be read ({error}); copy "
                           "it anew.") from None
    return table.loc[table["path"] != "", ["path", "duration"]]


def _taps(network: OriginalRelease, clips: pd.DataFrame) -> list[np.ndarray]:
    waveform = torch.empty(len(clips), SAMPLES)
    for i, (path, duration) in enumerate(zip(clips["path"], clips["duration"], strict=True)):
        samples = load(path, network.sample_rate, 29.0)
        # Copies of the corpus fill short slices up to 4 s by repeating; the table has their length.
        if duration > 0:
            samples = samples[:max(1, round(duration * network.sample_rate))]
        waveform[i] = torch.from_numpy(np.resize(samples, SAMPLES))
    return [value.numpy() for value in network.taps(waveform).values()]
