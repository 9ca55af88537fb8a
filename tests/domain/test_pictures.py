"""Pictures are well-formed, bounded, escaped and readable without seeing them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.domain import pictures, rollout_pictures
from slipway.domain.pictures import MOST_ROWS, Bar, Picture, Row, span, svg

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


def deployment(**fields: Any) -> dict[str, Any]:
    made = {
        "id": "dep_1_1_1",
        "environment_id": "env_1_1",
        "environment_name": "staging",
        "version": "v1",
        "status": "succeeded",
        "trigger": "api",
        "created_at": at(0),
        "started_at": at(2),
        "finished_at": at(12),
    }
    return {**made, **fields}


def step(name: str, begin: float, end: float | None, error: str | None = None) -> dict[str, Any]:
    left = None if end is None else at(end)
    return {"step": name, "entered_at": at(begin), "left_at": left, "error": error}


def drawn(picture: Picture, *, alone: bool = True) -> ElementTree.Element:
    return ElementTree.fromstring(svg(picture, alone=alone))


def bars(root: ElementTree.Element, kind: str = "") -> list[str]:
    """What the bars say, of one kind or of all."""
    found = root.iter(f"{SVG}rect")
    return [each[0].text or "" for each in found if not kind or each.get("class") == kind]


def words(root: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


# --- a rollout --------------------------------------------------------------------------------


def test_a_rollout_shows_how_long_it_waited_and_how_long_each_step_took() -> None:
    steps = [
        step("Begin", 2, 3),
        step("Ship", 3, 6),
        step("Ship", 8, 11),
        step("It is live", 11, 12),
    ]

    root = drawn(rollout_pictures.timeline(deployment(), steps, [], NOW))

    shown = words(root)
    assert shown[0] == "v1 to staging: succeeded"
    for name, outcome in (("Waiting", "2.0 s"), ("Ship", "6.0 s in 2"), ("It is live", "1.0 s")):
        assert shown[shown.index(name) + 1] == outcome
    assert bars(root, "idle") == ["Waiting, 2.0 s"]
    assert bars(root, "good") == ["Begin, 1.0 s", "Ship, 3.0 s", "Ship, 3.0 s", "It is live, 1.0 s"]


def test_a_step_that_failed_says_why() -> None:
    failed = deployment(status="rolled_back")

    steps = [step("Ship", 2, 5, "StackFailed"), step("Restore", 5, 12)]
    root = drawn(rollout_pictures.timeline(failed, steps, [], NOW))

    assert bars(root, "bad") == ["Ship: StackFailed, 3.0 s"]
    assert words(root)[0] == "v1 to staging: rolled_back"


def test_the_steps_of_a_running_rollout_follow_from_its_log() -> None:
    running = deployment(status="running", finished_at=None)
    log = [("begin", 2, "info"), ("ship", 3, "info"), ("ship", 4, "error"), ("restore", 6, "info")]
    lines = [{"step": name, "ts": at(ts), "level": level} for name, ts, level in log]

    root = drawn(rollout_pictures.timeline(running, [], lines, NOW + timedelta(seconds=10)))

    assert bars(root, "good") == ["begin, 1.0 s"]
    assert bars(root, "bad") == ["ship, 3.0 s"]
    assert bars(root, "busy") == ["restore, 4.0 s"]
    assert "So far it takes 10 s" in (root[1].text or "")


@pytest.mark.parametrize("status", ["pending", "superseded", "canceled"])
def test_a_deployment_that_never_began_has_only_waited(status: str) -> None:
    end = None if status == "pending" else at(7)
    waiting = deployment(status=status, started_at=None, finished_at=end)

    root = drawn(rollout_pictures.timeline(waiting, [], [], NOW + timedelta(seconds=7)))

    assert bars(root) == ["Waiting, 7.0 s"]


# --- an environment ---------------------------------------------------------------------------


def test_a_history_shows_what_was_live_when_and_how_each_deployment_ended() -> None:
    environment = {"name": "staging", "status": "running", "live_version": "v3"}
    hour = 3600
    newest_first = [
        deployment(version="v3", created_at=at(2 * hour), started_at=at(2 * hour + 1),
                   finished_at=at(2 * hour + 61)),
        deployment(version="v2", status="failed", created_at=at(hour), started_at=at(hour),
                   finished_at=at(hour + 30)),
        deployment(version="v1", finished_at=at(60)),
    ]  # fmt: skip

    root = drawn(
        rollout_pictures.history(environment, newest_first, NOW + timedelta(seconds=3 * hour))
    )

    shown = words(root)
    assert shown[0] == "staging: running"
    assert shown[shown.index("Live") + 1] == "v3"
    assert shown[shown.index("v2") + 1] == "failed"
    assert bars(root)[:2] == ["v1 live, 2 h", "v3 live, 58 min 59 s"]
    assert "v2 failed, 30 s" in bars(root, "bad")
    assert root[1].text == "v3 is live. Its last deployments: 2 succeeded, 1 failed."


def test_an_update_and_a_rollback_are_called_so() -> None:
    done = deployment(trigger="rollback")

    assert words(drawn(rollout_pictures.timeline(done, [], [], NOW)))[0].startswith(
        "rollback v1 to"
    )


def test_an_environment_without_deployments_has_a_picture_too() -> None:
    environment = {"name": "staging", "status": "provisioning", "live_version": None}

    root = drawn(rollout_pictures.history(environment, [], NOW))

    assert "Nothing has happened yet." in words(root)


# --- every picture ----------------------------------------------------------------------------


def test_a_screen_reader_finds_a_title_a_description_and_a_name_for_each_bar() -> None:
    root = drawn(rollout_pictures.timeline(deployment(), [step("Ship", 2, 12)], [], NOW))

    assert root.get("role") == "img"
    named = [
        root.find(f".//*[@id='{each}']") for each in (root.get("aria-labelledby") or "").split()
    ]
    assert [each is not None and bool(each.text) for each in named] == [True, True]
    assert all(bars(root))


def test_a_picture_is_light_or_dark_by_the_readers_choice_and_has_no_script() -> None:
    text = svg(rollout_pictures.timeline(deployment(), [], [], NOW))

    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"<script|<foreignObject|<image|href|\son\w+=|javascript:|url\(", text)


def test_a_page_that_draws_it_brings_the_style_itself() -> None:
    picture = rollout_pictures.timeline(deployment(), [], [], NOW)

    assert "<style>" not in svg(picture, alone=False)
    assert svg(picture).count("<style>") == 1


def luminance(color: str) -> float:
    channels = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_and_bars_stand_out_from_the_background(theme: str) -> None:
    whole = {"#fff": "#ffffff"}
    light, _, dark = pictures.STYLE.partition("@media")
    rules = light if theme == "light" else dark
    found = {
        name: whole.get(color, color)
        for name, color in re.findall(r"\.pic ?\.?(\w*){(?:fill|background|stroke):(#\w+)", rules)
    }

    assert {"", "text", "soft", "good", "bad", "busy", "idle"} <= found.keys() | {"text"}
    for name in ("soft", "good", "bad", "busy", "idle"):
        assert contrast(found[name], found[""]) >= (4.5 if name == "soft" else 3), name


texts = st.text(max_size=400)
moments = st.floats(0, 4e9)


@given(st.lists(st.tuples(texts, moments, moments, texts), max_size=30), texts, st.booleans())
def test_any_texts_and_moments_make_a_well_formed_picture(
    found: list[tuple[str, float, float, str]], title: str, clock: bool
) -> None:
    rows = [Row(label, [Bar(a, b, "good", note)], note) for label, a, b, note in found]

    root = drawn(Picture("x", title, title, rows, clock))

    assert len(list(root.iter(f"{SVG}rect"))) == len(rows)
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        *("svg", "title", "desc", "style", "text", "rect", "line")
    }


def test_markup_in_a_name_is_text() -> None:
    evil = "<script>alert(1)</script>&\"'\x00\x1b"
    text = svg(Picture("x", evil, evil, [Row(evil, [Bar(0, 1, "bad", evil)], evil)]))

    assert "<script" not in text
    assert evil[:25] in "".join(words(ElementTree.fromstring(text)))


def test_a_picture_of_anything_has_a_bounded_size() -> None:
    many = [Bar(n, n + 0.9, "good", "x" * 5000) for n in range(20_000)]
    rows = [Row("label" * 1000, many, "out" * 1000) for _ in range(MOST_ROWS + 60)]

    text = svg(Picture("x", "t" * 10_000, "d" * 10_000, rows))

    assert "and 60 more" in text
    assert text.count("<rect") <= MOST_ROWS * 500
    assert len(svg(Picture("x", "t", "d", rows[:1]))) < 200_000


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0.0 s"), (0.44, "0.4 s"), (12, "12 s"), (185, "3 min 5 s"), (7800, "2 h 10 min"),
     (7200, "2 h"), (356_400, "4 d 3 h"), (59.9, "1 min")],
)  # fmt: skip
def test_a_length_of_time_is_shown_in_its_two_largest_units(seconds: float, shown: str) -> None:
    assert span(seconds) == shown
