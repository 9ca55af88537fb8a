"""What all pages share: the document, the navigation, and what was done or refused."""

from __future__ import annotations

from slipway.console import assets, session
from slipway.console.api import Problem
from slipway.console.markup import NOTHING, Markup, html, joined
from slipway.console.request import Page, Request

# The subjects, in the order of the navigation: (address, name, whether only administrators see it).
SUBJECTS: list[tuple[str, str, bool]] = [
    ("/console", "Projects", False),
    ("/console/templates", "Templates", False),
    ("/console/confirmations", "Confirmations", False),
    ("/console/tokens", "Tokens", False),
    ("/console/users", "Users", True),
    ("/console/audit", "Audit", True),
]
# What a form has done, by what stands in the address afterwards. No text comes from an address.
DONE = {
    "ended": "Your session has ended. Sign in again.",
    "signed-out": "You are signed out.",
    "registered": "Your account is ready. Sign in.",
    "mailed": "Look into your mailbox: a message has the link that completes your registration.",
    "created": "Created.",
    "changed": "Changed.",
    "deleted": "Deleted.",
    "canceled": "Canceled.",
    "extended": "It lives longer now.",
    "pinned": "It is pinned: it does not end by itself.",
    "unpinned": "It ends by itself again.",
    "released": "Programs may deploy into it again.",
    "destroying": "It is being destroyed.",
    "checking": "The check has begun. It takes a minute; look at this page again.",
    "published": "Published. Environments can be made from it.",
    "deprecated": "Deprecated. Its environments keep it; no new one is made from it.",
    "added": "Added.",
    "removed": "Removed.",
    "left": "You have left the project.",
    "handed-over": "Handed over.",
    "revoked": "Revoked. The next request with it is refused.",
    "approved": "Approved. It is being carried out.",
    "rejected": "Rejected. It is never carried out.",
    "disabled": "Disabled. The next request is refused.",
    "enabled": "Enabled.",
    "sent": "Sent by mail.",
}


def document(request: Request, page: Page) -> Markup:
    """The whole document of a page."""
    inner = html(
        '{trail}<div class="title"><h1>{title}</h1>{actions}</div>{done}{body}',
        trail=_trail(page),
        title=page.title,
        actions=page.actions,
        done=_done(request),
        body=page.body,
    )
    return _shell(page.title, inner, _header(request))


def bare(title: str, detail: str) -> Markup:
    """The document of a page without anybody: there is nothing to show, or a fault."""
    inner = html(
        '<h1>{title}</h1><p>{detail}</p><p><a href="/console">Go to the projects</a></p>',
        title=title,
        detail=detail,
    )
    return _shell(title, inner, NOTHING)


def problem_page(problem: Problem) -> Page:
    """A page that says why there is none."""
    errors = [
        html("<li>{pointer} {detail}</li>", pointer=pointer.lstrip("#/"), detail=detail)
        for pointer, detail in problem.errors
    ]
    return Page(problem.title, problem_box(problem, errors), status=problem.status)


def problem_box(problem: Problem, errors: list[Markup], *, beside: bool = False) -> Markup:
    """What the API has refused, in its own words.

    `errors` are items of a list. `beside`: fields show theirs themselves, which the detail repeats.
    """
    return html(
        '<div class="problem" role="alert" tabindex="-1" data-focus>'
        "<strong>{title}</strong>{detail}{errors}"
        '<p class="quiet">Code <code>{code}</code>{id}</p></div>',
        title=problem.title,
        detail=NOTHING if beside else html("<p>{detail}</p>", detail=problem.detail),
        errors=html("<ul>{all}</ul>", all=errors) if errors else NOTHING,
        code=problem.code,
        id=f", request {problem.request_id}" if problem.request_id else "",
    )


def form_token(request: Request) -> Markup:
    """The hidden field that proves a form to be of this session."""
    if request.session is None:
        return NOTHING
    return html(
        '<input type="hidden" name="csrf" value="{token}">',
        token=session.form_token(request.session),
    )


def _shell(title: str, inner: Markup, header: Markup) -> Markup:
    return html(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} · Slipway'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<link rel="icon" href="{icon}"><link rel="stylesheet" href="{style}">'
        '<script src="{morph}" defer></script><script src="{script}" defer></script></head>'
        '<body><a class="skip" href="#main">Skip to the content</a>{header}'
        '<main id="main" tabindex="-1">{inner}</main></body></html>',
        title=title,
        icon=assets.address("icon.svg"),
        style=assets.address("console.css"),
        morph=assets.address("idiomorph.js"),
        script=assets.address("console.js"),
        header=header,
        inner=inner,
    )


def _header(request: Request) -> Markup:
    brand = html('<a class="brand" href="/console">Slipway</a>')
    if request.session is None:
        return html("<header>{brand}</header>", brand=brand)
    links = [
        html(
            '<li><a href="{address}"{current}>{name}</a></li>',
            address=address,
            current=html(' aria-current="page"') if request.path == address else NOTHING,
            name=name,
        )
        for address, name, for_admins in SUBJECTS
        if request.session.is_admin or not for_admins
    ]
    return html(
        '<header>{brand}<nav aria-label="Subjects"><ul>{links}</ul></nav>'
        '<form class="who" method="post" action="/console/sign-out">{token}'
        '<span title="You are signed in">{email}</span><button class="plain">Sign out</button>'
        "</form></header>",
        brand=brand,
        links=links,
        token=form_token(request),
        email=request.session.email,
    )


def _trail(page: Page) -> Markup:
    if not page.trail:
        return NOTHING
    steps = [
        html('<li><a href="{address}">{name}</a></li>', address=address, name=name)
        for address, name in page.trail
    ]
    return html(
        '<nav class="trail" aria-label="Above this page"><ol>{steps}</ol></nav>', steps=steps
    )


def _done(request: Request) -> Markup:
    if request.problem:
        # A page without the form that was sent: its state is another one by now.
        return NOTHING if request.told else problem_page(request.problem).body
    said = DONE.get(request.query.get("done", ""))
    if not said:
        return NOTHING
    return html('<p class="done" role="status">{said}</p>', said=said)


def live(name: str, address: str, tag: str, body: Markup) -> Markup:
    """A region of a page that the script keeps up to date.

    It asks the address for the region whenever its tag is no longer the newest. An empty tag
    asks for nothing more.
    """
    return html(
        '<div id="{name}" class="live"{follow}>{body}</div>',
        name=name,
        follow=html(' data-live="{address}" data-tag="{tag}"', address=address, tag=tag)
        if tag
        else NOTHING,
        body=body,
    )


def state(word: str) -> Markup:
    """A state as a badge: told by its word, and by its colour."""
    return html(
        '<span class="state {kind}">{shown}</span>',
        kind=_KINDS.get(word, "idle"),
        shown=word.replace("_", " "),
    )


_KINDS = {
    **dict.fromkeys(("running", "succeeded", "published", "active", "approved"), "good"),
    **dict.fromkeys(("failed", "teardown_failed", "rolled_back", "rejected", "denied"), "bad"),
    **dict.fromkeys(("provisioning", "expiring", "tearing_down", "deleting", "moving"), "busy"),
    **dict.fromkeys(("pending", "draft", "deprecated"), "waiting"),
}


def facts(*pairs: tuple[str, Markup | str | None]) -> Markup:
    """Names and values; those without a value are left out."""
    rows = [
        html("<div><dt>{name}</dt><dd>{value}</dd></div>", name=name, value=value)
        for name, value in pairs
        if value
    ]
    return html('<dl class="facts">{rows}</dl>', rows=rows) if rows else NOTHING


def table(caption: str, heads: tuple[str, ...], rows: list[Markup], empty: str) -> Markup:
    """A table with a caption for screen readers, or what to say if it has no rows."""
    if not rows:
        return html('<p class="quiet">{empty}</p>', empty=empty)
    return html(
        '<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table>'
        '<caption class="unseen">{caption}</caption><thead><tr>{heads}</tr></thead>'
        "<tbody>{rows}</tbody></table></div>",
        caption=caption,
        # A heading without text would be read aloud as one that is empty.
        heads=[
            html('<th scope="col">{head}</th>', head=head) if head else html("<td></td>")
            for head in heads
        ],
        rows=rows,
    )


def row(*cells: Markup | str | None) -> Markup:
    """A row of a table."""
    return html("<tr>{cells}</tr>", cells=[html("<td>{cell}</td>", cell=cell) for cell in cells])


def section(title: str, *body: Markup, name: str = "") -> Markup:
    """A part of a page with a heading; `name` is its id, for links."""
    return html(
        "<section{id}><h2>{title}</h2>{body}</section>",
        id=html(' id="{name}"', name=name) if name else NOTHING,
        title=title,
        body=joined(body),
    )


def folded(title: str, body: Markup, *, is_open: bool = False) -> Markup:
    """A part of a page that is opened by its title, without a script."""
    return html(
        "<details{open}><summary>{title}</summary>{body}</details>",
        open=html(" open") if is_open else NOTHING,
        title=title,
        body=body,
    )


def panel(*body: Markup) -> Markup:
    """A part of a page without a heading."""
    return html('<div class="panel">{body}</div>', body=joined(body))
