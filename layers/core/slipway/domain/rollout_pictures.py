"""The pictures of a rollout and of an environment's history, from what the API shows of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from slipway.domain.pictures import Bar, Kind, Picture, Row, span

_KINDS: Mapping[str, Kind] = {
    "succeeded": "good",
    "running": "busy",
    "pending": "idle",
    "superseded": "idle",
    "canceled": "idle",
    "failed": "bad",
    "rolled_back": "bad",
}
_NAMED = 12

Fields = Mapping[str, Any]


def timeline(
    deployment: Fields, steps: Sequence[Fields], lines: Sequence[Fields], now: datetime
) -> Picture:
    """A rollout: how long it waited, and how long each of its steps took.

    `steps` are those of its timeline, which it has at its end; `lines` are of its log, from which
    the steps follow until then. All are as the API shows them.
    """
    end = _seconds(deployment["finished_at"] or now)
    began = deployment["started_at"]
    waited = _seconds(began) if began else end
    rows = [_row("Waiting", [_bar("Waiting", deployment["created_at"], waited, "idle")])]
    found = [_step(each, end) for each in steps] or _of_log(lines, end, deployment["status"])
    if not found and began:
        kind = _KINDS.get(deployment["status"], "busy")
        found = [("Rollout", _bar("Rollout", began, end, kind))]
    rows += _by_step(found)
    what = _name(deployment)
    where = deployment.get("environment_name") or deployment["environment_id"]
    took = span(end - _seconds(deployment["created_at"]))
    so_far = "It took" if deployment["finished_at"] else "So far it takes"
    told = ", ".join(f"{row.label} {row.outcome}" for row in rows[:_NAMED])
    title = f"{what} to {where}: {deployment['status']}"
    return Picture("timeline", title, f"{so_far} {took}: {told}.", rows)


def history(environment: Fields, deployments: Sequence[Fields], now: datetime) -> Picture:
    """An environment: which version was live when, and its last deployments, newest first.

    All are as the API shows them.
    """
    end = _seconds(environment.get("destroyed_at") or now)
    live = _live(deployments, end)
    rows = [Row("Live", live, environment.get("live_version") or "")] if live else []
    rows += [_deployed(each, end) for each in deployments]
    counts: dict[str, int] = {}
    for each in deployments:
        counts[each["status"]] = counts.get(each["status"], 0) + 1
    told = ", ".join(f"{count} {status}" for status, count in counts.items()) or "none yet"
    title = f"{environment['name']}: {environment['status']}"
    is_live = environment.get("live_version")
    text = f"{is_live} is live. " if is_live else ""
    return Picture("history", title, f"{text}Its last deployments: {told}.", rows, clock=True)


def _live(deployments: Sequence[Fields], end: float) -> list[Bar]:
    """When each version was live: from its success to the next one."""
    done = [each for each in reversed(deployments) if each["status"] == "succeeded"]
    done.sort(key=lambda each: _seconds(each["finished_at"]))
    # There is one end too many if nothing was live.
    ends = [*(_seconds(each["finished_at"]) for each in done[1:]), end]
    return [
        # Kinds alternate, so that two versions are told apart.
        _bar(f"{_name(each)} live", each["finished_at"], until, "good" if number % 2 else "busy")
        for number, (each, until) in enumerate(zip(done, ends, strict=False))
    ]


def _deployed(deployment: Fields, end: float) -> Row:
    until = _seconds(deployment["finished_at"]) if deployment["finished_at"] else end
    began = _seconds(deployment["started_at"]) if deployment["started_at"] else until
    bars = [_bar(f"{_name(deployment)} waited", deployment["created_at"], began, "idle")]
    if deployment["started_at"]:
        status = deployment["status"]
        kind = _KINDS.get(status, "busy")
        bars.append(_bar(f"{_name(deployment)} {status}", began, until, kind))
    return Row(_name(deployment), bars, deployment["status"])


def _name(deployment: Fields) -> str:
    version = deployment.get("version") or ""
    trigger = deployment.get("trigger") or "api"
    return version if trigger in ("api", "integration") and version else f"{trigger} {version}"


def _step(step: Fields, end: float) -> tuple[str, Bar]:
    kind: Kind = "bad" if step.get("error") else "good"
    note = f"{step['step']}: {step['error']}" if step.get("error") else step["step"]
    return step["step"], _bar(note, step["entered_at"], step.get("left_at") or end, kind)


def _of_log(lines: Iterable[Fields], end: float, status: str) -> list[tuple[str, Bar]]:
    """The steps by the lines of a log: each one from its first line to the next step's."""
    groups: list[tuple[str, float, Kind]] = []
    for line in lines:
        kind: Kind = "bad" if line["level"] == "error" else "good"
        if groups and groups[-1][0] == line["step"]:
            name, begin, before = groups[-1]
            groups[-1] = (name, begin, "bad" if "bad" in (kind, before) else "good")
        else:
            groups.append((line["step"], _seconds(line["ts"]), kind))
    ends = [*(begin for _, begin, _ in groups[1:]), end]
    found = [
        (name, _bar(name, begin, until, kind))
        for (name, begin, kind), until in zip(groups, ends, strict=False)
    ]
    if found and status == "running":
        name, bar = found[-1]
        found[-1] = (name, bar._replace(kind="busy"))
    return found


def _by_step(found: Iterable[tuple[str, Bar]]) -> list[Row]:
    """A row for each step, in the order in which they were entered first."""
    rows: dict[str, list[Bar]] = {}
    for name, bar in found:
        rows.setdefault(name, []).append(bar)
    return [_row(name, bars) for name, bars in rows.items()]


def _row(name: str, bars: Sequence[Bar]) -> Row:
    took = sum(bar.end - bar.begin for bar in bars)
    times = f" in {len(bars)}" if len(bars) > 1 else ""
    return Row(name, bars, f"{span(took)}{times}")


def _bar(name: str, begin: Any, end: Any, kind: Kind) -> Bar:
    first, last = _seconds(begin), _seconds(end)
    return Bar(first, max(first, last), kind, f"{name}, {span(last - first)}")


def _seconds(moment: Any) -> float:
    """The moment, which may also be written as the API writes it, in seconds since 1970."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)
