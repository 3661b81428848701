# %% [markdown]
# # Start here: three kinds of sound, one question
#
# Teach a network to name the sounds of a street. Then, without changing it, ask it about spoken
# digits. It has never heard a word. Does it help?
#
# That is **transfer learning**, and for audio two papers gave the answers that people quote. Choi
# and colleagues (ISMIR 2017) trained a small network on music tags and found that the features of
# *all* its layers, side by side, serve new tasks better than the last layer alone. McMahan and Rao
# (AAAI 2018) found that listening to environmental sound helps with speech commands, while speech
# did not help with the environment. This study runs such experiments again, in the open, and asks
# what they left out: which layers carry the benefit, whether the old MFCC features still matter,
# and what a network with random weights would have scored.
#
# **Question of this chapter.** What do the three domains sound like, and what does a network get
# to see of them? Here we only listen and look.

# %% tags=["parameters"]
data = "built-in"              # built-in, or the folder that holds the corpora
size = "quick"                 # of the built-in corpora: smoke or quick
corpus_seed = 0                # of the built-in corpora
clip_seed = 0                  # of the clips that are shown; try another
sources = ["environment", "speech", "music"]   # corpora, one a domain; features take a minute
taggers = ["musicnn-mtt", "yamnet"]   # published networks that name clips, if they are here

# %% jupyter={"source_hidden": true} tags=["hide-input"]
import librosa
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Audio, display

from audiotl import audio, datasets, models, probes, stats, widgets
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.frontend import AXES, MFCC, LogSpectrogram, Settings, band_centres
from audiotl.models import pretrained
from audiotl.plots.spectrogram import spectrogram
from audiotl.plots.style import GREY, SOURCES, styled, title_of
from audiotl.probes.subset_search import search
from audiotl.report.results import Results

results = Results("00_start_here")

# %%
results.on_recordings()

# %% [markdown]
# ## Three corpora
#
# Built-in corpora stand in where there are no recordings: a speech synthesiser, a sound font and
# randomised physics. They teach the method and run anywhere; the table says what is synthetic.

# %%
sounds = {}
for name in sources:
    sound = features(datasets.load(name, data, size, corpus_seed))
    sounds[sound.corpus.domain] = sound

results.corpora(*sounds.values())

# %% [markdown]
# ## What do the three domains sound like?
#
# One clip of each. Before you read on, guess what a network would find easy and what hard.

# %%
def title_of_clip(corpus, row):
    return corpus.clips["label"][row].split(";")[0].replace("_", " ")

def samples_of(corpus, row):
    return audio.load(corpus.clips["path"][row], 16_000, corpus.duration)

# %%
picked = {}
for domain, sound in sounds.items():
    labels = sound.corpus.clips["label"].drop_duplicates()
    picked[domain] = list(labels.sample(min(5, len(labels)), random_state=clip_seed).index)
    print(f"{domain}: {title_of_clip(sound.corpus, picked[domain][0])}")
    display(Audio(samples_of(sound.corpus, picked[domain][0]), rate=16_000))

# %% [markdown]
# ## A spectrogram by hand
#
# A network does not get the waveform. It gets a picture: cut the clip into overlapping frames of
# 64 ms, take the power of each frequency, add neighbouring frequencies up in 64 **mel** bands
# (narrow at the bottom and wide at the top, like our own frequency resolution), and write decibels
# below the loudest point. Nothing is kept that is more than 80 dB down.

# %%
domain = list(sounds)[0]
samples = samples_of(sounds[domain].corpus, picked[domain][0])

frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, 512), 1024)[::256]
power = np.abs(np.fft.rfft(frames * np.hanning(1025)[:-1])) ** 2
bands = librosa.filters.mel(sr=16_000, n_fft=1024, n_mels=64) @ power.T
level = 10 * np.log10(np.maximum(bands, 1e-10))
by_hand = np.maximum(level - level.max(), -80)

# %% [markdown]
# The package's front end is a torch module that takes a batch of clips at once. It must see the
# same picture.

# %%
package = LogSpectrogram(Settings())(torch.from_numpy(samples)[None])[0, 0].numpy()
assert np.allclose(by_hand, package, atol=0.01)
by_hand.shape

# %% [markdown]
# ## And what does the network see?
#
# Five clips of each domain. Everything after this point is image processing.

# %%
@styled
def gallery():
    figure, axes = plt.subplots(len(sounds), 5, figsize=(11.5, 1.9 * len(sounds)), squeeze=False)
    for line, (domain, sound) in zip(axes, sounds.items(), strict=True):
        for axis in line[len(picked[domain]):]:
            axis.axis("off")
        for axis, row in zip(line, picked[domain], strict=False):
            level = sound.spectrograms[row].astype("float32")
            spectrogram(axis, level, sound.corpus.duration)
            axis.set_title(title_of_clip(sound.corpus, row), fontsize=9, fontweight="normal")
        line[0].set_ylabel(domain, color=SOURCES.get(domain, GREY), fontweight="bold")
    figure.supylabel("mel bands, 0 to 8 kHz", fontsize=9, color=GREY)
    return figure


results.figure("cover", gallery(), "Log-mel spectrograms of five clips of each domain.",
               "Pitches draw horizontal lines, strokes vertical ones, hiss fills a field")

# %% [markdown]
# Steady pitches draw horizontal lines, gliding harmonics draw wavy ladders, strokes and clicks
# draw vertical lines, hiss fills a field. Which domain draws which? McMahan and Rao guessed that
# environmental sound transfers because it *contains* the others. We shall see whether numbers
# agree.
#
# ## Any clip, every front end
#
# The frequency axis is a choice. *Mel* is about linear below 1 kHz and logarithmic above; a
# *logarithmic* axis gives every octave as many bands; a *linear* one gives most of them to the
# top. *MFCCs* keep of each mel column its broad shape (chapter 03 takes them apart). Choose a
# domain and slide through its clips; listen to what you see.

# %%
fronts = {axis: LogSpectrogram(Settings(axis=axis, low=60.0)) for axis in AXES}
cepstra = MFCC()
order = {domain: np.random.default_rng(clip_seed).permutation(len(sound.corpus))
         for domain, sound in sounds.items()}


def hear(domain, clip):
    return samples_of(sounds[domain].corpus, order[domain][clip - 1])


@styled
def every_front_end(domain, clip):
    wave = torch.from_numpy(hear(domain, clip))[None]
    seconds = wave.shape[1] / 16_000
    figure, axes = plt.subplots(1, 4, figsize=(9.6, 2.6))
    for axis, (name, front) in zip(axes, fronts.items(), strict=False):
        spectrogram(axis, front(wave)[0, 0].numpy(), seconds, band_centres(front.settings))
        axis.set_title(f"{name}, Hz", fontsize=10)
    shapes = cepstra(wave)[0, 1:].numpy()      # without the first, the loudness
    axes[3].imshow(shapes, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-60, vmax=60)
    axes[3].set_title("MFCC 2 to 20, by frame", fontsize=10)
    axes[3].grid(False)
    label = title_of_clip(sounds[domain].corpus, order[domain][clip - 1])
    figure.suptitle(f"{domain}: {label}", x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


widgets.live(every_front_end, hear, domain=list(sounds),
             clip=range(1, 1 + min(map(len, order.values()))))

# %% [markdown]
# ## Where in the spectrum does each domain live?
#
# The mean level of each band over a clip; the line is the median clip, and half of all clips lie
# in the shade. The wider the shade, the more the clips of a domain differ from each other. A level
# is measured below the loudest point of its own clip, so a steady noise sits high and a short
# click in silence sits low. *Filled* is the share of a clip's frames that come within 40 dB of its
# loudest point, at the median clip.

# %%
centres = band_centres(Settings()).numpy()
rows, about = [], []
for domain, sound in sounds.items():
    levels = sound.spectrograms[:].astype("float32")
    filled = (levels.max(axis=1) > -40).mean(axis=1)
    levels = levels.mean(axis=2)
    low, middle, high = np.percentile(levels, [25, 50, 75], axis=0)
    rows += [pd.DataFrame({"domain": domain, "hz": centres, "lower": low, "median": middle,
                           "upper": high})]
    about += [{"domain": domain, "corpus": sound.corpus.title, "clips": len(sound.corpus),
               "median_db": middle.mean(), "spread_db": (high - low).mean(),
               "filled": np.median(filled)}]
spectra = pd.concat(rows)
results.table("spectra", spectra, show=0)
results.table("domains", pd.DataFrame(about))

# %%
@styled
def mean_spectra(frame):
    figure, axis = plt.subplots(figsize=(7, 3.6))
    for domain, part in frame.groupby("domain", sort=False):
        colour = SOURCES.get(domain, GREY)
        axis.fill_between(part["hz"], part["lower"], part["upper"], color=colour, alpha=0.18, lw=0)
        axis.plot(part["hz"], part["median"], color=colour, label=domain)
    axis.set(xscale="log", xlabel="frequency (Hz)", ylabel="level (dB under the loudest point)")
    axis.set_xticks([100, 200, 500, 1000, 2000, 5000], ["100", "200", "500", "1k", "2k", "5k"])
    axis.minorticks_off()
    axis.legend(loc="upper right")
    return figure


spread = pd.DataFrame(about).sort_values("spread_db")[["domain", "spread_db"]].to_numpy()
results.figure("spectra", mean_spectra(spectra),
               "Median level of each mel band over clips, with quartiles, for each domain.",
               "Half of all clips lie within {1:.0f} dB for {0}, ".format(*spread[-1])
               + "and within {1:.0f} dB for {0}".format(*spread[0]))

# %% [markdown]
# ## What would a network say that knows music, and one that knows all sound?
#
# Others have published networks trained on hundreds of thousands of recordings. musicnn (Pons and
# Serra 2019) has fifty tags of MagnaTagATune, and must answer in these even where there is no
# music: a way to hear what it can tell apart. YAMNet (Plakal and Ellis 2019) has 521 names of
# AudioSet, from speech to sirens. Here are the five likeliest names of each; probabilities need not
# be high.

# %%
rows, here = [], [name for name in taggers if pretrained.available(name, data)]
print("left out, weights not at hand:", ", ".join(sorted(set(taggers) - set(here))) or "none")
for name in here:
    network = pretrained.load(name, data)
    for domain, sound in sounds.items():
        for row in picked[domain][:2]:
            heard = audio.load(sound.corpus.clips["path"][row], network.sample_rate)
            heard = audio.fit(heard, max(len(heard), 4 * network.sample_rate))
            for tag, probability in pretrained.top_tags(network, torch.from_numpy(heard)):
                rows.append({"network": name, "domain": domain, "tag": tag,
                             "clip": title_of_clip(sound.corpus, row), "probability": probability})
if rows:
    display(results.table("tags", pd.DataFrame(rows), show=0))

# %%
@styled
def tag_bars(frame):
    clips = list(frame.groupby(["domain", "clip"], sort=False))
    figure, axes = plt.subplots(2, -(-len(clips) // 2), figsize=(9, 4), squeeze=False)
    for axis, ((domain, clip), part) in zip(axes.T.flat, clips, strict=False):
        short = part["tag"].str.partition(",")[0]
        axis.barh(short, part["probability"], color=SOURCES.get(domain, GREY))
        axis.set(xlim=(0, 1), title=clip)
        axis.invert_yaxis()
        axis.grid(True, axis="x")
        axis.grid(False, axis="y")
    figure.supxlabel("probability", fontsize=10)
    return figure


for name, part in pd.DataFrame(rows).groupby("network", sort=False) if rows else ():
    surest = part.loc[part["probability"].idxmax()]
    display(results.figure(
        "tags" if name == taggers[0] else f"tags_{name}", tag_bars(part),
        f"Five likeliest tags of six clips by {title_of(name)}.",
        f"{title_of(name)} is surest of “{surest['tag']}”: {surest['probability']:.0%}"))

# %% [markdown]
# ## The words
#
# A *fold* is the part of the clips held back for the test; each clip is held back once. A *group*
# is what must not be cut in two: a recording, a speaker, a note. *Chance* is what naming the most
# frequent class scores. The *interval* is where the score lies in 95 of 100 redraws of the groups.
# *Ridge* is a linear fit whose weights are held small by a *penalty*. *AUC* is how often a clip
# with a tag is ranked above one without; 0.5 is guessing. *Batch norm* shifts and scales each map
# of a network to a common range. A *tap* is a place in a network from which we read.
#
# ## The whole study in one cell
#
# From sound to finding the path is the same in every chapter. A **corpus** of labelled clips; a
# **network**, here with random weights, elsewhere trained on another kind of sound; its
# **layers**, each averaged over time and frequency to one block of numbers a clip; a **probe**, a
# simple classifier that reads every subset of blocks and is scored on folds that never cut a
# recording or a speaker. Put your own network or your own folder of sounds
# (`datasets.load("folder", ...)`) in their place.

# %%
corpus = features(datasets.load("speech", size="smoke"))
torch.manual_seed(0)
network = models.build("convnet5", n_classes=10).eval()
layers = embed(network, corpus) | {"mfcc": corpus.mfcc}
probe = probes.named("ridge")

clips, five = corpus.corpus, network.tap_names
found = search(layers, clips.targets(), clips.splits(), clips.groups, probe)
scores = stats.score_table([found.scored(five[-1:], layers="the last"),
                            found.scored(five, layers="all five"),
                            found.scored([*five, "mfcc"], layers="all five and MFCC")])
results.table("one_cell", scores[["layers", "score", "ci_low", "ci_high", "clips", "groups"]])

# %% [markdown]
# Chapters 01 to 09 follow this path: train the source networks (01), every combination of layers
# (02), MFCCs taken apart (03), from one domain to another (04), deeper networks (05), the table of
# 2017 recomputed (06), what transfers and why (07), networks trained at scale (08), your own sounds
# (09).

# %% [markdown]
# ## What we learnt
#
# - All three domains become the same kind of picture, so one network can read any of them.
# - They differ in the shapes drawn on it and in where the energy lies; that is what may, or may
#   not, carry over.
# - A spectrogram is five lines of NumPy.
#
# ## Exercises
#
# 1. Change `clip_seed` and listen to other clips. Which class would you confuse with which?
# 2. Load your own folder with `datasets.load("folder", "MY_FOLDER")` and add it to the spectra
#    figure.
# 3. Halve the frame in the spectrogram by hand (512 samples, step 128). What becomes sharper, what
#    blurs?
# 4. In "the whole study", give `features` another axis: `Settings(axis="log", low=60.0)`. Does the
#    order of the three rows change?

# %% [markdown]
# **With a solution.** Two clicks, 16 ms apart. Does a frame of 1,024 samples (64 ms at 16 kHz)
# show two strokes or one? And one of 512? Guess first.
#
# <details><summary>Hint</summary>
#
# Count the peaks of the energy from frame to frame. A Hann window only really hears its middle
# third.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# wave = np.zeros(16_000)
# wave[[8_000, 8_250]] = 1.0                      # 16 ms apart
#
# def strokes(size):
#     frames = np.lib.stride_tricks.sliding_window_view(wave, size)[::size // 8]
#     energy = ((frames * np.hanning(size)) ** 2).sum(axis=1)
#     return int(np.sum((energy[1:-1] > energy[:-2]) & (energy[1:-1] >= energy[2:])))
#
# assert strokes(1024) == 1 and strokes(512) == 2
# ```
#
# The short frame hears two, and pays in pitch: its bins are 31 Hz apart, those of the long one 16.
#
# </details>
