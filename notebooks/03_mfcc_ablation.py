# %% [markdown]
# # Do MFCCs matter?
#
# **Question.** Mel-frequency cepstral coefficients are forty years old. Next to the layers of a
# trained network, do they still add anything, for which kind of task, and why?
#
# **What is known.** Choi et al. (2017) put MFCC statistics beside their network's features and saw
# scores fall on every music task and rise on UrbanSound8K; chapter 06 shows that their features
# were never scaled. A reader (Rao) guessed that MFCCs help by interaction with the layers; another
# (Wescott) that an MFCC is only a log-scaled spectral shape, so that a logarithmic axis and a
# learnt convolution could stand in for mel and cosine.
#
# **What we do.** Make an MFCC by hand and go back from it to sound. Score MFCC, network and both,
# on the published features and on sounds, under three scalings and two poolings. Give MFCC a
# Shapley value among the layers. Take it apart, axis by transform. Degrade the sound, and find out
# what noise does to a network. Settings are chosen on inner folds, comparisons are paired on the
# same clips, intervals come from a bootstrap over groups (recordings, speakers, notes).

# %% tags=["parameters"]
data = "built-in"               # built-in, or the folder that holds the corpora
size = "quick"                  # of the built-in corpora: smoke or quick
corpus_seed = 0                 # of the built-in corpora and of folds
network_seeds = [0]             # of each source network; a minute each
sources = ["environment", "music"]   # corpora that the networks learn from
recipe = {"epochs": 10, "crop": 64}  # how they are trained (training.Recipe)
published = {}                  # networks of others, e.g. {"music tags": "choi2017-keras2"}
published_targets = []          # the targets on which those are scored
targets = ["environment", "speech", "music_family"]   # seconds each
tasks = ["demonstration"]       # of the 2017 study (choi2017.TASKS), or made-up features
poolings = ["mean", "mean+std"]      # of a layer's maps over time
statistics = ["mfcc", "mfcc40", "logmel"]   # what stands beside the network
weights = [0.1, 0.3, 1.0, 3.0, 10.0]        # of the MFCC block, chosen on inner folds
repeats = 1                     # 1: the corpus's own folds; more: five folds dealt so often
null_cases = [["environment", "speech"]]    # source and target; half a minute each with 5 layers
null_layers = ["layer1", "layer3", "layer5"]
frontend_targets = ["speech"]   # axis by transform, seconds each
frontend_seeds = [0]
frontend_epochs = 15
degraded = [["environment", "speech"]]      # source and target
degradations = [["noise", 20], ["noise", 0], ["gain", -12], ["telephone", 0], ["speed", 1.25]]

# %% tags=["hide-input"]
import copy
import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from audiotl import audio, cache, datasets, learnt_frontend, probes, replication, shapley, stats, widgets
from audiotl.datasets import choi2017
from audiotl.degrade import Degradation
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.frontend import AXES, LIBROSA, MFCC, MFCCStatistics, Settings, Transform, filterbank
from audiotl.frontend import statistics as over_time
from audiotl.models import pretrained
from audiotl.plots import compare
from audiotl.plots.style import FAINT, GREY, bare, colour_of, styled, title_of
from audiotl.probes.controls import repeated_splits
from audiotl.probes.subset_search import search
from audiotl.report.results import Results
from audiotl.sources import source_network
from audiotl.training import Recipe

results = Results("03_mfcc_ablation")

# %%
results.findings()

# %% [markdown]
# ## Sources and targets
#
# Recordings that a target shares with a source are left out of the target.

# %%
source_sounds = {name: features(datasets.load(name, data, size, corpus_seed)) for name in sources}
heard = [sound.corpus for sound in source_sounds.values()]
target_sounds = {}
for name in targets:
    kept, _ = datasets.without_shared(datasets.load(name, data, size, corpus_seed), heard)
    target_sounds[name] = features(kept)
results.corpora(*source_sounds.values(), *target_sounds.values())

# %% [markdown]
# ## An MFCC by hand
#
# One second and a bit of sound. The **power spectrogram**: windows of 2,048 samples, one every
# 512, a Hann window on each, the Fourier transform, and the square of its size.

# %%
example = {}
for sound in (*source_sounds.values(), *target_sounds.values()):
    row = int(np.random.default_rng(corpus_seed).integers(len(sound.corpus)))
    wave = audio.load(sound.corpus.clips["path"][row], 16_000, min(2.0, sound.corpus.duration))
    example.setdefault(sound.corpus.domain, wave)
wave = next(iter(example.values()))

# %%
from scipy import fft, signal

n_fft, hop, n_bands = 2048, 512, 128
window = signal.get_window("hann", n_fft)

def power_of(wave):
    """Power spectrogram, ``(1025, frames)``."""
    padded = np.pad(wave, n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    return np.abs(np.fft.rfft(frames * window)).T ** 2

# %% [markdown]
# **Mel bands**: triangles that overlap by half, equally wide in mel, which is linear in hertz up
# to 1 kHz and logarithmic above (Slaney 1998). Each triangle has the area one.

# %%
def mel(hertz):
    above = 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4)
    return np.where(hertz < 1000, 3 * hertz / 200, above)

hertz = np.linspace(0, 8000, 200_001)
edges = np.interp(np.linspace(0, mel(8000), n_bands + 2), mel(hertz), hertz)
bins = np.linspace(0, 8000, n_fft // 2 + 1)[:, None]
rise = (bins - edges[:-2]) / np.diff(edges)[:-1]
fall = (edges[2:] - bins) / np.diff(edges)[1:]
bank = np.maximum(np.minimum(rise, fall), 0) * 2 / (edges[2:] - edges[:-2])
assert np.allclose(bank, filterbank(LIBROSA), atol=1e-6)

# %% [markdown]
# **Logarithm**, no more than 80 dB below the loudest point; then a **cosine transform** (DCT)
# along the bands: coefficient 1 is the tilt of a column, 2 its curvature, and so on to fine
# ripples. MFCC are the first 20, and a classifier usually gets their mean and standard deviation
# over time, with those of their first two differences.

# %%
def level_of(wave):
    """Decibels of the mel bands, ``(128, frames)``."""
    level = 10 * np.log10(np.maximum(bank.T @ power_of(wave), 1e-10))
    return np.maximum(level, level.max() - 80)

cosines = np.cos(np.pi * np.outer(np.arange(n_bands), np.arange(n_bands) + 0.5) / n_bands)
cosines *= np.sqrt(np.where(np.arange(n_bands) == 0, 1, 2) / n_bands)[:, None]
cepstra = cosines @ level_of(wave)

# %%
first, second = np.diff(cepstra[:20]), np.diff(cepstra[:20], n=2)
columns = [take(part, axis=1) for take in (np.mean, np.std) for part in (cepstra[:20], first, second)]
batch = torch.from_numpy(wave)[None]
assert np.allclose(cepstra, fft.dct(level_of(wave), axis=0, norm="ortho"))
assert np.allclose(cepstra[:20], MFCC()(batch)[0], atol=0.02)
assert np.allclose(np.concatenate(columns), MFCCStatistics()(batch)[0], atol=0.02)

# %% [markdown]
# And **back**: the transposed cosines turn the first coefficients into a picture again. Phases went
# with the first step, so sound needs new ones: start anywhere, and let resynthesis and analysis
# agree step by step (Griffin and Lim 1984).

# %%
def rebuilt(level, n):
    """The log-mel picture that the first `n` coefficients still hold."""
    return cosines[:n].T @ (cosines[:n] @ level)

def resynthesise(level, n, steps=32):
    power = np.linalg.pinv(bank.T) @ 10 ** (np.minimum(rebuilt(level, n), level.max()) / 10)
    size = torch.from_numpy(np.sqrt(np.maximum(power, 0))).float()
    how = {"n_fft": n_fft, "hop_length": hop, "window": torch.from_numpy(window).float()}
    phase = 6.28 * torch.rand(size.shape, generator=torch.manual_seed(0))
    for _ in range(steps):
        sound = torch.istft(torch.polar(size, phase), **how)
        phase = torch.stft(sound, return_complex=True, pad_mode="constant", **how).angle()
    return sound.numpy()

assert np.allclose(rebuilt(level_of(wave), n_bands), level_of(wave))

# %%
@styled
def draw_steps():
    names = ("power", "mel bands", "logarithm", "DCT, 1 to 19", "back from 20")
    figure, axes = plt.subplots(len(example), 5, figsize=(10, 1.9 * len(example)), squeeze=False)
    for row, (domain, wave) in zip(axes, example.items(), strict=True):
        level, power = level_of(wave), power_of(wave)
        pictures = power, bank.T @ power, level, (cosines @ level)[1:20], rebuilt(level, 20)
        for axis, picture, name in zip(row, pictures, names, strict=True):
            log = name in ("logarithm", "back from 20")
            axis.imshow(picture, origin="lower", aspect="auto", cmap="RdBu_r" if "DCT" in name else None,
                        norm=plt.matplotlib.colors.CenteredNorm() if "DCT" in name else None,
                        **({"vmin": level.max() - 80, "vmax": level.max()} if log else {}))
            axis.set(xticks=[], yticks=[], title=name if row is axes[0] else "")
            bare(axis)
        row[0].set_ylabel(domain, color=colour_of(domain))
    return figure

results.figure("steps", draw_steps(), "Power spectrogram, mel bands, logarithm, coefficients, and "
               "the picture rebuilt from 20 of them, for one sound of each domain.")

# %% [markdown]
# ### What survives?
#
# Slide and listen. Broad shapes stay (formants, the colour of a noise); harmonics and the pitch
# that they carry go first.

# %%
@styled
def draw(sound, coefficients):
    level = level_of(example[sound])
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.6), sharey=True)
    for axis, picture in zip(axes, (level, rebuilt(level, coefficients)), strict=True):
        axis.imshow(picture, origin="lower", aspect="auto", vmin=level.max() - 80, vmax=level.max())
        axis.set(xticks=[], title="whole" if axis is axes[0] else f"{coefficients} coefficients")
        bare(axis)
    axes[0].set_ylabel("mel band")
    return figure

def hear(sound, coefficients):
    return resynthesise(level_of(example[sound]), coefficients)

widgets.live(draw, hear, sound=list(example), coefficients=[2, 5, 13, 20, 40, 80, 128])

# %% [markdown]
# The same over many clips: the share of the variance across bands, about each frame's own mean,
# that the first coefficients keep.

# %%
parts = []
for sound in {s.corpus.domain: s for s in (*target_sounds.values(), *source_sounds.values())}.values():
    rows = np.random.default_rng(corpus_seed).permutation(len(sound.corpus))[:200]
    squares = fft.dct(sound.spectrograms[np.sort(rows)].astype(float), axis=1, norm="ortho") ** 2
    detail = squares[:, 1:].sum((1, 2))
    for n in (2, 5, 13, 20, 40, 64):
        share = squares[:, 1:n].sum((1, 2)) / np.maximum(detail, 1e-12)
        parts.append(stats.Scored.of(share, np.zeros(len(share)), sound.corpus.groups[np.sort(rows)],
                                     domain=sound.corpus.domain, coefficients=n))
survival = stats.score_table(parts).rename(columns={"score": "detail_kept"}).assign(bands="64 bands")
figure = compare.curves(survival, "coefficients", "detail_kept", "domain", "bands", log=True,
                        xlabel="coefficients kept", ylabel="detail across bands kept (%)")
results.table("survival", survival, show=0)
results.figure("detail", figure, "Share of the detail across bands kept by the first coefficients.")

# %% [markdown]
# ## The published features: was it the scale?
#
# The features that the authors published: five layers (160 columns) and MFCC statistics (120).
# *Raw* is how they were put side by side. *Standardised* gives every column unit variance.
# *Weighted* multiplies the standardised MFCC block by a number chosen on inner folds. By hand,
# **nested** selection is: score every setting on inner splits of the training clips, take the
# best, and score it once on the held-out fold.

# %%
def nested_by_hand(task, subsets, probe, scale):
    """What each tested clip scored with each subset, ``(subsets, n)``."""
    def scored(train, test):
        sides = [{name: block[rows] for name, block in task.blocks.items()} for rows in (train, test)]
        sides = probes.standardise(*sides) if scale else sides
        predicted = probe.fold(sides[0], task.y[train], sides[1], subsets)
        return replication.clip_scores(task, predicted, [(train, test)])

    parts = []
    for (train, test), inner in zip(task.splits, task.inner, strict=True):
        inside = np.concatenate([scored(*split) for split in inner], axis=2).mean(2)
        parts.append(scored(train, test)[np.arange(len(subsets)), inside.argmax(1)])
    return np.concatenate(parts, axis=1)

# %%
SCALINGS = ("raw", "standardised", "weighted")
published_sets = {"mfcc": ("mfcc",), "network": choi2017.LAYERS, "both": (*choi2017.LAYERS, "mfcc")}
svm_sets = {"mfcc": "mfcc", "network": "01234", "both": "mfcc+01234"}

def published_scores(task):
    """Ridge and, where chapter 06 left them in the cache, the SVM of 2017."""
    folds = np.repeat(np.arange(len(task.splits)), [len(test) for _, test in task.splits])
    about = {"features_from": "published", "target": task.name, "pooling": "mean", "statistics": "mfcc"}
    ridge = probes.named("ridge")
    if task.regression:
        from sklearn.linear_model import Ridge
        ridge = probes.Sklearn("ridge", Ridge(), [{"alpha": cell["lambda"]} for cell in ridge.cells])
    sets = {name: blocks for name, blocks in published_sets.items() if set(blocks) <= set(task.blocks)}
    for scaling in SCALINGS:
        weighted = scaling == "weighted"
        probe = probes.Weighted(ridge, "mfcc", weights) if weighted else ridge
        for name in [name for name in sets if name == "both" or not weighted]:
            keys = about | {"source": "none" if name == "mfcc" else "music tags", "blocks": name}
            (values,) = nested_by_hand(task, [sets[name]], probe, scaling != "raw")
            yield stats.Scored.of(values, folds, task.groups[task.tested], scaling=scaling, probe="ridge", **keys)
            asked = task, svm_sets[name], scaling != "raw"
            if not weighted and (task.name == "demonstration" or replication.is_kept(*asked)):
                found = replication.nested(*asked)
                yield dataclasses.replace(found, keys=keys | {"scaling": scaling, "probe": "svm, 32 cells"})

# %%
made_up = choi2017.demonstration(corpus_seed, 60)
by_name = {name: made_up if name == "demonstration" else choi2017.load(data, name) for name in tasks}
scores = [one for task in by_name.values() for one in published_scores(task)]

# %% [markdown]
# Every comparison is between two scores of the same clips.

# %%
def find(**wanted):
    """The score with these keys."""
    return next((one for one in scores if wanted.items() <= one.keys.items()), None)

def gaps(features_from):
    """MFCC (or other statistics) beside the network, against either alone."""
    for both in [one for one in scores if one.keys["blocks"] == "both"]:
        keys = {name: value for name, value in both.keys.items() if name not in ("blocks", "subset", "protocol")}
        scaling = "raw" if keys["scaling"] == "raw" else "standardised"  # a block alone has no weight
        same = {name: keys[name] for name in ("features_from", "target", "probe")} | {"scaling": scaling}
        network = find(**same, source=keys["source"], pooling=keys["pooling"], blocks="network")
        alone = find(**same, source="none", blocks=keys["statistics"])
        if keys["features_from"] == features_from:
            yield stats.compare(both, network, comparison="both - network", **keys)
            yield stats.compare(both, alone, comparison=f"both - {keys['statistics']}", **keys)
            yield stats.compare(network, alone, comparison=f"network - {keys['statistics']}", **keys)

gained = pd.DataFrame(gaps("published")).query("comparison == 'both - network'")
gained = gained.assign(clear=stats.clear(gained), equivalent=stats.equivalent(gained, 0.02))
shown = gained.assign(row=[f"{choi2017.TASKS.get(r.target, r.target)}, {r.scaling}" for r in gained.itertuples()])
figure = compare.forest(shown, "row", "scaling", "probe", "MFCC beside all layers, minus all layers, in points", 0.02)
results.table("published", gained, show=0)
results.figure("published", figure, "What MFCC adds to the published layers, by task and scaling.")

# %% [markdown]
# The band is two points either way: an interval that lies inside it is *equivalent*. Filled marks
# are clear (`stats.clear`). An SVM sees distances, and in raw distances MFCCs drown a network.
#
# ## On sounds
#
# The same with features computed here, from the layers of networks trained on one kind of sound
# each, of one with random weights, and of published ones where there are any. Two poolings: a
# layer's maps averaged over time, which is what was published, or their mean *and* deviation. MFCC
# statistics have always had both, so only the second is a fair race.

# %%
origin = {sound.corpus.domain: sound for sound in source_sounds.values()}
how = Recipe(**recipe)
networks = {domain: [source_network(sound, how, seed=seed).model for seed in network_seeds]
            for domain, sound in origin.items()}
networks["random"] = [source_network(next(iter(origin.values())), how, labels="none", seed=seed).model
                      for seed in network_seeds]
networks |= {name: [pretrained.load(which, data)] for name, which in published.items()
             if pretrained.available(which, data)}
cases = [(source, target) for target, sound in target_sounds.items() for source in networks
         if not (source in origin and datasets.related(origin[source].corpus, sound.corpus))
         and (source not in published or target in published_targets)]
beside = {target: sound.baselines() for target, sound in target_sounds.items()}

# %%
def folds_of(corpus):
    if repeats == 1:
        return [corpus.splits(seed=corpus_seed)]
    return repeated_splits(corpus.targets(), corpus.groups, 5, repeats, corpus_seed)

def score(blocks, corpus, scaling, **keys):
    """All of these blocks side by side, nested, a ridge probe."""
    probe = probes.named("ridge")
    if scaling == "weighted":
        probe = probes.Weighted(probe, list(blocks)[-1], weights)
    y, groups, everything = corpus.targets(), corpus.groups, tuple(blocks)
    found = [search(blocks, y, splits, groups, probe, subsets=[everything], scale=scaling != "raw",
                    progress=False) for splits in folds_of(corpus)]
    keys |= {"features_from": "live", "target": corpus.name, "scaling": scaling}
    return stats.over_repeats([one.scored(everything, **keys) for one in found])

# %%
for target, sound in target_sounds.items():
    for name in statistics:
        for scaling in SCALINGS[:2]:
            scores.append(score({name: beside[target][name]}, sound.corpus, scaling, source="none",
                                blocks=name, pooling="none", statistics=name))

# %%
def layers_of(source, target, pooling):
    return [embed(model, target_sounds[target], pooling=pooling) for model in networks[source]]

for source, target in cases:
    corpus = target_sounds[target].corpus
    for pooling in poolings if source not in published else ["mean"]:
        taps = layers_of(source, target, pooling)
        keys = {"source": source, "pooling": pooling}
        for scaling in SCALINGS[:2]:
            seeds = [score(blocks, corpus, scaling, blocks="network", statistics="", **keys) for blocks in taps]
            scores.append(stats.over_seeds(seeds))
        for name, scaling in [(name, s) for name in statistics for s in SCALINGS if "mfcc" == name or s == SCALINGS[1]]:
            seeds = [score(blocks | {name: beside[target][name]}, corpus, scaling, blocks="both",
                           statistics=name, **keys) for blocks in taps]
            scores.append(stats.over_seeds(seeds))

# %%
order = ["features_from", "source", "target", "blocks", "scaling", "probe", "score", "ci_low", "ci_high",
         "pooling", "statistics", "clips", "groups", "seeds"]
ablation = stats.score_table(scores)[order]
results.table("ablation", ablation, show=0)
live = ablation.query("features_from == 'live' and scaling == 'standardised'")
columns = ["pooling", "blocks", "statistics"]
wide = live.pivot_table("score", ["target", "source"], columns, sort=False).round(3)
wide.columns = [", ".join(dict.fromkeys(part for part in name if part not in ("", "none"))) for name in wide.columns]
results.table("live_scores", wide.reset_index())
