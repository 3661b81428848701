"""Transfer: a target learnt from scratch or on a source's weights, from a part of its clips.

Four modes. ``scratch`` starts from random weights; ``fine-tuned`` trains all layers, early ones at
a lower rate; ``fine-tuned at one rate`` trains all alike. These three take equally many passes over
the same clips. ``probe`` reads the frozen taps, all side by side, with an exactly solved ridge.
"""

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from audiotl import AudiotlError, cache, check_known, datasets
from audiotl.datasets.corpus import Corpus, LeakError, Split, check_split, deal_groups, splits_of
from audiotl.datasets.own_sounds import read_table
from audiotl.embedding import embed
from audiotl.features import Features
from audiotl.models.start import Start
from audiotl.probes import Blocks, Probe, Ridge, rows_of, standardise
from audiotl.sources import SourceNetwork, shuffled, source_network
from audiotl.stats import Scored
from audiotl.training import Recipe, network_key, train

SCRATCH, PROBE, FINE_TUNED, ONE_RATE = MODES = (
    "scratch", "probe", "fine-tuned", "fine-tuned at one rate")
RATES = {FINE_TUNED: 0.1, ONE_RATE: 1.0}
"""Rate of the first layers as a fraction of the head's (see `models.start.Start`)."""

INPUTS = {"plain": {}, "dilated": {"multiscale": [1, 2, 3, 4]},
          "undilated": {"multiscale": [1, 1, 1, 1]}}
"""What a network reads: the spectrogram, or four convolutions of it (`models.Multiscale`) with
growing dilations or, with as many weights, none."""

HELD = 0.15  # training groups on which learning rates and budgets are judged, as a share of all
STEP = "fractions"  # of the cache: runs of a grid
FEW_GROUPS = 20  # groups from which a fraction of one in twenty is at least a group


def transfer(mode: str, target: Features, split: Split, recipe: Recipe,
             network: str = "convnet5", source: SourceNetwork | None = None, *,
             keep: bool = True, progress: bool = True, device: str = "cpu", **settings) -> Scored:
    """Train one network on one target in one mode, and score the test clips.

    Args:
        mode: one of `MODES`; all but ``scratch`` need a `source`.
        target: features of the target corpus, one class a clip.
        network: what to train; in a mode of `RATES` of the same kind as the source's.
        source: its `corpus` is every clip it has heard.
        keep: whether the trained network stays in the cache.
        device: see `training.find_device`.

    Returns:
        1 (right) or 0 for each test clip, with keys ``mode, network, train_clips, steps``.

    Raises:
        LeakError: a group is on both sides of the split, or the source heard a tested recording.
    """
    corpus, classes = target.corpus, target.corpus.targets()
    _check(mode, corpus, split, source)
    train_rows, test_rows = split
    if mode == PROBE:
        blocks = embed(source.model, target, pooling="mean+std", progress=progress, device=device)
        taken, answers = 0, probed(blocks, classes, corpus.groups, split, Ridge())
    else:
        start = None if mode == SCRATCH else Start(source.model, RATES[mode])
        made = train(target, split, recipe, network, progress, start, device, **settings)
        taken = recipe.epochs * -(-len(train_rows) // recipe.batch)
        answers = made.outputs.argmax(1)
        if not keep:
            cache.drop(cache.cache_root() / "networks" / made.key)
    return Scored.of(answers == classes[test_rows], np.zeros(len(test_rows), int),
                     corpus.groups[test_rows], mode=mode, network=network,
                     train_clips=len(train_rows), steps=taken)


def _check(mode: str, corpus: Corpus, split: Split, source: SourceNetwork | None) -> None:
    check_known("mode", mode, MODES)
    if corpus.multilabel or corpus.numeric:
        raise AudiotlError(f"{corpus.name} has tags or numbers; transfer is scored on corpora "
                           "of classes.")
    if mode != SCRATCH and source is None:
        raise AudiotlError(f"The mode {mode!r} needs the network of a source; without one there "
                           f"is only {SCRATCH!r}.")
    check_split(corpus.groups, *split, where=f"the split of {corpus.name}")
    if mode != SCRATCH and source.corpus is not None:
        check_source(source.corpus, corpus, split[1])


def check_source(source: Corpus, target: Corpus, test_rows: np.ndarray) -> None:
    """LeakError if a source holds a recording of the target's test clips.

    Recordings are told as by `datasets.shared`, and by group within one corpus (or part of one).
    """
    heard = datasets.shared(target, source)
    if source.parts & target.parts:
        heard |= np.isin(target.groups, source.groups)
    leaked = test_rows[heard[test_rows]]
    if len(leaked):
        raise LeakError(
            f"The source was trained on {source.name}, which holds the recording of "
            f"{target.clips['path'].iloc[leaked[0]]} ({len(leaked)} test clips of {target.name} "
            "in all); leave those clips out of one of the two (or, if they are other recordings "
            "under the same group names, give the corpora different names).")


def probed(blocks: Blocks, y: np.ndarray, groups: np.ndarray, split: Split,
           probe: Probe) -> np.ndarray:
    """Predictions ``(n_test,)`` of a probe on all blocks, its cell chosen inside the training rows.

    Chosen is the cell that is best over three folds of whole groups, as many as there are
    where they are fewer, and of single clips where there is but one group.
    """
    train_rows, test_rows = split

    def fold(fit: np.ndarray, test: np.ndarray) -> np.ndarray:
        fitted, tested = standardise(*rows_of(blocks, fit, test))
        return probe.fold(fitted, y[fit], tested, [tuple(blocks)])[0]

    inner = groups[train_rows]
    inner = np.arange(len(inner)) if len(np.unique(inner)) == 1 else inner
    folds = min(3, len(np.unique(inner)))
    place = deal_groups(inner, y[train_rows], folds, 0, "the training part")
    inside = [(train_rows[fit], train_rows[held]) for fit, held in splits_of(place)]
    correct = sum((fold(fit, held) == y[held]).sum(1) for fit, held in inside)
    return fold(train_rows, test_rows)[int(correct.argmax())]


def fraction_rows(corpus: Corpus, rows: np.ndarray, fraction: float, seed: int = 0) -> np.ndarray:
    """About `fraction` of `rows`, sorted: whole groups, each class in its share, small in large.

    The groups of each class (of several, the most frequent one) come in a seeded order, and those
    before `fraction` are taken, at least the first. Fewer than `FEW_GROUPS` cannot make up small
    fractions: then single clips are drawn (those that are tested are of other groups in any case).
    """
    if not 0 < fraction <= 1:
        raise AudiotlError("A fraction of the training clips lies above 0 and up to 1, not at "
                           f"{fraction:g}.")
    names, member = np.unique(corpus.groups[rows], return_inverse=True)
    if len(names) < FEW_GROUPS:
        names = member = np.arange(len(rows))
    labels, label = np.unique(corpus.clips["label"].to_numpy(str)[rows], return_inverse=True)
    counts = np.zeros((len(names), len(labels)), int)
    np.add.at(counts, (member, label), 1)
    main, sizes = counts.argmax(1), counts.sum(1)
    order = np.random.default_rng(seed).permutation(len(names))
    kept = np.zeros(len(names), bool)
    for k in range(len(labels)):
        mine = order[main[order] == k]
        end = np.cumsum(sizes[mine])
        # A group belongs to the set if its middle does.
        kept[mine[(end - sizes[mine] / 2) <= fraction * end[-1:].sum()]] = True
        kept[mine[:1]] = True
    return np.sort(rows[kept[member]])


def target_folds(corpus: Corpus, corpus_seed: int = 0) -> list[Split]:
    """Training and test rows of each fold that a seed may test.

    Folds are the corpus's own (five of whole groups where it has none); a corpus of fewer than
    `FEW_GROUPS` groups is dealt to three, so that each tests more than one group.
    """
    if len(np.unique(corpus.groups)) >= FEW_GROUPS:
        return corpus.splits(seed=corpus_seed)
    return splits_of(deal_groups(corpus.groups, corpus.targets(), 3, corpus_seed, corpus.name))


def held_out(groups: np.ndarray, rows: np.ndarray, seed: int) -> Split:
    """Whole groups, `HELD` of them and at least one, set aside: ``(fit, validation)`` rows."""
    names = np.random.default_rng(seed).permutation(np.unique(groups[rows]))
    aside = np.isin(groups[rows], names[:max(1, round(HELD * len(names)))])
    return rows[~aside], rows[aside]


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a `Grid`; the seed is of weights, order, clips drawn, and of the fold tested."""

    source: str  # corpus that was learnt first; "none" from scratch
    source_labels: str  # one of `sources.LABELS`; "none" from scratch, or random weights
    target: str
    network: str  # one of `models.NETWORKS`
    input: str  # one of `INPUTS`
    mode: str  # one of `MODES`
    fraction: float  # of the target's training clips
    seed: int
    learning_rate: float = 0.0  # peak rate; 0 for the probe
    budget: float = 1.0  # passes over the clips, as a multiple of the usual ones
    official: bool = False  # the corpus's own split, in a column of that name, in place of a fold


@dataclasses.dataclass(frozen=True)
class Grid:
    """Scores runs, or finds those that were scored before; one that was cut off goes on.

    Args:
        sounds: features of each source.
        recipes: of each network. Its epochs are those on a source.
        epochs: of each target, passes of each network over its clips.
        least_steps: of a run: a small fraction is passed over more often, up to so many steps.
        crops: of a target, the frames that training draws from a clip; without it the recipe's.
        source_seeds: of the source networks; a run takes the one of its seed, in turn.
        device: see `training.find_device`.
    """

    targets: dict[str, Features]
    sounds: dict[str, Features]
    recipes: dict[str, Recipe]
    epochs: dict[str, dict[str, int]]
    least_steps: int
    source_seeds: Sequence[int] = (0,)
    corpus_seed: int = 0
    device: str = "cpu"
    crops: dict[str, int] = dataclasses.field(default_factory=dict)
    splits: dict[tuple, tuple] = dataclasses.field(default_factory=dict)

    def run(self, wanted: Sequence[Run], only_finished: bool = False,
            progress: bool = True) -> tuple[list[Scored], list[Run]]:
        """Scores of the runs, and the runs that are missing.

        Which test clips were correct is kept; the network (45 MB for a ResNet-18) is not. With
        `only_finished` nothing is started.
        """
        found = {run: _kept.find(*self.content(run)) for run in dict.fromkeys(wanted)}
        missing = [run for run, folder in found.items() if folder is None]
        if not only_finished:
            for run in tqdm(missing, desc="runs", disable=not progress or not missing):
                found[run] = _kept(*self.content(run), grid=self, run=run)
            missing = []
        return [self._read(run, folder) for run, folder in found.items() if folder], missing

    def table(self, runs: Sequence[Run]) -> pd.DataFrame:
        """The runs that are finished, as `adopt` takes them.

        Returns:
            A row each: the fields of `Run`, ``key`` of its content, ``clips, answers`` (how many,
            and a bit each in hexadecimal, 1 where a clip was named rightly: first those kept aside,
            then those that were tested), ``train_clips, steps, seconds, core_seconds``.
        """
        rows = []
        for run in dict.fromkeys(runs):
            folder = _kept.find(*self.content(run))
            if folder is not None:
                right = np.load(folder / "right.npy")
                rows.append(dataclasses.asdict(run) | {
                    "key": folder.name, "clips": len(right), "answers":
                    np.packbits(right).tobytes().hex(), "core_seconds": cache.seconds_of(folder)}
                    | json.loads((folder / "run.json").read_text()))
        return pd.DataFrame(rows)

    def content(self, run: Run) -> list:
        """What determines a run, for its key; no network is loaded or trained for it."""
        target, (_, rows, held, test_rows) = self.targets[run.target], self.rows(run)
        labels = [list(target.corpus.classes), list(target.corpus.clips["label"])]
        how = [] if run.mode == PROBE else [self.recipe(run).key()]
        source = ""
        if run.mode != SCRATCH:
            sound, split, recipe = self._source(run)
            if run.source_labels == "shuffled":
                sound = shuffled(sound, split[0], recipe.seed)
            source = network_key(sound, split, recipe, run.network, device=self.device,
                                 **INPUTS[run.input])
            source += ", untrained" * (run.source_labels == "none")
        return [target.key, labels, rows.tolist(), held.tolist(), test_rows.tolist(), run.network,
                run.input, run.mode, how, source] + [self.device] * (self.device != "cpu")

    def rows(self, run: Run) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """The fold that a run tests, and the rows it learns from, is judged on and is tested on."""
        which = run.target, run.fraction, run.seed, run.official
        if which not in self.splits:
            corpus = self.targets[run.target].corpus
            fold, fit, *rest = self._parts(corpus, run.seed, run.official)
            self.splits[which] = fold, fraction_rows(corpus, fit, run.fraction, run.seed), *rest
        return self.splits[which]

    def _parts(self, corpus: Corpus, seed: int, official: bool) -> tuple:
        if official:
            part = corpus.clips["official"].to_numpy()
            return 0, *(np.flatnonzero(part == name) for name in ("train", "val", "test"))
        folds = target_folds(corpus, self.corpus_seed)
        rows, test_rows = folds[seed % len(folds)]
        return seed % len(folds), *held_out(corpus.groups, rows, seed), test_rows

    def recipe(self, run: Run) -> Recipe:
        """How a run is trained: nothing is chosen within it, so it keeps no clip aside."""
        recipe = self.recipes[run.network]
        recipe = dataclasses.replace(recipe, seed=run.seed, validation=0.0, patience=0,
                                     crop=self.crops.get(run.target, recipe.crop),
                                     learning_rate=run.learning_rate)
        a_pass = -(-len(self.rows(run)[1]) // recipe.batch)
        passes = max(self.epochs[run.target][run.network], -(-self.least_steps // a_pass))
        return dataclasses.replace(recipe, epochs=max(1, round(run.budget * passes)))

    def _source(self, run: Run) -> tuple[Features, Split, Recipe]:
        sound = self.sounds[run.source]
        seed = self.source_seeds[run.seed % len(self.source_seeds)]
        return (sound, sound.corpus.splits()[-1],
                dataclasses.replace(self.recipes[run.network], seed=seed))

    def _read(self, run: Run, folder: Path) -> Scored:
        about = json.loads((folder / "run.json").read_text())
        right, (fold, _, held, test_rows) = np.load(folder / "right.npy"), self.rows(run)
        groups = self.targets[run.target].corpus.groups[test_rows]
        return Scored.of(right[len(held):], np.full(len(test_rows), fold), groups,
                         **dataclasses.asdict(run) | about,
                         validation=float(right[:len(held)].mean()))


def adopt(path: str | Path) -> None:
    """Take the runs of a `Grid.table` for finished, so that a grid that wants them finds them.

    A run is known by its key: one of other clips, recipes or sources is never taken for another.

    Raises:
        AudiotlError: no such file, or no such table.
    """
    ints, rest = ("clips", "train_clips", "steps"), ("key", "answers", "seconds", "core_seconds")
    for row in read_table(Path(path), (*ints, *rest), text=True).to_dict("records"):
        try:
            clips, taken, steps = (int(row[name]) for name in ints)
            seconds, core_seconds = float(row["seconds"]), float(row["core_seconds"])
            bits = np.unpackbits(np.frombuffer(bytes.fromhex(row["answers"]), np.uint8))
            if not row["key"].isalnum() or len(bits) - clips not in range(8):
                raise ValueError
        except ValueError:
            raise AudiotlError(f"{path} holds a run that is none ({row['key']!r}); leave its row "
                               "out.") from None
        if cache.find(STEP, row["key"]) is None:
            with cache.adopting(STEP, row["key"], core_seconds) as folder:
                about = {"train_clips": taken, "steps": steps, "seconds": seconds}
                _write(folder, bits[:clips] > 0, about)


def _write(folder: Path, right: np.ndarray, about: dict) -> None:
    np.save(folder / "right.npy", right)
    (folder / "run.json").write_text(json.dumps(about))


@cache.step(STEP, version=2)
def _kept(folder: Path, *_, grid: Grid, run: Run) -> None:
    how, source = INPUTS[run.input], None
    if run.mode != SCRATCH:
        sound, _, recipe = grid._source(run)
        source = source_network(sound, recipe, run.network, labels=run.source_labels,
                                seed=recipe.seed, progress=False, device=grid.device, **how)
    started = time.perf_counter()
    _, rows, held, test_rows = grid.rows(run)
    made = transfer(run.mode, grid.targets[run.target], (rows, np.r_[held, test_rows]),
                    grid.recipe(run), run.network, source, keep=False, progress=False,
                    device=grid.device, **({} if run.mode == PROBE else how))
    _write(folder, made.values[0, 0] > 0, {
        "train_clips": made.keys["train_clips"], "steps": made.keys["steps"],
        "seconds": time.perf_counter() - started})
