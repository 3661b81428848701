"""Benchmarks: every row a ratio against a named alternative, measured in the same run, with a
check of the result.

A row is ``{name, ours_s, peer, peer_s, ratio, threads, check}``; times are medians in seconds. Each
module here has functions called ``bench_...`` that give rows, which are written as they come, and
may have a `figure` of them.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

COLUMNS = ("name", "ours_s", "peer", "peer_s", "ratio", "threads", "check")


def median_seconds(*works: Callable[[], object], runs: int = 3) -> list[float]:
    """Median wall time of each work, run in turns: a machine whose speed drifts is then as fast
    for one as for all."""
    times = [[] for _ in works]
    for _ in range(runs):
        for work, taken in zip(works, times, strict=True):
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in times]


def run(out: Path, only: str = "") -> list[dict]:
    """Run the benchmarks whose function name contains `only`; write ``bench.json`` and
    ``bench.md`` into `out`.

    With `only`, rows that are there already stay, unless they are measured again.
    """
    rows, pictures = [], ""
    out.mkdir(parents=True, exist_ok=True)
    if only and (out / "bench.json").is_file():
        rows = json.loads((out / "bench.json").read_text())
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name):
        room = importlib.import_module(f"{__name__}.{module.name}")
        for name in sorted(
            name for name in vars(room) if name.startswith("bench_") and only in name
        ):
            print(f"{module.name}.{name} ...", flush=True)
            for row in getattr(room, name)():
                print(
                    f"    {row['name']}: {row['ratio']:.1f} times {row['peer']} ({row['check']})",
                    flush=True,
                )
                rows = [
                    old
                    for old in rows
                    if any(old[key] != row[key] for key in ("name", "peer", "threads"))
                ]
                rows.append({column: row[column] for column in COLUMNS})
                (out / "bench.json").write_text(json.dumps(rows, indent=1) + "\n")
                (out / "bench.md").write_text(markdown(rows))
        if (drawn := getattr(room, "figure", lambda rows: None)(rows)) is not None:
            drawn.savefig(out / f"bench_{module.name}.png", dpi=110)
            pictures += f"\n![{drawn.alt}](bench_{module.name}.png)\n"
    (out / "bench.md").write_text(markdown(rows) + pictures)
    return rows


def markdown(rows: list[dict]) -> str:
    """The rows as a table, with the machine they were measured on."""
    lines = [
        "# Benchmarks",
        "",
        "Each row compares two ways of doing the same work in one run; quote the ratio.",
        "",
        f"Machine: {platform.system()} {platform.machine()}, {os.cpu_count()} cores. "
        f"Python {platform.python_version()}.",
        "",
        "| work | ours (s) | against | theirs (s) | ratio | threads | same result? |",
        "| --- " * 7 + "|",
    ]
    lines += [
        f"| {r['name']} | {r['ours_s']:.3g} | {r['peer']} | {r['peer_s']:.3g} | {r['ratio']:.1f} | "
        f"{r['threads']} | {r['check']} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"
