# %% [markdown]
# # Networks trained at scale: what would you download, and which layers would you read?
#
# **Question.** The networks of the other chapters are small and heard little. Others have trained
# larger ones on thousands of hours: of general sound, of speech, of music. Does reading all their
# layers still beat reading the last one? Where do the useful layers lie? And is a network of the
# target's own domain worth more than one that heard everything?
#
# **What is known.** SUPERB (Yang et al. 2021) reads speech networks through a learnt weighted sum
# of their layers, HEAR (Turian et al. 2022) by the embedding their authors chose. VGGish names ten
# spoken words far better from several layers than from its last (arXiv 2205.08138). A blog that
# readers of Choi et al. wrote guesses that useful layers lie deeper the nearer source and target
# are; nobody seems to have measured it over architectures and domains together.
#
# **What we do.** Every network stays frozen and hears each clip in its own way. Mean and deviation
# over time of each layer are blocks, and a ridge probe reads the last layer, all of them side by
# side, the shortest run of neighbouring layers that is as good as all, all with MFCC, and, as the
# rival, SUPERB's weighted sum. Penalties and runs are chosen on the other folds, and no fold cuts
# a recording or a speaker. Each block keeps at most `width` principal components of the training
# clips, so that a wide layer does not win by width.

# %% tags=["parameters"]
data = "built-in"              # built-in, or the folder that holds corpora and networks
size = "quick"                 # of the built-in corpora: smoke or quick
corpus_seed = 0                # of the built-in corpora and of folds
network_seed = 0               # of the network that is trained here
networks = ["yamnet", "speech_embedding", "crnn-audioset2", "musicnn-msd"]   # published ones
stand_in = "convnet5"          # trained on the spot, for comparison and where none of them is here
source = "environment"         # corpus that the stand-in learns from
recipe = {"epochs": 10, "crop": 64}    # how it is trained (training.Recipe)
targets = ["speech", "music_family"]   # corpora on which the networks are read
pooling = "mean+std"           # over time: mean or mean+std
width = 32                     # principal components that a block keeps at most

# %% jupyter={"source_hidden": true} tags=["hide-input"]
import numpy as np
import pandas as pd
from IPython.display import display

from audiotl import datasets, probes, stats
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.models import pretrained
from audiotl.plots import compare
from audiotl.plots.style import title_of
from audiotl.probes.subset_search import search
from audiotl.probes.weighted_sum import WeightedSum
from audiotl.report.results import Results
from audiotl.sources import source_network
from audiotl.training import Recipe

results = Results("08_networks_at_scale")

# %%
results.on_recordings()

# %% [markdown]
# ## What can be had
#
# Every network that this package can run, what it heard, its licence, and what becomes of a clip
# that is shorter or longer than its input. `python -m audiotl data fetch yamnet` brings one; so do
# the others with a pinned address. A network of your own comes in through `models.taps_of` (any
# torch module), `models.HiddenStates` (audio encoders of `transformers`) or
# `models.hear.FromHear` (modules of the HEAR benchmark).

# %%
known = pretrained.table(data if data != "built-in" else None)
results.table("networks", known, show=20)

# %%
heard = features(datasets.load(source, data, size, corpus_seed))
model = source_network(heard, Recipe(**recipe), stand_in, seed=network_seed).model
trained, domain = {stand_in: model}, {stand_in: heard.corpus.domain}
left_out = [name for name in networks if not pretrained.available(name, data)]
for name in networks:
    if name not in left_out:
        trained[name] = pretrained.load(name, data)
        domain[name] = pretrained.card(name).domain
print("left out, weights not at hand:", ", ".join(left_out) or "none")

# %%
target_sounds = {}
for name in targets:
    kept, _ = datasets.without_shared(datasets.load(name, data, size, corpus_seed), [heard.corpus])
    target_sounds[name] = features(kept)
results.corpora(*target_sounds.values())

# %% [markdown]
# ## Last or all, by hand
#
# One network, one fold, one penalty. Standardise on the training clips, keep the first principal
# components of each layer, put the layers side by side, fit a ridge on one-hot targets, and count.

# %%
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

shown = next((name for name in networks if name in trained), stand_in)
first = target_sounds[targets[0]]
blocks = embed(trained[shown], first, pooling=pooling)
y, splits = first.corpus.targets(), first.corpus.splits(seed=corpus_seed)
train, test = splits[0]


def by_hand(names):
    columns = []
    for name in names:
        x = blocks[name].astype(float)
        x = StandardScaler().fit(x[train]).transform(x)
        if x.shape[1] > width:
            x = PCA(min(width, len(train) - 1), svd_solver="full").fit(x[train]).transform(x)
        columns.append(x)
    x = np.concatenate(columns, axis=1)
    fitted = Ridge(alpha=100.0).fit(x[train], np.eye(y.max() + 1)[y[train]])
    return fitted.predict(x[test]).argmax(axis=1) == y[test]


last, everything = tuple(blocks)[-1:], tuple(blocks)
both = search(blocks, y, splits, first.corpus.groups, probes.named("ridge"),
              subsets=[last, everything], width=width)
cell = both.cells.index({"lambda": 100.0})

# %%
right = {subset: by_hand(subset) for subset in (last, everything)}
same = [both.unpack(both.bits[both.position(subset), cell])[test] == hit
        for subset, hit in right.items()]
# A clip whose two best classes are level to rounding may fall either way.
assert np.mean(same) > 0.99
pd.DataFrame({"layers": [len(subset) for subset in right],
              "right (%)": [100 * hit.mean() for hit in right.values()]}).round(1)

# %% [markdown]
# ## Every network, every target
#
# With 14 or 20 layers there are too many subsets to score them all, so the search runs over all
# *runs* of neighbouring layers, first to last, second to fifth and so on. *Shortest* is, in each
# fold, the shortest run whose score on the other folds is within a point of that of all layers.

# %%
def runs(layers):
    """Every run of neighbouring layers."""
    return [tuple(layers[i:j]) for i in range(len(layers)) for j in range(i + 1, len(layers) + 1)]


def shortest(found, layers):
    """Clips right by the shortest run within a point of all, chosen on the other folds; lengths."""
    among = [found.position(run) for run in runs(layers)]
    right, lengths = np.zeros(len(found.fold)), []
    for fold, inner in enumerate(found.inner):
        score = inner.max(axis=1)
        enough = [i for i in among if score[i] >= score[found.position(layers)] - 0.01]
        pick = min(enough, key=lambda i: (len(found.subsets[i]), -score[i]))
        bits = found.unpack(found.bits[pick, inner[pick].argmax()])
        right[found.fold == fold] = bits[found.fold == fold]
        lengths.append(len(found.subsets[pick]))
    return right, np.mean(lengths)


# %%
scored, lengths, single = {}, {}, []
for network, model in trained.items():
    for target, sound in target_sounds.items():
        corpus = sound.corpus
        blocks = embed(model, sound, pooling=pooling) | {"mfcc": sound.mfcc}
        layers = tuple(name for name in blocks if name != "mfcc")
        problem = corpus.targets(), corpus.splits(seed=corpus_seed), corpus.groups
        found = search(blocks, *problem, probes.named("ridge"), width=width,
                       subsets=[*runs(layers), ("mfcc",), tuple(blocks)],
                       title=f"{network} -> {target}")
        mixed = search(blocks, *problem, WeightedSum(), subsets=[layers], width=width,
                       title=f"{network} -> {target}")
        keys = {"network": network, "domain": domain[network], "target": target,
                "target_domain": corpus.domain}
        right, lengths[network, target] = shortest(found, layers)
        readings = {"last": found.scored(layers[-1:]), "all": found.scored(layers),
                    "shortest": stats.Scored.of(right, found.fold, found.groups),
                    "weighted": mixed.scored(layers), "mfcc_added": found.scored(tuple(blocks)),
                    "mfcc": found.scored(("mfcc",))}
        scored[network, target] = {name: stats.Scored(one.values, one.folds, one.groups, keys)
                                   for name, one in readings.items()}
        single += [found.scored((layer,)).named(**keys, layer=number, depth=number / len(layers))
                   for number, layer in enumerate(layers, 1)]

# %%
rows = [one.named(reading=reading) for readings in scored.values()
        for reading, one in readings.items()]
atlas = stats.score_table(rows)
pairs = list(zip(atlas["network"], atlas["target"], strict=True))
runs_of = atlas["reading"].eq("shortest") * 1.0
atlas["layers"] = np.where(runs_of, [lengths[pair] for pair in pairs], np.nan)
results.table("atlas", atlas, show=30)

# %%
paired = []
for readings in scored.values():
    for one, other in (("all", "last"), ("all", "weighted"), ("shortest", "all"),
                       ("mfcc_added", "all"), ("all", "mfcc")):
        paired.append(stats.compare(readings[one], readings[other],
                                    comparison=f"{one} - {other}".replace("_", " ")))
paired = pd.DataFrame(paired)
parts = [rows.assign(clear=stats.clear(rows), within_a_point=stats.equivalent(rows, 0.01))
         for _, rows in paired.groupby("comparison", sort=False)]
paired = pd.concat(parts, ignore_index=True)
results.table("paired", paired, show=20)

# %%
names = [f"{title_of(row.network)} → {title_of(row.target)}" for row in paired.itertuples()]
figure = compare.forest(paired.assign(row=names), "row", "domain", "comparison", margin=0.01)
display(results.figure("cover", figure, "All layers against the last, the weighted sum and MFCC, "
                       "for each network and target, with intervals."))

# %%
whole = atlas[atlas["reading"] == "all"]
figure = compare.heat_map(whole, "network", "target", "score", "score (%)")
results.figure("atlas", figure, "Score of all layers side by side for each network and target.")

# %% [markdown]
# ## How deep do the useful layers lie?
#
# Each layer alone, by its place between input (0) and last layer (1). The *centre* is the mean
# place of a layer, each weighted by what it scores above naming the most frequent class. Claim 15
# of this study says that it lies deeper the nearer source and target are.

# %%
depth = stats.score_table(single).drop(columns=["subset", "probe", "protocol"])
results.table("depth", depth, show=20)

# %%
guess = {}
for name, sound in target_sounds.items():
    y = sound.corpus.targets()
    guess[name] = np.mean(np.concatenate([
        y[test] == np.bincount(y[train]).argmax()
        for train, test in sound.corpus.splits(seed=corpus_seed)]))
centres = []
for (network, target), rows in depth.groupby(["network", "target"], sort=False):
    above = (rows["score"] - guess[target]).clip(lower=0)
    best = rows.loc[rows["score"].idxmax()]
    near = rows["domain"].iloc[0] in (rows["target_domain"].iloc[0], "general")
    centres.append({"network": network, "target": target, "near": near,
                    "centre": np.average(rows["depth"], weights=above + 1e-9),
                    "best_layer": best["layer"], "best_depth": best["depth"]})
results.table("centres", pd.DataFrame(centres), show=20)

# %%
figure = compare.curves(depth.assign(depth=depth["depth"].round(2)), "depth", colour="network",
                        xlabel="place between input and last layer", chance=guess)
for axis in figure.axes:
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
results.figure("depth", figure, "Score of each layer alone by its depth, for each network.")

# %% [markdown]
# ## What we learnt
#
# - The atlas says, for a target, which network to fetch, and the comparisons what is lost by
#   reading the last layer alone.
# - *Shortest* tells how many neighbouring layers would have done. Where it is one layer of twenty,
#   reading that one costs a twentieth.
# - A network has a licence and a past: keyword networks have heard keywords, and AudioSet is not
#   far from any clip of the internet. See `heard` before believing a score.
# - Each network is one training on one corpus; what separates two of them may be the corpus, the
#   architecture, or the size.

# %% [markdown]
# ## Exercises
#
# 1. FCN-5 comes in three: one architecture, three corpora of music. Ask for `fcn5-msd`,
#    `fcn5-jamendo` and `fcn5-mtat` on a music target. How much is the corpus worth?
# 2. Five CRNNs learnt one task from different recordings. Does the one that heard telephones read
#    spoken words better than the one that heard AudioSet?
# 3. Set `width` to 8, then to 256. Which networks gain most, and is it their layers or their width?
