# %% [markdown]
# # Pretraining: three teachers for the same small network
#
# **Question.** What does a five-layer network learn from environmental sound, from speech and from
# music, and how well?
#
# **What is known.** Choi et al. (2017, section 2.1) trained five blocks of 3x3 convolution, batch
# norm, ELU and max pooling, 32 maps each, on the 50 most used tags of the Million Song Dataset,
# and reached a mean tag AUC of 0.845. The network is small on purpose: each layer gives just 32
# numbers, so all layers together are still a short vector. McMahan and Rao (2018) used much deeper
# networks on UrbanSound8K.
#
# **What we do.** The same five blocks, trained on each source: to name urban sounds, to name
# spoken words, to tag music. The pools are smaller than the paper's (2x2), because our clips last
# one to five seconds instead of 29. The number of epochs is fixed and no epoch is chosen; the
# curves come from an inner validation split, whole recordings or speakers apart.

# %% tags=["parameters"]
data = "built-in"                 # built-in, or the folder that holds the corpora
size = "quick"                    # of the built-in corpora: smoke or quick
corpus_seed = 0                   # of the built-in corpora
network_seed = 0                  # of the source networks
sources = ["environment", "speech", "music"]   # corpora that the networks learn from; a minute each
recipe = {"epochs": 10, "crop": 64}            # how a source is trained: training.Recipe

# %% jupyter={"source_hidden": true} tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from IPython.display import display
from sklearn.linear_model import RidgeCV
from sklearn.metrics import confusion_matrix, recall_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from audiotl import datasets, stats, widgets
from audiotl.embedding import embed
from audiotl.features import features, waveform
from audiotl.models import build
from audiotl.plots.spectrogram import spectrogram
from audiotl.plots.style import FAINT, GREY, colour_of, styled
from audiotl.report.results import Results
from audiotl.sources import source_network
from audiotl.training import Recipe, has_bfloat16, score, train

results = Results("01_pretraining")

# %%
results.on_recordings()

# %% [markdown]
# ## The sounds

# %%
sounds = {}
for name in sources:
    sound = features(datasets.load(name, data, size, corpus_seed))
    sounds[sound.corpus.domain] = sound
results.corpora(*sounds.values())

# %% [markdown]
# ![ConvNet5: a spectrogram goes through five blocks to the names of its sounds; after each block, a
# tap takes mean and deviation of its 32 maps, for other tasks.](pictures/convnet5.svg)

# %% [markdown]
# ## A training step, by hand
#
# A batch of spectrograms goes through the network, the loss says how wrong the outputs are, its
# gradient says how each weight should move, and the optimiser moves it. Here are the first two
# steps, on at most 64 clips of a source whose clips have one class each. The learning rate follows
# one cycle, up and down again. A processor that multiplies bfloat16 natively does the forward pass
# in it, three digits a number at twice the speed.

# %%
domain, sound = next(item for item in sounds.items() if not item[1].corpus.multilabel)
rows, test_rows = sound.corpus.splits()[-1]
half = min(32, len(rows) // 2)
rows = np.random.default_rng(0).permutation(rows)[:2 * half]
clips = torch.from_numpy(np.stack([sound.spectrograms[row] for row in rows]).astype(np.float32))
clips, answers = clips[:, None], torch.from_numpy(sound.corpus.targets()[rows])

# %%
torch.manual_seed(0)
model = build("convnet5", len(sound.corpus.classes))
optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-3)
cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=2)

torch.manual_seed(0)                                      # of the dropout
losses = []
for batch in np.random.default_rng([0, 0]).permutation(2 * half).reshape(2, half):
    with torch.autocast("cpu", torch.bfloat16, has_bfloat16()):
        outputs = model(clips[batch])                     # forward
    loss = torch.nn.functional.cross_entropy(outputs.float(), answers[batch])
    optimiser.zero_grad()
    loss.backward()                                       # backward
    optimiser.step()                                      # and a step
    cycle.step()
    losses.append(loss.item())
print(f"loss of the first batch {losses[0]:.3f}, of the second {losses[1]:.3f}")

# %% [markdown]
# The package's loop does the same for every epoch, and keeps checkpoints. Two batches of it end at
# the same loss.

# %%
only = dict(epochs=1, crop=0, validation=0.0, learning_rate=5e-3, weight_decay=1e-3, batch=half)
package = train(sound, (rows, test_rows), Recipe(**only), progress=False)
close = 1e-2 if has_bfloat16() else 1e-3   # three digits are left of each number, or seven
assert np.isclose(package.history["train_loss"].iloc[0], np.mean(losses), rtol=close)

# %% [markdown]
# ## Training to the end

# %%
how = Recipe(**recipe)
networks = {domain: source_network(sound, how, seed=network_seed)
            for domain, sound in sounds.items()}
measures, chance = {}, {}
for domain, net in networks.items():
    corpus = sounds[domain].corpus
    measures[domain] = "mean AUC" if corpus.multilabel else "accuracy"
    truth = corpus.targets()[net.test_rows]
    chance[domain] = 0.5 if corpus.multilabel else np.bincount(truth).max() / len(truth)

# %%
@styled
def curves(shown, until=None):
    """Loss and inner validation score, a column a source; faint after the epoch `until`."""
    figure, axes = plt.subplots(2, len(shown), figsize=(0.8 + 3 * len(shown), 4.2), sharex="col",
                                squeeze=False)
    looks = [(0, "train_loss", "-", "training"), (0, "validation_loss", ":", "inner validation"),
             (1, "validation_score", ":", None)]
    for column, domain in zip(axes.T, shown, strict=True):
        history = networks[domain].history.set_index("epoch")
        for line, name, style, label in looks:
            if name in history:
                column[line].plot(history[name], color=FAINT, ls=style)
                column[line].plot(history[name][:until], color=colour_of(domain), ls=style,
                                  marker="o", markevery=[-1], ms=4, label=label)
        column[1].axhline(chance[domain], color=GREY, ls=":", lw=1.3)
        column[0].set_title(domain if until is None else f"{domain}, epoch {until}")
        column[0].set_ylim(bottom=0)
        column[1].set(xlabel="epoch", ylim=(0, 1), ylabel=f"{measures[domain]}, chance dotted")
        column[1].xaxis.set_major_locator(plt.MaxNLocator(5, integer=True))
    axes[0, 0].set_ylabel("loss")
    axes[0, 0].legend()
    return figure


figure = curves(list(networks))
judged = all("validation_score" in net.history for net in networks.values())
last = "validation_score" if judged else "train_loss"
ends = [f"{domain} {net.history[last].iloc[-1]:.2f}" for domain, net in networks.items()]
results.figure("curves", figure, "Loss and validation score by epoch for the source networks.",
               f"{'Validation score' if judged else 'Training loss'} ends at: {', '.join(ends)}")

# %% [markdown]
# Where the dotted line stays above the solid one, the network fits the clips it has seen better
# than new ones. (With mixup the training loss counts blended clips with blended answers and cannot
# fall to zero, so it may lie above.) Validation scores jump about, because few recordings make up
# the validation side, and the clips of one turn right or wrong together.
#
# Had training stopped earlier? Slide through the epochs.

# %%
def until(source, epoch):
    return curves([source], epoch)

shortest = min(len(net.history) for net in networks.values())
widgets.live(until, source=list(networks), epoch=range(1, shortest + 1))

# %% [markdown]
# ## How well, on recordings and voices never heard?

# %%
scores = []
for domain, net in networks.items():
    corpus = sounds[domain].corpus
    truth = corpus.targets()[net.test_rows]
    row = {"source": domain, "corpus": corpus.name, "train_clips": len(net.corpus),
           "test_clips": len(truth), "classes": len(corpus.classes), "measure": measures[domain],
           "train_minutes": net.history["seconds"].sum() / 60, "score": net.score,
           "chance": chance[domain]}
    if not corpus.multilabel:
        answers = net.outputs.argmax(1)
        scored = stats.Scored.of(answers == truth, np.zeros(len(truth)),
                                 corpus.groups[net.test_rows])
        found = stats.score_table([scored]).iloc[0]
        row |= found[["ci_low", "ci_high", "groups"]].to_dict()
        row["recall"] = recall_score(truth, answers, labels=np.unique(truth), average="macro")
    x, y = sounds[domain].mfcc, corpus.targets()
    wanted = y if corpus.multilabel else np.eye(len(corpus.classes))[y]
    rows, tested = corpus.splits()[-1]
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 3, 5)))
    row["mfcc"] = score(model.fit(x[rows], wanted[rows]).predict(x[tested]), y[tested])
    scores.append(row)
results.table("scores", pd.DataFrame(scores))

# %% [markdown]
# The interval draws whole groups, because clips cut from one recording succeed and fail together;
# that is why it is wider than the number of clips would suggest. *Recall* counts every class alike,
# however few clips it has. *MFCC* is the same measure of a ridge on MFCC statistics.
#
# ## Which sounds are confused?

# %%
@styled
def confusion(counts, corpus):
    """Rows are true classes, each in percent; empty where none was tested."""
    names = [name.replace("_", " ") for name in corpus.classes]
    share = pd.DataFrame(counts, names, names)
    share = share.mul(100 / share.sum(axis=1).replace(0, np.nan), axis=0)
    size = 2.2 + (0.42 if len(names) <= 12 else 0.24) * len(names)
    figure, axis = plt.subplots(figsize=(size + 0.6, size))
    sns.heatmap(share, ax=axis, cmap="Greens", vmin=0, vmax=100, cbar=False, square=True,
                linewidths=0.5, annot=len(names) <= 12, fmt=".0f", annot_kws={"size": 8})
    axis.set(xlabel="heard as (% of the row)", ylabel="true class", title=corpus.title)
    return figure


@styled
def by_tag(table):
    table = table.sort_values("auc")
    figure, axis = plt.subplots(figsize=(6, 0.24 * len(table) + 0.9))
    axis.hlines(table["tag"], 0.5, table["auc"], color=FAINT)
    axis.plot(table["auc"], table["tag"], "o", color=colour_of("music"), ms=5)
    axis.set(xlabel="AUC on held-out clips (0.5 is chance)", xlim=(None, 1))
    axis.grid(True, axis="x")
    axis.grid(False, axis="y")
    return figure

# %%
for domain, net in networks.items():
    corpus = sounds[domain].corpus
    truth = corpus.targets()[net.test_rows]
    if corpus.multilabel:
        both = [k for k in range(truth.shape[1]) if 0 < truth[:, k].sum() < len(truth)]
        table = pd.DataFrame({"tag": [corpus.classes[k] for k in both],
                              "auc": [roc_auc_score(truth[:, k], net.outputs[:, k]) for k in both],
                              "clips": truth[:, both].sum(0).astype(int)})
        display(results.table(f"tags_{domain}", table.sort_values("auc"), show=5))
        name, picture = f"tags_{domain}", by_tag(table)
        alt = f"AUC of each tag of the {domain} network."
        ends = table.sort_values("auc")[["tag", "auc"]].to_numpy()[[0, -1]]
        title = "Hardest is {} (AUC {:.2f}), easiest {} ({:.2f})".format(*ends.flat)
    else:
        counts = confusion_matrix(truth, net.outputs.argmax(1), labels=range(len(corpus.classes)))
        name = f"confusion_{domain}"
        picture = confusion(counts, corpus)
        alt = f"Confusion matrix of the {domain} network on held-out clips."
        share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        share[counts.sum(1) < 10] = 0    # a few clips tell nothing
        np.fill_diagonal(share, 0)
        said, heard = (corpus.classes[k].replace("_", " ")
                       for k in np.unravel_index(share.argmax(), share.shape))
        title = f"Most often confused: {share.max():.0%} of “{said}” is heard as “{heard}”"
        title = title if share.any() else "Too few clips of each class to say what is confused"
    name = "cover" if domain == next(iter(networks)) else name
    display(results.figure(name, picture, alt, title))

# %% [markdown]
# ## What do the first filters look like?
#
# The kernels of the first layer see three mel bands by three frames; here are half of the 32. Red
# adds, blue takes away: left-right contrast answers to onsets, top-bottom contrast to the edge of a
# spectral line, diagonals to glides. All networks began from the same random draw, which is the
# last row: look down a column to see what each kind of sound made of the same kernel.

# %%
first = next(iter(sounds.values()))
untrained = source_network(first, how, labels="none", seed=network_seed)
kernels = {name: net.model.blocks[0][0].weight.detach().numpy()[:, 0]
           for name, net in [*networks.items(), ("random", untrained)]}


@styled
def filters():
    figure, axes = plt.subplots(len(kernels), 16, figsize=(9, 0.6 * len(kernels)))
    for line, (name, kernel) in zip(axes, kernels.items(), strict=True):
        for axis, image in zip(line, kernel[:16], strict=True):
            reach = np.abs(image).max()
            axis.imshow(image, cmap="RdBu_r", vmin=-reach, vmax=reach, origin="lower")
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", color=colour_of(name))
    return figure


flat = {name: kernel.reshape(len(kernel), -1) for name, kernel in kernels.items()}
unit = {name: k / np.linalg.norm(k, axis=1, keepdims=True) for name, k in flat.items()}
likeness = {name: np.median((unit[name] * unit["random"]).sum(1)) for name in flat}
results.figure("filters", filters(), "First-layer kernels of each source network "
               "and of a random one, 3 by 3, as small images.",
               "Kernels keep the likeness of their first draw: " + ", ".join(
                   f"{name} {cosine:.2f}" for name, cosine in likeness.items() if name != "random"))

# %% [markdown]
# *Likeness to start* is the median cosine between a kernel and the draw it began from (1 is
# unmoved). *Imbalance* is |sum| over sum of |weights|: 0 for a pure contrast detector, 1 for a
# smoother. Keep the random row in mind before you call a kernel an onset detector: three-by-three
# noise looks like something, too.

# %%
rows = [{"source": name, "likeness_to_start": likeness[name],
         "imbalance": np.median(np.abs(k.sum(1)) / np.abs(k).sum(1))} for name, k in flat.items()]
results.table("filters", pd.DataFrame(rows))

# %% [markdown]
# ## What does a map answer to?
#
# A layer's 32 maps give a number each, the mean over frequency and time. Choose a map: here are
# the held-out clips, no two of one recording or voice, to which it answers most, and the sound of
# the first. Is it the class that they share, or the pitch, or only the loudness? Compare layer 1
# with layer 5.

# %%
answers = {domain: embed(net.model, sounds[domain]) for domain, net in networks.items()}

def loudest(source, layer, feature_map):
    """Rows of three held-out clips to which the map answers most."""
    rows, groups = networks[source].test_rows, sounds[source].corpus.groups
    rows = rows[np.argsort(-answers[source][f"layer{layer}"][rows, feature_map - 1])]
    _, first = np.unique(groups[rows], return_index=True)
    return rows[np.sort(first)[:3]]

@styled
def pictures(source, layer, feature_map):
    sound = sounds[source]
    figure, axes = plt.subplots(1, 3, figsize=(8, 2.4))
    for axis, row in zip(axes, loudest(source, layer, feature_map), strict=False):
        spectrogram(axis, sound.spectrograms[row].astype(float), sound.corpus.duration)
        axis.set_title(sound.corpus.clips["label"][row].replace("_", " ")[:28], fontsize=9)
    return figure

def first_clip(source, layer, feature_map):
    corpus = sounds[source].corpus
    path = corpus.clips["path"][loudest(source, layer, feature_map)[0]]
    return waveform(path, 16_000, corpus.duration)

widgets.live(pictures, first_clip, source=list(networks), layer=range(1, 6),
             feature_map=range(1, 33))

# %% [markdown]
# ## What we learnt
#
# - Intervals over recordings are wide; differences of a few points between two such networks mean
#   little.
# - A network that knows its training clips by heart is not thereby useless: what its layers are
#   worth shows when other tasks use them. The next chapter measures that.

# %% [markdown]
# ## Exercises
#
# 1. Run with `-p recipe "{epochs: 3, crop: 64}"`. Which source suffers most?
# 2. Let the same recording lie on both sides of the split (`check_split` will refuse: catch it)
#    and see what accuracy you would have reported.
# 3. Add `patience: 5` to `recipe` and compare the stopped network with the one trained to the end.

# %% [markdown]
# **With a solution.** The five blocks of the paper have 32 maps each and 50 tags to name. How many
# weights is that? Count by hand, then ask the network.
#
# <details><summary>Hint</summary>
#
# A 3x3 kernel has nine weights for each pair of maps, and no bias here. A batch norm has two
# numbers a map. The head has a weight for each map and tag, and a bias for each tag.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# from audiotl.models import build
#
# kernels = 9 * 1 * 32 + 4 * (9 * 32 * 32)        # the first block sees one channel
# norms = 5 * 2 * 32
# head = 32 * 50 + 50
# network = build("convnet5", n_classes=50)
# assert kernels + norms + head == sum(p.numel() for p in network.parameters()) == 39_122
# ```
#
# Nearly all of them are the kernels of layers 2 to 5. A photograph has more pixels than this
# network has weights.
#
# </details>
