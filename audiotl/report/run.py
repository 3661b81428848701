"""Notebooks to reports: run each by papermill, write its Markdown and card, then make the book."""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import re
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import jupytext
import nbformat
import papermill
import psutil
import yaml

from audiotl import AudiotlError, cache, check_known, datasets
from audiotl.report import book, chapters, claims, findings, parameters
from audiotl.report.results import FOLDER

VERSIONS = ("audiotl", "torch", "torchaudio", "librosa", "scikit-learn", "numpy")
KINDS = (".png", ".svg", ".csv", ".json", ".gz", ".md", ".html", ".ipynb")
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the study.

    Args:
        notebooks: folder of the ``NN_name.py`` notebooks and of ``profiles.yaml``.
        out: folder for the reports, one sub-folder a notebook.
        profile: which part of ``profiles.yaml``: values by notebook, and ``common`` ones for all
            that have the parameter. ``full`` needs recordings.
        data: folder of recordings, or None for the built-in corpora.
        only: numbers or names of the notebooks to run; empty runs all.
        parameters: further values by name, which win; text is read as the notebook wants it.
        resume: leave alone what was completed with the same notebook and parameters.
        jobs: notebooks that run at a time; each computes on its share of the cores.
    """

    notebooks: Path
    out: Path
    profile: str = "quick"
    data: Path | None = None
    only: tuple[str, ...] = ()
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    resume: bool = False
    jobs: int = 1


def run(study: Run) -> int:
    """Run the notebooks, write their reports and the book; returns how many failed.

    A failed notebook leaves its error on a red card, and the others run on.
    """
    given = {source.resolve(): values for source, values in plan(study).items()}
    usual = _profile(study.notebooks, study.profile).get("seconds") or {}
    weights = [usual.get(source.stem[:2], 60) for source in given]
    study.out.mkdir(parents=True, exist_ok=True)
    study, shown = dataclasses.replace(study, out=study.out.resolve()), study.out
    started, ended = time.time(), []

    def one(i: int, source: Path, values: dict[str, Any]) -> bool:
        left = ""
        if ended:  # what notebooks usually take, scaled by what those that are done took
            seconds = (time.time() - started) * (sum(weights) / sum(ended) - 1)
            left = f", about {max(1, round(seconds / 60))} min left in all"
        print(f"[{i + 1}/{len(given)}] {source.stem}{left}", flush=True)
        done = _one(source, study, values)
        ended.append(weights[i])
        return done

    home = study.notebooks.resolve()
    with (cache.explain_full_disk(study.out), mock.patch.dict(os.environ), contextlib.chdir(home),
          contextlib.ExitStack() as stack):
        _set_environment(study)
        several = study.jobs > 1
        each = stack.enter_context(ThreadPoolExecutor(study.jobs)).map if several else map
        try:
            failed = [*each(one, range(len(given)), given, given.values())].count(False)
        except KeyboardInterrupt:  # kernels hear of it where theirs is the main thread
            for kernel in psutil.Process().children(recursive=True) if several else ():
                kernel.kill()
            raise
        claims.join(study.out)
        book.build(study.out, home)
    print(f"{len(given) - failed} of {len(given)} notebooks done in "
          f"{(time.time() - started) / 60:.1f} min; "
          f"open {shown / 'book' / 'index.html'}", flush=True)
    return failed


def plan(study: Run) -> dict[Path, dict[str, Any]]:
    """The notebooks of a run in order, and the values that each is given. Starts no kernel.

    Raises:
        AudiotlError: unknown profile, no such notebook, no data folder, or a parameter that no
            notebook has or whose value it cannot take.
    """
    profile = _profile(study.notebooks, study.profile)
    data = datasets.data_root(study.data) if study.data or study.profile == "full" else None
    if study.profile == "full" and data is None:
        raise AudiotlError("The profile 'full' runs on recordings; give --data FOLDER or set "
                           "AUDIOTL_DATA.")
    known = {source: parameters.of(source) for source in chosen(study.notebooks, study.only)}
    names = set().union(*known.values()) - {"data"}
    for name in study.parameters:
        if not {name, f"{name}s"} & names:
            raise AudiotlError(f"No chosen notebook has a parameter {name!r}; they have "
                               f"{', '.join(sorted(names))}.")
    given = {}
    for source, of_it in known.items():
        own = profile.get(source.stem) or {}
        for name in set(own) - set(of_it):
            raise AudiotlError(f"profiles.yaml gives {source.stem} a parameter {name!r}, which it "
                               "does not have.")
        where = {"data": str(data.resolve())} if data else {}
        # A folder given for a chapter by name is for it; one for all is the corpora's.
        layers = [own, where] if study.only and study.data else [where, own]
        layers = [profile.get("common") or {}, *layers, study.parameters]
        given[source] = parameters.values(of_it, layers)
    return given


def chosen(folder: Path, only: tuple[str, ...]) -> list[Path]:
    """The notebooks to run, in order; ``only`` holds numbers (``02``) or name starts."""
    sources = sorted(folder.glob("[0-9][0-9]_*.py"))
    if not sources:
        raise AudiotlError(f"There are no notebooks in {folder}; run from the project's folder or "
                           "give --notebooks.")
    for name in only:
        if not any(source.stem.startswith(name) for source in sources):
            raise AudiotlError(f"There is no notebook {name!r}; choose among "
                               f"{', '.join(source.stem for source in sources)}.")
    return [source for source in sources if not only or source.stem.startswith(only)]


def _profile(notebooks: Path, name: str) -> dict[str, dict[str, Any]]:
    path = notebooks / "profiles.yaml"
    if not path.is_file():
        return {}
    profiles = yaml.safe_load(path.read_text(encoding="utf-8"))
    check_known("profile", name, profiles)
    return profiles[name] or {}


def _set_environment(study: Run) -> None:
    # What the kernels inherit: where reports go, and bars that a terminal can show.
    os.environ |= {FOLDER: str(study.out), "TQDM_DELAY": "2", "TQDM_NCOLS": "90",
                   "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    if study.jobs > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // study.jobs)))
    if study.profile != "full" and study.data is None:
        os.environ.pop("AUDIOTL_DATA", None)


def _one(source: Path, study: Run, given: dict[str, Any]) -> bool:
    folder = study.out / source.stem
    content = source.read_text(encoding="utf-8") + json.dumps(given, sort_keys=True)
    mark = hashlib.sha256(content.encode()).hexdigest()[:16]
    card_path = folder / "card.json"
    card = chapters.read_json(card_path)
    if study.resume and card.get("mark") == mark and card.get("ok"):
        print(f"    {source.stem[:2]}  done before in {card['seconds']:.0f} s, kept", flush=True)
        return True
    _clear(folder)
    notebook = folder / f"{source.stem}.ipynb"
    started = time.time()
    error = _execute(source, notebook, given)
    data = Path(given.get("data", "")).name
    card = {"name": source.stem, "ok": not error, "error": error,
            "seconds": round(time.time() - started, 1),
            "core_seconds": chapters.read_json(folder / "results.json").get("core_seconds"),
            "mark": mark, "parameters": {name: given[name] for name in given if name != "data"},
            "data": data if data not in ("", "built-in") else "built-in (synthetic)",
            "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
                       f"Python {platform.python_version()}", "date": time.strftime("%Y-%m-%d")}
    chapters.write(notebook, folder, card)
    card["ok"] = not card["error"]
    with cache.writing(card_path) as file:
        file.write_text(json.dumps(card, indent=1) + "\n")
    said = "done" if card["ok"] else f"failed: {card['error'].splitlines()[0]}"
    print(f"    {source.stem[:2]}  {said} in {card['seconds']:.0f} s", flush=True)
    return card["ok"]


def _clear(folder: Path) -> None:
    # The card goes first and comes last: it stands for a whole report. The findings stay.
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").unlink(missing_ok=True)
    for stale in folder.iterdir():
        if stale.suffix in KINDS and stale.name != findings.FILE:
            stale.unlink()


def _execute(source: Path, notebook: Path, given: dict[str, Any]) -> str:
    nb = jupytext.read(source)
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3",
                                 "language": "python"}
    nbformat.write(nb, notebook)
    # That a kernel died is said by what is raised; these would say it again, with a traceback.
    for name in ("papermill", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        papermill.execute_notebook(
            str(notebook), str(notebook), given, kernel_name="python3", progress_bar=False,
            stderr_file=Bars(source.stem[:2]), on_cell_start=_announcer(source.stem[:2]),
            extra_arguments=["--IPKernelApp.log_level=50"])
    except papermill.PapermillExecutionError as failure:
        if failure.ename == "KeyboardInterrupt":
            raise KeyboardInterrupt from None
        return ESCAPES.sub("", f"{failure.ename}: {failure.evalue}")
    except Exception as failure:  # a dead kernel stops no other notebook; a full disk does
        if cache.disk_is_full(failure):
            raise
        return ESCAPES.sub("", "".join(traceback.format_exception_only(failure)).strip())
    return ""


class Bars:
    """Where a kernel's standard error goes: its progress bars, now and then, and the rest whole."""

    def __init__(self, chapter: str):
        self.chapter, self.terminal = chapter, sys.stderr.isatty()
        self.every = 0.5 if self.terminal else 10.0
        self.last = time.monotonic()

    def write(self, text: str) -> None:
        for part in re.split(r"[\r\n]+", ESCAPES.sub("", text)):
            if not chapters.BAR.search(part):
                if part.strip():
                    print(part, file=sys.stderr)
            elif time.monotonic() - self.last >= self.every:
                self.last = time.monotonic()
                start, end = ("\r\x1b[K", "") if self.terminal else ("", "\n")
                print(f"{start}    {self.chapter}          {part.strip()}", end=end,
                      file=sys.stderr, flush=True)

    def flush(self) -> None:
        sys.stderr.flush()


def _announcer(chapter: str) -> Callable[..., None]:
    heading, started, wipe = "", time.time(), "\r\x1b[K" if sys.stderr.isatty() else ""

    def announce(cell: nbformat.NotebookNode, cell_index: int) -> None:
        nonlocal heading
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            heading = cell.source.splitlines()[0].lstrip("# ")
        elif cell.cell_type == "code" and heading:
            since = time.time() - started
            print(f"{wipe}    {chapter} {since:5.0f} s  {heading}", flush=True)
            heading = ""

    return announce
