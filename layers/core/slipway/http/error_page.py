"""The page behind `/docs/errors`: docs/errors.md as HTML, with each code's status and title.

`python -m slipway.http.openapi` writes it together with the OpenAPI document. No function imports
this module: the docs function serves the committed copy, and a test compares it with the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from slipway import errors
from slipway.errors import company as company
from slipway.errors import promotions as promotions
from slipway.http.responses import status_of


def codes() -> list[type[errors.SlipwayError]]:
    """The errors that a caller can receive, by status and code."""
    return sorted(_reachable(errors.SlipwayError), key=lambda kind: (status_of(kind), kind.code))


def _reachable(root: type[errors.SlipwayError]) -> Iterator[type[errors.SlipwayError]]:
    if "code" in vars(root) and (status_of(root) < 500 or issubclass(root, errors.Fault)):
        yield root
    for child in root.__subclasses__():
        yield from _reachable(child)


def sections(markdown: str) -> tuple[list[str], dict[str, list[str]]]:
    """The paragraphs before the first heading, and the paragraphs of each section by its code."""
    introduction, *rest = re.split(r"^## ", markdown, flags=re.MULTILINE)
    explained = {}
    for section in rest:
        code, _, text = section.partition("\n")
        explained[code.strip()] = _paragraphs(text)
    return _paragraphs(introduction.partition("\n")[2]), explained


def render_page(markdown: str) -> str:
    """The page as HTML. Raises KeyError if `markdown` does not explain a code."""
    introduction, explained = sections(markdown)
    rows = "".join(
        f"<tr><td>{status_of(kind)}</td><td>{_link(kind)}</td></tr>\n" for kind in codes()
    )
    body = "\n".join(_section(kind, explained[kind.code]) for kind in codes())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Slipway: errors</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/docs/assets/favicon.png">
<link rel="stylesheet" href="/docs/assets/errors.css">
</head>
<body>
<nav><a href="/docs">Try the API</a><a href="/redoc">Read the reference</a></nav>
<h1>Errors</h1>
{_html(introduction)}
<table>
{rows}</table>
{body}
</body>
</html>
"""


def _section(kind: type[errors.SlipwayError], paragraphs: list[str]) -> str:
    return (
        f'<section id="{kind.code}">\n<h2>{_link(kind)} '
        f'<span class="status">{status_of(kind)}</span></h2>\n'
        f"<p><strong>{escape(kind.title)}</strong></p>\n{_html(paragraphs)}\n</section>"
    )


def _link(kind: type[errors.SlipwayError]) -> str:
    return f'<a href="/docs/errors#{kind.code}"><code>{kind.code}</code></a>'


def _paragraphs(text: str) -> list[str]:
    return [" ".join(each.split()) for each in text.strip().split("\n\n") if each.strip()]


def _html(paragraphs: list[str]) -> str:
    """The paragraphs as HTML. Inline code is the only Markdown in them."""
    text = "\n".join(f"<p>{escape(each)}</p>" for each in paragraphs)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
