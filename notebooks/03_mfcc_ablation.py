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
# # Do MFCCs matter?
#
# **Question.** Mel-frequency cepstral coefficients are forty years old. Next to the layers of a trained network, do they
# still add anything, for which kind of task, and why?
#
# **What is known.** Choi et al. (2017) put MFCC statistics beside their network's features and saw the scores fall on
# every music task, and rise on UrbanSound8K. Chapter 06 shows that their features were never scaled. A reader guessed
# that where MFCCs help, they do so in interaction with the layers; another that an MFCC is only a log-scaled spectral
# shape, so that a logarithmic axis and a learnt convolution could stand in for mel and DCT.
#
# **What we do.** See what an MFCC keeps. Score MFCC, network and both, on the published features and on sounds, under
# three scalings. Make MFCC one more player among the layers. Take the MFCC apart, axis by transform. Degrade the sound.
# All selection is nested, all comparisons are paired on the same clips, all intervals are 95 % bootstrap intervals over
# groups (recordings, speakers, notes).

# %% tags=["parameters"]
profile = "quick"
data = ""
out = ""
seed = 0
targets = ""
probes = ""
grid_targets = ""
degraded = ""
tagged = ""
seeds = 3

# %%
import numpy as np
import pandas as pd
from IPython.display import Audio, Markdown, display

from audiotl import ablation, audio, cepstrum, comparisons, frontend_grid, players, robustness, study, widgets
from audiotl.datasets import choi2017
from audiotl.degrade import USUAL
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.frontend import Settings, band_edges
from audiotl.models import pretrained as tagger_network
from audiotl.plots import cepstra, layers
from audiotl.plots import published as published_plots
from audiotl.report.results import Results

full, split = profile == "full", lambda text: [name.strip() for name in text.split(",") if name.strip()]
usual = {"full": "esc50,urbansound8k,speech_commands_10,fsdd,gtzan,philharmonia", "smoke": "environment,speech"}
plan = study.plan(profile, data, targets or usual.get(profile, ""), "environment,music", seed)
probe_names = split(probes) or ["ridge"]
grid_names = split(grid_targets) or [name for name in plan.targets if name in ("esc50", "fsdd", "philharmonia", "speech")] or list(plan.targets)
degraded_names = split(degraded) or [name for name in plan.targets if name in ("esc50", "speech_commands_10", "speech")] or list(plan.targets[:1])
results = Results(out, profile=profile, synthetic=plan.synthetic, sources=plan.sources, targets=plan.targets, seed=seed)
answer = display(Markdown("*The answer stands here once the last cell has run.*"), display_id="answer")
if plan.synthetic:
    display(Markdown("> **Synthetic sound** plays a part in these numbers (the built-in corpora). They show how the method "
                     "works, not how real sound behaves."))

# %% [markdown]
# ## What an MFCC is, step by step
#
# One sound of each domain. Its *power spectrogram* looks almost empty: few points hold nearly all power. *Mel bands*
# gather the frequencies into 128 bands, wide at the top. The *logarithm* brings the quiet parts up. A *DCT* along the
# bands then describes the shape of every column: coefficient 1 is its tilt, 2 its curvature, and so on to fine ripples.
# An MFCC keeps the first few, here 20, and the last picture is all that they still know.

# %%
sounds = {role: study.source_features(plan, role) for role in plan.sources}
speech = next((name for name in plan.targets if ablation.kind_of(name) == "speech"), None)
if speech:
    sounds["speech"] = features(plan.corpus(speech))
examples = {}
for domain, sound in sounds.items():
    row = int(np.random.default_rng(seed).integers(len(sound.corpus)))
    wave = audio.load(sound.corpus.clips["path"][row], 16_000, min(2.0, sound.corpus.duration))
    examples[domain] = (sound.corpus.clips["label"][row].split(";")[0], cepstrum.steps(wave, 16_000))
rebuilt = {domain: cepstrum.back(made.cepstra, 20) for domain, (_, made) in examples.items()}
display(results.figure("steps", cepstra.steps(examples, rebuilt, 20),
                       "Waveform, power spectrogram, mel bands, logarithm, coefficients and the picture rebuilt from 20 "
                       "of them, for one sound of each domain."))

# %% [markdown]
# ### What survives 13, 20, 40 coefficients?
#
# The inverse DCT turns coefficients back into a picture. Few of them keep the broad shape (formants, the colour of a
# noise) and smear what is narrow: harmonics, the pitch they carry, single partials.

# %%
pictures = {domain: {count: cepstrum.back(made.cepstra, count) for count in (cepstrum.N_BANDS, 40, 20, 13)}
            for domain, (_, made) in examples.items()}
display(results.figure("survivors", cepstra.survivors(pictures, cepstrum.N_BANDS),
                       "Log-mel spectrograms of three sounds, whole and rebuilt from 40, 20 and 13 coefficients."))
kept = []
for domain, sound in sounds.items():
    rows = np.random.default_rng(seed).permutation(len(sound.corpus))[:200]
    level = np.stack([sound.spectrograms[row].astype(np.float32) for row in rows])
    kept.append(cepstrum.survival(level, sound.corpus.groups[rows], (2, 5, 13, 20, 40, 64)).assign(domain=domain))
survival = results.table("survival", pd.concat(kept, ignore_index=True), show=0).frame
display(results.figure("detail", cepstra.detail(survival),
                       "Share of the detail across bands kept by the first coefficients, by domain."))
lines = survival[survival["coefficients"].isin([13, 20, 40])].pivot(index="domain", columns="coefficients")
display(Markdown("\n".join(
    f"- **{domain}**: 13, 20 and 40 of 64 coefficients keep {', '.join(f'{100 * v:.0f} %' for v in row['detail_kept'])} of the "
    f"variance across bands, and miss by {', '.join(f'{v:.1f}' for v in row['error_db'])} dB (root mean square)."
    for domain, row in lines.iterrows())))

# %% [markdown]
# And by ear. Sound is rebuilt from the coefficients by librosa (phases by Griffin and Lim). Listen for pitch: it goes
# first. (The audio is in the notebook and its HTML page, not in the Markdown report.)

# %%
for domain, (label, made) in examples.items():
    display(Markdown(f"**{domain}**, {label.replace('_', ' ')}: the original, then 40 and 13 coefficients"),
            Audio(made.waveform, rate=16_000), *(Audio(cepstrum.resynthesise(made, n), rate=16_000) for n in (40, 13)))

# %%
if not out:  # live: slide and listen
    def pair(domain, n):
        made = examples[domain][1]
        return cepstra.survivors({domain: {cepstrum.N_BANDS: made.level, n: cepstrum.back(made.cepstra, n)}}, cepstrum.N_BANDS)

    viewer = widgets.Viewer(pair, {"domain": list(examples), "coefficients": (2, 5, 13, 20, 40, 80, 128)},
                            lambda domain, n: cepstrum.resynthesise(examples[domain][1], n))
    display(viewer)

# %% [markdown]
# ## The published features: was it the scale?
#
# Seven tasks of 2017, the authors' own features: five layers (160 columns) and MFCC statistics (120). *Raw* is how they
# were concatenated. *Standardised* gives every column unit variance. *Weighted* multiplies the standardised MFCC block by
# one of five numbers from 0.1 to 10, chosen on inner folds. Two probes: ridge regression, and the SVM of 2017 with its 32
# cells (rows of chapter 06, from the cache where that chapter has run). An SVM sees distances, and in raw distances the
# MFCCs drown the network. UrbanSound8K's MFCC file was never published, so that task has no MFCC here; it is among the
# live ones below.

# %%
root = plan.data
real = root is not None and (root / "choi2017" / "data_feats").is_dir()
made_up = choi2017.demonstration(seed, 60 if profile == "smoke" else 150)
tasks = [choi2017.load(root, name) for name in choi2017.TASKS] if real else [made_up]
names = choi2017.TASKS if real else {"demonstration": "synthetic demonstration"}
scored = [row for task in tasks for row in (*ablation.published(task), *ablation.published_svm(task, compute=not real))]
published = ablation.differences(scored)
adding = published[published["comparison"] == "both - network"]
for probe_name, rows in adding.groupby("probe", sort=False):
    display(results.figure(f"published_{probe_name.split(',')[0]}", published_plots.forest(
        rows.assign(task=rows["target"]), "scaling", "difference", names, f"MFCC + all layers minus all layers, in points of 100 ({probe_name})"),
        f"Paired difference that MFCC makes beside the published layers, by task and scaling, {probe_name} probe."))
lines = []
for (probe_name, scaling), rows in adding.groupby(["probe", "scaling"], sort=False):
    up, down = (rows["ci_low"] > 0).sum(), (rows["ci_high"] < 0).sum()
    lines.append(f"- {probe_name}, {scaling}: MFCC helps on {up}, hurts on {down} of {len(rows)} tasks; mean difference "
                 f"{100 * rows['difference'].mean():+.1f} points.")
display(Markdown("\n".join(lines)))

# %% [markdown]
# ## On sounds: MFCC alone, network alone, both
#
# The same question with features computed here: the five layers of a network trained on environmental sound, of one
# trained to tag orchestral notes (*music*), of one with random weights, and, where its weights are at hand, of the network
# that Choi et al. released after their paper, trained on a million songs (*music tags*). A network is not scored on its own
# corpus, and recordings that a target shares with a source are left out.

# %%
models = {source: study.source_model(plan, source) for source in dict.fromkeys(s for s, _ in study.pairs(plan))}
cases = study.pairs(plan)
if full and (plan.data / tagger_network.NETWORKS["choi2017-keras2"][0]).is_file():
    models["music tags"] = tagger_network.load("choi2017-keras2", plan.data)
    cases += [("music tags", name) for name in split(tagged) or ["esc50", "gtzan", "philharmonia"] if name in plan.targets]
cases.sort(key=lambda case: plan.targets.index(case[1]))
aims, about = study.aims(plan)
results.skipped(*aims.values())
notes = []
for name in plan.targets:
    without = [role for role in plan.sources if (role, name) not in cases]
    notes.append(f"- {about[name]}" + (f"; not scored for the {', '.join(without)} network, which was trained on it" if without else ""))
    scored += ablation.live(ablation.NONE, name, {}, aims[name], probe_names, seed)
for source, name in cases:
    scored += ablation.live(source, name, embed(models[source], aims[name]), aims[name], probe_names, seed)
display(Markdown("\n".join(notes)))
results.table("ablation", ablation.table(scored), show=0)
differences = results.table("differences", ablation.differences(scored), show=0).frame
scores = ablation.table(scored).query("features_from == 'live' and probe == 'ridge' and scaling == 'standardised'")
display(results.table("live_scores", scores.pivot_table("score", ["target", "source"], "blocks", sort=False).reset_index()))

# %%
live = differences[(differences["features_from"] == "live") & (differences["scaling"] != "raw")]
added = live[live["comparison"] == "both - network"]
for (probe_name, scaling), rows in added.groupby(["probe", "scaling"], sort=False):
    name = "cover" if (probe_name, scaling) == ("ridge", "standardised") else f"live_{probe_name}_{scaling}"
    display(results.figure(name, layers.forest(
        rows.assign(row=rows["kind"] + ": " + rows["source"] + " → " + rows["target"].str.replace("_", " "), group=rows["source"]),
        f"difference in accuracy when MFCC joins the network ({probe_name}, {scaling})"),
        f"Paired difference that MFCC makes beside each network on each target, {scaling}, with intervals ({probe_name})."))
ridge = live[(live["probe"] == "ridge") & (live["scaling"] == "standardised")]
display(Markdown(comparisons.say_paired(ridge, "both - network", "network and MFCC together", "the network alone") + "\n\n"
                 + comparisons.say_paired(ridge, "network - mfcc", "the network", "MFCC alone")))

# %% [markdown]
# ### By kind of task
#
# The claim was that MFCC helps event detection and not music. Means over trained networks, then over targets. Music is
# several kinds of task, and they need not agree: telling instruments apart is about timbre, genre is about much else.

# %%
kinds = pd.concat([ablation.by_kind(scored, scaling=how).assign(scaling=how) for how in ("standardised", "weighted")])
display(results.table("by_kind", kinds))
by_scale = differences[(differences["comparison"] == "both - network") & (differences["features_from"] == "live")]
lines = []
for (probe_name, scaling), rows in by_scale.groupby(["probe", "scaling"], sort=False):
    lines.append(f"- {probe_name}, {scaling}: mean difference {100 * rows['difference'].mean():+.1f} points, clear gains in "
                 f"{(rows['ci_low'] > 0).sum()} and clear losses in {(rows['ci_high'] < 0).sum()} of {len(rows)} cases.")
display(Markdown("Does scaling matter on sounds? What MFCC adds, over all networks and targets:\n\n" + "\n".join(lines)))

# %% [markdown]
# ## MFCC as one more player
#
# All 63 subsets of five layers and MFCC are scored, so its Shapley value is exact: what it adds to a coalition of layers,
# averaged over all orders of arrival. Its *interaction* with a layer is what the two add together beyond what each adds
# alone. Above zero (blue) they complete each other; below (red) they repeat each other. Bold: the interval leaves zero
# out. If MFCC helped by interaction, there should be blue where it helps.

# %%
parts = []
for source, name in cases:
    found = players.find(source, name, embed(models[source], aims[name]), aims[name], study.probe("ridge"), seed)
    parts.append(players.attribute(source, name, found, aims[name].corpus.targets()))
interactions = results.table("mfcc_interactions", pd.concat(parts, ignore_index=True), show=0).frame
shown = interactions[(interactions["kind"] == players.INTERACTION) | (interactions["player"] == "mfcc")]
display(results.figure("interactions", cepstra.interactions(shown, [f"layer{i}" for i in range(1, 6)]),
                       "MFCC's Shapley value and its interaction with each layer, by source and target, in points."))
sides = results.table("mfcc_sides", players.sides(interactions), show=0).frame
pairs = 5 * len(sides)
reference = sides["layers"].mean()
merged = sides.merge(ridge[ridge["comparison"] == "both - network"][["source", "target", "difference"]], on=["source", "target"])
together = float(np.corrcoef(merged["difference"], merged["interaction"])[0, 1]) if len(merged) > 2 else np.nan
results.number("mfcc_pairs", pairs)
results.number("mfcc_repeats", sides["repeats"].sum())
results.number("mfcc_complements", sides["complements"].sum())
results.number("correlation_gain_interaction", together)
results.number("mean_interaction_with_mfcc", sides["interaction"].mean())
results.number("mean_interaction_of_layers", reference)
display(Markdown(f"Of {pairs} pairs of MFCC and a layer, {sides['repeats'].sum()} repeat each other and "
                 f"{sides['complements'].sum()} complete each other, with an interval clear of zero. Across the "
                 f"{len(merged)} cases, what MFCC adds to all layers and its mean interaction correlate at r = {together:.2f}. Accuracy "
                 "has a ceiling, so good players tend to come out below zero: the mean index of MFCC with a layer is "
                 f"{100 * sides['interaction'].mean():+.1f} points, that of two layers with each other {100 * reference:+.1f}."))

# %% [markdown]
# ## Is it the mel, or the cosine?
#
# Nine front ends: mel, logarithmic or linear axis; then a DCT, a learnt convolution, or nothing. **All else is equal**: 64
# bands from 60 Hz to 8 kHz, the same STFT, decibels below the clip's loudest point, mean and deviation over time of the
# result and its two differences, one hidden layer of 64 behind them, the same epochs, folds and seeds. DCT and learnt
# convolution both give 20 numbers a frame from a kernel that spans all bands; one is fixed, the other starts random and is
# trained with the network inside the training folds. "None" keeps all 64 bands, so it has more columns.

# %%
edges = pd.DataFrame({"corner": np.arange(66), **{axis: band_edges(Settings(axis=axis, low=60.0)).numpy() for axis in ("log", "linear")}})
results.table("band_edges", edges, show=0)
budget = frontend_grid.Budget(epochs={"smoke": 3, "quick": 15}.get(profile, 30))
runs = range(seed, seed + (seeds if full else 1))
grids = {name: frontend_grid.grid(aims[name].corpus if name in aims else plan.corpus(name), runs, budget, seed) for name in grid_names}
fronts = results.table("frontends", frontend_grid.table(grids, runs), show=0).frame
display(results.figure("frontends", cepstra.grid(fronts, {"dct": "DCT", "learnt": "learnt", "none": "none"}),
                       "Accuracy of nine front ends, axis by transform, a dot a seed, by target."))
groups = {name: aims[name].corpus.groups for name in grid_names}
contrasts = results.table("frontend_contrasts", frontend_grid.contrasts(grids, groups), show=0).frame
lines = [f"- {name}: " + "; ".join(f"{r.target} {100 * r.difference:+.1f} [{100 * r.ci_low:+.1f}, {100 * r.ci_high:+.1f}]"
                                   for r in rows.itertuples()) for name, rows in contrasts.groupby("contrast", sort=False)]
display(Markdown("Differences in points, means over seeds; 95 % intervals over groups, which do not cover the choice of seed "
                 "(smallest and largest single-seed differences are in the table).\n\n" + "\n".join(lines)))

# %% [markdown]
# ## Noise, gain, a telephone, another size
#
# People trust MFCCs because they are said to be robust. Probes are trained on clean clips and tested on degraded ones of
# the held-out folds: white noise at 20, 10 and 0 dB, 12 dB less gain, 300 to 3400 Hz, and playing at 0.8 or 1.25 times the
# speed, as from a larger or smaller source. The network hears decibels below the clip's own maximum, so gain cannot touch
# it; the first MFCC keeps the absolute level.

# %%
tested = []
for name in degraded_names:
    aim = aims[name]
    bad = {one.name: features(aim.corpus, degradation=one) for one in (USUAL if full else USUAL[1::2])}
    for source in [s for s, t in cases if t == name and (s == "environment" or not full)]:
        clean = {**embed(models[source], aim), "mfcc": aim.mfcc}
        worse = {key: {**embed(models[source], sound), "mfcc": sound.mfcc} for key, sound in bad.items()}
        tested.append(robustness.run(source, name, clean, worse, aim.corpus, study.probe("ridge"), seed))
robust = results.table("robustness", robustness.table(tested), show=0).frame
display(results.figure("robustness", cepstra.degradations(robust),
                       "Accuracy of MFCC, network and both on clean and degraded clips, by source and target."))
rivals = results.table("robustness_paired", robustness.paired(tested), show=0).frame

# %%
mean_loss = robust[robust["degradation"] != "clean"].groupby(["degradation", "blocks"], sort=False)["loss"].mean().unstack()
display(results.table("robustness_means", mean_loss.reset_index()))
lines = []
for comparison, what in (("mfcc - network", "MFCC alone"), ("both - network", "MFCC beside the network")):
    rows = rivals[(rivals["comparison"] == comparison) & (rivals["what"] == "loss")]
    lines.append(f"- {what} loses less than the network alone in {(rows['ci_high'] < 0).sum()} of {len(rows)} cases, more in "
                 f"{(rows['ci_low'] > 0).sum()} (intervals clear of zero).")
ahead = rivals[(rivals["comparison"] == "mfcc - network") & (rivals["what"] == "score") & (rivals["degradation"] != "clean")]
lines.append(f"- Under degradation MFCC alone scores above the network alone in {(ahead['ci_low'] > 0).sum()} and below it in "
             f"{(ahead['ci_high'] < 0).sum()} of {len(ahead)} cases.")
display(Markdown("Mean loss of accuracy from clean to degraded is in the table above.\n\n" + "\n".join(lines)))

# %% [markdown]
# ## What we learnt

# %%
def span(row):
    return f"{100 * row['difference']:+.1f} [{100 * row['ci_low']:+.1f}, {100 * row['ci_high']:+.1f}]"


def verdict(row):
    return "helps" if row["ci_low"] > 0 else "hurts" if row["ci_high"] < 0 else "makes no clear difference"


def count(rows, what):
    return {"what": what, "difference": rows["difference"].mean(), "cases": len(rows), "gains": (rows["ci_low"] > 0).sum(),
            "losses": (rows["ci_high"] < 0).sum()}


kept = ["what", "difference", "ci_low", "ci_high", "cases", "gains", "losses"]
main = kinds[(kinds["features_from"] == "live") & (kinds["scaling"] == "standardised")].assign(what=lambda t: t["kind"])[kept]
trained = differences[(differences["comparison"] == "both - network") & (differences["source"] != "random")]
tuned = count(trained[(trained["features_from"] == "live") & (trained["scaling"] == "weighted")], "weighted, all kinds")
svm = adding[adding["probe"] != "ridge"]
raw, scaled = (count(svm[svm["scaling"] == how], f"published, svm, {how}") for how in ("raw", "standardised"))
swap = contrasts[contrasts["contrast"] == "log axis and learnt - MFCC"].assign(what=lambda t: t["contrast"] + ", " + t["target"])
company = {"what": "pairs of MFCC and a layer: complete each other (gains), repeat each other (losses)", "cases": pairs,
           "gains": sides["complements"].sum(), "losses": sides["repeats"].sum()}
results.table("answer", pd.concat([main, pd.DataFrame([tuned, raw, scaled, company]), swap[kept[:4]]]), show=0)
finding = "Beside a trained network, MFCC: " + "; ".join(
    f"on {row['what']} it {verdict(row)}, {span(row)} ({row['gains']} clear gains, {row['losses']} clear losses in "
    f"{row['cases']} cases)" for _, row in main.iterrows()) + "." + (" Synthetic sound." if plan.synthetic else "")
more = (f" (Points of accuracy with 95 % intervals; ridge probe, standardised, nested.) With the weight of the MFCC block chosen "
        f"on inner folds, clear gains in {tuned['gains']} and clear losses in {tuned['losses']} of {tuned['cases']} cases.")
if len(svm):
    more += (" Where MFCC hurt in 2017, it was its scale: with" if raw["losses"] > scaled["losses"] == 0 else " With")
    more += (f" the SVM of 2017 on {raw['cases']} published tasks, MFCC added raw costs {-100 * raw['difference']:.1f} points on average ({raw['losses']} clear losses), "
             f"standardised {-100 * scaled['difference']:.1f} ({scaled['losses']} clear losses, {scaled['gains']} clear gains).")
more += (f" It is no positive interaction: of {pairs} pairs of MFCC and a layer {sides['complements'].sum()} complete each other and "
         f"{sides['repeats'].sum()} repeat each other." if sides["complements"].sum() < sides["repeats"].sum() else
         f" Of {pairs} pairs of MFCC and a layer {sides['complements'].sum()} complete each other.")
more += (" A logarithmic axis and a learnt convolution in place of mel and DCT: "
         + "; ".join(f"{span(row)} on {row['target']}" for _, row in swap.iterrows()) + ".")
results.finding(finding)
answer.update(Markdown(f"**Answer.** {finding}{more}"))
display(Markdown(f"- {finding}{more}\n- An MFCC is the smooth part of a log-mel spectrum. What it throws away is the fine structure across "
                 "bands, which is where harmonics and pitch live.\n- **What these numbers cannot tell.** Each network is one "
                 "network from one seed. MFCC statistics here are those of 2017 (20 coefficients, means and deviations over time); "
                 "a model that follows them in time may use them better. Intervals over few groups (six FSDD speakers) are too "
                 "narrow."))

# %% [markdown]
# ## Exercises
#
# 1. Drop the first coefficient from `aim.mfcc` (columns 0, 20, 40, ... of the 120). What does a change of gain do now?
# 2. Put MFCC beside the last layer alone instead of all five. How much more does it add, and why?
# 3. Give the learnt convolution the DCT as its starting point (`frontend_grid.Nets`). Does it stay there?
# 4. Train the probe on clips with 10 dB of noise and test on clean ones. Who suffers now?
# 5. Ask your own sounds: `python -m audiotl report --only 03 --data MY_FOLDER -p targets folder`.
