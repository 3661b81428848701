"""Where a training stands, on disk, so that a run that was cut off goes on from its last whole epoch."""

from __future__ import annotations

import contextlib
import io
import json

import torch

from audiotl import cache


def keep(key: str, epoch: int, state: dict) -> None:
    """Write down where training stands after `epoch`; the one before is kept too, in case this one is cut off.

    Args:
        key: of the network.
        state: ``model``, ``optimiser``, ``schedule``, ``best`` and ``history``.
    """
    with cache.making("checkpoints", f"{key}-{epoch:04d}") as folder:
        content = io.BytesIO()  # written by Python, so that a full disk is an OSError
        torch.save({k: state[k] for k in ("model", "optimiser", "schedule", "best")}, content)
        (folder / "state.pt").write_bytes(content.getbuffer())
        (folder / "history.json").write_text(json.dumps(state["history"]))
    drop(key, but=2)


def last(key: str, epochs: int) -> dict | None:
    """The state that was written last, or None. What is damaged is passed over."""
    for epoch in range(epochs, 0, -1):
        folder = cache.find("checkpoints", f"{key}-{epoch:04d}")
        # Another process that is further on with the same network drops old checkpoints.
        with contextlib.suppress(FileNotFoundError):
            if folder is not None:
                state = torch.load(folder / "state.pt", weights_only=True)
                return state | {"history": json.loads((folder / "history.json").read_text())}
    return None


def drop(key: str, but: int = 0) -> None:
    """Forget the checkpoints of a network, all but the latest `but`."""
    folders = sorted((cache.cache_root() / "checkpoints").glob(f"{key}-*"))
    for folder in folders[:len(folders) - but]:
        cache.drop(folder)
