# %% [markdown]
# # Every layer: more columns, or more to say?
#
# **Question.** All layers side by side beat the last one. Is it because they are more columns,
# because the last is a poor layer to read, or because layers say different things? And what does
# each give?
#
# **What is known.** Choi et al. (2017) concatenated five layers of a music tagger. McMahan and Rao
# (2018) transferred ResNets and a DenseNet from environmental sound to speech and found deeper
# ones better. For VGGish, reading several layers in place of the last raised Speech Commands from
# 14 to 91 % (arXiv 2205.08138). We know of no study that scored *every* subset of a deep network's
# layers on audio.
#
# **What we do.** First the question that 2017 left out: all layers have more columns than the
# last one, so how much of their lead is mere width? All layers are brought down to the width
# of the last, and the last is widened to that of all. Then every subset of the layers is scored,
# MFCC counted as one more block, each block brought down to at most `width` principal components
# of the training clips. With every subset scored, the **Shapley value** of a layer is exact: what
# it adds, averaged over all orders in which layers may be added. Each layer gives the mean and the
# deviation over time of its maps; the probe is ridge regression, its penalty chosen on the other
# folds (*nested*), and folds never cut a recording or a speaker.

# %% tags=["parameters"]
data = "built-in"              # built-in, or the folder that holds the corpora
size = "quick"                 # of the built-in corpora: smoke or quick
corpus_seed = 0                # of the built-in corpora and of folds
network_seeds = [0]            # of each source network; single subsets show the first
sources = ["environment"]      # corpora that ConvNet5 learns from; deeper ones from the first
targets = ["speech", "music_family"]   # corpora on which every subset is scored
networks = ["convnet5"]        # also resnet18, densenet121 (hours), or published ones
recipe = {"epochs": 10, "crop": 64}    # how ConvNet5 is trained (training.Recipe)
deep_recipe = {"epochs": 6, "crop": 64, "learning_rate": 1e-3, "weight_decay": 1e-2}
pooling = "mean+std"           # mean or mean+std over time
width = 64                     # principal components that a block keeps at most in the search
repeats = 1                    # 1: the corpus's own folds; more: five folds dealt so often
most_columns = 1500            # of a network whose folds are dealt more than once

# %% jupyter={"source_hidden": true} tags=["hide-input"]
import itertools
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display
from tqdm import tqdm

from audiotl import datasets, models, probes, shapley, stats, widgets
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.models import pretrained
from audiotl.plots import compare
from audiotl.plots.networks import taps
from audiotl.plots.style import INK, styled, title_of
from audiotl.probes import coalitions, controls
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
# Columns that were made elsewhere need none: a folder with a `.npz` of one block `(n, d)` a layer
# and a `manifest.csv` of `clip,label[,fold,group]` is the target `embeddings` (`--data MY_FOLDER -p
# targets embeddings`). Labels may be tags, joined by `;`, or numbers.

# %%
source_sounds = {}
given = [name for name in targets if name == "embeddings"]
for name in sources if targets != given else []:
    sound = features(datasets.load(name, data, size, corpus_seed))
    source_sounds[sound.corpus.domain] = sound
heard = [sound.corpus for sound in source_sounds.values()]
target_sounds = {}
for name in targets:
    kept, _ = datasets.without_shared(datasets.load(name, data, size, corpus_seed), heard)
    target_sounds[name] = features(kept)
results.corpora(*source_sounds.values(), *target_sounds.values())

# %%
trained, untrained, left_out = {}, {}, []
for name in networks if targets != given else []:
    if name in pretrained.NETWORKS:
        if pretrained.available(name, data):
            trained[pretrained.card(name).domain, name] = [pretrained.load(name, data)]
        else:
            left_out.append(name)
        continue
    how = Recipe(**(recipe if name == "convnet5" else deep_recipe))
    for domain, sound in list(source_sounds.items())[:None if name == "convnet5" else 1]:
        trained[domain, name], untrained[domain, name] = (
            [source_network(sound, how, name, labels=labels, seed=seed).model
             for seed in network_seeds] for labels in ("true", "none"))
print("left out, weights not at hand:", ", ".join(left_out) or "none")

# %%
cases = [(source, network, target) for source, network in trained for target in target_sounds
         if target not in given and ((source, network) not in untrained or not datasets.related(
             source_sounds[source].corpus, target_sounds[target].corpus))]
cases += [("given", "embeddings", target) for target in given]

def layers_of(source, network, target):  # blocks of each of its trainings
    return [embed(model, target_sounds[target], pooling=pooling)
            for model in trained.get((source, network), [None])]

def names_of(rows):
    return [f"{title_of(row.network)}, {row.source} → {target_sounds[row.target].corpus.title}"
            for row in rows.itertuples()]

# %%
tapped = {title_of(network): {name: block.shape[1] for name, block in layers_of(
    source, network, target)[0].items()} for source, network, target in cases}
sums = sorted({sum(columns.values()) for columns in tapped.values()})
results.figure("networks", taps(tapped), "Taps of each network.",
               "All taps are {} columns".format(" to ".join(
                   dict.fromkeys(f"{n:,}" for n in (sums[0], sums[-1])))))

# %% [markdown]
# ## How much of the gain is width?
#
# Four blocks of columns a network: the last layer; all layers side by side; all layers brought down
# to the width of the last by principal components of the training clips (*joint*); and the last
# layer *widened* to the width of all by random Fourier features of its own (Rahimi and Recht 2007).
# If all layers only won by width, *joint* would be no better than the last, and *widened* as good
# as all. (A target of fewer training clips than components has no *joint*.) MFCC (20 and 40
# coefficients), the mean and deviation of log-mel bands, and the same network with random weights
# stand beside, each at its own width. Networks that were trained here are trained once a seed, and
# stand against as many random ones.

# %%
def score(target, blocks, transform=None, deal=True, **keys):
    """Nested score of all the blocks side by side; folds are dealt anew `repeats` times."""
    corpus = target_sounds[target].corpus
    y, folds = corpus.targets(), [corpus.splits(seed=corpus_seed)]
    if repeats > 1 and deal:
        folds = controls.repeated_splits(y, corpus.groups, repeats=repeats)
    return controls.score(blocks, y, folds, corpus.groups, probes.named("ridge"), transform,
                          target=target, **keys)

def columns_of(blocks):  # those that vary: a layer of one frame has no deviation
    return sum((block != block[0]).any(axis=0).sum() for block in blocks.values())

# %%
arms, columns = {}, {}
for source, network, target in tqdm(cases, "networks and targets"):
    sound, layers = target_sounds[target], layers_of(source, network, target)
    last = [dict(list(blocks.items())[-1:]) for blocks in layers]
    narrow, broad = columns_of(last[0]), columns_of(layers[0])
    sides = {"last": (last, None), "all": (layers, None),
             "joint": (layers, partial(probes.joint_pca, width=narrow)),
             "widened": (last, partial(probes.random_features, width=broad))}
    if narrow >= min(len(train) for train, _ in sound.corpus.splits(seed=corpus_seed)):
        del sides["joint"]  # fewer clips than components
    if target not in given:
        sides["with mfcc"] = [blocks | sound.mfcc_block for blocks in layers], None
    if (source, network) in untrained:
        sides["random"] = [embed(model, sound, pooling=pooling)
                           for model in untrained[source, network]], None
    keys = {"source": source, "network": network, "deal": broad <= most_columns}
    arms[source, network, target] = {
        side: stats.over_seeds([score(target, blocks, transform, **keys) for blocks in drawn])
        for side, (drawn, transform) in sides.items()}
    columns |= {(source, network, target, side): narrow if side == "joint" else
                broad if side == "widened" else columns_of(how[0][0])
                for side, how in sides.items()}

# %%
baselines = {(name, target): score(target, {name: block}, source="none", network=name)
             for target, sound in target_sounds.items()
             for name, block in sound.baselines().items()}
columns |= {("none", name, target, "alone"): block.shape[1]
            for target, sound in target_sounds.items()
            for name, block in sound.baselines().items()}

# %%
widths = stats.score_table([one.named(side=side) for sides in arms.values()
                            for side, one in sides.items()]
                           + [one.named(side="alone") for one in baselines.values()])
widths["columns"] = [columns[key] for key in widths[
    ["source", "network", "target", "side"]].itertuples(index=False, name=None)]
widths = widths.drop(columns=["subset", "probe", "protocol"])
results.table("widths", widths, show=12)

# %%
OWN, JOINT, WIDENED = "all - last", "joint - last", "all - widened"
by_width = []
for sides in arms.values():
    pairs = {OWN: ("all", "last"), JOINT: ("joint", "last"), WIDENED: ("all", "widened"),
             "with mfcc - all": ("with mfcc", "all"), "all - random": ("all", "random")}
    for name, (one, other) in pairs.items():
        if {one, other} <= set(sides):
            by_width.append(stats.compare(sides[one], sides[other], comparison=name))
by_width = pd.DataFrame(by_width).drop(columns=["subset", "probe", "protocol"], errors="ignore")
by_width["clear"] = stats.clear(by_width, "comparison")
by_width["case"] = names_of(by_width)
joint = by_width[by_width["comparison"] == JOINT]
results.table("by_width", by_width, show=joint.sort_values("difference", ascending=False))

# %%
shown = by_width[by_width["comparison"].isin([OWN, JOINT])]
figure = compare.forest(shown, "case", "source", "comparison", margin=0.01)
own, joint = (stats.tally(shown[shown["comparison"] == name]) for name in (OWN, JOINT))
results.figure("widths", figure, "All layers less the last, in points.", f"All layers clearly beat "
               f"the last in {own} cases, at its width in {joint}")

# %%
claimed = {name: rows for name, rows in by_width.groupby("comparison")}
results.claim(1, claimed[OWN], "by_width.csv")

# %%
if JOINT in claimed:
    display(results.claim(2, claimed[JOINT], "by_width.csv",
                          "all layers, brought down to the width of the last, beat it"))

# %%
results.claim(2, claimed[WIDENED], "by_width.csv",
              "all layers beat the last, widened to their width by random features")

# %%
# ConvNet5 of these sources is asked in chapter 03.
asked = by_width[(by_width["comparison"] == "with mfcc - all")
                 & ~by_width[["source", "network"]].apply(tuple, axis=1).isin(list(untrained))]
if len(asked):
    kinds = {name: sound.corpus.domain for name, sound in target_sounds.items()}
    display(results.claim(6, asked.assign(
        statement="MFCC adds to all layers, on " + asked["target"].map(kinds)), "by_width.csv"))

# %% [markdown]
# ## Every subset of every network
#
# A subset's solution is one step from that of the subset without its last block, so all of them
# cost little more than a few thousand separate fits would (see `probes.ridge_subsets`).

# %%
runs = {}
for source, network, target in cases:
    sound = target_sounds[target]
    corpus = sound.corpus
    runs[source, network, target] = [search(
        blocks | sound.mfcc_block, corpus.targets(), corpus.splits(seed=corpus_seed), corpus.groups,
        probes.named("ridge"), width=width, title=f"{network}, {source} -> {target}")
        for blocks in layers_of(source, network, target)]
searches = {case: found[0] for case, found in runs.items()}

# %%
rows = [pd.DataFrame({"source": source, "network": network, "target": target,
                      "subset": found.labels(), "score": found.scores(),
                      "size": [len(subset) for subset in found.subsets],
                      "mfcc": ["mfcc" in subset for subset in found.subsets]})
        for (source, network, target), found in searches.items()]
table = pd.concat(rows, ignore_index=True)
results.table("subsets.csv.gz", table, show=table[~table["mfcc"]].nlargest(5, "score"))

# %% [markdown]
# ## All, picked, or last?
#
# *Picked* is the subset of layers that was best on the other folds, scored on this one; the *best
# layer* is the single layer that was. All seeds together.

# %%
scores, paired = [], []
for case, drawn in runs.items():
    found, keys = drawn[0], dict(zip(["source", "network", "target"], case, strict=True))
    layers = [name for name in found.names if name != "mfcc"]
    without = [i for i, subset in enumerate(found.subsets) if "mfcc" not in subset]
    everything, last, all_and_mfcc, mfcc = (
        stats.over_seeds([one.scored(subset) for one in drawn]) if subset else None
        for subset in (layers, layers[-1:], found.names, set(found.names) - set(layers)))
    picked = stats.over_seeds([one.scored_best(without) for one in drawn])
    single = [i for i in without if len(found.subsets[i]) == 1]
    one_layer = stats.over_seeds([one.scored_best(single) for one in drawn])
    pairs = [("best - all", picked, everything), ("all - last", everything, last),
             ("all - best layer", everything, one_layer), ("best layer - last", one_layer, last)]
    if mfcc:
        pairs += [("all - mfcc", everything, mfcc), ("with mfcc - all", all_and_mfcc, everything)]
    paired += [stats.compare(one, other, comparison=name, **keys) for name, one, other in pairs]
    enough = [i for i in without if found.scores()[i] >= found.scored(layers).mean - 0.01]
    picks = found.nested_best(without)[1]
    scores.append(keys | {
        "layers": len(layers), "all": everything.mean, "best": picked.mean, "last": last.mean,
        "mfcc": mfcc.mean if mfcc else np.nan,
        "picked_layers": np.mean([len(pick) for pick in picks]),
        "smallest": min(len(found.subsets[i]) for i in enough)})
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
paired["case"] = names_of(paired)
picked = paired[paired["comparison"] == "best - all"]
results.table("paired", paired, show=picked.sort_values("difference", ascending=False))

# %%
results.claim(3, paired[paired["comparison"] == "best - all"], "paired.csv")

# %%
steps = {"best layer - last": "the best layer - the last", "all - best layer":
         "all - the best layer", "best - all": "a picked subset - all"}
shown = pd.concat([paired[paired["comparison"] == name].assign(step=said)
                   for name, said in steps.items()])
shown[["heard", "asked"]] = shown["case"].str.split(" → ", expand=True)
figure = compare.heat_map(shown, "heard", "asked", panel="step")
middle = 100 * shown.groupby("comparison")["difference"].median()
results.figure("cover", figure, "Three steps, in points.",
               f"The best layer leads the last by {middle['best layer - last']:.0f} points, all "
               f"lead it by {middle['all - best layer']:.0f} (medians); a picked subset clearly "
               f"beats all in {stats.tally(picked)}")

# %% [markdown]
# Bold: a clear difference. Where its interval lies within a point of zero, the table says that the
# two are *equivalent*, which is more than "not clear".
#
# ## What does one more layer buy?
#
# The band runs from the worst to the best subset of each size. Its upper edge is read off the
# reporting folds, so it flatters.

# %%
def of_source(frame):
    """Rows whose network is named with what it heard."""
    return frame.assign(network=frame["network"].map(title_of) + ", " + frame["source"])

def panels(frame, height, **how):
    """The rows of each target (down) and network (across), and an axis of their own."""
    frame = frame.assign(panel=frame["target"].map(title_of) + "\n" + frame["network"])
    layout = frame.pivot_table("panel", "target", "network", "first", ".", sort=False).to_numpy()
    size = 1.5 + 2.6 * layout.shape[1], 1.3 + height * len(layout)
    figure, axes = plt.subplot_mosaic(layout.tolist(), figsize=size, **how)
    for title, axis in axes.items():
        axis.set_title(title, fontsize=9)
    return figure, [(part, axes[title]) for title, part in frame.groupby("panel", sort=False)]

@styled
def sizes(table, scores):
    figure, found = panels(table, 1.9, sharey=True)
    marks = {"last": ("D", "last layer"), "all": ("s", "all layers"), "best": ("o", "picked")}
    for part, axis in found:
        spread = 100 * part.groupby("size")["score"].agg(["min", "median", "max"])
        axis.fill_between(spread.index, spread["min"], spread["max"], alpha=0.3, lw=0,
                          label="worst to best subset")
        axis.plot(spread["median"], label="median subset")
        here = scores.merge(part[["target", "network"]].drop_duplicates()).iloc[0]
        across = {"last": 1, "all": here["layers"], "best": here["picked_layers"]}
        for name, (mark, label) in marks.items():
            axis.plot(across[name], 100 * here[name], mark, ms=8, mec="white", label=label)
        axis.set_xlabel("layers side by side")
    figure.supylabel("%", fontsize=10)
    compare.legend_below(figure, np.array([axis for _, axis in found]))
    return figure

figure = sizes(of_source(table[~table["mfcc"]]), of_source(scores))
results.figure("sizes", figure, "Scores by size of subset.",
               f"Half of the cases need {scores['smallest'].median():g} layers or fewer to come "
               f"within a point of all, none more than {scores['smallest'].max()}")

# %% [markdown]
# ## How much does each layer give?
#
# The bars of a panel sum to what everything together scores above naming the most frequent class.

# %%
values, pairs = [], []
for (source, network, target), found in searches.items():
    keys = {"source": source, "network": network, "target": target}
    masks = shapley.masks(found.subsets, found.names)
    corpus = target_sounds[target].corpus
    nobody = coalitions.guesses(corpus.targets(), corpus.splits(seed=corpus_seed))
    value, pair = shapley.attribute(found.nested_bits, masks, nobody, found.groups, found.names)
    values.append(value.assign(**keys, groups=len(np.unique(found.groups))))
    pairs.append(pair.assign(**keys))
first = ["source", "network", "target"]
values, pairs = (pd.concat(parts, ignore_index=True) for parts in (values, pairs))
values = values[[*first, *values.columns.difference(first, sort=False)]]
results.table("shapley", values, show=values[values["layer"] == "mfcc"])

# %%
def short(layers):
    return ["MFCC" if name == "mfcc" else str(i) for i, name in enumerate(layers, 1)]


@styled
def bars(rows):
    """A panel a target; intervals where enough groups were tested."""
    parts = list(rows.groupby("target", sort=False))
    figure, axes = plt.subplots(len(parts), 1, figsize=(5.6, 0.6 + 1.7 * len(parts)), squeeze=False,
                                sharex=True, sharey=True)
    for axis, (target, part) in zip(axes[:, 0], parts, strict=True):
        axis.bar(range(len(part)), 100 * part["value"], alpha=0.85)
        if part["groups"].min() >= stats.FEWEST_GROUPS:
            axis.vlines(range(len(part)), 100 * part["ci_low"], 100 * part["ci_high"], color=INK)
        axis.set_xticks(range(len(part)), short(part["layer"]))
        axis.set(title=title_of(target), ylabel="points")
    axes[-1, 0].set_xlabel("layer, from input to output")
    return figure


for (source, network), rows in values.groupby(["source", "network"], sort=False):
    tops = rows.loc[rows.groupby("target", sort=False)["value"].idxmax(), "layer"]
    top, times = tops.mode()[0], tops.eq(tops.mode()[0]).sum()
    display(results.figure(
        f"shapley_{network}_{source}", bars(rows), "Shapley values.",
        f"{title_of(network)}, {source}: {title_of(top)} worth most on {times} of {len(tops)}"))

# %% [markdown]
# ## Which layers need each other?
#
# The interaction index of two blocks is what they add together beyond what each adds alone,
# averaged over the company they may be in. Below zero, each can in part stand in for the other.
# Accuracy has a ceiling, so most pairs will be below zero; what tells is how far.

# %%
pairs = pairs[[*first, *pairs.columns.difference(first, sort=False)]]
results.table("interactions", pairs, show=pairs.nsmallest(6, "index"))

# %%
@styled
def interactions(pairs):
    """Orange: they stand in for each other; violet: they need each other."""
    figure, found = panels(pairs, 2.2)
    reach = 100 * np.nanpercentile(pairs["index"].abs(), 99)
    for part, axis in found:
        names = list(dict.fromkeys([*part["first"], *part["second"]]))
        grid = part.pivot(index="second", columns="first", values="index")
        sns.heatmap(100 * grid.reindex(index=names, columns=names), ax=axis, cmap="PuOr",
                    vmin=-reach, vmax=reach, xticklabels=short(names), yticklabels=short(names))
        axis.set(xlabel="", ylabel="points")
        axis.grid(False)
    return figure


figure = interactions(of_source(pairs))
results.figure("interactions", figure, "Interaction index by pair.",
               f"{(pairs['index'] < 0).mean():.0%} of pairs add less together than apart")

# %% [markdown]
# ## Try it
#
# Tick layers: score, interval and rank among all subsets appear at once.

# %%
widgets.LayerTicker({f"{network}, {source} → {target}": found
                     for (source, network, target), found in searches.items()})

# %% [markdown]
# ## What we learnt
#
# - "All of them" is a rule one can state before looking; the picked subset has to be found. The
#   first figure says whether the search pays, the summary how few layers would have done.
# - A bar of the Shapley figure is a layer's share among *these* blocks; take one away and the
#   others change.
# - The intervals are over groups of clips and, for networks trained here, over their trainings.
#   They do not rank architectures: each learnt from one corpus.

# %% [markdown]
# ## Exercises
#
# 1. `python -m audiotl report --only 05 -p networks resnet18` trains a ResNet-18 on the built-in
#    sounds and searches it. Which of its layers is worth most?
# 2. Set `width` to 8. Which layers lose most? And what does `pooling = "mean"` change?
# 3. A network of 24 layers has 16,777,215 subsets. Ask `search` for them, read the sentence, and
#    estimate Shapley values from `shapley.sample`.

# %% [markdown]
# **With a solution.** Three layers name 40, 50 and 30 % of the clips alone, 1 and 2 together 62,
# 1 and 3 55, 2 and 3 60, all three 66; guessing names 10. What is each layer worth?
#
# <details><summary>Hint</summary>
#
# Let the layers enter in each of the six orders. A layer's value is what it adds when it enters, on
# average.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# from itertools import permutations
#
# import numpy as np
#
# from audiotl import shapley
#
# score = {"": 10, "1": 40, "2": 50, "3": 30, "12": 62, "13": 55, "23": 60, "123": 66}
# value = dict.fromkeys("123", 0.0)
# for order in permutations("123"):
#     for place, layer in enumerate(order):
#         before = "".join(sorted(order[:place]))
#         after = "".join(sorted(order[:place + 1]))
#         value[layer] += (score[after] - score[before]) / 6
#
# by_mask = [score[name] for name in ("", "1", "2", "12", "3", "13", "23", "123")]
# assert np.allclose(list(value.values()), shapley.values(np.array(by_mask, float)))
# assert np.isclose(sum(value.values()), 66 - 10)
# ```
#
# Layer 1 is worth 18.2, layer 2 25.7 and layer 3 12.2 points: together the 56 over guessing.
#
# </details>
