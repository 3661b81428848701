"""Benchmarks: every row a ratio against a named alternative, measured in the same run and checked.

Each module has functions called ``bench_...`` that give rows (see `row`), written as they come.
"""

import contextlib
import functools
import importlib
import json
import os
import pkgutil
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from threadpoolctl import threadpool_limits

from audiotl.training import has_bfloat16

HEAD = """# Benchmarks

Each row compares two ways of doing the same work in one run; quote the ratio, not the seconds.

Python {python}.

| work | ours (s) | against | theirs (s) | ratio | threads | same result? | machine |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def row(name: str, ours: float, peer: str, theirs: float, threads: int, check: str) -> dict:
    """A row: median seconds of our way and of the peer's, and whether both did the same."""
    return {"name": name, "ours_s": ours, "peer": peer, "peer_s": theirs, "ratio": theirs / ours,
            "threads": threads, "check": check, "machine": machine()}


@functools.cache
def machine() -> str:
    """Processor, cores, and what it can do beyond the plain."""
    about = Path("/proc/cpuinfo")
    text = about.read_text() if about.is_file() else ""
    name = re.search(r"^model name\s*: (.*)$", text, re.M)
    able = torch.backends.cpu.get_cpu_capability() + ", bfloat16" * has_bfloat16()
    return f"{name[1] if name else platform.machine()}, {os.cpu_count()} cores, {able}"


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time of a work in seconds, and what it gives."""
    started = time.perf_counter()
    made = work()
    return time.perf_counter() - started, made


def median_seconds(*works: Callable[[], object], runs: int = 3) -> list[float]:
    """Median wall time of each work, run in turns: a drift of the machine's speed is shared."""
    times = [[timed(work)[0] for work in works] for _ in range(runs)]
    return [statistics.median(taken) for taken in zip(*times, strict=True)]


@contextlib.contextmanager
def using(threads: int) -> Iterator[None]:
    """So many threads for torch and for linear algebra."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        yield
    torch.set_num_threads(before)


@contextlib.contextmanager
def fresh_cache() -> Iterator[None]:
    """An empty cache for the block."""
    with (tempfile.TemporaryDirectory() as folder,
          mock.patch.dict(os.environ, AUDIOTL_CACHE=folder)):
        yield


def run(out: Path, only: str = "") -> list[dict]:
    """Run benchmarks whose function name contains `only`; write ``bench.json`` and ``bench.md``.

    With `only`, rows of `out` that are there already stay, unless they are measured again.
    """
    out.mkdir(parents=True, exist_ok=True)
    kept = out / "bench.json"
    rows = json.loads(kept.read_text()) if only and kept.is_file() else []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name):
        room = importlib.import_module(f"{__name__}.{module.name}")
        for name in sorted(name for name in vars(room)
                           if name.startswith("bench_") and only in name):
            print(f"{module.name}.{name} ...", flush=True)
            for new in getattr(room, name)():
                print("    {name}: {ratio:.1f} times {peer} ({check})".format(**new), flush=True)
                rows = [old for old in rows
                        if any(old[key] != new[key] for key in ("name", "peer", "threads"))]
                rows.append(new)
                kept.write_text(json.dumps(rows, indent=1) + "\n")
                (out / "bench.md").write_text(markdown(rows))
    return rows


def markdown(rows: list[dict]) -> str:
    """The rows as a table, with the machine they were measured on."""
    line = ("| {name} | {ours_s:.3g} | {peer} | {peer_s:.3g} | {ratio:.1f} | {threads} | {check} | "
            "{machine} |\n")
    head = HEAD.format(python=platform.python_version())
    return head + "".join(line.format(**one) for one in rows)
