"""Twenty numbers of the reports, drawn at random and derived anew from recordings and papers.

Written from the protocol (Choi et al. 2017, and how the study states it) with NumPy, SciPy,
scikit-learn, librosa, soundfile and soxr. Of audiotl only `datasets.load` is asked, for paths,
labels, folds and groups.

The pool (`KINDS`) is every result that needs no trained network, and of those that do, what
follows from other tables: Shapley values, differences, p-values after Holm. Outside of it, for
time: MFCC of Arabic Speech Commands, and SVMs on UrbanSound8K, on raw MFCC, and over whole grids.
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
SOURCES = {"environment": "urbansound8k", "speech": "speech_commands", "music": "philharmonia_tags"}
PRINTED = 3e-6
"""Relative: tables have six digits, and a difference is made of two such numbers."""


@lru_cache
def table(file):
    return pd.read_csv(REPORTS / file, dtype={"subset": str, "features": str})


# Recordings and published features


@lru_cache
def corpus_of(data, name):
    """A corpus; ESC-50 without the Freesound recordings that UrbanSound8K holds as well."""
    corpus = datasets.load(name, data)
    if name == "esc50":
        corpus = corpus.subset(~np.isin(corpus.groups, datasets.load("urbansound8k", data).groups))
    return corpus


def decibels(path, seconds, **settings):
    """Mel bands of a clip fitted to its length, at most 80 dB below its loudest point."""
    with soundfile.SoundFile(path) as file:
        wave = file.read(math.ceil(seconds * file.samplerate), "float32", always_2d=True).mean(1)
        wave = wave if file.samplerate == 16_000 else soxr.resample(wave, file.samplerate, 16_000)
    wave = np.resize(wave, round(seconds * 16_000))
    return librosa.power_to_db(librosa.feature.melspectrogram(y=wave, sr=16_000, **settings))


@lru_cache
def statistics_of(data, name, kind):
    """Means, then deviations over time: of log-mel bands, or of MFCC and two differences."""
    corpus, rows = corpus_of(data, name), []
    for path in corpus.clips["path"]:
        if kind == "logmel":
            level = decibels(path, corpus.duration, n_fft=1024, hop_length=256, n_mels=64)
            series = [level - level.max()]
        else:
            level = decibels(path, corpus.duration, n_fft=2048, hop_length=512, n_mels=128)
            cepstra = librosa.feature.mfcc(S=level, n_mfcc=40 if kind == "mfcc40" else 20)
            series = [np.diff(cepstra, n) for n in range(3)]
        rows.append(np.concatenate([f(part, 1) for f in (np.mean, np.std) for part in series]))
    return np.array(rows, float)


def folds_of(corpus, repeats):
    """The corpus's own folds, or five of whole groups dealt `repeats` times; for the inner splits
    of a fold every other one is tested, and both are left out of training."""
    if repeats > 1:
        corpus = corpus.subset(np.arange(len(corpus)))
        corpus.clips["fold"] = -1
    for seed in range(repeats):
        splits = corpus.splits(seed=seed)
        yield splits, [[(np.intersect1d(train, other), held) for other, held in splits
                        if held is not test] for train, test in splits]


@lru_cache
def published(data, task):
    """Blocks, labels, groups, folds and inner splits of a task of 2017."""
    folder, corpus = data / "choi2017", "emoMusic" if task.startswith("emoMusic") else task
    rows = pd.read_csv(folder / "data_csv" / f"{corpus}.csv")
    label = {"emoMusic_a": "label_arousal", "emoMusic_v": "label_valence"}.get(task, "label")
    y, groups = rows[label].to_numpy(), rows.index.to_numpy()
    blocks = {path.stem.split("_")[-1]: np.load(path).astype(float)
              for path in sorted((folder / "data_feats").glob(f"{corpus}_*.npy"))}
    if task == "jamendo_vd":
        train, valid, test = (np.flatnonzero(rows["category"] == part)
                              for part in ("train", "valid", "test"))
        songs = rows["id"].str.replace(r"_\d+$", "", regex=True)
        return blocks, y, songs, [(np.union1d(train, valid), test)], [[(train, valid)]]
    fold = np.zeros(len(rows), int)
    for label in [None] if corpus == "emoMusic" else np.unique(y):
        members = np.flatnonzero((y == label) | (label is None))
        for k, part in enumerate(np.array_split(members, 10)):
            fold[part] = k
    if task == "urbansound":
        fold, groups = rows["fold"].to_numpy() - 1, rows["id"].str.split("-").str[0]
    splits, inner = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(10)], []
    for k in range(10):
        held = [np.isin(fold, np.delete(np.arange(10), k)[part::3]) for part in range(3)]
        inner.append([(np.flatnonzero(~part & (fold != k)), np.flatnonzero(part)) for part in held])
    return blocks, y, groups, splits, inner


# Probe, protocol, interval


def values_of(answers, y):
    """What each clip adds to the mean: right or wrong, or its part of its fold's R²."""
    if y.dtype != float:
        return (answers == y).astype(float)
    return 1 - (answers - y) ** 2 * len(y) / ((y - y.mean()) ** 2).sum()


def ridge(train, y, test):
    """Values of the tested clips, a row a penalty; of classes the one of the largest output."""
    x, (y_train, y_test), classes = train - train.mean(0), y, np.unique(y[0])
    real = y_train.dtype == float
    answers = y_train[:, None] if real else (y_train[:, None] == classes).astype(float)
    values, axes = np.linalg.eigh(x.T @ x)
    right = axes.T @ (x.T @ (answers - answers.mean(0)))
    outputs = [((test - train.mean(0)) @ axes / (values + penalty)) @ right + answers.mean(0)
               for penalty in (0.1, 1, 10, 100, 1000)]
    return [values_of(o[:, 0] if real else classes[o.argmax(1)], y_test) for o in outputs]


def clip_scores(blocks, y, train, test, scaling, width):
    """Values of the tested clips, a row a weight of MFCC and a penalty."""
    x = np.concatenate(list(blocks.values()), 1)
    if scaling != "raw":
        x = (x - x[train].mean(0)) / np.maximum(x[train].std(0), 1e-12)
    if width:
        x = x @ np.linalg.svd(x[train], full_matrices=False)[2][:width].T
    is_mfcc = np.repeat([name == "mfcc" for name in blocks], [b.shape[1] for b in blocks.values()])
    weights = (0.1, 1, 10) if scaling == "weighted" and len(blocks) > 1 else (1,)
    return np.concatenate([ridge(weighed[train], (y[train], y[test]), weighed[test])
                           for weighed in (x * np.where(is_mfcc, w, 1) for w in weights)])


def nested(blocks, y, splits, inner, scaling="standardised", width=None):
    """Each fold under the cell that is best on its inner splits; NaN where nothing was tested."""
    out = np.full(len(y), np.nan)
    for (train, test), within in zip(splits, inner, strict=True):
        inside = np.concatenate([clip_scores(blocks, y, *s, scaling, width) for s in within], 1)
        out[test] = clip_scores(blocks, y, train, test, scaling, width)[inside.mean(1).argmax()]
    return out


def estimate(values, groups, column, slack=PRINTED):
    """Mean or end of the 95 % interval over 20,000 draws of groups, and the tolerance.

    An end of 2,000 draws has a standard error of 0.06 deviations, so 0.25 are four of them; where
    few clips make the draws discrete, an end may also lie one clip further.
    """
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


# How a number of each kind comes out again: row, column, folder of recordings -> number, tolerance


def alone(row, column, data, repeats=1, width=None):
    """Statistics without a network. Two front ends in single precision differ in the fifth digit,
    which moves clips on an edge, or a penalty: 0.3 points."""
    kind = row.get("statistics", row["network"] if row.get("side") == "alone" else "mfcc")
    corpus = corpus_of(data, row["target"])
    x, y, scaling = statistics_of(data, corpus.name, kind), corpus.targets(), row.get("scaling", "")
    found = [nested({"mfcc": x}, y, splits, inner, scaling, width)
             for splits, inner in folds_of(corpus, repeats)]
    return estimate(np.mean(found, 0), corpus.groups, column, 0.003)


def of_2017(row, column, data):
    """Ridge on the published features, which are the same files: equal as far as printed."""
    blocks, y, groups, splits, inner = published(data, row["target"])
    layers = {name: blocks[name] for name in "01234"}
    sides = {"mfcc": {"mfcc": blocks.get("mfcc")}, "network": layers, "both": blocks}
    names = [row["blocks"]] if "blocks" in row else row["comparison"].split(" - ")
    found = [nested(sides[name], y, splits, inner, row["scaling"]) for name in names]
    values = found[0] - found[1] if len(found) > 1 else found[0]
    if column != "p":
        return estimate(values, groups, column)
    means, k = np.array([values[test].mean() for _, test in splits]), len(splits)
    t = means.mean() / np.sqrt(means.var(ddof=1) * (1 / k + 1 / (k - 1)))
    return 2 * stats.t.sf(abs(t), k - 1), PRINTED


def svm_of_2017(row, column, data):
    """The named cell by scikit-learn. Classes agree to the last digit; of values libsvm stops where
    the gap is 0.001, in units of the label: half a thousandth of R²."""
    blocks, y, groups, splits, _ = published(data, row["task"])
    named = table(f"{C6}/replication.csv").set_index(["task", "features"])["best_params"]
    kernel, cost, *gamma = re.findall(r"rbf|linear|(?<==)\S+", named[row["task"], row["features"]])
    gamma = 2.0 ** int(gamma[0][2:]) if gamma and gamma[0] != "1/d" else "auto"
    machine = (SVR if y.dtype == float else SVC)(kernel=kernel, C=float(cost), gamma=gamma)
    x, values = np.concatenate([blocks[name] for name in row["features"]], 1), y + np.nan
    for train, test in splits:
        values[test] = values_of(machine.fit(x[train], y[train]).predict(x[test]), y[test])
    return estimate(values, groups, column, 5e-4 if y.dtype == float else PRINTED)


def heard(row, column, data):
    """Spectra of a domain. The study keeps levels in half precision: 0.02 dB."""
    levels = statistics_of(data, SOURCES[row["domain"]], "logmel")[:, :64]
    low, middle, high = np.percentile(levels, [25, 50, 75], 0)
    return {"median": middle[row.name % 64], "median_db": middle.mean(), "clips": len(levels),
            "spread_db": (high - low).mean()}[column], 0.02


def counted(row, column, data):
    """Clips and groups of a target, of a source those of its last fold: nothing to tolerate."""
    source = corpus_of(data, SOURCES[row["source"]])
    train, test = (source.clips.iloc[rows] for rows in source.splits()[-1])
    tested = corpus_of(data, row["target"]).clips if "target" in row else test
    return {"tested_clips": len(tested), "groups": tested["group"].nunique(),
            "train_clips": len(train), "source_clips": len(train), "test_clips": len(test),
            "chance": test["label"].value_counts(normalize=True).max()}[column], PRINTED


def coalitions(row, column, data):
    """Shapley value of a block or interaction of two, from the scores of all subsets (six digits);
    nothing at all scores what naming the most frequent class of the training clips does."""
    corpus, scores = corpus_of(data, row["target"]), table(f"{C5}/subsets.csv.gz")
    for key in ("source", "network", "target"):
        scores = scores[scores[key] == row[key]]
    y, worth = corpus.targets(), {}
    worth[frozenset()] = sum((y[test] == np.bincount(y[train]).argmax()).sum()
                             for train, test in corpus.splits()) / len(y)
    for subset, score in zip(scores["subset"], scores["score"], strict=True):
        parts = [[f"layer{int(k) + 1}" for k in part] if part.isdigit() else [part]
                 for part in subset.split("+")]
        worth[frozenset(sum(parts, []))] = score
    who = [row[name] for name in ("layer", "first", "second") if name in row]
    rest, total = sorted(max(worth, key=len) - set(who)), 0.0
    for company in (set(c) for n in range(len(rest) + 1) for c in itertools.combinations(rest, n)):
        gain = sum((-1) ** (len(who) - n) * worth[frozenset(company | set(part))]
                   for n in range(len(who) + 1) for part in itertools.combinations(who, n))
        total += gain / ((len(rest) + 1) * math.comb(len(rest), len(company)))
    return total, 5e-6


def difference(row, column, data):
    """Of two scores in the tables, or of their means over seeds."""
    scores, side = SIDES[row["file"]]
    scores = table(scores)
    for key in ("source", "network", "target", "task", "scaling", "protocol", "pooling", "probe"):
        scores = scores[scores[key] == row[key]] if key in row and key in scores else scores
    names = [FEATURES.get(name, name) for name in row.get("comparison", row.get("claim")).split(" - ")]
    one, other = (scores[name].mean() if side is None else
                  scores.loc[scores[side] == name, "score"].mean() for name in names)
    return one - other, PRINTED


def after_holm(row, column, data):
    """Holm's correction of the p in the chapter's table over the family that it stands in."""
    family = table(f"{row['chapter']}/{row['table']}")
    one = family[np.isclose(family["difference"].abs(), abs(row["estimate"]), PRINTED, 1e-9)
                 & (family["groups"] == row["groups"])]
    if "case" in one:
        one = one[one["case"] == row["statement"].split(": ")[1]]
    for key in ("comparison", "claim", "scaling", "protocol", "statistics", "features_from"):
        family = family[family[key] == one[key].iloc[0]] if key in family else family
    name = "p" if "p" in family else "p_corrected_t"
    p = np.sort(family[name].dropna())
    steps = p * np.arange(len(p), 0, -1)
    p_holm = min(1, steps[p <= one[name].iloc[0]].max())
    return p_holm, PRINTED * p_holm


C0, C1, C2, C3, C5, C6, C7 = (next(REPORTS.glob(f"0{k}_*")).name for k in (0, 1, 2, 3, 5, 6, 7))
FEATURES = {"all five layers": "01234", "last layer": "4", "MFCC + all": "mfcc+01234"}
SIDES = {f"{C2}/paired.csv": (f"{C2}/summary.csv", None),
         f"{C5}/paired.csv": (f"{C5}/summary.csv", None),
         f"{C5}/by_width.csv": (f"{C5}/widths.csv", "side"),
         f"{C6}/claims.csv": (f"{C6}/audit.csv", "features"),
         f"{C7}/labels.csv": (f"{C7}/matrix.csv", "labels")}
ENDS, QUICK = "score ci_low ci_high", "target != 'arabic_speech_commands' and "
LAYERS = "task != 'urbansound' and not features.str.contains('m|b')"
KINDS = [
    (heard, f"{C0}/spectra.csv", "hz > 0", "median"),
    (heard, f"{C0}/domains.csv", "clips > 0", "clips median_db spread_db"),
    (counted, f"{C1}/scores.csv", "source != 'music'", "train_clips test_clips chance groups"),
    (counted, f"{C7}/matrix.csv", "labels == 'true' and seed == 0",
     "tested_clips groups source_clips"),
    (alone, f"{C2}/combinations.csv",
     "source == 'mfcc' and probe == 'ridge' and protocol == 'nested'", ENDS),
    (partial(alone, repeats=5), f"{C3}/ablation.csv",
     QUICK + "features_from == 'live' and blocks == 'mfcc'", ENDS),
    (partial(alone, repeats=5), f"{C5}/widths.csv", QUICK + "side == 'alone'", ENDS),
    (partial(alone, width=64), f"{C5}/summary.csv", QUICK + "layers > 0", "mfcc"),
    (of_2017, f"{C3}/ablation.csv", "features_from == 'published'", ENDS),
    (of_2017, f"{C3}/differences.csv", "features_from == 'published'",
     "difference ci_low ci_high p"),
    (svm_of_2017, f"{C6}/replication.csv", LAYERS, "reproduced"),
    (svm_of_2017, f"{C6}/audit.csv", LAYERS + " and scaling == 'raw' and protocol != 'nested'",
     ENDS),
    (coalitions, f"{C5}/shapley.csv", "groups > 0", "value"),
    (coalitions, f"{C5}/interactions.csv", "index == index", "index"),
    *[(difference, file, "comparison != 'with mfcc - all'" if C5 in file else "groups > 0",
       "difference") for file in SIDES],
    (after_holm, "claims.csv", "chapter < '08'", "p_holm")]
POOL = sorted(((file, row, column, how) for how, file, wanted, columns in KINDS
               for column in columns.split() for row in table(file).query(wanted).index
               if pd.notna(table(file)[column][row])), key=lambda cell: cell[:3])


@pytest.mark.parametrize("cell", random.Random(7).sample(POOL, 20),
                         ids=lambda cell: "-".join(map(str, cell[:3])))
def test_a_number_drawn_at_random_comes_out_again(cell, recordings):
    file, row, column, how = cell
    row = table(file).loc[row].copy()
    found, tolerance = how(pd.concat([row, pd.Series({"file": file})]).rename(row.name), column,
                           recordings)
    print(f"{row[column]:.9g} in the table, {found:.9g} again, tolerance {tolerance:.2g}")
    assert found == pytest.approx(row[column], abs=tolerance)
