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
# # Start here: three kinds of sound, one question
#
# Teach a network to name the sounds of a street. Then, without changing it, ask it about spoken digits. It has never
# heard a word. Does it help?
#
# That is **transfer learning**, and for audio two papers gave the answers that people quote. Choi and colleagues
# (ISMIR 2017) trained a small network on music tags and found that the features of *all* its layers, side by side,
# serve new tasks better than the last layer alone. McMahan and Rao (AAAI 2018) found that listening to environmental
# sound helps with speech commands, while speech did not help with the environment. This study runs such experiments
# again, in the open, and asks what they left out: which layers carry the benefit, whether the old MFCC features still
# matter, and what a network with random weights would have scored.
#
# This first chapter only listens and looks.

# %% tags=["parameters"]
profile = "quick"
data = ""
out = ""
seed = 0

# %%
import numpy as np
import torch
from IPython.display import Audio, Markdown, display

from audiotl import audio, study, widgets
from audiotl.frontend import AXES, MFCC, LogSpectrogram, Settings, band_centres
from audiotl.plots import domains
from audiotl.report.results import Results

plan = study.plan(profile, data, seed=seed)
results = Results(out, profile=profile, synthetic=plan.synthetic, sources=plan.sources, targets=plan.targets)
sounds = {role: study.source_features(plan, role) for role in plan.sources}
results.skipped(*sounds.values())

# %%
if plan.synthetic:
    display(Markdown("> **These sounds are synthetic.** The built-in corpora were made on this machine, by a speech "
                     "synthesiser, a sound font and randomised physics. They teach the method; what they say about "
                     "real sound, the reports on recordings must say."))
display(Markdown("\n".join(f"- **{role}**: {sound.corpus.describe()}. {sound.corpus.note}"
                           for role, sound in sounds.items())))

# %% [markdown]
# ## What do the three domains sound like?
#
# One clip of each. Before you read on, guess what a network would find easy and what hard.

# %%
picked = {}
for role, sound in sounds.items():
    labels = sound.corpus.clips["label"]
    one_each = labels.drop_duplicates().sample(5, random_state=seed).index
    picked[role] = list(one_each)
    row = one_each[0]
    samples = audio.load(sound.corpus.clips["path"][row], 16_000, sound.corpus.duration)
    display(Markdown(f"**{role}**: {labels[row].replace('_', ' ').replace(';', ', ')}"), Audio(samples, rate=16_000))

# %% [markdown]
# ## And what does the network see?
#
# Not the waveform. Each clip becomes a **log-mel spectrogram**: 64 bands from 0 to 8 kHz, narrow at the bottom and wide
# at the top like our own frequency resolution, one column every 16 ms, in decibels below the loudest point of the
# clip. Everything after this point is image processing.

# %%
clips = {role: [(sound.corpus.clips["label"][row].split(";")[0], sound.spectrograms[row].astype("float32"))
                for row in picked[role]] for role, sound in sounds.items()}
seconds = {role: sound.corpus.duration for role, sound in sounds.items()}
results.figure("cover", domains.gallery(clips, seconds, 8000),
               "Log-mel spectrograms of five clips of each domain: environment, speech and music.")

# %% [markdown]
# Music draws horizontal lines (steady pitches), speech draws short wavy ladders (gliding harmonics, shaped by the
# mouth), the environment draws everything: vertical strokes, hiss, hum, ladders too. McMahan and Rao guessed that this
# is why environmental sound transfers: it *contains* the others. We shall see whether numbers agree.
#
# ### Any clip, every front end
#
# The frequency axis is a choice. *Mel* is about linear below 1 kHz and logarithmic above; a *logarithmic* axis gives
# every octave as many bands; a *linear* one gives most of them to the top. *MFCCs* fold each mel column into its broad
# shape (chapter 03 takes them apart). Choose a domain and slide through its clips; listen to what you see.

# %%
fronts = {axis: LogSpectrogram(Settings(axis=axis, low=60.0)) for axis in AXES}
cepstra = MFCC()
order = {role: np.random.default_rng(seed).permutation(len(sound.corpus)) for role, sound in sounds.items()}


def clip(role, number):
    corpus = sounds[role].corpus
    one = corpus.clips.iloc[order[role][number - 1]]
    return one["label"].replace("_", " ").replace(";", ", "), audio.load(one["path"], 16_000, corpus.duration)


def every_front_end(role, number):
    label, samples = clip(role, number)
    wave = torch.from_numpy(samples)[None]
    seen = {axis: (front(wave)[0, 0].numpy(), band_centres(front.settings).numpy()) for axis, front in fronts.items()}
    return domains.front_ends(f"{role}: {label}", seen | {"MFCC": (cepstra(wave)[0].numpy(), None)}, len(samples) / 16_000)


viewer = widgets.Viewer(every_front_end, {"domain": list(sounds), "clip": range(1, 1 + min(map(len, order.values())))},
                        lambda role, number: clip(role, number)[1])
viewer if not out else results.figure("front_ends", viewer.figure(), f"One clip on a mel, a logarithmic and a linear axis, and its MFCCs ({viewer.words()}).")

# %% [markdown]
# ## Where in the spectrum does each domain live?

# %%
levels = {role: sound.spectrograms[:].astype("float32").mean(2) for role, sound in sounds.items()}
centres = band_centres(Settings())
results.figure("spectra", domains.mean_spectra(levels, centres),
               "Median level of each mel band over clips, with quartiles, for the three domains.")

# %%
spread = {role: float(np.mean(np.subtract(*np.percentile(level, [75, 25], axis=0)))) for role, level in levels.items()}
widest, narrowest = max(spread, key=spread.get), min(spread, key=spread.get)
display(Markdown(f"The shaded quartiles say how different the clips of one domain are from each other. Averaged over the "
                 f"bands they span {spread[widest]:.0f} dB in *{widest}* and {spread[narrowest]:.0f} dB in "
                 f"*{narrowest}*. A level is measured below the loudest point of its own clip, so a steady noise sits "
                 "high and a short click in silence sits low."))

# %% [markdown]
# ## What would a network that knows music say?
#
# Others have published networks trained on a million songs. Played sounds that are no music at all, such a network still
# has to answer in its own words, which is a way to hear what it can tell apart.

# %%
from audiotl.models import pretrained

where = plan.data / pretrained.NETWORKS["musicnn-mtt"][0] if plan.data else None
if where is None or not where.is_file():
    display(Markdown("*The published weights are not here (folder `musicnn` of the data root), so this step is left out.*"))
else:
    tagger = pretrained.load("musicnn-mtt", plan.data)
    answers = {}
    for role, sound in sounds.items():
        for row in picked[role][:2]:
            samples = audio.load(sound.corpus.clips["path"][row], tagger.sample_rate)
            samples = audio.fit(samples, max(len(samples), 4 * tagger.sample_rate))
            name = sound.corpus.clips["label"][row].split(";")[0].replace("_", " ")
            answers[f"{name} ({role})"] = pretrained.top_tags(tagger, torch.from_numpy(samples))
    display(results.figure("tags", domains.tag_bars(answers),
                           "Five likeliest MagnaTagATune tags of six clips by a published network (musicnn)."))
    display(Markdown("The five likeliest of fifty MagnaTagATune tags (Pons and Serra 2019). The probabilities need not be "
                     "high: none of the fifty may fit."))

# %% [markdown]
# ## The map of the study
#
# The path from sound to finding is the same in every chapter.

# %%
results.figure("map", domains.study_map([
    ("source", "environment,\nspeech, music,\nor nothing (random)"), ("network", "five layers,\ntrained to name\nthe source"),
    ("taps", "the mean of every\nlayer's maps:\n5 blocks of 32 values"), ("subsets", "31 ways to put\nblocks side by side,\nand MFCC"),
    ("probe", "a simple classifier\non the target,\nscored by folds")]),
    "Five boxes in a row: source, network, taps, subsets, probe.")

# %% [markdown]
# - **01 Pretraining** trains the source networks and looks at what they learnt.
# - **02 Layer combinations** puts all 31 combinations of five layers to the test on three targets.
# - **06 The 2017 paper, replicated** recomputes the published table from the published features and audits it.

# %% [markdown]
# ## What we learnt
#
# - All three domains become the same kind of picture, so one network can read any of them.
# - They differ in the shapes drawn on it and in where the energy lies; that is what may, or may not, carry over.
#
# ## Exercises
#
# 1. Change `seed` and listen to other clips. Which class would you confuse with which?
# 2. Load your own folder with `datasets.load("folder", "MY_FOLDER")` and add it to the spectra figure.

# %%
finding = results.finding(
    f"Three domains, one picture: {', '.join(f'{len(s.corpus):,} clips of {r}' for r, s in sounds.items())}; clips differ "
    f"most from each other in {widest} ({spread[widest]:.0f} dB between quartiles) and least in {narrowest} "
    f"({spread[narrowest]:.0f} dB){', all synthetic' if plan.synthetic else ''}.")
display(Markdown(f"**In one sentence.** {finding}"))
