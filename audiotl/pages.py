"""Pages from an executed notebook: HTML that reads well offline, Markdown for the repository, an index of cards."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

STYLE = """
:root { --ink: #222; --quiet: #666; --line: #ddd; --accent: #0072b2; --bad: #b3261e; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 46rem; padding: 1.5rem 1rem 4rem; color: var(--ink); background: #fff;
  font: 1.05rem/1.6 Georgia, "Times New Roman", serif; }
h1, h2, h3, nav, table, summary, .card, footer { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { line-height: 1.2; font-size: 2rem; } h2 { margin-top: 2.5rem; font-size: 1.35rem; }
a { color: var(--accent); } a.anchor-link { display: none; }
img, svg { max-width: 100%; height: auto; } audio { width: 100%; max-width: 22rem; }
nav, footer { font-size: .9rem; color: var(--quiet); }
details { margin: .4rem 0; } summary { cursor: pointer; color: var(--quiet); font-size: .8rem; }
pre { overflow-x: auto; background: #f7f7f7; padding: .7rem; font-size: .82rem; line-height: 1.4; }
table { border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; margin: 1rem 0; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
blockquote { border-left: 3px solid var(--line); margin-left: 0; padding-left: 1rem; color: var(--quiet); }
.jp-InputPrompt, .jp-OutputPrompt, .prompt { display: none; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.2rem; margin: 1.2rem 0; }
.card h2 { margin: 0 0 .3rem; } .card.bad { border-color: var(--bad); } .card.bad pre { color: var(--bad); }
.card img { margin: .6rem 0; } .facts { color: var(--quiet); font-size: .82rem; }
@media print { details, nav { display: none; } body { max-width: none; font-size: 10pt; } h2 { break-after: avoid; }
  img, table { break-inside: avoid; } }
"""

TEMPLATE = """
{%- extends 'basic/index.html.j2' -%}
{% block input_group %}<details><summary>code</summary>{{ super() }}</details>{% endblock input_group %}
{% block stream %}{% endblock stream %}
{% block data_widget_view scoped %}{% endblock data_widget_view %}
"""


def write(notebook: Path, folder: Path, card: dict) -> None:
    """``NAME.html`` and ``report.md`` of an executed notebook, beside it."""
    nb = nbformat.read(notebook, as_version=4)
    for cell in nb.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = re.sub(r'^(data|out) = ".*"$', r'\1 = "..."', cell.source, flags=re.M)
    nb.metadata.pop("papermill", None)
    nb.metadata.pop("widgets", None)
    nbformat.write(nb, notebook)
    exporter = HTMLExporter(extra_loaders=[DictLoader({"study.html.j2": TEMPLATE})], template_file="study.html.j2")
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    body, _ = exporter.from_notebook_node(nb)
    failure = f'<div class="card bad"><pre>{html.escape(card["error"])}</pre></div>' if card["error"] else ""
    page = _page(title(nb) or card["name"], '<nav><a href="../index.html">&larr; all chapters</a></nav>'
                 f"{failure}{body}<footer><hr>{html.escape(facts(card))}</footer>")
    (folder / f"{card['name']}.html").write_text(page, encoding="utf-8")
    (folder / "report.md").write_text(markdown(nb, card), encoding="utf-8")


def markdown(nb: nbformat.NotebookNode, card: dict) -> str:
    """The notebook as Markdown: prose, tables and figures (by file name), without code and logs."""
    parts = []
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            about = output.get("metadata", {}).get("image/png", {})
            if output.output_type == "error":
                parts.append(f"**This step failed:** `{output.ename}: {output.evalue}`")
            elif "image/png" in data and "file" in about:
                parts.append(f"![{about['alt']}]({about['file']})")
            elif "text/markdown" in data:
                parts.append("".join(data["text/markdown"]))
    return "\n\n".join(part.strip() for part in parts) + f"\n\n---\n\n{facts(card)}\n"


def facts(card: dict) -> str:
    """One line: data, parameters, run time, machine, versions."""
    given = ", ".join(f"{name} = {value}" for name, value in card["parameters"].items() if value != "")
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    return (f"Data: {card['data']}. Parameters: {given}. Run on {card['date']} in {card['seconds']:.0f} s "
            f"({card['machine']}). Versions: {versions}.")


def title(nb: nbformat.NotebookNode) -> str:
    """The notebook's first heading."""
    for cell in nb.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            return cell.source.splitlines()[0][2:].strip()
    return ""


def read_json(path: Path) -> dict:
    """What a JSON file holds; nothing if it is not there or was cut off."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def index(out: Path, heading: str) -> Path:
    """``index.html`` with a card for every notebook reported under `out`: finding, picture, data, versions."""
    cards = []
    for path in sorted(out.glob("*/card.json")):
        card, folder = read_json(path), path.parent
        if not card:
            continue
        results = read_json(folder / "results.json")
        page = f"{folder.name}/{card['name']}.html"
        name = title(nbformat.read(folder / f"{card['name']}.ipynb", as_version=4)) or card["name"]
        figures = results.get("figures", {})
        cover = figures.get("cover") or next(iter(figures.values()), None)
        picture = f'<a href="{page}"><img src="{folder.name}/{cover["file"]}" alt="{html.escape(cover["alt"])}"></a>' \
            if cover else ""
        broken = f"<pre>{html.escape(card['error'])}</pre>" if card["error"] else ""
        skipped = sum(map(len, results.get("skipped", {}).values()))
        gap = f" {skipped} clips could not be used (listed in results.json)." if skipped else ""
        cards.append(f'<section class="card{" bad" if card["error"] else ""}"><h2><a href="{page}">{html.escape(name)}'
                     f'</a></h2><p>{html.escape(results.get("finding", ""))}</p>{picture}{broken}'
                     f'<p class="facts">{html.escape(facts(card) + gap)}</p></section>')
    path = out / "index.html"
    path.write_text(_page(heading, f"<h1>{html.escape(heading)}</h1>"
                          "<p>What a network learns from one kind of sound, and what of it serves another.</p>"
                          + "".join(cards)), encoding="utf-8")
    return path


def _page(heading: str, body: str) -> str:
    code = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(heading)}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}{code}</style></head>'
            f"<body>{body}</body></html>")
