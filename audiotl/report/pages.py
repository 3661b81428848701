"""Pages from an executed notebook: HTML that reads offline, Markdown, and an index of cards."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from audiotl import AudiotlError
from audiotl.report import findings

STYLE = """
body { margin: 0 auto; max-width: 46rem; padding: 1.5rem 1rem 4rem; color: #222; background: #fff;
  font: 1.05rem/1.6 Georgia, serif; }
h1, h2, h3, nav, table, summary, .card, footer { font-family: system-ui, Helvetica, sans-serif; }
h1 { line-height: 1.2; } a { color: #0072b2; } a.anchor-link, .prompt { display: none; }
.jp-InputPrompt, .jp-OutputPrompt { display: none; }
img, svg { max-width: 100%; height: auto; } audio { width: 100%; max-width: 22rem; }
nav, footer, summary, .facts { font-size: .85rem; color: #666; }
pre { overflow-x: auto; background: #f7f7f7; padding: .7rem; font-size: .82rem; }
table { border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: left; }
blockquote { border-left: 4px solid #0072b2; background: #f3f8fb; margin: 1rem 0;
  padding: .3rem 1rem; }
.card { border: 1px solid #ddd; border-radius: 8px; padding: 1rem 1.2rem; margin: 1.2rem 0; }
.bad { border-color: #b3261e; } .bad pre { color: #b3261e; white-space: pre-wrap; }
@media (max-width: 40rem) { .output_png { overflow-x: auto; }
  .output_png img { max-width: none; min-width: 36rem; } }
@media print { details, nav { display: none; } img, table { break-inside: avoid; } }
"""
TEMPLATE = """
{%- extends 'basic/index.html.j2' -%}
{% block input_group %}<details><summary>code</summary>{{ super() }}</details>{% endblock %}
"""
MARKS = ("<!-- chapters: written by `python -m audiotl report` -->", "<!-- end of the chapters -->")
"""Between these two lines of a ``README.md`` the chapters are written."""

BAR = re.compile(r"\[(\d+:)+\d\d[<,]")
"""What a progress bar of tqdm has and other text does not."""

WIDGET = "application/vnd.jupyter.widget-view+json"


def write(notebook: Path, folder: Path, card: dict) -> None:
    """``NAME.html`` and ``report.md`` of an executed notebook, beside it."""
    nb = nbformat.read(notebook, as_version=4)
    _tidy(nb, folder)
    _fill(nb, folder)
    nbformat.write(nb, notebook)
    loader = DictLoader({"study.html.j2": TEMPLATE})
    exporter = HTMLExporter(extra_loaders=[loader], template_file="study.html.j2")
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    body, _ = exporter.from_notebook_node(nb)
    nav = '<nav><a href="../index.html">all chapters</a></nav>'
    body = f"{nav}{_failure(card)}{body}<footer><hr>{html.escape(facts(card))}</footer>{nav}"
    page = _page(_opening(nb.cells[0].source)[0] or card["name"], body)
    (folder / f"{card['name']}.html").write_text(page, encoding="utf-8")
    (folder / "report.md").write_text(markdown(nb, card), encoding="utf-8")


def markdown(nb: nbformat.NotebookNode, card: dict) -> str:
    """The notebook as Markdown: prose, tables and figures (by file name), without code and logs."""
    parts = []
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        parts += map(_shown, cell.get("outputs", []))
    end = f"---\n\n{facts(card)} [All chapters](../README.md)\n"
    return "\n\n".join([*(part.strip() for part in parts if part.strip()), end])


def _shown(output: nbformat.NotebookNode) -> str:
    data = output.get("data", {})
    if output.output_type == "error":
        return f"**This step failed:** `{output.ename}: {output.evalue}`"
    if output.output_type == "stream":
        return f"```\n{output.text.strip()}\n```"
    for about in output.get("metadata", {}).values():
        if isinstance(about, dict) and "file" in about:
            return f"![{about['alt']}]({about['file']})"
    return "".join(data.get("text/markdown", ""))


def _tidy(nb: nbformat.NotebookNode, folder: Path) -> None:
    # No paths of this machine, no bars, and live moments as pictures in files of their own.
    nb.metadata.pop("papermill", None)
    nb.metadata.pop("widgets", None)
    count = 0
    for cell in nb.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = re.sub(r'^data = ".*"$', 'data = "..."', cell.source, flags=re.M)
        if "outputs" in cell:
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
        for output in cell.get("outputs", []):
            if WIDGET in output.get("data", {}):
                del output.data[WIDGET]
                count += 1
                _keep(output, folder / f"live_{count}")


def _keep(output: nbformat.NotebookNode, path: Path) -> None:
    for mime, suffix in (("image/png", ".png"), ("image/svg+xml", ".svg")):
        if mime in output.data:
            content = output.data[mime]
            path = path.with_suffix(suffix)
            path.write_bytes(base64.b64decode(content) if suffix == ".png" else content.encode())
            about = {"alt": output.data.get("text/plain", ""), "file": path.name}
            output.metadata[mime] = about


def _fill(nb: nbformat.NotebookNode, folder: Path) -> None:
    # The chapter's own findings, now that its tables are there, into the box that waits for them.
    try:
        text = "\n".join(f"> {line}" for line in findings.render(folder).splitlines())
    except AudiotlError:
        text = ""  # said on the card
    boxes = [output for cell in nb.cells for output in cell.get("outputs", [])
             if output.get("metadata", {}).get("findings")]
    for box in boxes:
        box.data = {"text/markdown": text}
    if text and not boxes:
        nb.cells.insert(1, nbformat.v4.new_markdown_cell(text))


def facts(card: dict) -> str:
    """One line: data, parameters, run time, machine, versions."""
    given = ", ".join(f"{name} = {value}" for name, value in card["parameters"].items())
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    return (f"Data: {card['data']}. Parameters: {given or 'as in the notebook'}. Run on "
            f"{card['date']} in {card['seconds']:.0f} s ({card['machine']}). Versions: {versions}.")


def read_json(path: Path) -> dict:
    """What a JSON file holds; nothing if it is not there or was cut off."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def chapters(out: Path) -> list[dict]:
    """What the cards show of every notebook reported under `out`, in order.

    Each is the card itself with ``title``, ``question`` (the first paragraph of the report that
    asks one), ``answer`` (the first line of its findings), ``cover`` (``{file, alt}`` or None) and
    ``skipped`` (clips that could not be used).
    """
    found = []
    for path in sorted(out.glob("*/card.json")):
        card, results = read_json(path), read_json(path.with_name("results.json"))
        report = path.with_name("report.md")
        if not card:
            continue
        text = report.read_text(encoding="utf-8") if report.is_file() else ""
        title, question = _opening(text)
        try:
            answer = findings.answer(path.parent)
        except AudiotlError as error:
            answer, card["error"] = "", card["error"] or str(error)
        figures = results.get("figures", {})
        found.append(card | {
            "title": title or card["name"], "question": question, "answer": answer,
            "cover": figures.get("cover") or next(iter(figures.values()), None),
            "skipped": sum(map(len, results.get("skipped", {}).values()))})
    return found


def index(out: Path, heading: str) -> Path:
    """``index.html`` and ``README.md`` with a card for every notebook reported under `out`.

    In a ``README.md`` that is there already, only what stands between its two marks is replaced.
    """
    found = chapters(out)
    path, readme = out / "index.html", out / "README.md"
    body = f"<h1>{html.escape(heading)}</h1>" + "".join(map(_card, found))
    path.write_text(_page(heading, body), encoding="utf-8")
    text = f"# {heading}\n\n{MARKS[0]}\n{MARKS[1]}\n"
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    middle = "\n\n".join([MARKS[0], *map(_section, found), MARKS[1]])
    readme.write_text(before + middle + after, encoding="utf-8")
    return path


def _opening(text: str) -> tuple[str, str]:
    # Title, and the first paragraph before any section that asks something.
    title, *paragraphs = text.split("\n## ")[0].split("\n\n")
    title = title.removeprefix("# ").strip()
    return title, next((" ".join(one.split()) for one in paragraphs if "?" in one), "")


def _failure(card: dict) -> str:
    error = html.escape(card["error"])
    return f'<div class="card bad"><pre>{error}</pre></div>' if error else ""


def _card(card: dict) -> str:
    page = f"{card['name']}/{card['name']}.html"
    skipped = f" {card['skipped']} clips could not be used." if card["skipped"] else ""
    return (f'<section class="card{" bad" if card["error"] else ""}">'
            f'<h2><a href="{page}">{html.escape(card["title"])}</a></h2>'
            f'<p>{_prose(card["question"])}</p>{_cover(card, page)}{_failure(card)}'
            f'<p>{_prose(card["answer"])}</p>'
            f'<p class="facts">{html.escape(facts(card) + skipped)}</p></section>')


def _section(card: dict) -> str:
    page = f"{card['name']}/report.md"
    said = f"**Failed.** {card['error']}" if card["error"] else f"**Answer.** {card['answer']}"
    parts = [f"## [{card['title']}]({page})", card["question"], _cover(card, page),
             said if card["error"] or card["answer"] else "",
             f"<sub>{html.escape(facts(card))}</sub>"]
    return "\n\n".join(part for part in parts if part)


def _cover(card: dict, page: str) -> str:
    if not card["cover"]:
        return ""
    alt = html.escape(card["cover"]["alt"])
    file = f"{card['name']}/{card['cover']['file']}"
    return f'<a href="{page}"><img src="{file}" width="560" alt="{alt}"></a>'


def _prose(text: str) -> str:
    # The two marks of Markdown that a paragraph of a notebook uses.
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html.escape(text))
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", bold)


def _page(heading: str, body: str) -> str:
    code = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"<title>{html.escape(heading)}</title>"
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<style>{STYLE}{code}</style></head><body>{body}</body></html>")
