# %% [markdown]
# # What transfers, and why?
#
# **Question.** Which kind of sound teaches a network most about another kind? Does the street
# teach speech more than speech teaches the street? And is it the *names* of the sounds that a
# network has to learn, or only how sound is made up?
#
# **What is known.** McMahan and Rao (2018) saw environmental sound help speech and not the other
# way round; their guess was that environmental sound spans the acoustic events of which speech is
# a part. Choi et al. (2017) reused a music tagger for speech and noise. Neither trained a network
# on *wrong* labels, the one control that tells names from statistics.
#
# **What we do.** Source networks learn environmental sound, speech or music, with true labels,
# with the same labels dealt out at random (*shuffled*), or not at all (*none*: random weights,
# their batch norm calibrated on the same clips). Trained networks take the same number of steps,
# and every network is read by the same ridge probe, all layers side by side, on folds that never
# cut a recording or a speaker. Seeds are averaged, and the one rule of this study says which
# differences are clear.

# %% tags=["parameters"]
data = "built-in"                   # built-in, or the folder that holds the corpora
size = "quick"                      # of the built-in corpora: smoke or quick
corpus_seed = 0                     # of the built-in corpora and of folds
network_seeds = [0]                 # of the source networks; each trains all of them anew
deep_seeds = [0]                    # the same for networks other than ConvNet5,
deep_sources = ["environment"]      # which learn these sources, are read
deep_targets = ["speech"]           # on these targets, and are
deep_pooling = "mean"               # pooled over time like this: they have thousands of columns
sources = ["environment", "speech", "music"]          # corpora that the networks learn from
targets = ["environment", "speech", "music_family"]   # corpora on which they are read
labels = ["true", "shuffled", "none"]                 # what the networks are told
networks = ["convnet5"]             # also resnet18, at six times the cost
steps = 60                          # training steps of every network
recipe = {"crop": 63, "validation": 0.0}              # see training.Recipe; 63 frames are a second
deep_recipe = {"crop": 63, "validation": 0.0, "learning_rate": 1e-3, "weight_decay": 1e-2}
pooling = "mean+std"                # mean or mean+std over time
matched = True                      # also train on equally many clips of each source
control_targets = ["speech"]        # on which further controls are read; four more trainings a seed
other_levels = [-60, -20]           # mean dB of white noise, beside -40
factorial_seeds = [0]               # of networks of fewer clips and classes; four trainings each

# %% jupyter={"source_hidden": true} tags=["hide-input"]
import dataclasses
import itertools

import numpy as np
import pandas as pd
from IPython.display import display
from scipy.stats import kendalltau

from audiotl import datasets, probes, similarity, stats, transferability, widgets
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.plots import compare
from audiotl.plots.style import title_of
from audiotl.probes.subset_search import search
from audiotl.report.results import Results
from audiotl.sources import source_network, weights_permuted
from audiotl.training import Recipe, calibrated, untrained

results = Results("07_what_transfers_and_why")

# %%
results.on_recordings()

# %% [markdown]
# ## The corpora
#
# A source is not scored on its own corpus. Clips of a target whose recording also occurs in a
# source are left out, for all sources alike. Where a target has classes of the source, such as the
# sirens of UrbanSound8K and ESC-50, naming them is no transfer: `learnt` counts these classes, and
# the claims leave such pairs out.

# %%
source_sounds = {}
for name in sources:
    sound = features(datasets.load(name, data, size, corpus_seed))
    source_sounds[sound.corpus.domain] = sound
source_corpora = [sound.corpus for sound in source_sounds.values()]
target_sounds = {}
for name in targets:
    corpus = datasets.load(name, data, size, corpus_seed)
    kept, _ = datasets.without_shared(corpus, source_corpora)
    target_sounds[name] = features(kept)
controlled = [name for name in control_targets if name in target_sounds
              and not datasets.related(source_corpora[0], target_sounds[name].corpus)]
assert controlled, "control_targets: name one of targets that is not cut from the first source"
results.corpora(*source_sounds.values(), *target_sounds.values())

# %% [markdown]
# ## How alike are two layers? CKA in three lines
#
# Linear *centred kernel alignment* (Kornblith et al. 2019) says how alike two layers order the
# same clips: 1 if one is a rotation of the other, near 0 if they have nothing in common. Centre
# the columns, compare the two sets of similarities between clips, divide by their sizes.

# %%
sound = target_sounds[targets[0]]
random_blocks = embed(source_network(sound, Recipe(), labels="none").model, sound)
x, y = random_blocks["layer1"][:500], random_blocks["layer5"][:500]

x0, y0 = x - x.mean(0), y - y.mean(0)
shared = np.linalg.norm(x0.T @ y0) ** 2
by_hand = shared / (np.linalg.norm(x0.T @ x0) * np.linalg.norm(y0.T @ y0))

# %%
assert np.isclose(by_hand, similarity.linear_cka(x, y), rtol=1e-3)
print(f"first and last layer of a random network: CKA {by_hand:.3f}")

# %% [markdown]
# ## Source networks
#
# With `clips` set, a source gives only so many of its clips, whole recordings first, so that a
# large corpus has no advantage of size. A second architecture asks the main question again.

# %%
recipes = {name: Recipe(**(recipe if name == "convnet5" else deep_recipe)) for name in networks}
seeds_of = {name: network_seeds if name == "convnet5" else deep_seeds for name in networks}
how, network = recipes[networks[0]], networks[0]
fewest = min(len(sound.corpus.splits()[-1][0]) for sound in source_sounds.values())
draws = {"all": 0, "matched": fewest} if matched else {"all": 0}
corpus_of = dict(zip(source_sounds, sources, strict=True))
asked = [(name, domain, told, draw, seed) for name in networks for domain in source_sounds
         for seed in seeds_of[name] for told in labels for draw in draws
         if (draw == "all" or (told != "none" and name == network))
         and (name == network or corpus_of[domain] in deep_sources)]
trained = {(name, domain, told, draw, seed): source_network(
    source_sounds[domain], recipes[name], name, labels=told, clips=draws[draw], steps=steps,
    seed=seed) for name, domain, told, draw, seed in asked}

# %%
taught = pd.DataFrame([
    {"source": domain, "labels": told, "draw": draw, "network": name, "seed": seed,
     "source_clips": len(net.corpus) if net.corpus is not None else 0,
     "source_classes": net.classes, "source_steps": net.steps, "source_score": net.score}
    for (name, domain, told, draw, seed), net in trained.items()])
results.table("sources", taught, show=9)

# %% [markdown]
# `source_score` is what a network scores on held-out clips of its own corpus. With shuffled labels
# it must be near chance (the share of the largest class; 0.5 for the AUC of tags); more than that
# would point to a leak.
#
# ## The matrix
#
# Every network on every target that is not its own corpus: all layers side by side, ridge, penalty
# chosen on the other folds. `logme` and `h_score` are two guesses made from features and labels
# without training a probe; we ask below what they are worth.

# %%
def read(model, sound, pooling=pooling, **keys):
    """Score of all layers side by side, every layer's own scores, and the embedding."""
    corpus, blocks = sound.corpus, embed(model, sound, pooling=pooling)
    wanted = [*((name,) for name in blocks), tuple(blocks)]
    found = search(blocks, corpus.targets(), corpus.splits(seed=corpus_seed), corpus.groups,
                   probes.named("ridge"), subsets=wanted)
    return [found.scored(subset, **keys) for subset in wanted], blocks

# %%
cells = []
for (name, domain, told, draw, seed), net in trained.items():
    deep = name != "convnet5"
    for target, sound in target_sounds.items():
        if (datasets.related(source_sounds[domain].corpus, sound.corpus)
                or deep and target not in deep_targets):
            continue
        keys = {"network": name, "source": domain, "labels": told, "draw": draw, "target": target}
        (*layers, everything), blocks = read(net.model, sound, deep_pooling if deep else pooling,
                                             **keys)
        cells.append({"keys": keys, "seed": seed, "all": everything, "layers": layers,
                      "blocks": blocks, "net": net})

# %%
def guesses(cell):
    """LogME and H-score of all layers side by side, standardised."""
    scaled, _ = probes.standardise(cell["blocks"], cell["blocks"])
    columns = np.concatenate(list(scaled.values()), 1)
    classes = target_sounds[cell["keys"]["target"]].corpus.targets()
    return {"logme": transferability.logme(columns, classes),
            "h_score": transferability.h_score(columns, classes)}

table = stats.score_table([cell["all"].named(seed=cell["seed"]) for cell in cells])
table = table.drop(columns=["subset", "probe", "protocol"])
table = table.rename(columns={"clips": "tested_clips"})
table = pd.concat([table, pd.DataFrame([guesses(cell) for cell in cells])], axis=1)
table = table.merge(taught, on=["network", "source", "labels", "draw", "seed"])
table = table.assign(mode="probe")
results.table("matrix", table, show=table.query(
    "labels == 'true' and draw == 'all' and seed == @network_seeds[0] and network == @network"))

# %% [markdown]
# ## Names, or statistics?
#
# Three networks and the same clips: told the truth and told at random, for the same number of
# steps, and told nothing, which takes no step. If the names of the sounds matter, *true* beats
# *shuffled*; if training of any kind does, *shuffled* beats *none*. Random weights need batch norm
# measured on something: on the source's clips (*none*), or on *white noise*.

# %%
def score_of(source, told, draw, target, name=network):
    """What each clip of a target scored, all seeds together; None where it was not run."""
    wanted = {"network": name, "source": source, "labels": told, "draw": draw, "target": target}
    parts = [cell["all"] for cell in cells if cell["keys"] == wanted]
    return stats.over_seeds(parts) if parts else None

def white_noise(sound, seed, level=-40):
    """The corpus with pictures of independent points, of this mean level in dB, for its own."""
    levels = np.random.default_rng(seed).normal(level, 10, sound.spectrograms.shape).clip(-80, 0)
    return dataclasses.replace(sound, spectrograms=levels.astype(np.float16),
                               key=f"{sound.key}-white-{seed}" + f" at {level}" * (level != -40))

sound = source_sounds[next(iter(source_sounds))]
blank = {}
for name, target in itertools.product(networks, target_sounds):
    if name == "convnet5" or target in deep_targets:
        parts = [read(untrained(white_noise(sound, seed), name, seed), target_sounds[target],
                      pooling if name == "convnet5" else deep_pooling, network=name,
                      target=target)[0][-1] for seed in seeds_of[name]]
        blank[name, target] = stats.over_seeds(parts)

# %%
pairs = [("true", "none"), ("true", "shuffled"), ("shuffled", "none")]
differences = []
for name, source, target in itertools.product(networks, source_sounds, target_sounds):
    for one, other in pairs:
        a, b = (score_of(source, told, "all", target, name) for told in (one, other))
        if a and b:
            differences.append(stats.compare(a, b, comparison=f"{one} - {other}"))
    a, b = score_of(source, "true", "all", target, name), blank.get((name, target))
    if a and b:
        b = b.named(source=source)
        differences.append(stats.compare(a, b, comparison="true - none, white noise"))
differences = pd.DataFrame(differences)
differences["clear"] = stats.clear(differences, "comparison")
differences["learnt"] = [len(datasets.shared_labels(
    source_sounds[row.source].corpus, target_sounds[row.target].corpus))
    for row in differences.itertuples()]
differences["case"] = [
    f"{title_of(row.network)}, {row.source} on {target_sounds[row.target].corpus.title}"
    + f", {row.learnt} classes learnt" * bool(row.learnt) for row in differences.itertuples()]
results.table("labels", differences.drop(columns=["draw", "subset", "probe", "protocol"]),
              show=differences.query("comparison == 'true - shuffled'"))

# %%
claimed = {name: rows for name, rows in differences.query("learnt == 0").groupby("comparison")}
display(results.claim(4, claimed["true - none"], "labels.csv"))
results.claim(4, claimed["true - none, white noise"].assign(said_by="nobody tested it"),
              "labels.csv", "random weights with batch norm of white noise are beaten by a trained "
              "source network")

# %%
results.claim(5, claimed["true - shuffled"], "labels.csv")

# %%
for name in networks:
    shown = differences[differences["network"] == name]
    won = [f"{pair} in {stats.tally(rows)}"
           for pair, rows in shown.groupby("comparison", sort=False)]
    display(results.figure(
        "cover" if name == network else f"labels_{name}",
        compare.forest(shown, "case", "source", "comparison"),
        "True against shuffled labels against no training.",
        f"{title_of(name)}, clearly above zero: " + ", ".join(won)))

# %% [markdown]
# Filled dots are clear: the interval leaves zero out, the corrected t-test stays below 0.05 after
# Holm's correction within the panel, and ten groups or more were tested (else: no interval).
#
# ## If not the names, what?
#
# Whatever shuffled labels give beyond random weights was learnt without names; in vision, too, they
# give something (Maennel et al., NeurIPS 2020). Controls take training apart, without augmentation,
# on the clips of the first source. *White noise*: nothing can be heard in it, at -40 dB or other
# levels. *Frames reordered*: each clip's. *Weights permuted*: those of every layer, so that only
# their sizes are left. *Anew*: batch norm measured on whole clips, as random weights have it.

# %%
plainly = dataclasses.replace(how, mixup=0.0, mask=0.0, tilt=0.0)
def frames_shuffled(seed):
    rng = np.random.default_rng(seed)
    levels = [level[:, rng.permutation(level.shape[1])] for level in sound.spectrograms]
    return dataclasses.replace(sound, spectrograms=np.array(levels, np.float16),
                               key=f"{sound.key}-frames-{seed}")

# %%
def controls_of(seed):
    """Networks of the first source by what their training was left with."""
    def trained(heard, labels="shuffled"):
        return source_network(heard, plainly, network, labels=labels, steps=steps, seed=seed).model

    white = white_noise(sound, seed)
    heard = {"frames reordered, ": frames_shuffled(seed), "": sound}
    made = {"random weights": trained(sound, "none"),
            "random weights, batch norm of white noise": untrained(white, network, seed),
            "weights permuted, shuffled labels": weights_permuted(trained(sound), sound, seed),
            "white noise, shuffled labels": trained(white)}
    for (what, clips), told in itertools.product(heard.items(), ("true", "shuffled")):
        made[f"{what}{told} labels"] = trained(clips, told)
    made["white noise, shuffled labels, batch norm anew"] = calibrated(trained(white), sound, seed)
    made |= {f"random weights, batch norm of white noise at {level} dB":
             untrained(white_noise(sound, seed, level), network, seed) for level in other_levels}
    return made | {f"{told} labels, batch norm anew": calibrated(trained(sound, told), sound, seed)
                   for told in ("true", "shuffled")}

# %%
found = {}
for seed in network_seeds:
    for kind, model in controls_of(seed).items():
        for name in controlled:
            one = read(model, target_sounds[name], target=name)[0][-1]
            found.setdefault((kind, name), []).append(one)
found = {key: stats.over_seeds(parts) for key, parts in found.items()}
pairs = [(kind, "random weights") for kind, name in found if name == controlled[0]][1:]
pairs += [("true labels", "shuffled labels"),
          ("frames reordered, shuffled labels", "frames reordered, true labels")]
pairs += [(kind, "random weights, batch norm of white noise")
          for kind in ("true labels", "shuffled labels", "white noise, shuffled labels")]
pairs += [("true labels", f"random weights, batch norm of white noise at {level} dB")
          for level in other_levels]
rows = [stats.compare(found[kind, name], found[against, name], kind=kind, against=against)
        for kind, against in pairs for name in controlled]
rows = pd.DataFrame(rows).drop(columns=["subset", "probe", "protocol"])
rows["clear"] = stats.clear(rows, "against")
rows["score"] = [found[key].mean for key in rows[["kind", "target"]].itertuples(index=False)]
rows["random"] = [found["random weights", name].mean for name in rows["target"]]
shown = rows[rows["against"] == "random weights"]
results.table("controls", rows, show=shown[shown["target"] == controlled[0]])

# %%
titles_of = {name: target.corpus.title for name, target in target_sounds.items()}
figure = compare.forest(shown.replace({"target": titles_of}), "kind", None, "target",
                        xlabel="points over random weights")
gain = 100 * shown.groupby("kind")["difference"].mean()
results.figure("controls", figure, "Gain over random weights by control and target.",
               "Points over random weights, mean of targets: " + "; ".join(
                   f"{kind} {gain[kind]:+.1f}" for kind in (
                       "true labels", "shuffled labels", "white noise, shuffled labels")))

# %% [markdown]
# ## Which source serves which target?
#
# What true labels gain over the same network untrained. Read a row for a source, a column for a
# target; the source's own corpus is left white.

# %%
gains = []
for draw, source, target in itertools.product(draws, source_sounds, target_sounds):
    a, b = score_of(source, "true", draw, target), score_of(source, "none", "all", target)
    if a and b:
        gains.append(stats.compare(a, b, draw=draw))
gains = pd.DataFrame(gains).drop(columns=["subset", "probe", "protocol"], errors="ignore")
gains["clear"] = stats.clear(gains)
results.table("gains", gains, show=20)

# %%
titles = {"all": "all clips of each source", "matched": f"{fewest:,} clips of each source"}
figure = compare.heat_map(gains.assign(draw=gains["draw"].map(titles)), "source", "target",
                          label="points over random weights", panel="draw")
results.figure("grid", figure, "Gain over random weights, sources by targets.",
               f"Training clearly helps in {stats.tally(gains)} pairs")

# %% [markdown]
# ## Classes, clips, labels: one at a time
#
# The first source again, in three steps: all clips of all classes, a fifth of the clips, and as
# many clips of its two largest classes; with true labels and shuffled. One factor changes at a
# time: *labels* is what true ones give with all clips, *clips* what the other four fifths give,
# *classes* what ten classes give over two at equally many clips.

# %%
train_rows = sound.corpus.splits()[-1][0]
largest = sound.corpus.clips["label"][train_rows].value_counts().index[:2]
room = int(sound.corpus.clips["label"][train_rows].isin(largest).sum())
few = min(len(train_rows) // 5, room)
away = [name for name, target in target_sounds.items()
        if not datasets.related(sound.corpus, target.corpus)]
factorial = []
for seed in factorial_seeds:
    for told in [told for told in labels if told != "none"]:
        for classes, clips in (((), 0), ((), few), (tuple(largest), few)):
            net = source_network(sound, how, network, labels=told, clips=clips, classes=classes,
                                 steps=steps, seed=seed)
            for name in away:
                keys = {"target": name, "labels": told, "source_clips": clips or len(train_rows),
                        "source_classes": len(classes) or len(sound.corpus.classes)}
                factorial.append((read(net.model, target_sounds[name], **keys)[0][-1], seed))

# %%
arms = {}
for one, _ in factorial:
    keys = one.keys
    small = keys["source_clips"] == few
    case = "classes" if keys["source_classes"] == 2 else "clips" if small else "all"
    arms.setdefault((keys["target"], keys["labels"], case), []).append(one)
arms = {key: stats.over_seeds(parts) for key, parts in arms.items()}

steps_down = {"labels": (("true", "all"), ("shuffled", "all")),
              "clips, true labels": (("true", "all"), ("true", "clips")),
              "clips, shuffled labels": (("shuffled", "all"), ("shuffled", "clips")),
              "classes, true labels": (("true", "clips"), ("true", "classes"))}
rows = [stats.compare(arms[name, *one], arms[name, *other], effect=effect)
        for name in away for effect, (one, other) in steps_down.items()
        if (name, *one) in arms and (name, *other) in arms]
effects = pd.DataFrame(rows).drop(columns=["labels", "source_clips", "source_classes", "subset",
                                          "probe", "protocol"], errors="ignore")
effects["clear"] = stats.clear(effects, "effect")
results.table("factors", effects, show=20)

# %%
factorial = stats.score_table([one.named(seed=seed) for one, seed in factorial])
factorial = factorial.drop(columns=["subset", "probe", "protocol"])
results.table("factorial", factorial, show=factorial[factorial["seed"] == factorial_seeds[0]])

# %%
shown = factorial.groupby(["target", "labels", "source_clips", "source_classes"],
                          as_index=False)["score"].mean()
shown["told"] = [f"{row.labels}, {row.source_clips:,} clips, {row.source_classes} classes"
                 for row in shown.itertuples()]
figure = compare.heat_map(shown, "told", "target", "score", label="score (%)")
spread = 100 * shown.groupby("target")["score"].agg(np.ptp)
results.figure("factorial", figure, "Score by labels, clips and classes of the source.",
               "Labels, clips and classes together move the score by at most "
               + ", ".join(f"{points:.1f} on {title_of(name)}" for name, points in spread.items()))

# %%
figure = compare.forest(effects.replace({"target": titles_of}), "target", None, "effect")
won = [f"{effect} in {stats.tally(rows)}" for effect, rows in effects.groupby("effect", sort=False)]
results.figure("factors", figure, "What each gives, in points.",
               "Clearly above zero: " + ", ".join(won))

# %% [markdown]
# ## Does the source span the target's spectra?
#
# The guess of 2018, made measurable. A corpus is 1,500 frames of 16 bands, in decibels below the
# loudest point of the clip. A source spans the balls around its frames, each out to the fifth
# nearest frame of another recording (Kynkäänniemi et al. 2019); counted is the share of the
# target's frames inside. Rhythm and change over time are not in it.

# %%
def frames(sound, rows):
    """Spectral profiles of a corpus, and the recording of each."""
    levels, row = similarity.profiles(sound.spectrograms, rows, 1500, corpus_seed)
    return levels, sound.corpus.groups[row]

heard = {name: frames(sound, sound.corpus.splits()[-1][0]) for name, sound in source_sounds.items()}
asked = {name: frames(sound, np.arange(len(sound.corpus))) for name, sound in target_sounds.items()}
spans = []
for source, target in gains[["source", "target"]].drop_duplicates().itertuples(index=False):
    levels, groups = asked[target]
    spans.append(stats.Scored.of(similarity.covered(levels, *heard[source]),
                                 np.zeros(len(levels)), groups, source=source, target=target))
spans = stats.score_table(spans).rename(columns={"score": "coverage"})
results.table("coverage", spans, show=20)

# %% [markdown]
# ## Could one have told beforehand?
#
# Within a target, does a guess rank the networks (source, true or shuffled labels) as the probe
# does? LogME (You et al. 2021) and the H-score (Bao et al. 2019) look at features and labels of
# the target; coverage does not even need a network. Kendall's tau is 1 for the same order, -1 for
# the opposite one. Few sources make few points, so a single tau says little.

# %%
points = table[(table["labels"] != "none") & (table["network"] == network)]
points = points.groupby(["source", "labels", "draw", "target"], as_index=False)
points = points[["score", "logme", "h_score"]].mean()
points = points.merge(spans[["source", "target", "coverage"]], how="left", on=["source", "target"])
once = (points["labels"] == "true") & (points["draw"] == "all")
points.loc[~once, "coverage"] = np.nan    # it is the same for every network of a source

# %%
ranked = []
for guess in ("logme", "h_score", "coverage"):
    of_guess = []
    for target, part in points.dropna(subset=[guess]).groupby("target", sort=False):
        if len(part) >= 3 and part[guess].nunique() > 1:
            tau, p = kendalltau(part[guess], part["score"])
            of_guess.append({"guess": guess, "target": target, "points": len(part), "tau": tau,
                             "p": p})
    if of_guess:  # targets are few, so the interval does not hold beyond those at hand
        ((mean, low, high),) = stats.bootstrap_rows([[row["tau"] for row in of_guess]])
        of_guess.append({"guess": guess, "target": "mean", "points": len(of_guess), "tau": mean,
                         "ci_low": low, "ci_high": high})
    ranked += of_guess
columns = ["guess", "target", "points", "tau", "p", "ci_low", "ci_high"]
results.table("agreement", pd.DataFrame(ranked, columns=columns), show=20)

# %% [markdown]
# ## What layers share
#
# CKA of the same layer in two networks on the clips of one target. Another seed of the same source
# is the yardstick: if two sources were as alike as two seeds, the source would leave no mark.
# Networks that began from the same draw stay alike for that reason: compare lines of other starts.

# %%
common = next((name for name in target_sounds if not any(
    datasets.related(corpus, target_sounds[name].corpus) for corpus in source_corpora)), targets[0])
same = [cell for cell in cells if cell["keys"]["target"] == common
        and cell["keys"]["draw"] == "all" and cell["keys"]["network"] == network]

def kinship(one, other):
    told = one["keys"]["labels"], other["keys"]["labels"]
    if "none" in told:
        return "with random weights" if told != ("none", "none") else "two random networks"
    start = "same start" if one["seed"] == other["seed"] else "other start"
    if one["keys"]["source"] != other["keys"]["source"]:
        return f"two sources, {start}" if told == ("true", "true") else ""
    if told[0] != told[1]:
        return f"true and shuffled, {start}"
    return f"{'same source' if told[0] == 'true' else 'two shuffles'}, {start}"

alike = []
for i, one in enumerate(same):
    for other in same[i + 1:]:
        if not kinship(one, other) or ("none" == one["keys"]["labels"] == other["keys"]["labels"]
                                       and one["seed"] == other["seed"]):
            continue
        for k, layer in enumerate(one["blocks"]):
            value = similarity.linear_cka(one["blocks"][layer], other["blocks"][layer])
            alike.append({"layer": k + 1, "kind": kinship(one, other), "cka": value})
alike = pd.DataFrame(alike).groupby(["kind", "layer"])["cka"].agg(["mean", "size"]).reset_index()
results.table("cka", alike.rename(columns={"mean": "cka", "size": "pairs"}), show=30)

# %%
other_starts = alike["kind"].str.endswith("other start").any()
doubled = alike["kind"].str.endswith("same start") | (alike["kind"] == "two random networks")
shown = alike[~doubled] if other_starts else alike
figure = compare.curves(shown.assign(target=common), "layer", "mean", "kind", "target",
                        ylabel="linear CKA (%)")
results.figure("cka", figure, "CKA of each layer, by pair.",
               "How alike two networks' layers are, by what they share")

# %% [markdown]
# ## Try it
#
# Pick a source and a target: layer by layer, with true labels, shuffled, and untrained.

# %%
taps = pd.DataFrame([one.keys | {"layer": k + 1, "score": one.mean}
                     for cell in cells for k, one in enumerate(cell["layers"])])
taps = taps[(taps["draw"] == "all") & (taps["network"] == network)]
taps = taps.groupby(["source", "target", "labels", "layer"], as_index=False)["score"].mean()
results.table("taps", taps, show=0)

# %%
def layer_by_layer(pair):
    source, target = pair.split(" → ")
    rows = taps[(taps["source"] == source) & (taps["target"] == target)]
    return compare.curves(rows, "layer", colour="labels", xlabel="layer")

choices = list(dict.fromkeys(taps["source"] + " → " + taps["target"]))
widgets.live(layer_by_layer, pair=choices)

# %% [markdown]
# ## What we learnt
#
# - Three questions hide in "does it transfer?": does training help at all (*shuffled* or *true*
#   against *none*), do the names (*true* against *shuffled*), and does the domain of the source?
# - "Random weights" are not one baseline: what their batch norm was measured on moves them.
# - The probe is frozen and linear. Fine-tuning may rank sources otherwise: chapter 04 asks that.
# - Intervals are over groups of clips and over seeds; one corpus stands for each kind of sound.

# %% [markdown]
# ## Exercises
#
# Double `steps`. Does the gap between true and shuffled labels open?

# %% [markdown]
# **With a solution.** Rotate a block of columns: does its CKA with itself change? Multiply one
# column by ten: does it now?
#
# <details><summary>Hint</summary>
#
# A rotation keeps every scalar product between clips. What is CKA made of?
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
# from audiotl.similarity import linear_cka
#
# rng = np.random.default_rng(0)
# x = rng.normal(size=(300, 16))
# rotation, _ = np.linalg.qr(rng.normal(size=(16, 16)))
#
# stretched = x * np.r_[10, np.ones(15)]
# assert np.isclose(linear_cka(x, x @ rotation), 1)
# assert 0.2 < linear_cka(x, stretched) < 0.4
# ```
#
# CKA does not mind how columns are turned, and minds very much which of them is large.
#
# </details>
