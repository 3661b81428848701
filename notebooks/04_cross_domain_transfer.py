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
# # Environment to speech: what does listening to the world save?
#
# **Question.** A network has learnt to name environmental sounds. How much less speech does it need to learn words, and
# does an input layer with several scales add to that?
#
# **What is known.** McMahan and Rao (AAAI 2018, arXiv 1710.08377) pretrained ResNets and a DenseNet-121 on UrbanSound8K and
# fine-tuned them on Speech Commands. They reported that transfer and a multiscale input layer (dilated convolutions, four
# growing dilations, stacked as channels) help together more than apart, and that with both, 40 % of the training clips
# (50 % in the camera-ready version) do what all do from scratch. They published figures, but no tables, front end or
# optimiser.
#
# **What we do.** The 2 x 2 of {from scratch, transferred} x {plain, multiscale} at several fractions of the training clips.
# Transferred means fine-tuned throughout, in two ways: early layers at a tenth of the head's rate, which protects what they
# learnt from the source and keeps them from learning the target; and one rate for all layers. Every trained mode takes the
# same number of optimiser steps. Beside them, on the plain input: a ridge probe on all frozen layers, and the head alone. The
# clips drawn at a small fraction are among those of a larger one, and are the same for all modes. Whole speakers are drawn
# (single clips where there are fewer than 20 speakers), so a share is met about, not exactly; `clips` in the table tells.
# Each seed tests other speakers than the one before, and no test speaker is heard in training.

# %% tags=["parameters"]
profile = "quick"
data = ""
out = ""
seed = 0
targets = ""
networks = "convnet5"
inputs = "plain,multiscale"
fractions = ""
seeds = ""
steps = 0
longer = "convnet5"
only_finished = False

# %%
from IPython.display import Markdown, display

from audiotl import fraction_grid, savings, savings_text, study
from audiotl.fraction_grid import FRACTIONS, PLAIN, SEEDS, TARGETS, listed
from audiotl.plots import savings as figures
from audiotl.report.results import Results
from audiotl.explorers import FractionSlider
from audiotl.transfer import FINE_TUNED, ONE_RATE, SCRATCH

plan = study.plan(profile, data, ",".join(listed(targets, TARGETS[profile])), fraction_grid.ROLE, seed)
chosen = listed(networks, "convnet5")
shares = [float(text) for text in listed(fractions, FRACTIONS[profile])]
seed_list = [int(text) for text in listed(seeds, SEEDS[profile])]
budget = fraction_grid.budgets(chosen, profile, steps)
results = Results(out, profile=profile, synthetic=plan.synthetic, sources=plan.sources, targets=plan.targets,
                  networks=chosen, seeds=seed_list, steps=budget)
answer = display(Markdown("*The answer stands here once the last cell has run.*"), display_id="answer")
if plan.synthetic:
    display(Markdown("> **Synthetic sound** plays a part in these numbers (the built-in corpora). They show how the method "
                     "works, not how real sound behaves."))

# %% [markdown]
# ## Source and targets

# %%
aims, about = study.aims(plan)
results.skipped(*aims.values())
grid = fraction_grid.Grid(plan, aims, budget)
source = grid.sound.corpus
lines = [f"- source {source.describe()}; {len(grid.heard[0]):,} of its clips train the networks",
         *(f"- target {words}" for words in about.values())]
display(Markdown("\n".join(lines)))

# %%
display(Markdown(
    "**The budget.** Each trained mode takes "
    + ", ".join(f"{count} ({name})" for name, count in budget.items()) + " optimiser steps (or the nearest number of whole passes "
    f"over its clips, if that is within 5 %), in batches of {plan.recipe.batch}, whatever the fraction: fewer clips are seen more often. AdamW, one cycle, with the source's recipe "
    "and augmentation; no epoch and no setting is chosen on the target. " +
    "One source network of each kind serves all seeds, so the intervals leave out how sources vary."))

# %% [markdown]
# ## The runs
#
# Each run is kept as it ends. Stop at any time: the next start goes on from there. With `only_finished = True` nothing is
# started and the report is made from what is there.

# %%
wanted = fraction_grid.cells(plan.targets, chosen, listed(inputs, "plain,multiscale"), shares, seed_list)
done, missing = grid.run(wanted, only_finished)
table = savings.table(done, source.name)
results.table("fractions", table, show=6)

# %%
results.number("missing_runs", len(missing))
display(Markdown(savings_text.say_missing(missing)))

# %% [markdown]
# ## Accuracy against the share of training clips
#
# Mean over seeds, with 95 % intervals from a bootstrap over seeds and, within each, over speakers. The dotted line is
# what training from scratch on the plain input reaches with all clips.

# %%
found = savings.curves(done)
means = savings.means(found)
results.table("means", means, show=0)
if len(means):
    display(results.figure("cover", figures.curves(means), "Accuracy against the percentage of training clips, from scratch "
                           "and transferred, plain and multiscale input, for each network and target, with intervals."))

# %%
display(Markdown("\n".join(
    f"- **{one.network} on {one.target}** ({len(one.seeds)} seed{'s' * (len(one.seeds) > 1)}, fractions from "
    f"{100 * one.fractions[0]:g} %): " + "; ".join(
        f"{kind[0]}, {kind[1]} {100 * score[0]:.1f} % to {100 * score[-1]:.1f} %" for kind, score in one.scores.items()) + "."
    for one in found)))

# %% [markdown]
# ## Try it
#
# Slide the share of training clips. (A report shows the picture for the smallest.)

# %%
if len(means):
    slider = FractionSlider(means)
    display(slider if not out else results.figure("slider", slider.figure(), slider.words()))

# %% [markdown]
# ## Does transfer help, does multiscale, and do they help each other?
#
# The interaction is (multiscale, transferred minus multiscale, from scratch) minus (plain, transferred minus plain, from
# scratch): above zero, the two gain more together than the sum of what each gains alone. All differences are on the same
# test clips. Filled dots, and bold in the table: the interval leaves zero out, and at least five speakers were tested. The
# table holds means over fractions, then the fractions at which the effect is sure on its own.

# %%
effects = savings.effects(found)
results.table("effects", effects, show=0)
names = [name for how in savings.TUNED.values() for name in (f"transfer{how}, plain input", f"transfer{how}, multiscale input",
                                                             f"interaction{how}") if name in set(effects["effect"])]
if names:
    display(results.figure("effects", figures.effects(effects, names),
                           "Gain by transfer on either input and the interaction, early layers at a lower rate above and all "
                           "layers at one rate below, against the percentage of "
                           "training clips, with intervals."))

# %%
display(Markdown(savings_text.say_effects(effects) or "No comparison of the 2 x 2 is finished yet."))

# %% [markdown]
# ## How many clips does transfer save?
#
# The fraction at which a transferred curve reaches the score that training from scratch has with all clips, read off
# straight lines between the points on the logarithmic axis. Each bootstrap draw is read the same way, for the interval.

# %%
matched = savings.matching(found)
results.table("matching", matched, show=0)
display(Markdown(savings_text.say_matching(matched) or "The curves do not reach to all clips yet, so nothing can be read off."))

# %% [markdown]
# ## Was the budget enough?
#
# Training from scratch may need more steps than fine-tuning does. So each is given four times the steps on all clips, for
# the first seed. If transfer were only a head start, its gain would go with more steps. Filled marks: the interval leaves
# zero out, and at least five speakers were tested.

# %%
checked = [name for name in listed(longer, "") if name in chosen]
patient = fraction_grid.Grid(plan, aims, {name: 4 * budget[name] for name in checked})
ends = [cell for cell in wanted if cell.network in checked and cell.seed == seed_list[0] and cell.fraction == max(shares)
        and cell.input == PLAIN and cell.mode in (SCRATCH, FINE_TUNED, ONE_RATE)]
more, _ = patient.run(ends, only_finished)
budgeted = savings.longer(done, more)
results.table("budget", budgeted, show=0)
gained = savings.gains(done, more)
results.table("gains", gained, show=0)
if len(gained):
    display(results.figure("gains", figures.gains(gained), "Gain by transfer over from scratch at the chapter's budget of "
                           "steps and at four times the steps, for each network and target, with intervals."))
display(Markdown("\n".join([savings_text.say_longer(budgeted), savings_text.say_gains(gained)]).strip()
                 or "Not checked in this run."))

# %% [markdown]
# ## What we learnt

# %%
text = results.finding(savings_text.finding(effects, matched, gained) + (" Synthetic sound." if plan.synthetic else ""))
few = [f"{name} ({aim.corpus.clips['group'].nunique()})" for name, aim in aims.items()
       if aim.corpus.clips["group"].nunique() < 20]
settings = (f"Front end: {grid.sound.spectrograms.shape[1]} log-mel bands at 16 kHz, hop of 256 samples; AdamW; ")
answer.update(Markdown(f"**The answer.** {text}"))
display(Markdown(
    f"- {text}\n- **What differs from the paper.** Source: {len(source):,} clips of {source.name}"
    + (f" (the paper had 8,732 of UrbanSound8K). Target: {', '.join(f'{n}, {len(a.corpus):,} clips' for n, a in aims.items())}"
       f" (the paper had 64,721 clips of 30 words). {settings}our own multiscale layer (3x3, one map a dilation); the steps stated above, where the paper "
       "trained long. So this tests the idea on less data, not the paper's figures.\n")
    + "- **What these numbers cannot tell.** Intervals are over the test speakers and the seeds ("
    + ", ".join(f"{one.network} on {one.target}: {len(one.seeds)}" for one in found) + "); with so few seeds they are too narrow "
    "rather than too wide, and one seed knows nothing of the next. Learning rates were fixed beforehand and not tuned "
    "for any mode, so a better setting may favour one of them. A gain at a fixed budget of steps is not a gain at convergence."
    + (f" Few speakers: {', '.join(few)}." if few else "")))

# %% [markdown]
# ## Exercises
#
# 1. `python -m audiotl report --only 04 -p fractions 0.05,0.1,1 -p seeds 0,1,2`: does the gain grow as clips get fewer?
# 2. Put a rate between the two into `transfer.RATES` (0.3, say). Is there one that beats both?
# 3. Give the source's labels a random order before pretraining. How much of the gain is left?
