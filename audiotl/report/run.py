"""Notebooks to reports: jupytext -> papermill -> a page, a Markdown file and a card for each, and an index."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from papermill.engines import NBClientEngine, papermill_engines

from audiotl import AudiotlError, cache, datasets
from audiotl.report import pages

PROFILES = ("smoke", "quick", "full")
VERSIONS = ("audiotl", "torch", "torchaudio", "librosa", "scikit-learn", "numpy")


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the study.

    Args:
        notebooks: folder of the ``NN_name.py`` notebooks.
        out: folder for the reports, one sub-folder a notebook.
        profile: ``smoke`` (tests), ``quick`` (built-in corpora) or ``full`` (real recordings).
        data: folder of recordings, or None for the built-in corpora.
        only: numbers or names of the notebooks to run; empty runs all.
        parameters: extra notebook parameters, by name.
        resume: leave alone what was completed with the same notebook and parameters.
    """

    notebooks: Path
    out: Path
    profile: str = "quick"
    data: Path | None = None
    only: tuple[str, ...] = ()
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    resume: bool = False


def run(study: Run) -> int:
    """Run the notebooks, write their reports and the index; returns how many failed.

    A failed notebook leaves its traceback on a red card, and the others run on.

    Raises:
        AudiotlError: unknown profile, no such notebook, a parameter that no notebook has, no data folder.
    """
    if study.profile not in PROFILES:
        raise AudiotlError(f"There is no profile {study.profile!r}; choose among {', '.join(PROFILES)}.")
    data = datasets.data_root(study.data)
    if study.profile == "full" and data is None:
        raise AudiotlError("The profile 'full' runs on real recordings; give --data FOLDER or set AUDIOTL_DATA.")
    sources = chosen(study.notebooks, study.only)
    study = dataclasses.replace(study, parameters=known_parameters(sources, study.parameters))
    study.out.mkdir(parents=True, exist_ok=True)
    os.environ["AUDIOTL_REPORTS"] = str(study.out.resolve())
    failed, started = 0, time.time()
    with cache.explain_full_disk(study.out):
        for i, source in enumerate(sources):
            print(f"[{i + 1}/{len(sources)}] {source.stem}", flush=True)
            failed += not _one(source, study, data)
        pages.index(study.out, f"audiotl, profile {study.profile}")
    minutes = (time.time() - started) / 60
    print(f"{len(sources) - failed} of {len(sources)} notebooks done in {minutes:.1f} min; "
          f"open {study.out / 'index.html'}", flush=True)
    return failed


def chosen(folder: Path, only: tuple[str, ...]) -> list[Path]:
    """The notebooks to run, in order; ``only`` holds numbers (``02``) or name starts (``02_layer``)."""
    sources = sorted(folder.glob("[0-9][0-9]_*.py"))
    if not sources:
        raise AudiotlError(f"There are no notebooks in {folder}; run from the project's folder or give --notebooks.")
    for name in only:
        if not any(source.stem.startswith(name) for source in sources):
            raise AudiotlError(f"There is no notebook {name!r}; choose among "
                               f"{', '.join(source.stem for source in sources)}.")
    return [source for source in sources if not only or any(source.stem.startswith(name) for name in only)]


def known_parameters(sources: list[Path], parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters by the notebooks' names (one ``target`` is ``targets`` too); refused if no chosen one has them."""
    known = {name for source in sources for name in parameter_names(source)} - {"profile", "data", "out"}
    named = {"targets" if name == "target" else name: value for name, value in parameters.items()}
    for name in named:
        if name not in known:
            raise AudiotlError(f"No chosen notebook has a parameter {name!r}; they have {', '.join(sorted(known))}.")
    return named


def parameter_names(source: Path) -> list[str]:
    """Names set in the notebook's cell tagged ``parameters``."""
    for cell in jupytext.read(source).cells:
        if "parameters" in cell.metadata.get("tags", []):
            return [line.split("=")[0].strip() for line in cell.source.splitlines() if "=" in line and line[0] != "#"]
    return []


def _one(source: Path, study: Run, data: Path | None) -> bool:
    folder = study.out / source.stem
    names = parameter_names(source)
    given = {"profile": study.profile, "data": str(data.resolve()) if data else "", "out": str(folder.resolve()),
             **study.parameters}
    given = {name: value for name, value in given.items() if name in names}
    mark = hashlib.sha256((source.read_text() + json.dumps(given, sort_keys=True)).encode()).hexdigest()[:16]
    card_path = folder / "card.json"
    card = pages.read_json(card_path)
    if study.resume and card.get("mark") == mark and card.get("ok"):
        print(f"    done before in {card['seconds']:.0f} s, kept", flush=True)
        return True
    folder.mkdir(parents=True, exist_ok=True)
    card_path.unlink(missing_ok=True)  # first out and last in: a card stands for a whole report
    for stale in folder.iterdir():
        if stale.suffix in (".png", ".csv", ".json", ".gz", ".md", ".html", ".ipynb"):
            stale.unlink()
    notebook = folder / f"{source.stem}.ipynb"
    nb = jupytext.read(source)
    nb.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3", "language": "python"})
    nbformat.write(nb, notebook)
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    started, error = time.time(), ""
    try:
        papermill.execute_notebook(str(notebook), str(notebook), given, engine_name="announcing",
                                   cwd=str(source.parent), kernel_name="python3", progress_bar=False,
                                   stderr_file=sys.stderr,
                                   extra_arguments=["--IPKernelApp.log_level=40"])
    except papermill.PapermillExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}"
    except Exception as failure:  # a dead kernel must not stop the other notebooks; a full disk does
        if cache.disk_is_full(failure):
            raise
        error = "".join(traceback.format_exception_only(failure)).strip()
    card = {"name": source.stem, "ok": not error, "error": error, "seconds": round(time.time() - started, 1),
            "mark": mark, "parameters": _shown(given), "data": data.name if data else "built-in (synthetic)",
            "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
                       f"Python {platform.python_version()}", "date": time.strftime("%Y-%m-%d")}
    pages.write(notebook, folder, card)
    with cache.writing(card_path) as file:
        file.write_text(json.dumps(card, indent=1) + "\n")
    print(f"    {'failed: ' + error.splitlines()[0] if error else 'done'} in {card['seconds']:.0f} s", flush=True)
    return not error


def _shown(given: dict[str, Any]) -> dict[str, Any]:
    # Paths of this machine are nobody's business in a report.
    return {name: Path(value).name if name == "data" and value else value
            for name, value in given.items() if name != "out"}


class Announcing(NBClientEngine):
    """papermill's engine, with a line on the terminal for every section that begins."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **options):
        headings, heading = {}, ""
        for cell in nb_man.nb.cells:
            if cell.cell_type == "markdown" and cell.source.startswith("#"):
                heading = cell.source.splitlines()[0].lstrip("# ")
            elif cell.cell_type == "code":
                headings.setdefault(heading, cell.get("id"))
        begins = {cell_id: text for text, cell_id in headings.items() if text}
        start, clock = nb_man.cell_start, time.time()

        def announce(cell, cell_index=None, **more):
            if cell.get("id") in begins:
                print(f"    {time.time() - clock:5.0f} s  {begins[cell.get('id')]}", flush=True)
            return start(cell, cell_index, **more)

        nb_man.cell_start = announce
        return super().execute_managed_notebook(nb_man, kernel_name, **options)


papermill_engines.register("announcing", Announcing)
