"""Where independent jobs run: in threads of this process, or on the workers of a Dask cluster.

The engine is ``AUDIOTL_ENGINE``: ``local``, or ``dask://HOST:PORT`` of a running scheduler whose
workers have this package installed and see the recordings under the same paths. Results are the
same, and arrive in the order of the jobs. A job on a worker that dies goes to another one.
"""

import contextlib
import ctypes
import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from threadpoolctl import threadpool_limits

from audiotl import AudiotlError

SECONDS_TO_CONNECT = 60


def run(function: Callable, jobs: Iterable, shared: Sequence = (), *, threads: int = 0) -> Iterator:
    """``function(job, *shared)`` of every job, in order.

    Jobs start a few ahead of whoever reads the results, so memory does not grow with their number.
    On a cluster `function` must be one that a worker can import; `shared` goes to a worker once.

    Args:
        threads: local jobs at a time, each with one thread for its linear algebra; 0 is one job
            after the other, each with all threads.

    Raises:
        AudiotlError: an unknown engine, or a cluster that does not answer or keeps losing workers.

    >>> list(run(divmod, [7, 9], (4,)))
    [(1, 3), (2, 1)]
    """
    if remote():
        return _on_cluster(function, jobs, shared)
    if threads == 0:
        return (function(job, *shared) for job in jobs)
    return in_threads(function, jobs, shared, threads)


def remote() -> bool:
    """Whether jobs go to a cluster; AudiotlError if there is no such engine."""
    engine = os.environ.get("AUDIOTL_ENGINE") or "local"
    if engine != "local" and not engine.startswith("dask://"):
        raise AudiotlError(f"There is no engine {engine!r}; choose local or dask://HOST:PORT.")
    return engine != "local"


def describe() -> str:
    """The engine in words; asks the cluster, if it is one, how many workers it has."""
    if not remote():
        return f"this machine, {os.cpu_count()} cores"
    with _client() as client:
        threads = client.nthreads().values()
        return f"{len(threads)} Dask workers, {sum(threads)} threads"


def in_threads(function: Callable, jobs: Iterable, shared: Sequence, threads: int) -> Iterator:
    """`run` in threads of this process, whatever the engine; torch, too, has one thread a job."""
    import torch

    keep_freed_memory()
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    submit = functools.partial(pool.submit, function)
    with threadpool_limits(1), pool:
        try:
            yield from _in_order(submit, jobs, shared, lambda: 2 * threads - 1)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            # What a thread sets holds for all that start after it.
            torch.set_num_threads(before)


def _in_order(submit: Callable, jobs: Iterable, shared: Sequence,
              ahead: Callable[[], int]) -> Iterator:
    waiting = deque()
    for job in jobs:
        waiting.append(submit(job, *shared))
        while len(waiting) >= ahead():
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@functools.cache
def keep_freed_memory() -> None:
    """Keep up to 256 MB that arrays free for the next ones of this process.

    glibc gives large arrays back to the system at once; faulting in every page of the next one took
    longer than the arithmetic of the front ends.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(-3, 1 << 25)  # M_MMAP_THRESHOLD of malloc.h
        mallopt(-1, 1 << 28)  # M_TRIM_THRESHOLD


def _on_cluster(function: Callable, jobs: Iterable, shared: Sequence) -> Iterator:
    from distributed import KilledWorker

    with _client() as client:
        # Each worker has its copy, so that what is shared outlives any of them.
        shared = client.scatter(list(shared), broadcast=True)
        submit = functools.partial(client.submit, _one, function, pure=False)
        try:
            yield from _in_order(submit, jobs, shared,
                                 lambda: 4 * sum(client.nthreads().values()) + 4)
        except KilledWorker as error:
            raise AudiotlError(f"The Dask workers died over one job again and again ({error}); look"
                               " at their logs, most often they are out of memory.") from None


def _one(function: Callable, job: Any, *shared) -> Any:
    keep_freed_memory()
    with threadpool_limits(1):
        return function(job, *shared)


@contextlib.contextmanager
def _client() -> Iterator:
    address = os.environ["AUDIOTL_ENGINE"].removeprefix("dask://")
    try:
        from distributed import Client
    except ImportError:
        raise AudiotlError("The engine dask:// needs the package distributed; install "
                           "audiotl[dask].") from None
    try:
        client = Client(f"tcp://{address}", timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise AudiotlError(f"The Dask scheduler {address} does not answer ({type(error).__name__});"
                           " start `dask scheduler`, then `dask worker HOST:PORT`.") from None
    with client:
        yield client
