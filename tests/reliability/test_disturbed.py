"""Stages killed, robbed of a cached file, side by side or out of disk end as if undisturbed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

COMPUTING = ("embedding", "training", "search")


def disturb(seed: int, *words: str) -> dict[str, dict]:
    """What `stages` prints for each ``MODE:STAGE:ROUNDS``."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("stages.py")), str(seed), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-4000:]
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = {row["test"]: row for row in rows}
    assert list(found) == list(words)
    return found


def test_a_disturbed_stage_goes_on_to_the_same_result():
    """Killed, its cache damaged, three at once, the disk full: a few rounds of each."""
    rounds = {"kill": 2, "damage": 2, "share": 1, "full": 1}
    words = [f"{mode}:{stage}:{n}" for mode, n in rounds.items() for stage in COMPUTING]
    found = disturb(0, *words, "kill:chapter:1")
    assert sum(row.get("killed", 0) for row in found.values()) >= 1
    assert sum(len(row.get("noticed", "")) for row in found.values()) == 6
    assert any(row.get("ran_full_at_bytes") for row in found.values())


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mode", ["kill", "damage", "share", "full"])
def test_twenty_rounds(mode):
    stages = COMPUTING + (("report",) if mode in ("kill", "full") else ())
    for row in disturb(1, *(f"{mode}:{stage}:20" for stage in stages)).values():
        assert row.get("killed", 20) >= 15
        assert len(row.get("ran_full_at_bytes", range(20))) >= 10
