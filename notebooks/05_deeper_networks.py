# %% [markdown]
# # Deeper networks: does taking every layer still win?
#
# **Question.** Five layers have 31 combinations, and taking all five was hard to beat. A ResNet-18
# has nine layers to read from and a DenseNet-121 many more. Is "all of them" still a good rule
# there, and what does each layer give?
#
# **What is known.** Choi et al. (2017) concatenated five layers of a music tagger. McMahan and Rao
# (2018) transferred ResNets and a DenseNet from environmental sound to speech and found deeper
# ones better. For VGGish, reading several layers in place of the last raised Speech Commands from
# 14 to 91 % (arXiv 2205.08138). We know of no study that scored *every* subset of a deep network's
# layers on audio.
#
# **What we do.** Every subset of the layers, MFCC counted as one more block, gets a ridge probe
# with five penalties on folds that never cut a recording or a speaker; the penalty is chosen on
# the other folds (*nested*). Each block is first brought down to at most `width` principal
# components of the training clips, so that wide layers do not win by width. (The 120 columns of
# MFCC are cut as well, and lose by it; chapter 03 scores them whole.) With every subset scored,
# the **Shapley value** of a layer is exact: what it adds, averaged over all orders in which layers
# may be added.

# %% tags=["parameters"]
data = "built-in"              # built-in, or the folder that holds the corpora
size = "quick"                 # of the built-in corpora: smoke or quick
corpus_seed = 0                # of the built-in corpora and of folds
network_seed = 0               # of the source networks
source = "environment"         # corpus that the networks learn from
targets = ["speech", "music_family"]   # corpora on which every subset is scored
networks = ["convnet5"]        # also resnet18, densenet121 (hours), or published ones
recipe = {"epochs": 10, "crop": 64}    # how ConvNet5 is trained (training.Recipe)
deep_recipe = {"epochs": 6, "crop": 64, "learning_rate": 1e-3, "weight_decay": 1e-2}
width = 32                     # principal components that a block keeps at most

# %% jupyter={"source_hidden": true} tags=["hide-input"]
import itertools

import numpy as np
import pandas as pd
from IPython.display import display

from audiotl import datasets, models, probes, shapley, stats, widgets
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.models import pretrained
from audiotl.plots import compare
from audiotl.plots import subsets as plots
from audiotl.plots.style import title_of
from audiotl.probes.subset_search import search
from audiotl.report.results import Results
from audiotl.sources import source_network
from audiotl.training import Recipe

results = Results("05_deeper_networks")

# %%
results.on_recordings()

# %% [markdown]
# ## Your own network, your own folder of sounds
#
# Everything in this chapter works for any torch module whose layers have names, and for any folder
# of class folders. The network below is untrained and the folder holds built-in synthetic words,
# so that this cell runs anywhere: put your own in their place. For a network that hears raw sound,
# say `taps_of(network, names, sample_rate=16_000)`.

# %%
from pathlib import Path

my_folder = Path(datasets.load("speech", size="smoke").clips["path"].iloc[0]).parents[1]

# %% tags=["own"]
import torch
from torch import nn

torch.manual_seed(0)
my_network = nn.Sequential(nn.Conv2d(1, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 64, 5, 2), nn.ReLU(),
                           nn.Conv2d(64, 64, 3))
my_sound = features(datasets.load("folder", my_folder))
my_corpus = my_sound.corpus
my_blocks = embed(models.taps_of(my_network, ["0", "2", "4"]), my_sound) | {"mfcc": my_sound.mfcc}
mine = search(my_blocks, my_corpus.targets(), my_corpus.splits(), my_corpus.groups,
              probes.named("ridge"), width=width)
ranked = mine.table().query("protocol == 'nested'").sort_values("score", ascending=False)
results.table("own", ranked[["subset", "score", "ci_low", "ci_high"]], show=5)

# %% [markdown]
# ## A Shapley value by hand
#
# Three blocks, seven subsets, all scored above. Add the blocks one by one in each of the six
# orders, write down what each adds when its turn comes, and average. Nothing at all scores as much
# as naming the most frequent class of the training clips.

# %%
def guess(corpus):
    """Clips right when each fold is given the most frequent class of its training clips."""
    y, out = corpus.targets(), np.zeros(len(corpus))
    for train, test in corpus.splits(seed=corpus_seed):
        out[test] = y[test] == np.bincount(y[train]).argmax()
    return out

# %% [markdown]
# What is one subset worth? Here is the first block alone, on the first fold and with one penalty,
# by scikit-learn; the package has the same clips right.

# %%
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

names = list(my_blocks)[:3]
y, (train, test) = my_corpus.targets(), my_corpus.splits()[0]
x = my_blocks[names[0]].astype(float)
scaler = StandardScaler().fit(x[train])
model = Ridge(alpha=10.0).fit(scaler.transform(x[train]), np.eye(y.max() + 1)[y[train]])
correct = model.predict(scaler.transform(x[test])).argmax(axis=1) == y[test]

# %%
cell = mine.cells.index({"lambda": 10.0})
assert np.array_equal(mine.unpack(mine.bits[mine.position(names[:1]), cell])[test], correct)

# %%
worth = {frozenset(): guess(my_corpus).mean()}
for r in (1, 2, 3):
    for subset in itertools.combinations(names, r):
        worth[frozenset(subset)] = mine.scored(subset).mean

by_hand = dict.fromkeys(names, 0.0)
for order in itertools.permutations(names):
    for k, name in enumerate(order):
        gain = worth[frozenset(order[:k + 1])] - worth[frozenset(order[:k])]
        by_hand[name] += gain / 6

# %%
subsets = [[name for i, name in enumerate(names) if mask >> i & 1] for mask in range(8)]
values = shapley.values(np.array([worth[frozenset(subset)] for subset in subsets]))
assert np.allclose(values, [by_hand[name] for name in names])
pd.DataFrame({"block": names, "by hand": by_hand.values(), "package": values}).round(4)

# %% [markdown]
# ## Source, targets, networks
#
# A network that others trained is read where its weights are at hand, and left out where not.

# %%
heard = features(datasets.load(source, data, size, corpus_seed))
target_sounds = {}
for name in targets:
    kept, _ = datasets.without_shared(datasets.load(name, data, size, corpus_seed), [heard.corpus])
    target_sounds[name] = features(kept)
results.corpora(heard, *target_sounds.values())

# %%
trained, untrained, left_out = {}, {}, []
for name in networks:
    if name not in pretrained.NETWORKS:
        how = Recipe(**(recipe if name == "convnet5" else deep_recipe))
        trained[name] = source_network(heard, how, name, seed=network_seed).model
        untrained[name] = source_network(heard, how, name, labels="none", seed=network_seed).model
    elif pretrained.available(name, data):
        trained[name] = pretrained.load(name, data)
    else:
        left_out.append(name)
print("left out, weights not at hand:", ", ".join(left_out) or "none")

# %% [markdown]
# ## Every subset of every network
#
# A subset's solution is one step from that of the subset without its last block, so all of them
# cost little more than a few thousand separate fits would (see `probes.ridge_subsets`).

# %%
searches = {}
for network, model in trained.items():
    for target, sound in target_sounds.items():
        corpus = sound.corpus
        if network in untrained and datasets.related(heard.corpus, corpus):
            continue
        blocks = embed(model, sound) | {"mfcc": sound.mfcc}
        searches[network, target] = search(
            blocks, corpus.targets(), corpus.splits(seed=corpus_seed), corpus.groups,
            probes.named("ridge"), width=width, title=f"{network} -> {target}")

# %%
domain = {name: pretrained.card(name).domain if name in pretrained.NETWORKS else heard.corpus.domain
          for name in trained}
rows = [pd.DataFrame({"source": domain[network], "network": network, "target": target,
                      "subset": found.labels(), "score": found.scores(),
                      "size": [len(subset) for subset in found.subsets],
                      "mfcc": ["mfcc" in subset for subset in found.subsets]})
        for (network, target), found in searches.items()]
table = pd.concat(rows, ignore_index=True)
results.table("subsets.csv.gz", table, show=5)

# %% [markdown]
# ## All, picked, or last?
#
# *Picked* is the subset of layers that was best on the other folds. *Random* is the same network
# with random weights, its batch norm calibrated on the source's clips. All on the same clips.

# %%
def random_score(network, target):
    """All layers of the untrained network; None for a published one."""
    if network not in untrained:
        return None
    sound = target_sounds[target]
    blocks = embed(untrained[network], sound)
    found = search(blocks, sound.corpus.targets(), sound.corpus.splits(seed=corpus_seed),
                   sound.corpus.groups, probes.named("ridge"), width=width, subsets=[tuple(blocks)])
    return found.scored(tuple(blocks))

# %%
scores, paired, smallest = [], [], []
for (network, target), found in searches.items():
    keys = {"source": domain[network], "network": network, "target": target}
    layers = [name for name in found.names if name != "mfcc"]
    without = [i for i, subset in enumerate(found.subsets) if "mfcc" not in subset]
    everything = found.scored(layers)
    sides = {"last": found.scored(layers[-1:]), "best": found.scored_best(without),
             "random": random_score(network, target), "mfcc": found.scored(["mfcc"])}
    for name, other in sides.items():
        if other:
            paired.append(stats.compare(everything, other, comparison=f"all - {name}", **keys))
    both = found.scored(found.names)
    paired.append(stats.compare(both, everything, comparison="with mfcc - all", **keys))
    enough = [i for i in without if found.scores()[i] >= everything.mean - 0.01]
    picks = found.nested_best(without)[1]
    scores.append(keys | {"layers": len(layers), "all": everything.mean, "all_mfcc": both.mean,
                          "picked_layers": np.mean([len(pick) for pick in picks]),
                          "smallest": min(len(found.subsets[i]) for i in enough)}
                  | {name: other.mean if other else np.nan for name, other in sides.items()})
scores = pd.DataFrame(scores)
results.table("summary", scores, show=30)

# %% [markdown]
# `picked_layers` is how many layers the picked subsets have, on average over folds. `smallest` is
# the size of the smallest subset within one point of all layers: the answer to "how many layers do
# I need?". It is read off the reporting folds, so it is a little too small.

# %%
paired = pd.DataFrame(paired).drop(columns=["subset", "probe", "protocol"], errors="ignore")
parts = [rows.assign(clear=stats.clear(rows), within_a_point=stats.equivalent(rows, 0.01))
         for _, rows in paired.groupby("comparison", sort=False)]
paired = pd.concat(parts, ignore_index=True)
results.table("paired", paired, show=12)

# %%
shown = paired[paired["comparison"].isin(["all - last", "all - best", "all - random"])]
names = [f"{title_of(row.network)} → {title_of(row.target)}"
         for row in shown.itertuples()]
figure = compare.forest(shown.assign(row=names), "row", "source", "comparison", margin=0.01)
results.figure("cover", figure, "All layers against the last, the picked subset and random "
               "weights, for each network and target, with intervals.")

# %% [markdown]
# Filled dots are clear differences; the grey band is one point either side of zero. An interval
# that lies inside the band says that the two are *equivalent*, which is more than "not clear".
#
# ## What does one more layer buy?
#
# The band runs from the worst to the best subset of each size. Its upper edge is read off the
# reporting folds, so it flatters.

# %%
figure = plots.sizes(table[~table["mfcc"]], scores)
results.figure("sizes", figure, "Worst, median and best score over all subsets of each size.")

# %% [markdown]
# ## How much does each layer give?
#
# The bars of a panel sum to what everything together scores above naming the most frequent class.

# %%
values, pairs = [], []
for (network, target), found in searches.items():
    keys = {"source": domain[network], "network": network, "target": target}
    masks = shapley.masks(found.subsets, found.names)
    nobody = guess(target_sounds[target].corpus)
    value, pair = shapley.attribute(found.nested_bits, masks, nobody, found.groups, found.names)
    values.append(value.assign(**keys, groups=len(np.unique(found.groups))))
    pairs.append(pair.assign(**keys))
first = ["source", "network", "target"]
values, pairs = (pd.concat(parts, ignore_index=True) for parts in (values, pairs))
values = values[[*first, *values.columns.difference(first, sort=False)]]
results.table("shapley", values, show=12)

# %%
for network, rows in values.groupby("network", sort=False):
    figure = plots.shapley_values(rows)
    display(results.figure(f"shapley_{network}", figure,
                           f"Shapley value of each layer and MFCC by depth: {network}."))

# %% [markdown]
# ## Which layers need each other?
#
# The interaction index of two blocks is what they add together beyond what each adds alone,
# averaged over the company they may be in. Below zero, each can in part stand in for the other.
# Accuracy has a ceiling, so most pairs will be below zero; what tells is how far.

# %%
pairs = pairs[[*first, *pairs.columns.difference(first, sort=False)]]
results.table("interactions", pairs, show=6)

# %%
figure = plots.interactions(pairs)
results.figure("interactions", figure, "Interaction index of each pair of layers and MFCC.")

# %% [markdown]
# ## Try it
#
# Tick layers: score, interval and rank among all subsets appear at once.

# %%
widgets.LayerTicker({f"{network} → {target}": found
                     for (network, target), found in searches.items()})

# %% [markdown]
# ## What we learnt
#
# - "All of them" is a rule one can state before looking; the picked subset has to be found. The
#   first figure says whether the search pays, the summary how few layers would have done.
# - A bar of the Shapley figure is a layer's share among *these* blocks; take one away and the
#   others change.
# - Each network is one training on one corpus: these intervals are over clips, not over trainings,
#   and they do not rank architectures.

# %% [markdown]
# ## Exercises
#
# 1. `python -m audiotl report --only 05 -p networks resnet18` trains a ResNet-18 on the built-in
#    sounds and searches it. Which of its layers is worth most?
# 2. Set `width` to 8. Which layers lose most?
# 3. A network of 24 layers has 16,777,215 subsets. Ask `search` for them, read the sentence, and
#    estimate Shapley values from `shapley.sample`.
