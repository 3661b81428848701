# %% [markdown]
# # Environment to speech: what does listening to the world save?
#
# **Question.** A network has learnt to name environmental sounds. How much less speech does it
# need to learn words, and does an input layer with several scales add to that?
#
# **What is known.** McMahan and Rao (AAAI 2018, arXiv 1710.08377) pretrained ResNets and a
# DenseNet-121 on UrbanSound8K and fine-tuned them on Speech Commands. They reported that transfer
# and a multiscale input layer (dilated convolutions, four growing dilations, stacked as channels)
# help together more than apart, and that with both, 40 % of the training clips (50 % in the
# camera-ready version) do what all do from scratch. They published figures, but no tables, front
# end or optimiser.
#
# **What we do.** {from scratch, fine-tuned} x {plain, multiscale} at several fractions of the
# training clips, and a ridge probe on the frozen layers beside them. Every trained mode takes the
# same number of optimiser steps. Whole speakers are drawn for a fraction, the same for all modes;
# each seed tests other speakers than the one before, and no test speaker is heard in training. The
# **placebo** is training from scratch held against itself: the fraction at which it reaches its
# own full score.

# %% tags=["parameters"]
data = "built-in"                 # built-in, or the folder that holds the corpora
size = "quick"                    # of the built-in corpora: smoke or quick
corpus_seed = 0                   # of the built-in corpora and of folds
network_seed = 0                  # of the source networks
source = "environment"            # corpus that the networks learn from first
targets = ["speech"]              # corpora that they learn next
most_classes = 4                  # classes of a target at most
networks = ["convnet5"]           # also resnet18, resnet34, resnet50, densenet121
inputs = ["plain", "multiscale"]  # what the networks read
modes = ["scratch", "fine-tuned at one rate", "probe"]   # see transfer.MODES
fractions = [0.1, 0.3, 1.0]       # of the training clips
seeds = [0]                       # of weights, of the clips drawn, and of the fold that is tested
steps = {"convnet5": 100}         # optimiser steps of every trained mode, by network
longer = {"convnet5": 200}        # the same on all clips once more: was the budget enough?
recipe = {"epochs": 10, "crop": 64}   # how ConvNet5 is trained on the source (training.Recipe)
deep_recipe = {"epochs": 6, "crop": 64, "learning_rate": 1e-3, "weight_decay": 1e-2}
only_finished = False             # start no run; report those that are kept

# %% jupyter={"source_hidden": true} tags=["hide-input"]
import dataclasses

import numpy as np
import pandas as pd
import torch
from IPython.display import display
from sklearn.isotonic import IsotonicRegression

from audiotl import datasets, models, stats, widgets
from audiotl.features import features
from audiotl.plots import compare
from audiotl.report.results import Results
from audiotl.sources import source_network
from audiotl.training import Recipe
from audiotl.transfer import Grid, Run, Start

results = Results("04_cross_domain_transfer")

# %%
results.on_recordings()

# %% [markdown]
# ## Source and targets

# %%
heard = features(datasets.load(source, data, size, corpus_seed))
target_sounds = {}
for name in targets:
    kept, _ = datasets.without_shared(datasets.load(name, data, size, corpus_seed), [heard.corpus])
    largest = kept.clips["label"].value_counts().index[:most_classes]
    target_sounds[name] = features(kept.only(sorted(largest)))
results.corpora(heard, *target_sounds.values())

# %% [markdown]
# ## Copy, freeze, two rates
#
# Fine-tuning is three decisions. **Copy** every layer but the last, which names the source's
# classes. **Freeze** what must not move. Give early layers a **lower rate** than late ones, or all
# the same.

# %%
recipes = {name: Recipe(**(recipe if name == "convnet5" else deep_recipe)) for name in networks}
taught = source_network(heard, recipes[networks[0]], networks[0], seed=network_seed)
n_classes = len(next(iter(target_sounds.values())).corpus.classes)

# %%
torch.manual_seed(0)
network = models.build(networks[0], n_classes)

for mine, theirs in zip(network.stages[:-1], taught.model.stages[:-1], strict=True):
    mine.load_state_dict(theirs.state_dict())          # copy

for weight in network.stages[0].parameters():
    weight.requires_grad_(False)                       # freeze the first stage

head, early = network.stages[-1], network.stages[1:-1]
optimiser = torch.optim.AdamW([                        # two rates
    {"params": [weight for stage in early for weight in stage.parameters()], "lr": 5e-4},
    {"params": head.parameters(), "lr": 5e-3}])

# %% [markdown]
# The package copies the same weights; it freezes nothing here, and its rate grows by equal factors
# from the first stage to the head.

# %%
torch.manual_seed(0)
package = models.build(networks[0], n_classes)
start = Start(taught.model, early=0.1)
start.copy_to(package)

assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(),
                                             package.state_dict().values(), strict=True))
rates = [group["lr"] for group in start.rates(package, peak=5e-3)]
assert np.isclose(rates[0], 5e-4) and np.isclose(rates[-1], 5e-3)
print("rates from the first stage to the head:", ", ".join(f"{rate:.5f}" for rate in rates))

# %% [markdown]
# ## The runs
#
# Each run is kept as it ends. Stop at any time: the next start goes on from there. The head alone
# and the probe are read on the plain input.

# %%
wanted = [Run(target, name, kind, mode, fraction, seed)
          for target in target_sounds for name in networks for seed in seeds
          for fraction in sorted(fractions, reverse=True)
          for kind in inputs for mode in modes
          if kind == "plain" or mode not in ("probe", "head")]
grid = Grid(target_sounds, heard, recipes, steps, network_seed, corpus_seed)
done, missing = grid.run(wanted, only_finished)
print(f"{len(done)} runs are done, {len(missing)} are missing")

# %%
table = stats.score_table(done).assign(source=heard.corpus.name, source_labels="true")
table["learning_rate"] = table["network"].map(
    {name: made.learning_rate for name, made in recipes.items()})
table = table.drop(columns="seeds").rename(columns={
    "train_clips": "clips", "clips": "test_clips", "groups": "test_groups"})
first = ["source", "source_labels", "target", "network", "input", "mode", "fraction", "seed",
         "steps", "learning_rate", "score", "ci_low", "ci_high"]
table = table[first + [name for name in table if name not in first]]
results.table("fractions", table, show=8)

# %% [markdown]
# ## Score against the share of training clips
#
# All seeds together; each tests speakers of its own. An interval is over speakers, and is drawn
# where at least ten were tested.

# %%
def together(target, name, kind, mode, fraction):
    """The scores of all seeds of a point as one; None where a seed is missing."""
    wanted = {"target": target, "network": name, "input": kind, "mode": mode, "fraction": fraction}
    parts = [one for one in done if wanted.items() <= one.keys.items()]
    return stats.over_folds(parts).named(seed="all") if len(parts) == len(seeds) else None

points = {}
for run in wanted:
    key = (run.target, run.network, run.input, run.mode, run.fraction)
    if key not in points and (one := together(*key)):
        points[key] = one
means = stats.score_table(points.values())
short = means["mode"].str.replace("fine-tuned at one rate", "one rate")
means["arm"] = short + ", " + means["input"]
results.table("means", means.drop(columns=["seed", "seconds", "train_clips"]), show=8)

# %%
chance = {name: np.bincount(sound.corpus.targets()).max() / len(sound.corpus)
          for name, sound in target_sounds.items()}
arms = ["scratch, plain", "one rate, plain", "one rate, multiscale", "probe, plain"]
for name in networks:
    shown = means[(means["network"] == name) & means["arm"].isin(arms)]
    if len(shown):
        figure = compare.curves(shown.assign(fraction=100 * shown["fraction"]), "fraction",
                                colour="arm", xlabel="training clips (%)", chance=chance, log=True)
        slug = "cover" if name == networks[0] else f"curves_{name}"
        display(results.figure(slug, figure, f"Score of {name} against the share of clips."))

# %% [markdown]
# ## Does transfer help, does multiscale, and do they help each other?
#
# The interaction is what fine-tuning gains on the multiscale input beyond what it gains on the
# plain one. Above zero, the two help together more than the sum of what each does alone.

# %%
def minus(one, other):
    """Score of one less the other on the same clips, as scores."""
    return dataclasses.replace(one, values=one.values - other.values)

effects = []
for target, name, fraction in dict.fromkeys((key[0], key[1], key[4]) for key in points):
    at = {key[2:4]: one for key, one in points.items()
          if (key[0], key[1], key[4]) == (target, name, fraction)}
    keys = {"target": target, "network": name, "fraction": fraction}
    for mode in [mode for mode in modes if mode.startswith("fine-tuned")]:
        pairs = {f"{mode} - scratch, {kind}": ((kind, mode), (kind, "scratch")) for kind in inputs}
        for effect, (a, b) in pairs.items():
            if a in at and b in at:
                effects.append(stats.compare(at[a], at[b], effect=effect, **keys))
        corners = [(kind, which) for kind in inputs for which in (mode, "scratch")]
        if len(inputs) == 2 and all(corner in at for corner in corners):
            gain = {kind: minus(at[kind, mode], at[kind, "scratch"]) for kind in inputs}
            row = stats.compare(gain["multiscale"], gain["plain"], **keys)
            effects.append(row | {"effect": f"interaction, {mode}"})
columns = ["target", "network", "effect", "fraction", "difference", "ci_low", "ci_high", "p",
           "groups"]
effects = pd.DataFrame(effects, columns=columns)
families = [rows.assign(clear=stats.clear(rows)) for _, rows in effects.groupby("effect")]
effects = pd.concat([effects.iloc[:0], *families], ignore_index=True)
results.table("effects", effects, show=12)

# %% [markdown]
# A family for Holm's correction is one effect over all targets, networks and fractions. With one
# seed one fold is tested, there is no p-value, and no difference can be clear.

# %%
if len(effects):
    shown = effects[effects["fraction"] == max(fractions)]
    rows = shown["network"] + " on " + shown["target"]
    figure = compare.forest(shown.assign(row=rows), "row", None, "effect")
    display(results.figure("effects", figure,
                           "Gains by transfer and the interaction on all clips."))

# %% [markdown]
# ## How many clips does transfer save?
#
# The share of clips at which a curve reaches the full score of training from scratch on the plain
# input, read off a rising fit (isotonic regression on the logarithm of the share). The placebo is
# that same curve against its own end: where it says 60 %, "60 % is enough" is no news about
# transfer. A share at the smallest fraction means that or less.

# %%
def share_that_matches(rows, level):
    """Smallest share at which a rising fit of the scores reaches `level`; NaN if none does."""
    x = np.log(rows["fraction"])
    fit = IsotonicRegression().fit(x, rows["score"])
    grid_x = np.linspace(x.min(), x.max(), 500)
    reached = grid_x[fit.predict(grid_x) >= level - 1e-12]
    return float(np.exp(reached[0])) if len(reached) else np.nan

matching = []
for (target, name), rows in means.groupby(["target", "network"], sort=False):
    scratch = rows[rows["arm"] == "scratch, plain"]
    if scratch["fraction"].max() == 1 and scratch["fraction"].nunique() > 1:
        level = scratch.loc[scratch["fraction"].idxmax(), "score"]
        for arm, part in rows.groupby("arm", sort=False):
            if part["fraction"].nunique() > 1:
                matching.append({
                    "target": target, "network": name, "level": level,
                    "arm": "placebo: " + arm if arm == "scratch, plain" else arm,
                    "fraction": share_that_matches(part, level)})
results.table("matching", pd.DataFrame(matching), show=20)

# %% [markdown]
# ## Was the budget enough?
#
# Training from scratch may need more steps than fine-tuning does. Each mode takes the longer
# budget on all clips, for the first seed. *Change* is the gain over from scratch at the longer
# budget less the gain at the usual one: below zero, part of the gain was a head start.

# %%
patient = Grid(target_sounds, heard, recipes, longer, network_seed, corpus_seed)
ends = [run for run in wanted if run.network in longer and run.seed == seeds[0]
        and run.fraction == max(fractions) and run.input == "plain" and run.mode in modes
        and run.mode not in ("probe", "head")]
more, _ = patient.run(ends, only_finished)
usual = [one for one in done if any(one.keys["mode"] == late.keys["mode"] and all(
    one.keys[key] == late.keys[key] for key in ("target", "network", "input", "fraction", "seed"))
    for late in more)]
budget = stats.score_table([one.named(budget=label) for label, part in
                            (("usual", usual), ("longer", more)) for one in part])
if len(budget):
    budget = budget[["target", "network", "mode", "budget", "steps", "score", "ci_low", "ci_high"]]
results.table("budget", budget, show=20)

# %%
def at_end(runs, run, mode):
    """The scores of one run, in another mode."""
    wanted = dataclasses.asdict(run) | {"mode": mode}
    return next((one for one in runs if wanted.items() <= one.keys.items()), None)

gains = []
for run in [run for run in ends if run.mode.startswith("fine-tuned")]:
    pairs = [(at_end(runs, run, run.mode), at_end(runs, run, "scratch")) for runs in (usual, more)]
    if all(side is not None for pair in pairs for side in pair):
        gain = {"budget": minus(*pairs[0]), "longer": minus(*pairs[1])}
        nothing = minus(pairs[0][0], pairs[0][0])
        keys = {"target": run.target, "network": run.network, "mode": run.mode}
        gains += [stats.compare(one, nothing, when=when, **keys) for when, one in gain.items()]
        gains.append(stats.compare(gain["longer"], gain["budget"], when="change", **keys))
columns = ["target", "network", "mode", "when", "difference", "ci_low", "ci_high", "groups"]
results.table("gains", pd.DataFrame(gains, columns=columns), show=20)

# %% [markdown]
# ## Try it
#
# Slide the share of training clips and read every arm.

# %%
def at_share(percent):
    rows = means[np.isclose(100 * means["fraction"], percent)]
    return compare.heat_map(rows.assign(case=rows["network"] + " on " + rows["target"]), "arm",
                            "case", "score", label="score (%)")

widgets.live(at_share, percent=[100 * fraction for fraction in sorted(fractions)])

# %% [markdown]
# ## What we learnt
#
# - "So many clips saved" needs its placebo beside it: a curve that is flat at its right end
#   matches itself early.
# - A gain at a fixed number of steps is a head start until the longer budget says otherwise.
# - A probe on frozen layers takes no steps at all; a trained mode that stays below it has not been
#   trained to the end.
# - The paper had 8,732 source clips and 64,721 clips of 30 words; here the idea is tested on less.

# %% [markdown]
# ## Exercises
#
# 1. Add `"fine-tuned"` (early layers at a tenth of the rate) to `modes`. Which layers should move?
# 2. Set `steps` to 400. Which arm gains most from them?
# 3. Replace the source by `music`. How much of the gain is left?
