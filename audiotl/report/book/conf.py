"""Settings of the book, and what Sphinx lacks for one read from disk: equations as MathML, and
terms and papers that are linked where a page first names them."""

import itertools
import re
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from PIL import Image

project = html_title = "What transfers in audio?"
extensions = ["myst_nb", "sphinxcontrib.bibtex"]
exclude_patterns = ["*/[0-9]*.ipynb"]
highlight_language = "none"
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
nb_code_prompt_show = nb_code_prompt_hide = "Code"
myst_enable_extensions = ["colon_fence", "dollarmath"]
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"

html_theme = "sphinx_book_theme"
html_theme_options = {"use_download_button": False, "use_fullscreen_button": False,
                      "show_toc_level": 2, "home_page_in_toc": True,
                      "navbar_persistent": [], "footer_content_items": []}
html_context = {"default_mode": "auto"}
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_js_files = ["ticker.js", "play.js"]
html_copy_source = False
html_show_search_summary = False  # it fetches pages, which a browser refuses from disk


def _math(writer, node):
    block = isinstance(node, nodes.math_block)
    formula = tex2mathml(node.astext(), as_block=block)
    # A wide equation is scrolled on a phone, so the keyboard must reach it.
    writer.body.append(f'<div class="equation" tabindex="0">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def _terms(env):
    # Pattern, page, anchor and hover text of every term of the glossary.
    for item in env.get_doctree("glossary").findall(nodes.definition_list_item):
        meaning = " ".join(item[-1][0].astext().split())
        for term in item.findall(nodes.term):
            words = r"\s+".join(map(re.escape, term.astext().split()))
            yield rf"\b{words}s?\b", "glossary", term["ids"][0], meaning


def _papers(env):
    for one in env.get_domain("cite").citations:
        name, year = one.entry.persons["author"][0].last_names[-1], one.entry.fields["year"]
        number = re.escape(one.entry.fields["url"].rpartition("/")[2])
        pattern = rf"\b{name}\b(?: et al\.)?[^.;:]{{0,40}}?\b{year}\b|\barXiv {number}"
        yield pattern, "references", one.citation_id, one.entry.fields["title"].strip("{}")


def _chapters(env):
    for page in env.found_docs:
        if re.match(r"\d\d_", page):
            yield rf"\bchapter {page[:2]}\b", page, "", env.titles[page].astext()


def _link_first_mentions(app, doctree, docname):
    if docname in ("glossary", "references"):
        return
    for pattern, page, anchor, title in [*_papers(app.env), *_terms(app.env), *_chapters(app.env)]:
        for text in doctree.findall(nodes.Text):
            found = re.search(pattern, text, re.I)
            set_off = isinstance(text.parent, nodes.emphasis | nodes.strong)
            holder = text.parent.parent if set_off else text.parent
            plain = isinstance(holder, nodes.paragraph)
            if found and plain and not isinstance(holder.parent, nodes.entry):
                uri = app.builder.get_relative_uri(docname, page) + f"#{anchor}" * bool(anchor)
                link = nodes.reference("", found[0], refuri=uri, reftitle=title, internal=True,
                                       classes=["term"])
                parts = [nodes.Text(text[:found.start()]), link, nodes.Text(text[found.end():])]
                text.parent.replace(text, parts)
                break


def _scale(picture):
    # Per cent at which a picture has 110 dots an inch, so that its letters are as large as text.
    with Image.open(picture) as image:
        return round(110 * 100 / image.info.get("dpi", (110,))[0])


def _captions(app, doctree, docname):
    count = itertools.count(1)
    for paragraph in list(doctree.findall(nodes.paragraph)):
        pictures = [one for one in paragraph if isinstance(one, nodes.image)]
        words = (one.astext().strip() for one in paragraph if not isinstance(one, nodes.image))
        if pictures and not any(words):
            for one in pictures:
                if not one["uri"].endswith(".svg"):
                    one["scale"] = _scale(Path(app.srcdir) / one["uri"])
            said = (nodes.caption("", one.get("alt", "").rpartition(" — ")[2]) for one in pictures)
            paragraph.replace_self([nodes.figure("", one, words, ids=[f"figure-{next(count)}"])
                                    for one, words in zip(pictures, said, strict=True)])


def _for_screen_readers(app, pagename, templatename, context, doctree):
    # A folded cell says "Code", which its label would hide; a paper is no item of a list's role.
    body = context.get("body", "").replace(' aria-label="Toggle hidden content"', "")
    context["body"] = body.replace('<div role="list" class="citation-list">',
                                   '<div class="citation-list">')


def setup(app):
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (_math, None), (_math, None))
    app.connect("doctree-resolved", _link_first_mentions)
    app.connect("doctree-resolved", _captions)
    app.connect("html-page-context", _for_screen_readers)
