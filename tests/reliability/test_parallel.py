"""Features, embeddings and searches on a Dask cluster equal local ones, also when a worker dies."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from conftest import ROOT, tones
from slow_probe import SlowRidge

from audiotl import AudiotlError, features, models, parallel
from audiotl.embedding import embed
from audiotl.probes.subset_search import search

needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None,
                                reason="distributed is not installed: pip install .[dask]")


def slow_first(i, exponent):
    time.sleep(0.05 if i == 0 else 0)
    return i**exponent


def threads_allowed(_):
    return torch.get_num_threads()


def taken_as_needed(power, **how):
    """The first result is there before the last job is asked for, and all come in order."""
    taken = []
    jobs = (taken.append(i) or i for i in range(100))
    results = parallel.run(power, jobs, (2,), **how)
    assert next(results) == 0 and len(taken) < 20
    assert list(results) == [i**2 for i in range(1, 100)]


@pytest.mark.parametrize("threads", [0, 2])
def test_local_jobs_come_back_in_order_and_are_taken_as_needed(threads):
    before = torch.get_num_threads()
    taken_as_needed(slow_first, threads=threads)
    allowed = {1} if threads else {before}
    assert set(parallel.run(threads_allowed, range(9), threads=threads)) == allowed
    with pytest.raises(ZeroDivisionError):
        list(parallel.run(divmod, [1, 2, 3], (0,), threads=threads))
    assert torch.get_num_threads() == before


@needs_dask
def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("AUDIOTL_ENGINE", "dask://127.0.0.1:9")
    monkeypatch.setattr(parallel, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(AudiotlError, match="127.0.0.1:9"):
        parallel.describe()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two workers, each a process: ``(address, workers)``."""
    home = tmp_path_factory.mktemp("dask")
    path = os.pathsep.join([str(ROOT), os.path.dirname(__file__)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    environment.pop("AUDIOTL_ENGINE", None)
    where = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", "scheduler.json"]

    def start(name: str, *words: str) -> subprocess.Popen:
        with open(home / "log.txt", "a") as log:
            return subprocess.Popen([sys.executable, "-m", f"distributed.cli.dask_{name}", *where,
                                     *words], env=environment, cwd=home, stdout=log, stderr=log)

    def wait_for(ready):
        deadline = time.monotonic() + 600
        while not ready():
            assert time.monotonic() < deadline, (home / "log.txt").read_text()[-3000:]
            time.sleep(0.2)

    processes = [start("scheduler", "--port", "0")]
    try:
        words = ["--nthreads", "1", "--no-nanny", "--death-timeout", "60"]
        workers = [start("worker", *words) for _ in range(2)]
        processes += workers
        address = home / "scheduler.json"
        wait_for(lambda: address.exists() and address.read_text())
        engine = json.loads(address.read_text())["address"].replace("tcp://", "dask://")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AUDIOTL_ENGINE", engine)
            wait_for(lambda: parallel.describe().startswith("2 "))
        yield engine, workers
    finally:
        for process in processes:
            process.kill()
            process.wait()


@needs_dask
@pytest.mark.timeout(900)
def test_a_cluster_takes_jobs_as_needed_too(cluster, monkeypatch):
    monkeypatch.setenv("AUDIOTL_ENGINE", cluster[0])
    taken_as_needed(pow)  # which every worker can import
    with pytest.raises(ZeroDivisionError):
        list(parallel.run(divmod, [1, 2, 3], (0,)))


def everything(corpus, probe) -> list[np.ndarray]:
    """Features, embedding and search of a small corpus."""
    sound = features.features(corpus, batch=8, progress=False)
    torch.manual_seed(0)
    blocks = embed(models.build("convnet5", 3), sound, batch=8, progress=False)
    corpus = sound.corpus
    found = search(blocks | {"mfcc": sound.mfcc}, corpus.targets(), corpus.splits(8), corpus.groups,
                   probe, progress=False)
    return [np.array(sound.spectrograms), *sound.baselines(progress=False).values(),
            *blocks.values(), found.correct("paper"), found.correct(), found.inner,
            np.array([cause for _, cause in sound.skipped])]


@needs_dask
@pytest.mark.timeout(900)
def test_a_cluster_that_loses_a_worker_gives_the_local_results(cluster, tmp_path, monkeypatch):
    engine, workers = cluster
    corpus = tones(tmp_path, 40)
    (tmp_path / "05.wav").write_bytes(b"no sound")
    monkeypatch.setenv("AUDIOTL_CACHE", str(tmp_path / "local"))
    local = everything(corpus, SlowRidge())
    monkeypatch.setenv("AUDIOTL_ENGINE", engine)
    monkeypatch.setenv("AUDIOTL_CACHE", str(tmp_path / "remote"))
    fits = tmp_path / "remote" / "fits"

    def kill_one():
        while len(list(fits.glob("[0-9a-f]*"))) < 3:
            time.sleep(0.01)
        workers[0].send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    for one, two in zip(local, everything(corpus, SlowRidge()), strict=True):
        assert one.shape == two.shape and one.dtype == two.dtype
        if one.dtype.kind == "f":
            assert np.allclose(one.astype(float), two.astype(float), rtol=1e-3, atol=1e-3)
        else:
            assert (one == two).all()
    killer.join(60)
    assert workers[0].wait(60) == -signal.SIGKILL and workers[1].poll() is None
    assert parallel.describe().startswith("1 ")
