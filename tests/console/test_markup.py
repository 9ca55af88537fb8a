"""Escaping, links, durations, and that only literals become HTML as they are."""

from __future__ import annotations

import ast
from datetime import timedelta

import pytest

from slipway.console import moments
from slipway.console.markup import Markup, attributes, html, joined, link
from tests.support.repository import modules

CONSOLE = {name: tree for name, tree in modules().items() if name.startswith("slipway.console")}


def test_values_are_escaped_and_markup_is_not() -> None:
    made = html("<p>{a}{b}{c}{d}</p>", a="<&\"'>", b=html("<b>{x}</b>", x="<"), c=[1, "<"], d=None)

    assert made == "<p>&lt;&amp;&quot;&#39;&gt;<b>&lt;</b>1&lt;</p>"
    assert isinstance(made, Markup)
    assert joined(["<", html("<i></i>")]) == "&lt;<i></i>"


def test_attributes_are_escaped_and_absent_ones_left_out() -> None:
    made = attributes(for_='x"', aria_label="<", checked=True, disabled=False, value=None)

    assert made == ' for="x&quot;" aria-label="&lt;" checked'


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", "//evil", "ftp://x", 'https://x"onclick=', " x"],
)
def test_only_addresses_of_the_web_become_links(address: str) -> None:
    assert "<a" not in link(address)
    assert link("https://example.com/a?b=c&d").startswith(
        '<a href="https://example.com/a?b=c&amp;d"'
    )


def called(tree: ast.Module, name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and (node.func.id if isinstance(node.func, ast.Name) else node.func.attr) == name
    ]


def test_only_literals_become_markup_as_they_are() -> None:
    for name, tree in CONSOLE.items():
        if name.endswith((".api", ".forms")):
            # Form.html has a button's words, which it escapes.
            continue
        for call in called(tree, "html"):
            assert isinstance(call.args[0], ast.Constant), (name, call.lineno)
        if name != "slipway.console.markup":
            assert called(tree, "Markup") == [], name
    assert len(CONSOLE) > 10


def test_durations_are_told_in_two_units() -> None:
    assert [moments.duration(each) for each in (0, 0.44, 59.6, 61, 3600, 90_061)] == [
        *("0.0 s", "0.4 s", "1 min", "1 min 1 s", "1 h", "1 d 1 h")
    ]


def test_a_moment_is_told_from_now() -> None:
    now = moments.now()
    ago, ahead = (moments.ago(str(now + timedelta(hours=each))) for each in (-2, 2))

    assert ">2 h ago</time>" in ago
    assert "in 1 h 59 min" in ahead or "in 2 h" in ahead
