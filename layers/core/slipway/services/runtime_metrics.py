"""What CloudWatch counts of the invocations of an environment's functions.

CloudWatch sells what it is asked for, $0.01 for 1,000 metrics, so each metric counts as one more
request of the caller. A request reads two for each function, and two for each of its deployments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway import aws
from slipway.access import authorization
from slipway.domain import timestamps
from slipway.domain.runtime_metrics import (
    DeploymentMetrics,
    EnvironmentMetrics,
    MetricsQuery,
    MinuteMetrics,
    SourceMetrics,
)
from slipway.drivers import stacks
from slipway.services import runtime_sources
from slipway.store import deployment_records, rates, source_records, table
from slipway.store.table import Query

if TYPE_CHECKING:
    from slipway.access.principal import Principal
    from slipway.domain.ids import EnvironmentId
    from slipway.domain.records import DeploymentRecord
    from slipway.services.runtime_sources import Source

_MINUTE = timedelta(minutes=1)
_MINUTES = 15
_LONGEST = timedelta(hours=24)
_DEPLOYMENTS = 10
_PERCENTILES = ("p50", "p95")
_Series = Mapping[str, Mapping[datetime, float]]


class _Span(NamedTuple):
    """When a deployment was live: whole minutes, within the newest 24 hours."""

    deployment: DeploymentRecord
    since: datetime
    until: datetime
    replaced_at: str | None

    @property
    def minutes(self) -> int:
        return max(0, int((self.until - self.since) / _MINUTE))


def read(
    environment: EnvironmentId, principal: Principal, wanted: MetricsQuery
) -> EnvironmentMetrics:
    """How the environment's functions do.

    One round trip to the table; calls that look functions up, as for their lines; then one call of
    CloudWatch, and one for each deployment. Raises NotFound, Invalid, DriverFault.
    """
    history = Query(
        f"ENV#{environment.e}", deployment_records.PREFIX, _DEPLOYMENTS, newest_first=True
    )
    [*found, kept], [(deployments, _)] = table.read(
        [*authorization.keys(environment, principal), source_records.key(environment)], history
    )
    record = authorization.authorized(environment, principal, found)
    sources = runtime_sources.of(record, kept, wanted.source)
    now = _up(timestamps.now())
    spans = list(_spans(deployments, now))[: wanted.deployments]
    counts = _counts(sources, now)
    newest = [now - n * _MINUTE for n in range(_MINUTES, 0, -1)]

    def counted(name: str, at: datetime) -> int:
        return sum(_sum(counts, f"{name}{n}", at, at + _MINUTE) for n in range(len(sources)))

    return EnvironmentMetrics(
        environment_id=str(environment),
        minutes=[
            MinuteMetrics(
                at=at, invocations=counted("invocations", at), errors=counted("errors", at)
            )
            for at in newest
        ],
        deployments=[_of(span, sources, counts) for span in spans],
    )


def _up(moment: datetime) -> datetime:
    """The moment, or the beginning of the next minute."""
    begun = moment.replace(second=0, microsecond=0)
    return begun if begun == moment else begun + _MINUTE


def _spans(deployments: Sequence[DeploymentRecord], now: datetime) -> Iterator[_Span]:
    """The deployments that were live within the newest 24 hours, the newest first."""
    live = [each for each in deployments if each["status"] == "succeeded"]
    replaced_at: str | None = None
    for each in sorted(live, key=lambda each: each["finished_at"], reverse=True):
        until = _up(datetime.fromisoformat(replaced_at)) if replaced_at else now
        since = max(_up(datetime.fromisoformat(each["finished_at"])), now - _LONGEST)
        if replaced_at is None or until > now - _LONGEST:
            # In the minute in which it was replaced, another one ran as well.
            ends = until - _MINUTE if replaced_at else until
            yield _Span(each, since, max(ends, since), replaced_at)
        replaced_at = each["finished_at"]


def _counts(sources: Sequence[Source], now: datetime) -> _Series:
    """The invocations and errors of each minute, by the place of the source. Raises DriverFault."""
    return _asked(
        [
            _query(f"{name.lower()}{n}", source, name, "Sum", 60)
            for n, source in enumerate(sources)
            for name in ("Invocations", "Errors")
        ],
        now - _LONGEST,
        now,
    )


def _durations(sources: Sequence[Source], span: _Span) -> _Series:
    """The percentiles of the whole span, which cannot be made from those of minutes."""
    return _asked(
        [
            _query(f"{stat}_{n}", source, "Duration", stat, span.minutes * 60)
            for n, source in enumerate(sources)
            for stat in _PERCENTILES
            if span.minutes
        ],
        span.since,
        span.until,
    )


def _query(id_: str, source: Source, metric: str, stat: str, period: int) -> dict[str, Any]:
    dimensions = [{"Name": "FunctionName", "Value": source.function}]
    named = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": id_, "MetricStat": {"Metric": named, "Period": period, "Stat": stat}}


def _asked(queries: Sequence[dict[str, Any]], since: datetime, until: datetime) -> _Series:
    """The values of each query by the beginning of their periods; one call, none for no query."""
    found: dict[str, dict[datetime, float]] = {}
    if not queries:
        return found
    rates.charge(len(queries))
    request = {"MetricDataQueries": queries, "StartTime": since, "EndTime": until}
    with stacks.looking():
        for page in aws.pages("cloudwatch", "get_metric_data", **request):
            for each in page["MetricDataResults"]:
                values = zip(each["Timestamps"], each["Values"], strict=True)
                found.setdefault(each["Id"], {}).update(values)
    return found


def _sum(counts: _Series, id_: str, since: datetime, until: datetime) -> int:
    return int(sum(value for at, value in counts.get(id_, {}).items() if since <= at < until))


def _of(span: _Span, sources: Sequence[Source], counts: _Series) -> DeploymentMetrics:
    durations = _durations(sources, span)
    # CloudWatch may cut a period in two.
    slowest = {id_: max(values.values()) for id_, values in durations.items() if values}
    own = [
        SourceMetrics(
            source=source.name,
            invocations=_sum(counts, f"invocations{n}", span.since, span.until),
            errors=_sum(counts, f"errors{n}", span.since, span.until),
            duration_p50_ms=slowest.get(f"p50_{n}"),
            duration_p95_ms=slowest.get(f"p95_{n}"),
        )
        for n, source in enumerate(sources)
    ]
    p50 = [each.duration_p50_ms for each in own if each.duration_p50_ms is not None]
    p95 = [each.duration_p95_ms for each in own if each.duration_p95_ms is not None]
    return DeploymentMetrics(
        deployment_id=span.deployment["id"],
        version=span.deployment.get("version"),
        since=span.since,
        until=span.replaced_at and datetime.fromisoformat(span.replaced_at),
        measured_minutes=span.minutes,
        invocations=sum(each.invocations for each in own),
        errors=sum(each.errors for each in own),
        duration_p50_ms=max(p50, default=None),
        duration_p95_ms=max(p95, default=None),
        sources=own,
    )
