# %% [markdown]
# # Do MFCCs matter?
#
# **Question.** Mel-frequency cepstral coefficients are forty years old. Next to the layers of a
# trained network, do they still add anything, for which kind of task, and why?
#
# **What is known.** Choi et al. (2017) put MFCC beside their network's features and saw scores
# fall on every music task; chapter 06 shows that they were never scaled. One reader (Rao) guessed
# that MFCCs help by interaction with the layers; another (Wescott) that a logarithmic axis and a
# learnt convolution could replace mel and cosine.
#
# **What we do.** Make an MFCC by hand, and go back from it to sound. Score MFCC, network and both.
# Give MFCC a Shapley value among the layers. Take it apart, axis by transform. Degrade the sound.
# Settings are chosen on inner folds; comparisons are paired; intervals are bootstraps over groups.

# %% tags=["parameters"]
data = "built-in"               # built-in, or the folder that holds the corpora
size = "quick"                  # of the built-in corpora: smoke or quick
corpus_seed = 0                 # of the built-in corpora and of folds
network_seeds = [0]             # of each source network; a minute each
sources = ["environment", "music"]   # corpora that the networks learn from
recipe = {"epochs": 10, "crop": 64}  # how they are trained (training.Recipe)
published = {}                  # networks of others, e.g. {"music tags": "choi2017-keras2"}
published_targets = []          # the targets on which those are scored
targets = ["speech", "music_family"]   # ten seconds each
tasks = ["demonstration"]       # of the 2017 study (choi2017.TASKS), or made-up features
poolings = ["mean", "mean+std"]      # of a layer's maps over time
statistics = ["mfcc"]           # beside the network; also mfcc40, logmel: ten seconds each
weights = [0.1, 1.0, 10.0]      # of the MFCC block, chosen on inner folds
repeats = 1                     # 1: the corpus's own folds; more: five folds dealt so often
null_cases = [["environment", "speech"]]    # source and target; minutes each with five layers
null_layers = ["layer1", "layer5"]
frontend_targets = ["speech"]   # axis by transform, seconds each
frontend_seeds = [0]
frontend_epochs = 6
degraded = [["environment", "speech"]]      # source and target
degradations = [["noise", 20], ["telephone", 0], ["speed", 1.25]]

# %% jupyter={"source_hidden": true} tags=["hide-input"]
import copy
import dataclasses
import itertools
from functools import partial
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import display
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal

from audiotl import (audio, cache, datasets, frontend, learnt_frontend, probes, replication,
                     shapley, stats, widgets)
from audiotl.datasets import choi2017
from audiotl.degrade import Degradation
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.models import pretrained
from audiotl.plots import compare
from audiotl.plots.style import title_of
from audiotl.probes import coalitions, controls
from audiotl.probes.subset_search import search
from audiotl.report.results import Results
from audiotl.sources import source_network
from audiotl.training import Recipe, calibrated

results = Results("03_mfcc_ablation")
results.on_recordings()
# %%
source_sounds = [features(datasets.load(name, data, size, corpus_seed)) for name in sources]
sounds = {}
for name in targets:
    corpus = datasets.load(name, data, size, corpus_seed)
    kept, _ = datasets.without_shared(corpus, [sound.corpus for sound in source_sounds])
    sounds[name] = features(kept)

def problem(target):
    corpus = sounds[target].corpus
    return corpus.targets(), corpus.splits(seed=corpus_seed), corpus.groups

results.corpora(*source_sounds, *sounds.values())

# %% [markdown]
# ## An MFCC by hand
#
# **Power spectrogram**: a Hann window of 2,048 samples every 512, its Fourier transform, squared.

# %%
example = {}
for sound in [*source_sounds, *sounds.values()]:
    path = sound.corpus.clips["path"].sample(1, random_state=corpus_seed).item()
    example[sound.corpus.domain] = wave = audio.load(path, 16_000, min(2.0, sound.corpus.duration))

n_fft, hop, n_bands = 2048, 512, 128
window = signal.get_window("hann", n_fft)

def power_of(wave):
    frames = sliding_window_view(np.pad(wave, n_fft // 2), n_fft)[::hop]
    return np.abs(np.fft.rfft(frames * window)).T ** 2

# %% [markdown]
# **Mel bands**: triangles of area one that overlap by half, equally wide in mel, which is linear
# in hertz up to 1 kHz and logarithmic above (Slaney 1998).

# %%
def mel(hertz):
    above = 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4)
    return np.where(hertz < 1000, 3 * hertz / 200, above)

hertz = np.linspace(0, 8000, 200_001)
edges = np.interp(np.linspace(0, mel(8000), n_bands + 2), mel(hertz), hertz)
bins = np.linspace(0, 8000, n_fft // 2 + 1)[:, None]
rise, fall = (bins - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - bins) / np.diff(edges)[1:]
bank = np.maximum(np.minimum(rise, fall), 0) * 2 / (edges[2:] - edges[:-2])
assert np.allclose(bank, frontend.filterbank(frontend.LIBROSA), atol=1e-6)

# %% [markdown]
# **Logarithm**, down to 80 dB below the loudest point; then a **cosine transform** (DCT) along the
# bands: coefficient 1 is the tilt of a column, 2 its curvature, and so on to fine ripples. A probe
# gets mean and standard deviation over time of the first 20 and of their first two differences.

# %%
def level_of(wave):
    level = 10 * np.log10(np.maximum(bank.T @ power_of(wave), 1e-10))
    return np.maximum(level, level.max() - 80)

k = np.arange(n_bands)
cosines = np.cos(np.pi * np.outer(k, k + 0.5) / n_bands)
cosines *= np.sqrt(np.minimum(k + 1, 2) / n_bands)[:, None]
cepstra = cosines @ level_of(wave)
series = cepstra[:20], np.diff(cepstra[:20]), np.diff(cepstra[:20], n=2)
columns = np.concatenate([take(part, axis=1) for take in (np.mean, np.std) for part in series])
assert np.allclose(cepstra[:20], frontend.MFCC()(torch.from_numpy(wave)[None])[0], atol=0.02)
assert np.allclose(columns, frontend.MFCCStatistics()(torch.from_numpy(wave)[None])[0], atol=0.02)

# %% [markdown]
# And **back**: the transposed cosines turn the first coefficients into a picture again. Phases
# went with the first step; Griffin and Lim (1984) find new ones. Slide and listen: broad shapes
# stay (formants, the colour of a noise); harmonics and the pitch that they carry go first.

# %%
def rebuilt(level, n):
    return cosines[:n].T @ (cosines[:n] @ level)

def hear(sound, coefficients):
    level = level_of(example[sound])
    kept = 10 ** (np.minimum(rebuilt(level, coefficients), level.max()) / 10)
    power = torch.from_numpy(np.maximum(np.linalg.pinv(bank.T) @ kept, 0)).float()
    return frontend.torchaudio.transforms.GriffinLim(n_fft, hop_length=hop)(power).numpy()

def draw(sound, coefficients):
    power, level = power_of(example[sound]), level_of(example[sound])
    back = rebuilt(level, coefficients).clip(level.min(), level.max())
    pictures = {"power": power, "mel bands": bank.T @ power, "logarithm": level,
                "cosines 1 to 39": (cosines @ level)[1:40], f"back from {coefficients}": back}
    figure, axes = plt.subplots(1, len(pictures), figsize=(11, 2.3), layout="constrained")
    for axis, (name, picture) in zip(axes, pictures.items(), strict=True):
        axis.imshow(picture, origin="lower", aspect="auto", cmap="magma")
        axis.set_title(name, fontsize=10)
        axis.axis("off")
    return figure

widgets.live(draw, hear, sound=list(example), coefficients=[2, 5, 13, 20, 40, 80, 128])

# %% [markdown]
# ## The published features: was it the scale?
#
# The authors' own features: five layers (160 columns) and MFCC statistics (120). *Raw* is how they
# were put side by side. *Standardised* gives every column unit variance. *Weighted* multiplies the
# standardised MFCC block by a number chosen on inner folds. The probe is ridge regression; chapter
# 06 asks the same of the SVM of 2017, which sees distances. Filled marks are clear differences.

# %%
SCALINGS, scores, differences = ["raw", "standardised", "weighted"], [], []

def three(score, networks, mfcc, scalings, **keys):
    """MFCC alone, the network (one a seed), and both."""
    for scaling in scalings:
        plain = "raw" if scaling == "raw" else "standardised"  # a block alone has no weight
        both = stats.over_seeds([score(blocks | mfcc, scaling) for blocks in networks])
        network = stats.over_seeds([score(blocks, plain) for blocks in networks])
        alone = score(mfcc, plain)
        scores.append(both.named(**keys, blocks="both", scaling=scaling))
        own = keys | {"scaling": plain, "blocks": "network", "statistics": "none"}
        scores.append(network.named(**own))
        scores.append(alone.named(**own | {"source": "none", "pooling": "none", "blocks": "mfcc",
                                           "statistics": keys["statistics"]}))
        for name, one, other in (("both - network", both, network), ("both - mfcc", both, alone),
                                 ("network - mfcc", network, alone)):
            row = keys | {"scaling": scaling, "comparison": name, "probe": "ridge"}
            differences.append(stats.compare(one, other, **row))

def joining(margin, query):
    rows = pd.DataFrame(differences).query(f"comparison == 'both - network' and {query}")
    return rows.assign(clear=stats.clear(rows), equivalent=stats.equivalent(rows, margin))

def published_score(task, blocks, scaling):
    probe = replication.ridge(task)
    probe = probes.Weighted(probe, "mfcc", weights) if scaling == "weighted" else probe
    return replication.nested_probe(task, blocks, probe, scaling != "raw")

made_up = choi2017.demonstration(corpus_seed, 60)
for name in tasks:
    task = made_up if name == made_up.name else choi2017.load(data, name)
    layers = {layer: task.blocks[layer] for layer in choi2017.LAYERS}
    three(partial(published_score, task), [layers], {"mfcc": task.blocks["mfcc"]}, SCALINGS,
          features_from="published", source="music tags", target=name, pooling="mean",
          statistics="mfcc")

added = joining(0.02, "features_from == 'published'")
added["row"] = added["target"].replace(choi2017.TASKS) + ", " + added["scaling"]
figure = compare.forest(added, "row", "scaling", margin=0.02,
                        xlabel="what MFCC add to all layers, in points")
won = [f"{kind} in {stats.tally(rows)}" for kind, rows in added.groupby("scaling", sort=False)]
results.figure("published", figure, "What MFCC adds to the published layers, task by task.",
               "MFCC add clearly: " + ", ".join(won) + " tasks")

# %% [markdown]
# ## On sounds
#
# The same with networks trained here, one with random weights (its batch norm measured on
# unlabelled clips of the first source), and published ones. Two poolings: a layer's maps averaged
# over time, or their mean *and* deviation. MFCC statistics have always had both, so only the
# second is a fair race. No network is scored on its own corpus.

# %%
how, origin = Recipe(**recipe), {sound.corpus.domain: sound for sound in source_sounds}
networks = {domain: [source_network(sound, how, seed=seed).model for seed in network_seeds]
            for domain, sound in origin.items()}
networks["random"] = [source_network(source_sounds[0], how, labels="none", seed=seed).model
                      for seed in network_seeds]
cases = [(source, target) for target in sounds for source in networks if not (
    source in origin and datasets.related(origin[source].corpus, sounds[target].corpus))]
for name, which in published.items():
    networks[name] = [pretrained.load(which, data)]
    cases += [(name, target) for target in published_targets if target in sounds]
null_cases, degraded = ([case for case in some if tuple(case) in cases] or [list(cases[0])]
                        for some in (null_cases, degraded))
frontend_targets = [target for target in frontend_targets if target in sounds] or targets[:1]

def cases_of(rows):
    return [f"{title_of(r.source)} → {sounds[r.target].corpus.title}" for r in rows.itertuples()]

def live_score(target, blocks, scaling):
    probe, (y, folds, groups) = probes.named("ridge"), problem(target)
    probe = probes.Weighted(probe, "mfcc", weights) if scaling == "weighted" else probe
    folds = [folds] if repeats == 1 else controls.repeated_splits(y, groups, repeats=repeats)
    return controls.score(blocks, y, folds, groups, probe, scale=scaling != "raw")

# %%
more = statistics != ["mfcc"]
beside = {name: s.baselines() if more else {"mfcc": s.mfcc} for name, s in sounds.items()}
for source, target in cases:
    for pooling in poolings if source not in published else ["mean"]:
        taps = [embed(model, sounds[target], pooling=pooling) for model in networks[source]]
        for name in statistics:
            three(partial(live_score, target), taps, {name: beside[target][name]},
                  SCALINGS if name == "mfcc" else ["standardised"], features_from="live",
                  source=source, target=target, pooling=pooling, statistics=name)

# %%
ablation = stats.score_table(scores).drop(columns=["subset", "protocol"], errors="ignore")
ablation = ablation.assign(probe="ridge").drop_duplicates(ignore_index=True)
results.table("ablation", ablation, show=0)
results.table("differences", pd.DataFrame(differences), show=0)
live = ablation.query("features_from == 'live' and scaling == 'standardised'")
what = {"both": "network and {}", "mfcc": "{} alone", "network": "network alone"}
live = live.assign(what=[what[row.blocks].format(row.statistics) for row in live.itertuples()])
wide = live.pivot_table("score", ["target", "source", "pooling"], "what").round(3)
results.table("live_scores", wide.reset_index())

# %%
added = joining(0.01, "features_from == 'live' and scaling == 'standardised' and "
                      "statistics == 'mfcc'")
titles = {name: sound.corpus.title for name, sound in sounds.items()}
kinds = {name: sound.corpus.domain for name, sound in sounds.items()}
claimed = added.assign(
    case="beside the " + added["source"] + " network on " + added["target"].map(titles)
    + ", pooling " + added["pooling"],
    statement="MFCC adds to all layers, on " + added["target"].map(kinds))
results.claim(6, claimed, "differences.csv")

# %%
figure = compare.forest(added.assign(case=cases_of(added)), "case", "source", "pooling",
                        "what MFCC add to the network, in points", margin=0.01)
won = [f"{pooling} in {stats.tally(rows)}"
       for pooling, rows in added.groupby("pooling", sort=False)]
results.figure("cover", figure, "What MFCC adds to each network on each target, by pooling.",
               "MFCC add clearly: pooling " + ", ".join(won) + " cases")

# %% [markdown]
# **MFCC, or any second look at the picture?** The mean and deviation of the log-mel bands that the
# network itself hears, in place of MFCC (where `statistics` asks for it): what they add to the
# layers, and how MFCC beside the layers stand against them. MFCC have differences in time, too.

# %%
live_both = [one for one in scores if one.keys["features_from"] == "live"
             and one.keys["blocks"] == "both" and one.keys["scaling"] == "standardised"]
joined = {tuple(one.keys[name] for name in ("source", "target", "pooling", "statistics")): one
          for one in live_both}
rows = [stats.compare(one, joined[*case, "logmel"], comparison="with MFCC - with log-mel")
        for (*case, name), one in joined.items() if name == "mfcc" and (*case, "logmel") in joined]
if rows:
    rows = pd.DataFrame(rows)
    looks = pd.concat([rows.assign(clear=stats.clear(rows)), joining(
        0.01, "features_from == 'live' and statistics == 'logmel'").assign(
            comparison="with log-mel - network")], ignore_index=True)
    looks = looks[["source", "target", "pooling", "comparison", "difference", "ci_low", "ci_high",
                   "p", "groups", "seeds", "clear"]]
    results.table("second_look", looks, show=0)
    fair = looks[looks["pooling"] == poolings[-1]]
    won = [f"{name} in {stats.tally(part)}" for name, part in fair.groupby("comparison")]
    display(results.figure("second_look", compare.forest(
        fair.assign(case=cases_of(fair)), "case", "source", "comparison", margin=0.01),
        "Log-mel statistics beside the layers, and MFCC against them.",
        "Clearly above zero: " + ", ".join(won)))

# %% [markdown]
# ## MFCC as one more block among the layers
#
# All subsets of layers and MFCC are scored, so its Shapley value is exact (by hand in chapter 05).
# Its **interaction** with a layer is what the two add together beyond what each adds alone,
# averaged over the company they may meet: above zero they complete each other, below they repeat
# each other. If MFCC helped by interaction, it would be above. Bold here: the interval leaves zero
# out, without correction for many pairs.

# %%
parts, columns = [], ["kind", "player", "value", "ci_low", "ci_high", "groups"]
for source, target in cases:
    sound, (y, folds, groups) = sounds[target], problem(target)
    found = search(embed(networks[source][0], sound) | {"mfcc": sound.mfcc}, y, folds, groups,
                   probes.named("ridge"), title=f"{source} and MFCC -> {target}")
    masks = shapley.masks(found.subsets, found.names)
    values, pairs = shapley.attribute(found.nested_bits, masks, coalitions.guesses(y, folds),
                                      groups, found.names)
    with_mfcc = pairs[pairs["second"] == "mfcc"]  # the last block is never the first of a pair
    both = {"value": values.rename(columns={"layer": "player"}),
            "interaction": with_mfcc.rename(columns={"first": "player", "index": "value"})}
    parts += [rows.assign(kind=kind, groups=len(np.unique(groups)))[columns].assign(
        source=source, target=target, kind_of_task=sound.corpus.domain)
        for kind, rows in both.items()]
table = pd.concat(parts, ignore_index=True)
results.table("mfcc_interactions", table, show=0)

# %%
shown = table.query("kind == 'interaction' or player == 'mfcc'")
clear = ((shown["ci_low"] > 0) | (shown["ci_high"] < 0)) & (shown["groups"] >= stats.FEWEST_GROUPS)
met = "with " + shown["player"].str.replace("layer", "layer ")
meets = np.where(shown["kind"] == "value", "value of MFCC", met)
shown = shown.assign(case=cases_of(shown), meets=meets, clear=clear)
figure = compare.heat_map(shown, "case", "meets", "value", "points; first column a value")
met = shown.query("kind == 'interaction'")
below = met["clear"] & (met["value"] < 0)
results.figure("interactions", figure, "MFCC's Shapley value and its interaction with each layer.",
               f"MFCC and a layer repeat each other in {below.sum()} of {len(met)} pairs, and "
               f"complete each other in {stats.tally(met.rename(columns={'value': 'difference'}))}")

# %% [markdown]
# **Against what?** Two good blocks come out below zero even if they share nothing but the class:
# what one knows, the other need not say again. So MFCC give way to three rivals: *another clip's*
# MFCC, of the same class and fold, which knows of the clip nothing but its class; a copy of a
# layer, which can only repeat; and noise, which can do nothing. The score is a log-likelihood, in
# nats a clip: 0.7 more is twice the probability of the right class.

# %%
rivals, pair = [], list(itertools.combinations(range(len(null_layers) + 1), 2))
with_rival = [last == len(null_layers) for _, last in pair]
for source, target in null_cases:
    taps = embed(networks[source][0], sounds[target], pooling=poolings[-1])
    mfcc, (y, splits, groups) = sounds[target].mfcc, problem(target)
    layers = {name: taps[name] for name in null_layers}
    folds = np.argmax([np.isin(np.arange(len(y)), test) for _, test in splits], axis=0)
    rng, another = np.random.default_rng(0), np.arange(len(y))
    for _, alike in pd.Series(np.arange(len(y))).groupby([y, folds]):
        order = rng.permutation(alike)
        another[order] = np.roll(order, 1)
    beside = {"block": mfcc, "copy": layers[null_layers[len(layers) // 2]],
              "noise": np.random.default_rng(0).standard_normal(mfcc.shape),
              "another clip": mfcc[another]}
    for name, rival in beside.items():
        game = coalitions.log_likelihoods(layers | {"rival": rival}, y, splits)
        for what, values in (("value", shapley.values(game)[-1]),
                             ("interaction", shapley.interactions(game)[with_rival].mean(0))):
            rivals.append(stats.Scored.of(values, folds, groups, block=name, what=what,
                                          source=source, target=target))
results.table("interaction_null", stats.score_table(rivals).rename(columns={"score": "nats"}))

# %%
met = [one for one in rivals if one.keys["what"] == "interaction"]
rows = []
for mfcc, same, noise, other_clip in zip(*(met[k::4] for k in range(4)), strict=True):
    case = f"{mfcc.keys['source']} network on {sounds[mfcc.keys['target']].corpus.title}"
    nothing = dataclasses.replace(mfcc, values=np.zeros_like(mfcc.values))
    rows += [stats.compare(mfcc, other, against=name, case=f"{case}, against {name}")
             for name, other in (("nothing", nothing), ("another clip", other_clip),
                                 ("a copy", same), ("noise", noise))]
rows = pd.DataFrame(rows).drop(columns="block", errors="ignore")
results.table("interaction_contrasts", rows)

# %% [markdown]
# The claim is decided against nothing, as it was written down. Against another clip, a copy and
# noise are its controls, and the first of them is the fair one.

# %%
control = "as a control, MFCC and the layers add more together than {} and the layers"
said = {"nothing": ("Rao, in a comment", "MFCC and the layers add more together than apart"),
        "another clip": ("nobody tested it",
                         control.format("MFCC of another clip of the class")),
        "a copy": ("nobody tested it", control.format("a copy of a layer")),
        "noise": ("nobody tested it", control.format("noise"))}
by, statement = zip(*rows["against"].map(said), strict=True)
results.claim(8, rows.assign(said_by=by, statement=statement), "interaction_contrasts.csv")

# %% [markdown]
# ## Is it the mel, or the cosine?
#
# Twelve front ends: mel, logarithmic or linear axis; then a DCT, principal components, a learnt
# map (20 numbers a frame each), or nothing (64). **All else is equal**: range, bands, decibels,
# statistics over time, one hidden layer, epochs, folds and seeds (`learnt_frontend`).

# %%
budget, cells = learnt_frontend.Budget(epochs=frontend_epochs), {}
for target, axis in itertools.product(frontend_targets, frontend.AXES):
    sound = features(sounds[target].corpus, frontend.Settings(hop=512, low=60.0, axis=axis))
    for transform in learnt_frontend.TRANSFORMS:
        cells[target, axis, transform] = learnt_frontend.score(
            sound, transform, problem(target)[1], frontend_seeds, budget)
rows = [{"axis": axis, "transform": transform, "target": target, "seed": seed, "score": row.mean()}
        for (target, axis, transform), found in cells.items()
        for seed, row in zip(frontend_seeds, found.values, strict=True)]
results.table("frontends", pd.DataFrame(rows), show=0)
rows = pd.DataFrame([stats.compare(found, cells[key[0], "mel", "dct"], front_end=", ".join(key[1:]),
                                   target=sounds[key[0]].corpus.title)
                     for key, found in cells.items() if key[1:] != ("mel", "dct")])
rows = rows.assign(clear=stats.clear(rows), equivalent=stats.equivalent(rows, 0.01))
results.table("frontend_contrasts", rows, show=0)
claimed = rows[rows["front_end"].isin(["log, dct", "mel, learnt", "log, learnt"])]
results.claim(9, claimed.assign(case=claimed["front_end"] + " on " + claimed["target"]),
              "frontend_contrasts.csv")

# %%
figure = compare.forest(rows, "front_end", None, "target", margin=0.01,
                        xlabel="axis and transform, minus mel with DCT, in points")
results.figure("frontends", figure, "Eleven front ends against mel and DCT, by target.",
               f"Clearly better than mel with DCT: {stats.tally(rows)} front ends; within a point "
               f"of it: {rows['equivalent'].sum()}")

# %% [markdown]
# ## Noise, gain, a telephone, another size
#
# Probes are trained on clean clips and tested on degraded ones of the held-out folds. What counts
# is the share of the **margin over chance** that is kept: who had little to lose cannot lose much.
# Gain cannot touch the network, which hears decibels below the clip's loudest point.

# %%
def under(target, conditions, **keys):
    """Scores of held-out clips by condition; cell and scaling come from clean training clips."""
    clean, names, probe = conditions["clean"], tuple(conditions["clean"]), probes.named("ridge")
    y, splits, groups = problem(target)
    found = search(clean, y, splits, groups, probe, subsets=[names], progress=False)
    right = {condition: np.zeros(len(y)) for condition in conditions}
    for k, (train, held) in enumerate(splits):
        tests = {name: np.concatenate([blocks[name][held] for blocks in conditions.values()])
                 for name in names}
        fit, tests = probes.standardise({name: clean[name][train] for name in names}, tests)
        answers = probe.fold(fit, y[train], tests, [names])[0, found.inner[k].argmax()]
        for condition, part in zip(conditions, np.split(answers, len(conditions)), strict=True):
            right[condition][held] = part == y[held]
    return margins(target, [stats.Scored.of(values, found.fold, groups, condition=name, **keys)
                            for name, values in right.items()])

def margins(target, scored):
    """Score table with the share of the clean margin over chance; groups are drawn alike."""
    chance, rows = coalitions.guesses(*problem(target)[:2]).mean(), []
    draws = [stats.bootstrap_draws(one.values.mean((0, 1)), one.groups) - chance for one in scored]
    for one, draw in zip(scored, draws, strict=True):
        low, high = np.percentile(draw / draws[0], [2.5, 97.5])
        rows.append({"kept": (one.mean - chance) / (scored[0].mean - chance), "kept_low": low,
                     "kept_high": high})
    return stats.score_table(scored).join(pd.DataFrame(rows)).assign(target=target)

# %%
parts, kinds = [], [Degradation(*one) for one in degradations]
for source, target in degraded:
    heard = {"clean": sounds[target]}
    heard |= {kind.name: features(sounds[target].corpus, degradation=kind) for kind in kinds}
    pool = partial(embed, networks[source][0], pooling=poolings[-1])
    taps = {name: pool(sound) for name, sound in heard.items()}
    mfcc = {name: {"mfcc": sound.mfcc} for name, sound in heard.items()}
    both = {name: taps[name] | mfcc[name] for name in heard}
    for which, blocks in {"mfcc": mfcc, "network": taps, "both": both}.items():
        parts.append(under(target, blocks, source=source, blocks=which))
table = pd.concat(parts, ignore_index=True).rename(columns={"condition": "degradation"})
results.table("robustness", table, show=0)
shown = table.query("degradation != 'clean'")
shown = shown.assign(case=cases_of(shown))
figure = compare.heat_map(shown, "degradation", "blocks", "kept", "% of margin kept", "case")
worst = shown[shown["degradation"] == shown["degradation"].iloc[0]].groupby("blocks", sort=False)
kept = [f"{which} {100 * share:.0f} %" for which, share in worst["kept"].mean().items()]
results.figure("robustness", figure, "What MFCC, network and both keep of their margin.",
               f"After {shown['degradation'].iloc[0]} is kept, on average: {', '.join(kept)}")

# %% [markdown]
# **Does noise hurt a network, and by which way?** Three suspects, mended one at a time. *Level*:
# give each band back the mean it has over clean clips. *Floor*: cut clean and noisy spectrograms
# off higher than 80 dB below the loudest point; the network stays, the probe is fitted anew.
# *Batch norm*: measure its statistics, without labels, on the clean and on the noisy clips for
# each (Li et al. 2016).

# %%
def with_levels(sound, name, level):
    """The same clips with other spectrograms; the name stands for what was done."""
    level = np.clip(level, -80, 0).astype(np.float16)
    return dataclasses.replace(sound, spectrograms=level, key=cache.key_of(sound.key, name))

parts, noise = [], next(kind for kind in kinds if kind.name.startswith("noise"))
for source, target in degraded:
    sound, model = sounds[target], networks[source][0]
    noisy = features(sound.corpus, degradation=noise)
    quiet, loud = (one.spectrograms.astype(np.float32) for one in (sound, noisy))
    print(f"{target}: {np.mean(loud - quiet > 10):.0%} of all points rise by more than 10 dB")
    level = loud + (quiet.mean((0, 2)) - loud.mean((0, 2)))[:, None]
    pairs = {"none": [(model, sound), (model, noisy)],
             "level": [(model, sound), (model, with_levels(noisy, "level", level))],
             "batch norm": [(calibrated(copy.deepcopy(model), one), one) for one in (sound, noisy)]}
    for floor in (-60, -40):
        pairs[f"floor {floor} dB"] = [
            (model, with_levels(one, f"floor {floor}", np.maximum(levels, floor)))
            for one, levels in ((sound, quiet), (noisy, loud))]
    for name, pair in pairs.items():
        clean, noised = (embed(*side, pooling=poolings[-1]) for side in pair)
        parts.append(under(target, {"clean": clean, "noisy": noised}, source=source, mended=name))
results.table("noise_causes", pd.concat(parts, ignore_index=True))

# %% [markdown]
# ## What we learnt
#
# - An MFCC is the smooth part of a log-mel spectrum; harmonics and pitch live in what it drops.
# - An interaction below zero says little by itself; compare it with that of another clip's block.
# - **What these numbers cannot tell.** A model that follows MFCC in time may use them better than
#   one that sees statistics. Differences over fewer than ten groups are not counted.
#
# ## Exercises
#
# 1. Drop the first coefficient (columns 0, 20, 40, ... of `sound.mfcc`). What does gain do now?
# 2. Put MFCC beside the last layer alone. How much more does it add, and why?
# 3. Ask your own sounds: `python -m audiotl report --only 03 --data MY_FOLDER -p targets folder`.
# 4. The harmonics of a voice leave a ripple across the bands. Let it be 16 cycles over 128 bands.
#    How much of it do the first 20 coefficients keep, and how much the first 40?
#
# <details><summary>Hint</summary>
#
# Coefficient k of a DCT is a cosine of k/2 cycles.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
# from scipy.fft import dct
#
# bands = np.arange(128) + 0.5
# ripple = np.cos(2 * np.pi * 16 * bands / 128)
# power = dct(ripple, norm="ortho") ** 2
# kept = {n: power[:n].sum() / power.sum() for n in (20, 40)}
# assert kept[20] < 0.01 and kept[40] > 0.99
# ```
#
# Nothing, and all of it: the ripple is coefficient 32. So twenty coefficients cannot hear pitch.
#
# </details>
