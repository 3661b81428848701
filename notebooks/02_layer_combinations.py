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
# # Layer combinations: which of the 31 is worth having?
#
# **Question.** A network trained on one kind of sound has five layers. For a new task, should one take the last, the
# best, or all of them side by side? And would a network with random weights have done as well?
#
# **What is known.** Choi et al. (2017) scored combinations of the five layers of a music-tagging network on seven tasks
# and recommended all five: never far from the best, well above the last. They picked the classifier's settings and the
# best combination on the same folds that they reported, which flatters the winner, and they did not score random
# weights.
#
# **What we do.** Three trained sources and a random network, three targets, all 31 combinations, two probes (ridge
# regression with five penalties; a support vector machine with two cells of the paper's grid, C = 8 and gamma 1/d or
# 2^-9), and two protocols. *Paper*: choose on the reporting folds.
# *Nested*: choose settings, and where a "best" combination is named, the combination too, on the other folds only. MFCC
# statistics, the paper's baseline (120 values), stand beside. Folds never cut a recording, a speaker or a scene in two.

# %% tags=["parameters"]
profile = "quick"
data = ""
out = ""
seed = 0
targets = ""
sources = ""
probes = ""
epochs = 0

# %%
import numpy as np
from IPython.display import Markdown, display

from audiotl import comparisons, study
from audiotl.plots import layers
from audiotl.report.results import Results
from audiotl.explorers import Explorer

plan = study.plan(profile, data, targets, sources, seed, epochs)
probe_names = [name.strip() for name in probes.split(",") if name.strip()] or list(plan.probes)
results = Results(out, profile=profile, synthetic=plan.synthetic, sources=plan.sources, targets=plan.targets,
                  probes=probe_names)
if plan.synthetic:
    display(Markdown("> **Synthetic sound** plays a part in these numbers (the built-in corpora). They show how the method "
                     "works, not how real sound behaves."))

# %% [markdown]
# ## Every clip through every network
#
# One forward pass gives the mean of each layer's 32 maps over frequency and time: five blocks of 32 values a clip.

# %%
aims, about = study.aims(plan)
results.skipped(*aims.values())
display(Markdown("\n".join(f"- {words}" for words in about.values())))

# %% [markdown]
# ## All 31 combinations

# %%
searches = comparisons.search_all(plan, aims, probe_names)
table = comparisons.table(searches)
results.table("combinations", table[["source", "target", "subset", "probe", "protocol", "score", "ci_low", "ci_high"]],
              show=6)

# %%
main = probe_names[-1]
shown = table[(table["probe"] == main) & (table["protocol"] == "nested") & (table["source"] != "mfcc")]
mfcc = table[(table["source"] == "mfcc") & (table["probe"] == main) & (table["protocol"] == "nested")]
baselines = dict(zip(mfcc["target"], mfcc["score"], strict=True))
chance = {name: np.bincount(aim.corpus.targets()).max() / len(aim.corpus) for name, aim in aims.items()}
results.figure("cover", layers.combinations(shown, baselines, chance),
               f"Accuracy of all 31 layer combinations ({main}, nested) against the number of layers, by target and source.")

# %%
summary = comparisons.summary(searches, main)
display(results.table("summary", summary))
lines = []
for target, rows in summary.groupby("target", sort=False):
    top = rows.loc[rows["all"].idxmax()]
    lines.append(f"**{target}**: with all five layers {', '.join(f'{r.source} {r.all:.3f}' for r in rows.itertuples())}; "
                 f"MFCC alone {baselines[target]:.3f}, chance {chance[target]:.3f}. The strongest source is {top.source}.")
display(Markdown(f"Each dot is one combination ({main}, nested protocol); the thin line joins the best of each size.\n\n- "
                 + "\n- ".join(lines)))

# %% [markdown]
# ## Try it
#
# Tick layers: score, interval and rank among the 31 appear at once. (A report shows the picture for all five.)

# %%
explorer = Explorer({(f"{source} → {target}", probe): found for (source, target, probe), found in searches.items()
                     if source != comparisons.MFCC})
explorer if not out else results.figure("explorer", explorer.figure(), f"All subsets by size. {explorer.words()}.")

# %% [markdown]
# ## Where along the network is the information?

# %%
single = shown[shown["size"] == 1].assign(layer=lambda t: t["subset"].astype(int) + 1)
results.figure("single_layers", layers.single_layers(single),
               "Accuracy of each layer alone by depth, for each target and source, with 95 % intervals.")

# %%
peaks = single.loc[single.groupby(["target", "source"], sort=False)["score"].idxmax()]
trained_peaks = peaks[peaks["source"] != "random"]
display(Markdown("The layer that scores best on its own: "
                 + "; ".join(f"{r.source} → {r.target} layer {r.layer} ({r.score:.3f})" for r in trained_peaks.itertuples())
                 + ". " + comparisons.say_depth(trained_peaks["layer"].to_list())))

# %% [markdown]
# ## All, best, or last? Paired answers
#
# Differences on the same clips, with a 95 % bootstrap interval over groups and the corrected resampled t-test of Nadeau
# and Bengio (2003) over folds. "Best" is the combination chosen without the fold on which it is scored. Filled dots:
# the interval leaves zero out.

# %%
paired = comparisons.paired(searches, main)
display(results.table("paired", paired, show=8))
display(results.figure("paired", layers.forest(
    paired[paired["comparison"].isin(["all - last", "all - best"])].assign(
        row=lambda t: t["comparison"] + ", " + t["source"] + " → " + t["target"], group=lambda t: t["source"]),
    "difference in accuracy (positive: all five layers win)"),
    "Paired differences between all five layers and the last, and the nested best, with intervals."))

# %%
display(Markdown(comparisons.say_paired(paired, "all - last", "the five-layer block", "the last layer alone") + " "
                 + comparisons.say_paired(paired, "all - best", "the five-layer block", "the combination picked on other folds")))

# %% [markdown]
# ## Was it learnt, or would random weights do?

# %%
learnt = paired[paired["comparison"].isin(["all - random", "all - mfcc"])]
results.figure("baselines", layers.forest(
    learnt.assign(row=lambda t: t["source"] + " → " + t["target"] + t["comparison"].str.replace("all - ", ", against "),
                  group=lambda t: t["source"]), "difference in accuracy (positive: the trained network wins)"),
    "Paired differences between trained networks and the random network and MFCC, with intervals.")

# %%
display(Markdown(comparisons.say_paired(paired, "all - random", "a trained network", "the same network with random weights")
                 + " " + comparisons.say_paired(paired, "all - mfcc", "the five-layer block", "MFCC statistics")))

# %% [markdown]
# ## How much does the paper's protocol flatter?
#
# The paper's protocol reads off the best of 31 combinations after the fact. The nested protocol has to name the
# combination beforehand. The difference is optimism, not knowledge.

# %%
flattery = comparisons.optimism(searches)
display(results.table("optimism", flattery, show=12))
display(Markdown(f"Reading the best off the reporting folds gains {100 * flattery['optimism'].mean():.1f} points on average "
                 f"(largest {100 * flattery['optimism'].max():.1f}, on {flattery.loc[flattery['optimism'].idxmax(), 'target']} "
                 f"with {len(aims[flattery.loc[flattery['optimism'].idxmax(), 'target']].corpus):,} clips)."))

# %% [markdown]
# ## What we learnt

# %%
finding = results.finding(comparisons.finding(paired, summary, main) + (" Synthetic sound." if plan.synthetic else ""))
sizes = ", ".join(f"{name} {len(study.source_split(plan, plan.corpus(corpus))[0]):,}" for name, corpus in plan.sources.items())
few = [f"{name} ({aim.corpus.clips['group'].nunique()})" for name, aim in aims.items()
       if aim.corpus.clips["group"].nunique() < 20]
display(Markdown(f"- {finding}\n- Put side by side, the layers give what no single one has; which four or five are taken matters "
                 "little, as the flat right end of the first figure shows.\n- **What these numbers cannot tell.** Each source "
                 f"is one network from one seed, and the sources differ in size (training clips: {sizes}), so a ranking of "
                 "sources mixes kind of sound with amount."
                 + (f" Intervals over few groups are too narrow: {', '.join(few)} speakers or recordings." if few else "")))

# %% [markdown]
# ## Exercises
#
# 1. Put your own sounds through it: `python -m audiotl report --only 02 --data MY_FOLDER -p targets folder`.
# 2. Add MFCC as a sixth block to the `blocks` of `comparisons.search_all` and look which combinations want it.
# 3. Replace the probe by `knn`. Does the ranking of the sources change?
