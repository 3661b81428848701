"""Twenty numbers of the reports, drawn at random and derived anew from recordings and papers.

Written from the protocol with NumPy, SciPy, scikit-learn, librosa, soundfile and soxr; of audiotl
only `datasets.load` is asked, for paths, labels, folds and groups. The pool (`KINDS`) is what needs
no trained network, and some that follows from other cells: Shapley values, differences, p-values.
Outside, for time: MFCC of Arabic Speech Commands; SVMs on UrbanSound8K, raw MFCC and whole grids.
"""

import itertools
import math
import random
import re
from functools import lru_cache, partial

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
from conftest import ROOT
from scipy import stats
from sklearn.svm import SVC, SVR

from audiotl import datasets

REPORTS = ROOT / "reports" / "real"
PRINTED = 3e-6  # tables have six digits, and a number made of others sums their rounding
table = lru_cache(lambda file: pd.read_csv(REPORTS / file, dtype={"subset": str, "features": str}))
C0, C2, C3, C5, C6, C7 = (next(REPORTS.glob(f"0{k}_*")).name for k in (0, 2, 3, 5, 6, 7))


@lru_cache
def corpus_of(data, name):
    """A corpus; ESC-50 without the Freesound recordings that UrbanSound8K holds as well."""
    corpus = datasets.load(name, data)
    if name == "esc50":
        corpus = corpus.subset(~np.isin(corpus.groups, datasets.load("urbansound8k", data).groups))
    return corpus


@lru_cache
def statistics_of(data, name, kind):
    """Means, then deviations over time: of log-mel bands, or of MFCC and two differences."""
    corpus, rows = corpus_of(data, name), []
    n_fft, hop, bands = (1024, 256, 64) if kind == "logmel" else (2048, 512, 128)
    bank = librosa.filters.mel(sr=16_000, n_fft=n_fft, n_mels=bands)
    for path in corpus.clips["path"]:
        with soundfile.SoundFile(path) as file:
            rate, most = file.samplerate, math.ceil(corpus.duration * file.samplerate)
            wave = file.read(most, "float32", always_2d=True).mean(1)
        wave = wave if rate == 16_000 else soxr.resample(wave, rate, 16_000)
        wave = np.resize(wave, round(corpus.duration * 16_000))
        power = abs(librosa.stft(wave, n_fft=n_fft, hop_length=hop)) ** 2
        level = librosa.power_to_db(bank @ power)
        series = [level - level.max()]
        if kind != "logmel":
            cepstra = librosa.feature.mfcc(S=level, n_mfcc=40 if kind == "mfcc40" else 20)
            series = [np.diff(cepstra, n) for n in range(3)]
        rows.append(np.concatenate([f(part, 1) for f in (np.mean, np.std) for part in series]))
    return np.array(rows, float)


@lru_cache
def published(data, task):
    """Blocks, labels, groups, folds and inner splits of a task of 2017."""
    folder, corpus = data / "choi2017", "emoMusic" if task.startswith("emoMusic") else task
    rows = pd.read_csv(folder / "data_csv" / f"{corpus}.csv")
    label = {"emoMusic_a": "label_arousal", "emoMusic_v": "label_valence"}.get(task, "label")
    y, groups, fold = rows[label].to_numpy(), rows.index, np.zeros(len(rows), int)
    blocks = {path.stem.split("_")[-1]: np.load(path).astype(float)
              for path in sorted((folder / "data_feats").glob(f"{corpus}_*.npy"))}
    if task == "jamendo_vd":
        part, songs = rows.groupby("category").indices, rows["id"].str.rsplit("_", n=1).str[0]
        splits = [(np.union1d(part["train"], part["valid"]), part["test"])]
        return blocks, y, songs, splits, [[(part["train"], part["valid"])]]
    for members in [groups] if corpus == "emoMusic" else [groups[y == k] for k in np.unique(y)]:
        for k, part in enumerate(np.array_split(members, 10)):
            fold[part] = k
    if task == "urbansound":
        fold, groups = rows["fold"].to_numpy() - 1, rows["id"].str.split("-").str[0]
    splits, inner = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(10)], []
    for k in range(10):
        held = [np.isin(fold, np.delete(np.arange(10), k)[part::3]) for part in range(3)]
        inner.append([(np.flatnonzero(~part & (fold != k)), np.flatnonzero(part)) for part in held])
    return blocks, y, groups, splits, inner


def values_of(answers, y):
    """What each clip adds to the mean: right or wrong, or its part of its fold's R²."""
    if y.dtype != float:
        return (answers == y).astype(float)
    return 1 - (answers - y) ** 2 * len(y) / ((y - y.mean()) ** 2).sum()


def ridge(x, y, train, test):
    """Values of the tested clips, a row a penalty; the class of the largest output wins."""
    centred, classes, real = x - x[train].mean(0), np.unique(y[train]), y.dtype == float
    answers = y[train, None] if real else (y[train, None] == classes).astype(float)
    values, axes = np.linalg.eigh(centred[train].T @ centred[train])
    right = axes.T @ (centred[train].T @ (answers - answers.mean(0)))
    outputs = [(centred[test] @ axes / (values + penalty)) @ right + answers.mean(0)
               for penalty in (0.1, 1, 10, 100, 1000)]
    return [values_of(o[:, 0] if real else classes[o.argmax(1)], y[test]) for o in outputs]


def nested(blocks, y, splits, inner, scaling="standardised"):
    """Each fold under the cell that is best on its inner splits; NaN where nothing was tested."""
    is_mfcc = np.repeat([name == "mfcc" for name in blocks], [b.shape[1] for b in blocks.values()])
    weights = (0.1, 1, 10) if scaling == "weighted" and len(blocks) > 1 else (1,)
    columns, out = np.concatenate(list(blocks.values()), 1), np.full(len(y), np.nan)

    def scores(train, test):
        x = columns
        if scaling != "raw":
            x = (x - x[train].mean(0)) / np.maximum(x[train].std(0), 1e-12)
        return np.concatenate([ridge(x * np.where(is_mfcc, weight, 1), y, train, test)
                               for weight in weights])

    for (train, test), within in zip(splits, inner, strict=True):
        inside = np.concatenate([scores(*split) for split in within], 1).mean(1)
        out[test] = scores(train, test)[inside.argmax()]
    return out


def estimate(values, groups, column, slack=PRINTED):
    """Mean or end of the 95 % interval over 20,000 draws of groups, and the tolerance: an end of
    the study's 2,000 has a standard error of 0.06 deviations, so 0.25 are four, and it may lie one
    clip further where few clips make it jump."""
    values, groups = values[~np.isnan(values)], np.asarray(groups)[~np.isnan(values)]
    if not column.startswith("ci"):
        return values.mean(), slack
    member, rng = np.unique(groups, return_inverse=True)[1], np.random.default_rng(2024)
    sums, sizes, draws = np.bincount(member, values), np.bincount(member), []
    for _ in range(20):
        drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), 1000)
        draws.append(drawn @ sums / (drawn @ sizes))
    end = np.percentile(draws, 2.5 if column == "ci_low" else 97.5)
    return end, 0.25 * np.std(draws) + 1 / len(values) + slack


def alone(row, column, data, repeats=1):
    """Statistics without a network; for inner splits every other fold is tested in turn. Two front
    ends in single precision differ in the fifth digit, which moves a few clips: 0.3 points."""
    kind = row.get("statistics", row["network"] if row.get("side") == "alone" else "mfcc")
    corpus, found = corpus_of(data, row["target"]), []
    x, scaling = statistics_of(data, row["target"], kind), row.get("scaling", "standardised")
    if repeats > 1:  # five folds of whole groups, dealt anew each time
        corpus = corpus.subset(np.arange(len(corpus)))
        corpus.clips["fold"] = -1
    for seed in range(repeats):
        splits = corpus.splits(seed=seed)
        inner = [[(np.intersect1d(train, other), held) for other, held in splits
                  if held is not test] for train, test in splits]
        found.append(nested({"mfcc": x}, corpus.targets(), splits, inner, scaling))
    return estimate(np.mean(found, 0), corpus.groups, column, 0.003)


def of_2017(row, column, data):
    """Ridge on the published features, which are the same files: equal as far as printed."""
    blocks, y, groups, splits, inner = published(data, row["target"])
    sides = {"mfcc": {"mfcc": blocks.get("mfcc")}, "both": blocks,
             "network": {name: blocks[name] for name in "01234"}}
    found = [nested(sides[name], y, splits, inner, row["scaling"])
             for name in row.get("blocks", row.get("comparison")).split(" - ")]
    values = found[0] - found[1] if len(found) > 1 else found[0]
    if column != "p":
        return estimate(values, groups, column)
    means, k = np.array([values[test].mean() for _, test in splits]), len(splits)
    t = means.mean() / np.sqrt(means.var(ddof=1) * (1 / k + 1 / (k - 1)))
    return 2 * stats.t.sf(abs(t), k - 1), PRINTED


def svm_of_2017(row, column, data):
    """The named cell by scikit-learn: of classes the same answers; of values half a thousandth of
    R², since libsvm stops at a gap of 0.001, not at the optimum."""
    blocks, y, groups, splits, _ = published(data, row["task"])
    cells = table(f"{C6}/replication.csv").set_index(["task", "features"])["best_params"]
    kernel, cost, *gamma = re.findall(r"rbf|linear|(?<==)\S+", cells[row["task"], row["features"]])
    gamma = 2.0 ** int(gamma[0][2:]) if gamma and gamma[0] != "1/d" else "auto"
    machine = (SVR if y.dtype == float else SVC)(kernel=kernel, C=float(cost), gamma=gamma)
    x, values = np.concatenate([blocks[name] for name in row["features"]], 1), y + np.nan
    for train, test in splits:
        values[test] = values_of(machine.fit(x[train], y[train]).predict(x[test]), y[test])
    return estimate(values, groups, column, 5e-4 if y.dtype == float else PRINTED)


def heard(row, column, data):
    """Median level of a band in a domain. The study keeps levels in half precision: 0.02 dB."""
    sources = {"environment": "urbansound8k", "speech": "speech_commands"}
    levels = statistics_of(data, sources.get(row["domain"], "philharmonia_tags"), "logmel")
    return np.median(levels[:, row.name % 64]), 0.02


def shapley(row, column, data):
    """What a block adds to companies of the others, from the scores of all subsets; nothing at all
    scores what naming the most frequent class of the training clips does."""
    corpus, scores = corpus_of(data, row["target"]), table(f"{C5}/subsets.csv.gz")
    for key in ("source", "network", "target"):
        scores = scores[scores[key] == row[key]]
    y = corpus.targets()
    worth = {frozenset(): sum((y[test] == np.bincount(y[train]).argmax()).sum()
                              for train, test in corpus.splits()) / len(y)}
    for subset, score in zip(scores["subset"], scores["score"], strict=True):
        parts = re.findall(r"\d|[a-z]+", subset)
        worth[frozenset(f"layer{int(p) + 1}" if p.isdigit() else p for p in parts)] = score
    rest, total = max(worth, key=len) - {row["layer"]}, 0.0
    for n in range(len(rest) + 1):
        for company in itertools.combinations(rest, n):
            gain = worth[frozenset({*company, row["layer"]})] - worth[frozenset(company)]
            total += gain / ((len(rest) + 1) * math.comb(len(rest), n))
    return total, PRINTED


def subtracted(row, column, data):
    """One cell of the row minus another."""
    one, other = ("paper_best", "nested_best") if column == "optimism" else ("score", "random")
    return row[one] - row[other], PRINTED


def after_holm(row, column, data):
    """Holm's correction over tasks; a task with a single fold has the p of a sign test."""
    family = table(f"{C6}/claims.csv")
    for key in ("claim", "scaling", "protocol"):
        family = family[family[key] == row[key]]
    own = row["p_sign"] if np.isnan(row["p_corrected_t"]) else row["p_corrected_t"]
    p = np.sort(family["p_corrected_t"].fillna(family["p_sign"]))
    return min(1, (p * np.arange(len(p), 0, -1))[p <= own].max()), PRINTED


ENDS, PUBLISHED = "score ci_low ci_high", "features_from == 'published'"
QUICK, LAYERS = ("target != 'arabic_speech_commands' and ",
                 "task != 'urbansound' and not features.str.contains('m|b') ")
KINDS = [
    (heard, f"{C0}/spectra.csv", "hz > 0", "median"),
    (alone, f"{C2}/combinations.csv",
     "source == 'mfcc' and probe == 'ridge' and protocol == 'nested'", ENDS),
    (subtracted, f"{C2}/optimism.csv", "optimism == optimism", "optimism"),
    (of_2017, f"{C3}/ablation.csv", PUBLISHED, ENDS),
    (of_2017, f"{C3}/differences.csv", PUBLISHED, "difference ci_low ci_high p"),
    (alone, f"{C3}/ablation.csv", QUICK + "features_from == 'live' and blocks == 'mfcc'", ENDS),
    (partial(alone, repeats=5), f"{C5}/widths.csv", QUICK + "side == 'alone'", ENDS),
    (shapley, f"{C5}/shapley.csv", "groups > 0", "value"),
    (svm_of_2017, f"{C6}/replication.csv", LAYERS, "reproduced"),
    (svm_of_2017, f"{C6}/audit.csv", LAYERS + "and scaling == 'raw' and protocol != 'nested'",
     ENDS),
    (after_holm, f"{C6}/claims.csv", "groups > 0", "p_holm"),
    (subtracted, f"{C7}/controls.csv", "against == 'random weights'", "difference")]
POOL = sorted(((file, row, column, how) for how, file, wanted, columns in KINDS
               for column in columns.split() for row in table(file).query(wanted).index
               if pd.notna(table(file)[column][row])), key=lambda cell: cell[:3])


@pytest.mark.parametrize(("file", "row", "column", "how"), random.Random(7).sample(POOL, 20))
def test_a_number_drawn_at_random_comes_out_again(file, row, column, how, request):
    data = None if how in (subtracted, after_holm) else request.getfixturevalue("recordings")
    row = table(file).loc[row]
    found, tolerance = how(row, column, data)
    print(f"{row[column]:.9g} in the table, {found:.9g} again, tolerance {tolerance:.2g}")
    assert found == pytest.approx(row[column], abs=tolerance)


def test_scores_and_gains_of_transfer_are_those_of_the_answers_that_were_kept():
    folder = REPORTS / "04_cross_domain_transfer"
    fractions, runs, effects = (pd.read_csv(folder / name, dtype={"answers": str}) for name in (
        "fractions.csv", "runs.csv.gz", "effects.csv"))
    runs = runs[(runs["budget"] == 1) & ~runs["official"]].rename(columns={"clips": "bits"})
    run = ["source", "source_labels", "target", "network", "input", "mode", "fraction", "seed"]
    both = fractions.merge(runs[[*run, "learning_rate", "answers", "bits"]])
    assert len(both) == len(fractions) > 50
    answers = {}
    for row in both.itertuples():
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(row.answers), np.uint8))
        tested = bits[row.bits - row.clips:row.bits]
        assert float(f"{tested.mean():.6g}") == row.score
        answers.setdefault(tuple(row[1:8]), {})[row.seed] = tested
    assert len(gains := effects[effects["effect"] == "fine-tuned - scratch, plain"]) >= 4
    for row in gains.itertuples():
        case = row.target, row.network, "plain"
        tuned = answers[row.source, "true", *case, "fine-tuned at one rate", row.fraction]
        scratch = answers["none", "none", *case, "scratch", row.fraction]
        seeds = sorted(tuned.keys() & scratch.keys())
        gain = np.concatenate([tuned[seed] for seed in seeds]).mean() - np.concatenate(
            [scratch[seed] for seed in seeds]).mean()
        assert len(seeds) == row.seeds and float(f"{gain:.6g}") == row.difference


def test_each_arm_of_transfer_runs_at_the_best_of_the_rates_that_were_tried():
    rates, runs = (pd.read_csv(REPORTS / "04_cross_domain_transfer" / name)
                   for name in ("rates.csv", "fractions.csv"))
    for case, tried in rates.groupby(["target", "network", "mode"]):
        each = tried.pivot_table("validation", "learning_rate", ["fraction", "seed"]).fillna(0)
        [rate] = runs.set_index(["target", "network", "mode"]).loc[case, "learning_rate"].unique()
        assert (case[1], rate) == ("densenet121", 0.003) or each.index[0] < rate < each.index[-1]
        assert rate == each.mean(axis=1).idxmax()
