# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Deeper networks: does taking every layer still win?
#
# **Question.** Five layers have 31 combinations, and taking all five was hard to beat. A ResNet-18 has nine layers to
# read from and a DenseNet-121 many more. Is "all of them" still a good rule there, and what does each layer give?
#
# **What is known.** Choi et al. (2017) concatenated five layers of a music tagger. McMahan and Rao (2018) transferred
# ResNets and a DenseNet from environmental sound to speech and found deeper ones better. For VGGish, reading several
# layers in place of the last raised Speech Commands from 14 to 91 % (arXiv 2205.08138). We know of no study that scored
# *every* subset of a deep network's layers on audio.
#
# **What we do.** Every subset of the layers, MFCC counted as one more block, gets a ridge probe with five penalties,
# official folds, penalty chosen on the other folds only (*nested*). Layers differ in width, so each block, the 120 MFCC
# statistics too, is first brought down to at most 32 principal components of the training clips: all compete on equal
# terms, which is not to say that 32 is best for each. With every subset scored,
# the **Shapley value** of a layer is exact: what it adds, averaged over all orders in which layers may be added. The
# values sum to the accuracy of everything together less that of naming the most frequent class.

# %% tags=["parameters"]
profile = "quick"
data = ""
out = ""
seed = 0
targets = ""
sources = ""
networks = ""

# %%
import numpy as np
from IPython.display import Markdown, display

from audiotl import datasets, layerwise, study
from audiotl.plots import lattice
from audiotl.report.results import Results
from audiotl.explorers import Explorer

plan = study.plan(profile, data, targets or layerwise.TARGETS[profile], sources or "environment", seed)
names = layerwise.chosen(networks, profile)
results = Results(out, profile=profile, synthetic=plan.synthetic, sources=plan.sources, targets=plan.targets,
                  networks=names)
if plan.synthetic:
    display(Markdown("> **Synthetic sound** plays a part in these numbers (the built-in corpora). They show how the method "
                     "works, not how real sound behaves."))

# %% [markdown]
# ## The targets

# %%
aims, about = study.aims(plan)
results.skipped(*aims.values())
chance = {name: np.bincount(aim.corpus.targets()).max() / len(aim.corpus) for name, aim in aims.items()}
display(Markdown("\n".join(f"- {words}" for words in about.values())))

# %% [markdown]
# ## Every subset of every network
#
# A subset's solution is one step from that of the subset without its last layer, so that all of them cost little more
# than a few thousand separate fits would (see `audiotl.probes.ridge_subsets`).

# %%
found = layerwise.examine(plan, names, aims)
table = layerwise.subset_table(found)
results.table("subsets.csv.gz", table[["source", "network", "target", "subset", "score"]], show=5)

# %%
scores = layerwise.summary(found)
display(results.table("summary", scores.drop(columns="title"), show=30))
results.figure("cover", lattice.answer(layerwise.marks(scores), chance),
               "Accuracy of the last layer, of all layers, and of the subset picked on other folds, for each network and "
               "target, beside random weights and MFCC.")

# %% [markdown]
# ## All, picked, or last? Paired answers
#
# Differences on the same clips with a 95 % bootstrap interval over groups, and the corrected resampled t-test of Nadeau
# and Bengio (2003) over folds. "Picked" is the subset of layers that was best on the other folds.

# %%
paired = layerwise.paired(found)
display(results.table("paired", paired.drop(columns="title"), show=8))
display(Markdown("\n\n".join([
    layerwise.say(paired, "all - last", "the block of all layers", "the last layer alone"),
    layerwise.say(paired, "all - best", "the block of all layers", "the subset picked on other folds"),
    layerwise.say(paired, "all - random", "a trained network", "the same network with random weights")])))

# %% [markdown]
# ## What does one more layer buy?
#
# The band runs from the worst to the best subset of each size. Its upper edge is read off the reporting folds, so it
# flatters; the star was named beforehand.

# %%
results.figure("sizes", lattice.sizes(table[~table["mfcc"]], layerwise.marks(scores), chance),
               "Worst, median and best accuracy over all subsets of each size, for each network and target, with all layers, "
               "the last layer and the subset picked on other folds marked.")

# %% [markdown]
# ## How much does each layer give?
#
# Each bar is a layer's share, in points of accuracy; the line is its 95 % interval over groups of clips. The bars of a
# panel sum to what everything together scores above naming the most frequent class.

# %%
values, pairs = layerwise.attributions(found)
for title, rows in values.groupby("title", sort=False):
    slug = f"shapley_{rows['network'].iloc[0]}_{rows['source'].iloc[0]}"
    display(results.figure(slug, lattice.values(rows), f"Shapley value of each layer and MFCC by depth: {title}."))

# %%
display(results.table("shapley", values.drop(columns="title"), show=12))
display(Markdown(layerwise.say_values(values)))

# %% [markdown]
# ## Which layers need each other, and does MFCC add anything?
#
# The interaction index of two blocks is what they add together beyond what each adds alone, averaged over the company
# they may be in. Below zero, each can in part stand in for the other. Accuracy has a ceiling, so that most pairs will be
# below zero; what tells is how far. An index above zero would mean two blocks that are worth more together than apart.

# %%
results.table("interactions", pairs.drop(columns="title"), show=6)

# %%
results.figure("interactions", lattice.interactions(pairs, {one.title: list(one.search.names) for one in found}),
               "Interaction index of each pair of layers and MFCC, for each network and target.")

# %%
display(Markdown(layerwise.say_mfcc(values, pairs) + " "
                 + layerwise.say(paired, "with mfcc - all", "the network with MFCC", "the network without MFCC")))

# %% [markdown]
# ## Try it
#
# Tick layers: score, interval and rank among all subsets appear at once. (A report shows the picture for all layers.)

# %%
explorer = Explorer({(f"{one.title} → {one.target}", one.search.probe): one.search for one in found}, found[0].layers)
explorer if not out else results.figure("explorer", explorer.figure(), f"All subsets by size. {explorer.words()}.")

# %% [markdown]
# ## Your own network and your own folder of sounds
#
# Any torch module whose layers have names, and any folder of class folders. The network below is untrained and the folder
# holds built-in synthetic words, so that this cell runs anywhere: put your own in their place. For a network that hears
# raw sound, `taps_of(network, names, sample_rate=16_000)`.

# %%
from pathlib import Path

my_folder = Path(datasets.load("speech", size="smoke").clips["path"].iloc[0]).parents[1]

# %% tags=["own"]
from torch import nn

from audiotl import datasets, study
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.models import taps_of
from audiotl.probes.subset_search import search

my_network = nn.Sequential(nn.Conv2d(1, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 64, 5, 2), nn.ReLU(), nn.Conv2d(64, 64, 3))
sound = features(datasets.load("folder", my_folder))
blocks = embed(taps_of(my_network, ["0", "2", "4"]), sound) | {"mfcc": sound.mfcc}
corpus = sound.corpus
mine = search(blocks, corpus.targets(), corpus.splits(), corpus.groups, study.probe("ridge"), width=32)
ranked = mine.table().query("protocol == 'nested'").sort_values("score", ascending=False)

# %%
results.table("own", ranked[["subset", "score", "ci_low", "ci_high"]], show=5)

# %% [markdown]
# ## What we learnt

# %%
finding = results.finding(layerwise.finding(paired, scores) + (" Synthetic sound." if plan.synthetic else ""))
few = [f"{name} ({aim.corpus.clips['group'].nunique()})" for name, aim in aims.items()
       if aim.corpus.clips["group"].nunique() < 20]
display(Markdown(f"- {finding}\n- {layerwise.say_mfcc(values, pairs)}\n- **What these numbers cannot tell.** Each network is "
                 "one training from one seed on one corpus, so a ranking of architectures is not shown by these intervals, "
                 "which are over clips only. A ridge probe on 32 components of each block may miss what a larger probe "
                 "would find. With so many layers some interval leaves zero out by chance: read the pattern, not one bar."
                 + (f" Intervals over few groups are too narrow: {', '.join(few)} speakers or recordings." if few else "")))

# %% [markdown]
# ## Exercises
#
# 1. `python -m audiotl report --only 05 -p networks resnet18`: train a ResNet-18 on the built-in sounds and search it.
# 2. Set `width=8` in `layerwise.examine`. Which layers lose most?
# 3. A network of 24 layers has 16,777,215 subsets. Ask `search` for them, read the sentence, and take the sampled way.
