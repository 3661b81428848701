"""Features, embeddings and searches on a Dask cluster of this machine: equal to local ones, also when a worker dies."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, write_clip
from slow_probe import SlowRidge

from audiotl import AudiotlError, features, models, parallel
from audiotl.__main__ import main
from audiotl.datasets.corpus import Corpus
from audiotl.embedding import embed
from audiotl.probes.subset_search import search

needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason=
                               "distributed is not installed: pip install .[dask]")


def test_local_jobs_come_back_in_order_and_are_taken_as_needed():
    taken = []

    def jobs():
        for i in range(100):
            taken.append(i)
            yield i

    slow_first = lambda i, power: (time.sleep(0.05 if i == 0 else 0), i**power)[1]  # noqa: E731
    results = parallel.run(slow_first, jobs(), (2,), threads=2)
    assert next(results) == 0 and len(taken) < 10
    assert list(results) == [i**2 for i in range(1, 100)]
    assert list(parallel.run(slow_first, range(5), (3,))) == [i**3 for i in range(5)]


def test_a_job_that_fails_ends_the_run():
    with pytest.raises(ZeroDivisionError):
        list(parallel.run(divmod, [1, 2, 3], (0,), threads=2))


def test_a_users_mistake_is_one_sentence(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    assert main(["report", "--profile", "smoke", "--engine", "spark://here"]) == 2
    assert "no engine 'spark://here'" in capsys.readouterr().err


@needs_dask
def test_a_scheduler_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setenv("AUDIOTL_ENGINE", "dask://127.0.0.1:9")
    monkeypatch.setattr(parallel, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(AudiotlError, match="scheduler 127.0.0.1:9 does not answer"):
        parallel.describe()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two workers, each a process: ``(address, workers)``."""
    home = tmp_path_factory.mktemp("dask")
    environment = {name: value for name, value in os.environ.items() if name != "AUDIOTL_ENGINE"} | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.path.dirname(__file__)]), "OMP_NUM_THREADS": "1"}

    def start(*command: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-m", *command], env=environment, cwd=home,
                                stdout=subprocess.DEVNULL, stderr=open(home / "log.txt", "a"))  # noqa: SIM115

    address = home / "scheduler.json"
    processes = [start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                       "--scheduler-file", str(address))]
    try:
        workers = [start("distributed.cli.dask_worker", "--scheduler-file", str(address), "--nthreads", "1", "--host",
                         "127.0.0.1", "--no-nanny", "--no-dashboard", "--death-timeout", "60") for _ in range(2)]
        processes += workers
        deadline = time.monotonic() + 600
        while True:
            assert time.monotonic() < deadline, (home / "log.txt").read_text()[-3000:]
            time.sleep(0.2)
            if address.exists() and address.read_text():
                os.environ["AUDIOTL_ENGINE"] = "dask://" + json.loads(address.read_text())["address"].split("//")[1]
                if parallel.describe().startswith("2 Dask workers"):
                    break
        yield os.environ.pop("AUDIOTL_ENGINE"), workers
    finally:
        os.environ.pop("AUDIOTL_ENGINE", None)
        for process in processes:
            process.kill()
            process.wait()


def everything(clips: pd.DataFrame, probe) -> list[np.ndarray]:
    """Features, embedding and search of a small corpus."""
    sound = features.features(Corpus("tiny", clips, ("class 0", "class 1", "class 2"), 0.5), batch=8, progress=False)
    torch.manual_seed(0)
    blocks = embed(models.build("convnet5", 3), sound, batch=8, progress=False)
    corpus = sound.corpus
    found = search(blocks | {"mfcc": sound.mfcc}, corpus.targets(), corpus.splits(8), corpus.groups, probe,
                   progress=False)
    return [np.array(sound.spectrograms), sound.mfcc, *blocks.values(), found.paper(), found.nested(), found.inner,
            np.array([cause for _, cause in sound.skipped])]


@needs_dask
@pytest.mark.timeout(900)
def test_a_cluster_that_loses_a_worker_midway_gives_the_local_results(cluster, tmp_path, monkeypatch):
    address, workers = cluster
    paths = [str(write_clip(tmp_path / f"{i:02d}.wav", 0.5, 200 + 40 * i, seed=i)) for i in range(40)]
    (tmp_path / "05.wav").write_bytes(b"no sound")
    clips = pd.DataFrame({"path": paths, "label": [f"class {i % 3}" for i in range(40)], "fold": -1,
                          "group": [str(i) for i in range(40)]})
    monkeypatch.setattr(features, "PART", 16)
    monkeypatch.setenv("AUDIOTL_CACHE", str(tmp_path / "local"))
    local = everything(clips, SlowRidge())
    monkeypatch.setenv("AUDIOTL_ENGINE", address)
    monkeypatch.setenv("AUDIOTL_CACHE", str(tmp_path / "remote"))
    fits = tmp_path / "remote" / "fits"

    def kill_one():
        while not (fits.is_dir() and len(list(fits.glob("[0-9a-f]*"))) >= 3):
            time.sleep(0.01)
        workers[0].send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    compare(local, everything(clips, SlowRidge()))
    killer.join(60)
    assert workers[0].wait(60) == -signal.SIGKILL and workers[1].poll() is None
    assert parallel.describe() == "1 Dask workers, 1 threads"


def compare(local: list[np.ndarray], other: list[np.ndarray]) -> None:
    for one, two in zip(local, other, strict=True):
        assert one.shape == two.shape and one.dtype == two.dtype
        if one.dtype.kind == "f":
            assert np.allclose(one.astype(float), two.astype(float), rtol=1e-3, atol=1e-3)
        else:
            assert (one == two).all()

