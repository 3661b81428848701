"""Pages from an executed notebook: HTML that reads well offline, Markdown for the repository, an index of cards."""

from __future__ import annotations

import contextlib
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
nav { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .3rem 1rem; }
.question { color: var(--quiet); font-style: italic; }
details { margin: .4rem 0; } summary { cursor: pointer; color: var(--quiet); font-size: .8rem; }
pre { overflow-x: auto; background: #f7f7f7; padding: .7rem; font-size: .82rem; line-height: 1.4; }
table { border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; margin: 1rem 0; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
blockquote { border-left: 3px solid var(--line); margin-left: 0; padding-left: 1rem; color: var(--quiet); }
.jp-InputPrompt, .jp-OutputPrompt, .prompt { display: none; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.2rem; margin: 1.2rem 0; }
.card h2 { margin: 0 0 .3rem; } .card.bad { border-color: var(--bad); } .card.bad pre { color: var(--bad); }
.card img { margin: .6rem 0; } .facts { color: var(--quiet); font-size: .82rem; }
.output_png { overflow-x: auto; }
@media (max-width: 40rem) { body { padding: 1rem .8rem 3rem; } .output_png img { max-width: none; min-width: 36rem; } }
@media print { details, nav { display: none; } body { max-width: none; font-size: 10pt; } h2 { break-after: avoid; }
  img, table { break-inside: avoid; } }
"""

MARKS = ("<!-- chapters: written by `python -m audiotl report` -->", "<!-- end of the chapters -->")
"""Between these two lines of a ``README.md`` the chapters are written."""

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
    nav = '<nav><a href="../index.html">all chapters</a></nav>'
    page = _page(title(nb) or card["name"],
                 f"{nav}{failure}{body}<footer><hr>{html.escape(facts(card))}</footer>{nav}")
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
    return "\n\n".join(part.strip() for part in parts) + f"\n\n---\n\n{facts(card)} [All chapters](../README.md)\n"


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


def chapters(out: Path) -> list[dict]:
    """What the cards show of every notebook reported under `out`, in order.

    Each is the card itself with ``title``, ``question`` (the first paragraph of the report that asks one),
    ``finding``, ``cover`` (``{file, alt}`` or None) and ``skipped`` (clips that could not be used).
    """
    found = []
    for path in sorted(out.glob("*/card.json")):
        card, results, text = read_json(path), read_json(path.with_name("results.json")), ""
        if not card:
            continue
        with contextlib.suppress(FileNotFoundError):
            text = path.with_name("report.md").read_text(encoding="utf-8")
        opening = text.split("\n## ")[0].split("\n\n")
        figures = results.get("figures", {})
        found.append(card | {
            "title": opening[0].removeprefix("# ").strip() or card["name"],
            "question": next((" ".join(part.split()) for part in opening[1:] if "?" in part), ""),
            "finding": results.get("finding", ""),
            "cover": figures.get("cover") or next(iter(figures.values()), None),
            "skipped": sum(map(len, results.get("skipped", {}).values()))})
    return found


def index(out: Path, heading: str) -> Path:
    """``index.html`` and ``README.md`` with a card for every notebook reported under `out`, and links between them.

    In a ``README.md`` that is there already, only what stands between its two marks is replaced.
    """
    found = chapters(out)
    for i, card in enumerate(found):
        page = out / card["name"] / f"{card['name']}.html"
        if page.is_file():
            page.write_text(re.sub("<nav>.*?</nav>", lambda _, i=i: _links(found, i), page.read_text(encoding="utf-8"),
                                   flags=re.S), encoding="utf-8")
    path = out / "index.html"
    path.write_text(_page(heading, f"<h1>{html.escape(heading)}</h1>"
                          "<p>What a network learns from one kind of sound, and what of it serves another.</p>"
                          + "".join(map(_card, found))), encoding="utf-8")
    readme = out / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else f"# {heading}\n\n{MARKS[0]}\n{MARKS[1]}\n"
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    readme.write_text(before + "\n\n".join([MARKS[0], *map(_section, found), MARKS[1]]) + after, encoding="utf-8")
    return path


def _links(found: list[dict], i: int) -> str:
    name = lambda k: f"../{found[k]['name']}/{found[k]['name']}.html"  # noqa: E731
    short = lambda k: html.escape(found[k]["title"].split(":")[0])  # noqa: E731
    before = f'<a href="{name(i - 1)}">&larr; {short(i - 1)}</a>' if i else "<span></span>"
    after = f'<a href="{name(i + 1)}">{short(i + 1)} &rarr;</a>' if i + 1 < len(found) else "<span></span>"
    return f'<nav>{before}<a href="../index.html">all chapters</a>{after}</nav>'


def _card(card: dict) -> str:
    page, cover = f"{card['name']}/{card['name']}.html", card["cover"]
    picture = (f'<a href="{page}"><img src="{card["name"]}/{cover["file"]}" alt="{html.escape(cover["alt"])}"></a>'
               if cover else "")
    broken = f"<pre>{html.escape(card['error'])}</pre>" if card["error"] else ""
    gap = f" {card['skipped']} clips could not be used (listed in results.json)." if card["skipped"] else ""
    return (f'<section class="card{" bad" if card["error"] else ""}"><h2><a href="{page}">{html.escape(card["title"])}'
            f'</a></h2><p class="question">{_prose(card["question"])}</p>{picture}{broken}'
            f'<p>{_prose(card["finding"])}</p><p class="facts">{html.escape(facts(card) + gap)}</p></section>')


def _section(card: dict) -> str:
    page, cover = f"{card['name']}/report.md", card["cover"]
    picture = (f'<a href="{page}"><img src="{card["name"]}/{cover["file"]}" width="560" '
               f'alt="{html.escape(cover["alt"])}"></a>' if cover else "")
    parts = [f"## [{card['title']}]({page})", card["question"], picture,
             f"**{'Failed' if card['error'] else 'Answer'}.** {card['error'] or card['finding']}",
             f"<sub>{html.escape(facts(card))}</sub>"]
    return "\n\n".join(part for part in parts if part)


def _prose(text: str) -> str:
    # The two marks of Markdown that a paragraph of a notebook uses.
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html.escape(text)))


def _page(heading: str, body: str) -> str:
    code = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(heading)}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}{code}</style></head>'
            f"<body>{body}</body></html>")
