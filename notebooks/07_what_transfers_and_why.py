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
# # What transfers to what, and why?
#
# **Question.** Which kind of sound is worth learning from, for which task? And what makes one source better than another:
# its number of clips, its number of classes, the spectra that it holds, or what its layers come to share with others?
#
# **What is known.** McMahan and Rao (2018) found that networks trained on environmental sound help to recognise spoken
# commands, and that the other way round nothing was gained, though the speech corpus was much larger. They guessed that
# environmental sound spans the whole space of acoustic events and speech only a part of it. They fine-tuned deep networks;
# their tables, front end and optimiser are not public. Choi et al. (2017) reused a music tagger for speech and noise.
#
# **What we do.** Networks trained on environmental sound, speech and music, and one with random weights, are read by the
# same ridge probe on every target: all taps side by side, each of at most 32 components, folds that never cut a recording
# or a speaker, penalty chosen on inner folds. Sources differ in size, so each is tried with all of its clips and again
# with equally many (as many as the smallest has; whole recordings first, the last one of a class may be cut, and nothing
# left over is used). **Every network takes the same number of optimiser steps**, to within 5 %, and each step
# hears one second of each of 32 clips. A small source is therefore heard more often, not for a shorter time.

# %% tags=["parameters"]
profile = "quick"
data = ""
out = ""
seed = 0
targets = ""
networks = ""  # e.g. "convnet5,resnet18"
seeds = 0  # source networks of ConvNet5 each; deeper networks have one. 0: as the profile has it
modes = "probe"  # also: scratch, head, fine-tuned, each a training a cell
steps = 0  # of ConvNet5 on a source; 0: as the profile has it
published = "choi2017-keras2"  # a music tagger that others trained, where its weights are at hand; "" for none

# %%
import pandas as pd
from IPython.display import Markdown, display

from audiotl import matrix, reasons, similarity, sources, study, transferability
from audiotl.frontend import Settings, band_centres
from audiotl.models import pretrained as taggers
from audiotl.plots import matrix as plots
from audiotl.report.results import Results
from audiotl.explorers import CellExplorer

full, split = profile == "full", lambda text: [name.strip() for name in text.split(",") if name.strip()]
usual = "esc50,urbansound8k,speech_commands_10,fsdd,gtzan,philharmonia" if full else ""
plan = study.plan(profile, data, targets or usual, "", seed)
names = split(networks or ("convnet5,resnet18" if full else "convnet5"))
shallow, deep = sources.STEPS[profile]
budget = {name: (steps or shallow) if name == "convnet5" else deep for name in names}
runs = {name: range(seed, seed + (seeds or (3 if full else 1))) if name == "convnet5" else [seed]
        for name in names}
results = Results(out, profile=profile, synthetic=plan.synthetic, sources=plan.sources, targets=plan.targets,
                  networks=names, steps=budget, seeds=max(len(run) for run in runs.values()))
if plan.synthetic:
    display(Markdown("> **Synthetic sound** plays a part in these numbers (the built-in corpora). They show how the method "
                     "works, not how real sound behaves."))

# %% [markdown]
# ## Sources and targets
#
# A source is not scored on its own corpus. Where a target shares recordings with a source (UrbanSound8K and ESC-50 both
# carry Freesound numbers), those clips leave the target, for all sources alike.

# %%
aims, about = study.aims(plan)
results.skipped(*aims.values())
fewest = sources.smallest(plan)
display(Markdown("\n".join(f"- {words}" for words in about.values()) + f"\n\nEqually many clips means {fewest:,}."))

# %% [markdown]
# ## The matrix

# %%
cells, nets = [], {}
for name in names:
    nets[name] = [net for k in runs[name] for net in sources.compared(plan, name, k, budget[name])]
    cells += matrix.matrix(plan, nets[name], aims, split(modes), budget[name])
if published and plan.data and (plan.data / taggers.NETWORKS[published][0]).is_file():
    tagger = sources.SourceNetwork("music tags", sources.ALL, published, seed, taggers.load(published, plan.data), None, 50, 0,
                                   float("nan"))
    cells += matrix.matrix(plan, [tagger], aims)
scores = results.table("matrix.csv", matrix.table(cells), show=0).frame
own = scores.drop_duplicates(["source", "draw", "network", "seed"])
results.table("sources", own[["source", "draw", "network", "seed", "source_clips", "source_classes", "source_steps", "source_score"]],
              show=9)

# %% [markdown]
# Above: what each network was taught, and its score on the held-out fold of its own corpus (mean AUC for music tags). Below:
# what it gains, on each target, over the same network with random weights. Means over seeds; bold where the 95 % interval
# over groups of clips leaves zero out.

# %%
won = results.table("gains", matrix.gains(cells), show=0).frame
probe = won[won["mode"] == "probe"]
results.figure("cover", plots.grid(probe, list(plan.targets)), "Gain in accuracy over random weights, sources by targets, for all clips and for equally "
               "many clips of each source.")

# %%
best = scores[scores["mode"] == "probe"].assign(heard=lambda t: t["source"] + ", " + t["draw"])
display(results.table("best", best.pivot_table("score", ["network", "target"], "heard", sort=False).round(3).reset_index()))
calls = [(row, matrix.verdict(row)) for row in probe.itertuples()]
lines = [f"- **{call}**: " + "; ".join(f"{row.source} → {row.target} ({row.network}, {row.draw}) {100 * row.difference:+.1f}"
                                       for row, given in calls if given == call)
         for call in ("helps", "hurts", "cannot tell") if any(given == call for _, given in calls)]
display(Markdown("A source *helps* or *hurts* where the interval leaves zero out and every single seed is on the same side. "
                 "Points over random weights:\n\n" + "\n".join(lines)))
if set(split(modes)) - {"probe"}:
    display(results.table("trained_modes", won[won["mode"] != "probe"], show=40))

# %% [markdown]
# ## Is transfer a one-way street?
#
# Environment to speech against speech to environment, each over random weights and averaged over the targets of that kind.
# If the corpora's sizes made the difference, it should shrink with equally many clips. A point on an easy target is not a
# point on a hard one, so the text also gives the share of the random network's errors that a source removes.

# %%
turns = results.table("asymmetry", matrix.asymmetry(cells), show=0).frame
if len(turns):
    display(results.figure("asymmetry", plots.asymmetry(turns[turns["mode"] == "probe"]),
                           "Gain of environment on speech targets and of speech on environment targets, and their difference, with "
                           "intervals, for all clips and for equally many."))
display(Markdown("\n".join(f"- {name}, {'all clips' if draw == 'all' else 'equally many clips'}, {mode}: {matrix.say_asymmetry(rows)}"
                           for (name, mode, draw), rows in turns.groupby(["network", "mode", "draw"], sort=False))))

# %% [markdown]
# ## Why? Classes and clips, one at a time
#
# Environmental sound again, ConvNet5: first a fifth of its clips from 2, 5 and all of its classes, then all classes with
# fewer or more clips. Each seed draws its own order of classes and of recordings, so the dots also show how much it matters
# *which* classes one has. Dotted: random weights.

# %%
aim_names = [name for name in plan.targets if ("environment", name) in study.pairs(plan)][:4 if full else 2]
varied = [net for k in runs.get("convnet5", [seed]) for net in sources.diverse(
    plan, "environment", k, steps or shallow, (2, 5, 10) if full else (2, 10), whole=not full)]
spread = matrix.matrix(plan, varied, {name: aims[name] for name in aim_names})
steps_taken = results.table("diversity", matrix.table(spread), show=0).frame
by_class = steps_taken[steps_taken["draw"].str.endswith("classes")]
by_clips = pd.concat([steps_taken[steps_taken["draw"].str.endswith("clips")],
                      by_class[by_class["source_classes"] == by_class["source_classes"].max()]])
floor = scores[(scores["source"] == "random") & (scores["mode"] == "probe") & (scores["network"] == names[0])]
display(results.figure("diversity", plots.series(by_class, by_clips, floor.groupby("target")["score"].mean().to_dict()),
                       "Accuracy of the probe against the number of classes and the number of clips of the source."))
ends = [by_class.loc[by_class["source_classes"].idxmin(), "draw"], by_class.loc[by_class["source_classes"].idxmax(), "draw"],
        by_clips.loc[by_clips["source_clips"].idxmin(), "draw"], by_clips.loc[by_clips["source_clips"].idxmax(), "draw"]]
moves = results.table("diversity_changes", pd.concat([matrix.changes(spread, ends[0], ends[1]),
                                                      matrix.changes(spread, ends[2], ends[3])]), show=0).frame
words = {"helps": "more is better", "hurts": "more is worse", "cannot tell": "we cannot tell"}
move_lines = [f"- {row.first} to {row.last}, on {row.target}: {100 * row.difference:+.1f} [{100 * row.ci_low:+.1f}, "
              f"{100 * row.ci_high:+.1f}] points, single seeds {100 * row.seed_low:+.1f} to {100 * row.seed_high:+.1f}: "
              f"{words[matrix.verdict(row)]}." for row in moves.itertuples()]
display(Markdown("\n".join(move_lines)))

# %% [markdown]
# ## Why? Does the source span the target's spectra?
#
# The guess of 2018, made measurable. Each corpus is 1,500 frames of 16 bands, in decibels below the loudest point of the
# clip, pauses left out. A source spans the balls around its frames, each out to the fifth nearest frame of another
# recording (Kynkäänniemi et al. 2019); counted is the share of the target's frames inside. The measure has a direction,
# and it sees single frames only: rhythm and change over time are not in it.

# %%
spectra, spans = reasons.spectra(plan, aims)
results.table("coverage", spans, show=20)

# %%
kept = probe[(probe["network"] == names[0]) & (probe["draw"] == sources.MATCHED)]
both = kept.merge(spans[["source", "target", "coverage"]], on=["source", "target"])
display(results.figure("coverage", plots.coverage(both), "Gain over random weights against the share of the target's spectra that "
                       "the source spans."))
there = spans.set_index(["source", "target"])["coverage"]
lines = [f"{source} spans {100 * there[source].reindex(of).mean():.0f} % of the {kind} targets' frames" for source, kind in
         (("environment", "speech"), ("speech", "environment"))
         if len(of := [name for name in plan.targets if matrix.DOMAINS.get(name) == kind and (source, name) in there.index])]
display(Markdown("On average, " + ", and ".join(lines) + "." if lines else "No pair of environment and speech among these targets."))

# %% [markdown]
# ## Why? What layers share
#
# Linear CKA (Kornblith et al. 2019) of the same tap in two networks, on clips that none of them was taught. Clips of several
# corpora differ first of all by corpus, which any layer shows, so every layer is centred within each. Another seed of the same
# source is the yardstick: if two sources were as alike as two seeds, the source would leave no mark.

# %%
same_draw = [net for net in nets[names[0]] if net.draw == sources.MATCHED or net.source == study.RANDOM]
if len(runs[names[0]]) == 1:  # another seed of one source, for the yardstick alone
    role = next(iter(plan.sources))
    same_draw.append(sources.taught(plan, role, names[0], seed + 1, budget[names[0]], clips=fewest, draw=sources.MATCHED))
layers, of = reasons.layers_on_common_clips(plan, same_draw, aims)
alike = results.table("cka", similarity.cka_table(layers, of), show=0).frame
kin = results.table("cka_by_kind", reasons.kinships(alike), show=0).frame
display(results.figure("cka", plots.cka(kin), "Linear CKA of each layer between two networks, by how they are related."))
ends = kin[kin["layer"].isin([kin["layer"].iloc[0], kin["layer"].iloc[-1]])]
display(Markdown(f"On {len(of):,} clips: " + "; ".join(
    f"{kind} " + ", ".join(f"{row.layer} {row.cka:.2f}" for row in rows.itertuples()) for kind, rows in ends.groupby("kind", sort=False)) + "."))

# %% [markdown]
# ## Could one have told beforehand?
#
# Within a target, does a guess rank the sources as the probe does? LogME (You et al. 2021) and the H-score (Bao et al. 2019,
# shrunk as by Ibrahim et al. 2021) look at features and labels of the target; coverage and the number of clips do not even
# need a network. A point is one source and draw, mean over seeds, random weights included where the guess exists. There are
# few points a target, so a single tau says little.

# %%
guess_names = {"logme": "LogME", "h_score": "H-score", "coverage": "spectra spanned", "source_clips": "clips of the source"}
points = reasons.guessed(scores[scores["network"].isin([names[0], published])], spans)
ranked = results.table("agreement", transferability.agreement(points, list(guess_names)), show=0).frame
display(results.figure("agreement", plots.agreement(ranked, guess_names), "Kendall's tau between each guess and the probe's "
                       "score over sources, by target, and the mean with its interval."))
guess_lines = reasons.say_agreement(ranked, guess_names)
display(Markdown(guess_lines))

# %% [markdown]
# ## Try it
#
# Pick a source and a target: the cell beside its rivals, tap by tap, and the two spectra. (A report shows one picture.)

# %%
taps = results.table("taps", matrix.layer_table(cells), show=0).frame
mine = taps[taps["network"].isin([names[0], published])]
middle = band_centres(Settings()).reshape(similarity.BANDS, -1).mean(1)
explorer = CellExplorer(mine[mine["layer"] == matrix.EVERYTHING], mine[mine["layer"] != matrix.EVERYTHING],
                        {key: levels for key, (levels, _) in spectra.items()}, middle)
explorer if not out else results.figure("explorer", explorer.figure(), f"One cell of the matrix. {explorer.words()}.")

# %% [markdown]
# ## What we learnt

# %%
finding = results.finding(matrix.finding(turns, won) + (" Synthetic sound." if plan.synthetic else ""))
few = [f"{name} ({aim.corpus.clips['group'].nunique()})" for name, aim in aims.items() if aim.corpus.clips["group"].nunique() < 20]
display(Markdown(f"- {finding}\n- Classes and clips of the source:\n" + "\n".join("  " + line for line in move_lines)
                 + "\n- Telling beforehand:\n" + "\n".join("  " + line for line in guess_lines.split("\n"))
                 + "\n- **What these numbers cannot tell.** The probe is frozen and linear; fine-tuning, as in 2018, may rank sources "
                 f"otherwise (`-p modes probe,scratch,fine-tuned`). There are {max(len(run) for run in runs.values())} source networks a "
                 "cell at most; intervals are over clips, given these networks, and one corpus stands for each kind of sound. Equal "
                 "clips are not equal seconds: a clip of speech has one second to draw from, one of the street up to four."
                 + (f" Intervals over few groups are too narrow: {', '.join(few)} speakers or recordings." if few else "")))

# %% [markdown]
# ## Exercises
#
# 1. Double `steps`. Does the asymmetry change when every network learns for longer?
# 2. Train the five classes of one kind (engine, drill, jackhammer, ...) with `sources.taught(..., classes=...)`. Is it
#    diversity that counts, or which classes?
# 3. Leave `similarity.within` out of the CKA. Why do all networks look alike now?
# 4. Ask your own sounds: `python -m audiotl report --only 07 --data MY_FOLDER -p targets folder`.
