"""An executed notebook made fit to keep: no bars, no paths, Markdown, and what its card says."""

import base64
import json
import re
from pathlib import Path

import nbformat

from audiotl import AudiotlError
from audiotl.report import findings

BAR = re.compile(r"\[(\d+:)+\d\d[<,]")  # what a progress bar of tqdm has and other text does not
WIDGET = "application/vnd.jupyter.widget-view+json"


def write(notebook: Path, folder: Path, card: dict) -> None:
    """Tidy an executed notebook, write ``report.md``; what its findings miss goes on the card."""
    nb = nbformat.read(notebook, as_version=4)
    _tidy(nb, folder)
    _fill(nb, folder, card)
    nbformat.write(nb, notebook)
    (folder / "report.md").write_text(markdown(nb, card), encoding="utf-8")


def markdown(nb: nbformat.NotebookNode, card: dict) -> str:
    """The notebook as Markdown: prose, tables and figures (by file name), without code and logs.

    Drawings that lie beside the notebook are left out: a report stands elsewhere.
    """
    parts = []
    for cell in nb.cells:
        if cell.cell_type == "markdown" and "](pictures/" not in cell.source:
            parts.append(cell.source)
        parts += map(shown, cell.get("outputs", []))
    end = f"---\n\n{facts(card)}\n"
    return "\n\n".join([*(part.strip() for part in parts if part.strip()), end])


def shown(output: nbformat.NotebookNode) -> str:
    """What a cell put out, as Markdown."""
    data = output.get("data", {})
    if output.output_type == "error":
        cause = " ".join(output.evalue.replace("`", "'").split())
        return f"**This step failed:** `{output.ename}: {cause}`"
    if output.output_type == "stream":
        return f"```\n{output.text.strip()}\n```"
    for about in output.get("metadata", {}).values():
        if isinstance(about, dict) and "file" in about:
            alt = re.sub(r"([\[\]`<$])", r"\\\1", about["alt"])
            return f"![{alt}]({about['file']})"
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
            if output.get("data", {}).pop(WIDGET, None) and "image/png" in output.data:
                count += 1
                path = folder / f"live_{count}.png"
                path.write_bytes(base64.b64decode(output.data["image/png"]))
                output.metadata["image/png"] = {"alt": output.data["text/plain"], "file": path.name}


def _fill(nb: nbformat.NotebookNode, folder: Path, card: dict) -> None:
    # The chapter's own findings, now that its tables are there, into the box that waits for them.
    try:
        text = "\n".join(f"> {line}" for line in findings.render(folder).splitlines())
    except AudiotlError as error:
        text, card["error"] = "", card["error"] or str(error)
    boxes = [output for cell in nb.cells for output in cell.get("outputs", [])
             if output.get("metadata", {}).get("findings")]
    for box in boxes:
        box.data = {"text/markdown": text}
    if text and not boxes:
        nb.cells.insert(1, nbformat.v4.new_markdown_cell(text))


def facts(card: dict) -> str:
    """One line: data, parameters, run time, machine, versions."""
    given = ", ".join(f"{name} = {value}" for name, value in card["parameters"].items())
    nothing = card.get("core_seconds")
    cost = f"; from nothing {nothing / 60:.1f} min of one core" if nothing else ""
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    data = card["data"].replace("<", "&lt;")
    data = data if data.startswith("built-in") else f"the folder {data}"
    return (f"Data: {data}. Parameters: {given or 'as in the notebook'}. Run on "
            f"{card['date']} in {card['seconds']:.0f} s{cost} ({card['machine']}). "
            f"Versions: {versions}.")


def read_json(path: Path) -> dict:
    """What a JSON file holds; nothing if it is not there or was cut off."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def reported(out: Path) -> list[dict]:
    """What the cards show of every notebook reported under `out`, in order.

    Each is the card itself with ``title``, ``question`` (the first paragraph of the report that
    asks one), ``answer`` (the first line of its findings) and ``cover`` (``{file, alt}`` or None).
    """
    found = []
    for path in sorted(out.glob("*/card.json")):
        card, report = read_json(path), path.with_name("report.md")
        if not card:
            continue
        text = report.read_text(encoding="utf-8") if report.is_file() else ""
        title, question = opening(text)
        try:
            answer = findings.answer(path.parent)
        except AudiotlError as error:
            answer, card["error"] = "", card["error"] or str(error)
        figures = read_json(path.with_name("results.json")).get("figures", {})
        found.append(card | {
            "title": title or card["name"], "question": question, "answer": answer,
            "cover": figures.get("cover") or next(iter(figures.values()), None)})
    return found


def opening(text: str) -> tuple[str, str]:
    """Title, and the first paragraph before any section that asks something."""
    title, *paragraphs = text.split("\n## ")[0].split("\n\n")
    title = title.removeprefix("# ").strip()
    return title, next((" ".join(one.split()) for one in paragraphs if "?" in one), "")
