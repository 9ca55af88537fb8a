"""Lambda's own metrics (patches/lambda_metrics.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from local.platform import Platform
from tests.support.local.lambdas import function

CODE = {
    "app.py": """
def handler(event, context):
    if event == "fail":
        raise ValueError("no")
"""
}


def test_invocations_errors_and_durations_are_counted(platform: Platform) -> None:
    with function(platform, CODE) as made:
        for event in ("ok", "ok", "fail"):
            made.invoke(event)
        now = datetime.now(UTC)
        stats = {"Invocations": "Sum", "Errors": "Sum", "Duration": "p95"}
        found = platform.client("cloudwatch").get_metric_data(
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            MetricDataQueries=[
                {
                    "Id": name.lower(),
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "AWS/Lambda",
                            "MetricName": name,
                            "Dimensions": [{"Name": "FunctionName", "Value": made.name}],
                        },
                        "Period": 60,
                        "Stat": stat,
                    },
                }
                for name, stat in stats.items()
            ],
        )["MetricDataResults"]

    values = {each["Id"]: each["Values"] for each in found}
    assert (sum(values["invocations"]), sum(values["errors"])) == (3, 1)
    assert all(each > 0 for each in values["duration"])
