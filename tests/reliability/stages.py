"""Disturb each stage of the study, start it again, and compare with a run that was left alone.

``python tests/reliability/stages.py SEED MODE:STAGE:ROUNDS...`` prints one JSON object a word:
``kill`` ends it at random moments, ``damage`` spoils a file of its cache, ``share`` runs several
at once on one cache, ``full`` limits the size of a file, as a full disk does. The stages run in
forked children of this process, which has imported everything and computed nothing.
"""

import functools
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
import torch._dynamo  # noqa: F401  (the first optimiser would import it, in every child)

from audiotl import AudiotlError, cache, models
from audiotl import training as training_room
from audiotl.datasets.corpus import Corpus
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.probes import Ridge
from audiotl.probes.subset_search import search
from audiotl.report import run
from audiotl.training import Recipe, train

training_room.CHECKPOINT_SECONDS = 0.0

NOTEBOOK = '''# %% [markdown]
# # Chapter {number}

# %%
import matplotlib.pyplot as plt
import pandas as pd

from audiotl.report.results import Results

results = Results("{number:02d}_chapter")
for i in range(20):
    results.table(f"table{{i}}", pd.DataFrame({{"row": range(500)}}))

# %%
figure, axis = plt.subplots()
axis.plot([1, {number}])
results.figure("cover", figure, "A line.")
'''
FULL = 3  # exit status of a stage that said that its disk is full


def corpus(home: Path) -> Corpus:
    paths = sorted(map(str, (home / "clips").glob("*.wav")))
    labels = [f"class {i % 3}" for i in range(len(paths))]
    clips = pd.DataFrame({"path": paths, "label": labels, "fold": -1, "group": paths})
    return Corpus("tiny", clips, ("class 0", "class 1", "class 2"), duration=1.0)


def embedding(home: Path):
    sound = features(corpus(home), batch=8, progress=False)
    torch.manual_seed(0)
    taps = embed(models.build("convnet5", 3), sound, batch=4, progress=False)
    return [sound.spectrograms, sound.mfcc, *taps.values()]


def training(home: Path):
    done = train(features(corpus(home), progress=False), (np.arange(0, 40), np.arange(40, 60)),
                 Recipe(epochs=5, crop=32, batch=8), progress=False)
    return [done.outputs, done.history.drop(columns="seconds").to_numpy(),
            *(value.numpy() for value in done.model.state_dict().values())]


def subset_search(home: Path):
    rng = np.random.default_rng(0)
    y, fold = rng.integers(0, 4, 400), np.arange(400) % 8
    blocks = {f"layer{i + 1}": rng.standard_normal((400, 16)) + y[:, None] * rng.standard_normal(16)
              for i in range(5)}
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(8)]
    groups = np.arange(400).astype(str)
    found = search(blocks, y, splits, groups, Ridge(), progress=False, threads=2)
    return [found.correct("paper"), found.correct(), found.inner]


def reporting(home: Path, only: tuple[str, ...] = ()):
    out = Path(os.environ["AUDIOTL_CACHE"]).parent / "reports"
    failed = run.run(run.Run(home / "notebooks", out, only=only, resume=True))
    parts = [f"{failed} failed"]
    for path in sorted(out.rglob("*")):
        if path.name == "results.json":
            parts.append(json.dumps(json.loads(path.read_text()) | {"core_seconds": 0}))
        elif path.suffix in (".csv", ".png"):
            parts.append(path.name + path.read_bytes().hex())
        elif path.suffix == ".html" or path.name == "report.md":
            parts.append(path.name)
    return [np.frombuffer(part.encode(), np.uint8) for part in parts]


STAGES = {"embedding": embedding, "training": training, "search": subset_search,
          "report": reporting, "chapter": functools.partial(reporting, only=("00",))}


def child(stage: str, home: Path, root: Path, largest_file: int | None = None) -> int:
    """Start a stage with cache and reports below `root`; a digest of its results goes to `home`."""
    process = os.fork()
    if process == 0:
        status = 1
        log = open(home / f"{os.getpid()}.log", "w")  # noqa: SIM115
        try:
            os.environ["AUDIOTL_CACHE"] = str(root / "cache")
            torch.set_num_threads(1)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file or hard, hard))
            digest = hashlib.sha256()
            for part in STAGES[stage](home):
                digest.update(f"{part.dtype}{part.shape}".encode())
                digest.update(np.ascontiguousarray(part).tobytes())
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            (home / f"{os.getpid()}.digest").write_text(digest.hexdigest())
            status = 0
        except AudiotlError as error:
            print(f"AudiotlError: {error}", file=log)
            status = FULL if "No space left" in str(error) else 1
        except BaseException:
            traceback.print_exc(file=log)
        log.flush()
        os._exit(status)
    return process


def finish(stage: str, home: Path, process: int, allowed=(0,)) -> tuple[int, str, str]:
    """Wait for a child: ``(exit status, digest, log)``."""
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    text = (home / f"{process}.log").read_text()
    assert status in allowed, f"{stage} ended with {status}: {text[-3000:]}"
    return status, (home / f"{process}.digest").read_text() if status == 0 else "", text


def torn(root: Path) -> list[str]:
    """Cache entries that bear their final name and are not whole."""
    entries = [path for path in (root / "cache").glob("*/[!.]*") if path.is_dir()]
    os.environ["AUDIOTL_CACHE"] = str(root / "cache")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [str(path.relative_to(root)) for path in entries
                if not cache.find(path.parent.name, path.name)]


def kill(stage, home, rounds, rng, expected: str, lasts: float) -> dict:
    """Kill a stage in each round, in a cache of its own, and let it end on the second start."""
    killed = 0
    for i in range(rounds):
        root, moment = home / f"round{i}", rng.uniform(0, 0.95 * lasts)
        process = child(stage, home, root)
        time.sleep(moment)
        ended, _ = os.waitpid(process, os.WNOHANG)
        if not ended:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            killed += 1
            assert torn(root) == [], f"half-written after {moment:.2f} s: {torn(root)}"
            _, digest, log = finish(stage, home, child(stage, home, root))
            assert digest == expected, f"{stage} killed after {moment:.2f} s differs"
            assert str(root / "cache") not in log, log  # no entry was damaged
        shutil.rmtree(root, ignore_errors=True)
    return {"killed": killed}


def damage(stage, home, rounds, rng, expected: str, lasts: float) -> dict:
    """Spoil a file of the cache in each round: the next run says which and ends as before."""
    noticed = []
    for _ in range(rounds):
        files = sorted(path for path in (home / "alone" / "cache").rglob("*") if path.is_file())
        path = rng.choice([path for path in files if path.parent.parent.name != "cache"])
        content = path.read_bytes()
        at, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
        flipped = content[:at] + bytes([content[at] ^ bit]) + content[at + 1:]
        spoilt = {"flip": flipped, "cut": content[:at], "zeros": bytes(len(content)),
                  "longer": content + b".", "gone": None}
        how = rng.choice([how for how in spoilt if spoilt[how] != content])
        path.unlink() if how == "gone" else path.write_bytes(spoilt[how])
        _, digest, log = finish(stage, home, child(stage, home, home / "alone"))
        assert digest == expected, f"{stage} differs after {path.name}: {how}"
        assert str(path.parent) in log and (path.name in log or path.name == "manifest.json"), log
        noticed.append(f"{path.parent.parent.name}/{path.name}: {how}")
    return {"noticed": noticed}


def share(stage, home, rounds, rng, expected: str, lasts: float) -> dict:
    """Three processes on one cache, each started a little after the other."""
    for i in range(rounds):
        root, processes = home / f"round{i}", []
        for _ in range(3):
            processes.append(child(stage, home, root))
            time.sleep(rng.uniform(0, 0.4 * lasts))
        for process in processes:
            _, digest, log = finish(stage, home, process)
            assert digest == expected and str(root / "cache") not in log, log
        shutil.rmtree(root)
    return {"processes": 3}


def full(stage, home, rounds, rng, expected: str, lasts: float) -> dict:
    """Let a file grow too large at a random size, then allow any: what was whole stays."""
    root, said = home / "small", []
    biggest = max(path.stat().st_size for path in (home / "alone").rglob("*") if path.is_file())
    for _ in range(rounds):
        size = max(4096, int(rng.uniform(0, 0.9 * biggest)))
        status, _, log = finish(stage, home, child(stage, home, root, size), (0, FULL))
        said += [size] * (status == FULL)
        manifests = (root / "cache").glob("*/*/manifest.json")
        before = {path: path.stat().st_mtime_ns for path in manifests}
        assert torn(root) == [], torn(root)
        _, digest, log = finish(stage, home, child(stage, home, root))
        assert digest == expected and str(root / "cache") not in log, log
        lost = {path.parent.parent.name for path in before
                if not path.exists() or path.stat().st_mtime_ns != before[path]}
        # Fits and checkpoints are dropped when their whole is there.
        assert lost <= {"fits", "checkpoints"}, f"made again: {lost}"
        shutil.rmtree(root)
    return {"ran_full_at_bytes": said}


def prepare(home: Path, stage: str) -> tuple[str, float]:
    """Run a stage alone in a new folder: ``(digest, seconds)``."""
    for name in ("clips", "notebooks", "alone"):
        (home / name).mkdir(parents=True)
    noise = np.random.default_rng(0)
    for i in range(60):
        soundfile.write(home / "clips" / f"{i:02d}.wav", 0.1 * noise.standard_normal(8000), 16_000)
    for i in range(2):
        (home / "notebooks" / f"{i:02d}_chapter.py").write_text(NOTEBOOK.format(number=i))
    started = time.monotonic()
    _, digest, log = finish(stage, home, child(stage, home, home / "alone"))
    cards = [path.read_text() for path in (home / "alone").rglob("card.json")]
    assert all(json.loads(card)["ok"] for card in cards), log
    return digest, time.monotonic() - started


def main(seed: int, wanted: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="audiotl-stages-") as folder:
        alone = {}
        for word in wanted:
            mode, stage, rounds = word.split(":")
            home = Path(folder) / stage
            if stage not in alone:
                alone[stage] = prepare(home, stage)
            expected, lasts = alone[stage]
            rng = random.Random(f"{stage}{seed}")
            found = MODES[mode](stage, home, int(rounds), rng, expected, lasts)
            print(json.dumps({"test": word, "undisturbed_s": round(lasts, 2), **found}), flush=True)


MODES = {"kill": kill, "damage": damage, "share": share, "full": full}

if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
