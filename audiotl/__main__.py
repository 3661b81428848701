"""``python -m audiotl report | book | data | bench``: the study from the command line."""

import argparse
import os
import sys
from pathlib import Path

from audiotl import AudiotlError, __version__


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0 well, 1 a notebook failed, 2 a mistake in what was asked, 130 stopped.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except AudiotlError as error:
        print(f"audiotl: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\naudiotl: stopped; what was completed is kept, and --resume goes on from there.",
              file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m audiotl", description="An executable study of transfer learning for audio.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _report_options(commands.add_parser("report", help="run the notebooks, write their reports"))

    book = commands.add_parser("book", help="make the book of reports, without running anything")
    book.add_argument("--reports", type=Path, default=Path("reports/real"),
                      help="folder of the reports; the book goes into its folder book")
    book.add_argument("--notebooks", type=Path, default=Path("notebooks"),
                      help="folder of the notebooks")
    book.set_defaults(run=_book)

    data = commands.add_parser("data", help="list, check or fetch corpora and trained networks")
    data.add_argument("action", choices=("list", "networks", "check", "fetch"))
    data.add_argument("name", nargs="?",
                      help="a corpus; to fetch: built-in, choi2017, speech_commands or a network")
    data.add_argument("--data", type=Path, help="folder of recordings")
    data.set_defaults(run=_data)

    bench = commands.add_parser("bench", help="time the study's work against named alternatives")
    bench.add_argument("--only", default="", help="part of a benchmark's name, e.g. svm")
    bench.add_argument("--out", type=Path, default=Path("reports/bench"),
                       help="folder for bench.md and bench.json")
    bench.set_defaults(run=_bench)
    return parser


def _report_options(report: argparse.ArgumentParser) -> None:
    report.add_argument("--profile", default="quick", help="a part of notebooks/profiles.yaml")
    report.add_argument("--data", type=Path,
                        help="folder of recordings (without it the built-in corpora)")
    report.add_argument("--only", default="", help="notebooks to run, e.g. 01,02")
    report.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
                        help="a notebook's parameter; lists by commas, mappings as YAML")
    report.add_argument("--device", help="where networks are trained: auto, cpu, cuda or mps")
    report.add_argument("--help-parameters", action="store_true",
                        help="list the parameters of the notebooks, and run nothing")
    report.add_argument("--out", type=Path, help="folder for the reports (reports/PROFILE)")
    report.add_argument("--notebooks", type=Path, default=Path("notebooks"),
                        help="folder of the notebooks")
    report.add_argument("--engine", help="local, or dask://HOST:PORT (else AUDIOTL_ENGINE)")
    report.add_argument("--jobs", type=int, default=1, metavar="N",
                        help="notebooks that run at a time, each on its share of the cores (1)")
    report.add_argument("--resume", action="store_true",
                        help="keep what was completed with the same parameters")
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> int:
    from audiotl import parallel
    from audiotl.report import parameters, run

    only = tuple(part.strip() for part in options.only.split(",") if part.strip())
    out = options.out or Path("reports") / options.profile
    given = dict(options.p)
    if options.device:
        from audiotl.training import find_device

        given["device"] = find_device(options.device)
    study = run.Run(options.notebooks, out, options.profile, options.data, only, given,
                    options.resume, options.jobs)
    if options.help_parameters:
        for notebook, given in run.plan(study).items():
            print(f"{notebook.stem}\n{parameters.describe(parameters.of(notebook), given)}\n")
        return 0
    if options.engine:
        os.environ["AUDIOTL_ENGINE"] = options.engine
    if parallel.remote():
        print(f"engine: {parallel.describe()}", flush=True)
    return 1 if run.run(study) else 0


def _book(options: argparse.Namespace) -> int:
    from audiotl.report import book

    print(f"open {book.build(options.reports, options.notebooks, strict=True)}")
    return 0


def _data(options: argparse.Namespace) -> int:
    from audiotl import audio, datasets

    if options.action == "list":
        print("\n".join(datasets.names()))
        return 0
    if options.action == "networks":
        from audiotl.models import pretrained

        print(pretrained.table(options.data).to_string(index=False))
        return 0
    if not options.name:
        raise AudiotlError(f"data {options.action} needs the name of a corpus; `data list` shows "
                           "them.")
    if options.action == "fetch" and options.name == datasets.BUILT_IN:
        for name in datasets.BUILTIN:
            datasets.load(name)
        return 0
    if options.action == "fetch":
        from audiotl.datasets import download
        from audiotl.models import pretrained

        root = options.data or os.environ.get("AUDIOTL_DATA")
        if not root:
            raise AudiotlError("data fetch needs a folder to fetch into; give --data FOLDER or set "
                               "AUDIOTL_DATA.")
        whole = options.name in download.SETS or options.name not in pretrained.NETWORKS
        fetch = download.fetch if whole else pretrained.fetch
        print(f"{options.name} is complete in {fetch(options.name, root)}")
        return 0
    corpus = datasets.load(options.name, options.data)
    print(f"{corpus.name}: {len(corpus):,} of {corpus.listed:,} listed clips are here, "
          f"{len(corpus.classes)} classes, {corpus.clips['group'].nunique():,} groups")
    bad = 0
    for path in corpus.clips["path"]:
        try:
            audio.load(path, 16_000, corpus.duration)
        except audio.AudioError as error:
            bad += 1
            print(error)
    print(f"{bad} of {len(corpus):,} clips cannot be decoded.")
    return 1 if bad else 0


def _bench(options: argparse.Namespace) -> int:
    from audiotl import benchmarks

    return 0 if benchmarks.run(options.out, options.only) else 1


if __name__ == "__main__":
    sys.exit(main())
