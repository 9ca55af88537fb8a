"""Alarms (patches/alarm_evaluation.py, template_alarms.py)."""

import json
import time
import uuid
from typing import Any

import pytest

from local.patches.alarm_evaluation import judge
from local.platform import Platform
from tests.support.local.platform import ALARM, Stacks, eventually

X, OK, NONE = 2.0, 0.0, None  # above the threshold, below it, no data
# CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data": the datapoints of
# the evaluation range, the oldest first, and the state by TreatMissingData.
STATES = ("missing", "ignore", "breaching", "notBreaching")
Row = tuple[list[float | None], list[str | None]]
THREE_OF_THREE: list[Row] = [
    ([OK, NONE, X, NONE, X], ["OK", "OK", "OK", "OK"]),
    ([OK, NONE, NONE, NONE, NONE], ["OK", "OK", "OK", "OK"]),
    ([NONE] * 5, ["INSUFFICIENT_DATA", None, "ALARM", "OK"]),
    ([OK, X, X, NONE, X], ["ALARM", "ALARM", "ALARM", "ALARM"]),
    ([NONE, NONE, X, NONE, NONE], ["ALARM", None, "ALARM", "OK"]),
]
TWO_OF_THREE: list[Row] = [
    ([OK, NONE, X, NONE, X], ["ALARM", "ALARM", "ALARM", "ALARM"]),
    ([OK, OK, X, OK, X], ["ALARM", "ALARM", "ALARM", "ALARM"]),
    ([OK, NONE, X, NONE, NONE], ["OK", "OK", "ALARM", "OK"]),
    ([NONE, NONE, NONE, NONE, OK], ["OK", "OK", "ALARM", "OK"]),
    ([NONE, NONE, NONE, X, NONE], ["ALARM", None, "ALARM", "OK"]),
]


@pytest.mark.parametrize(
    ("needed", "values", "treat", "state"),
    [
        (needed, values, treat, state)
        for needed, rows in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
        for values, states in rows
        for treat, state in zip(STATES, states, strict=True)
    ],
)
def test_missing_data_is_treated_as_the_guide_says(
    needed: int, values: list[float | None], treat: str, state: str | None
) -> None:
    alarm = {
        "Namespace": "Test",
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": needed,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 1,
        "TreatMissingData": treat,
    }

    verdict = judge(alarm, [(0.0, value) for value in reversed(values)])

    assert (verdict[0] if verdict else None) == state


@pytest.fixture
def watch(platform: Platform) -> Any:
    return platform.client("cloudwatch")


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex}"


def put(watch: Any, name: str, **more: Any) -> None:
    watch.put_metric_alarm(AlarmName=name, **ALARM["Properties"] | {"MetricName": name} | more)


def report(watch: Any, metric: str, value: float, ago: float = 0, **dimensions: str) -> None:
    datum = {
        "MetricName": metric,
        "Value": value,
        "Timestamp": time.time() - ago,
        "Dimensions": [{"Name": key, "Value": given} for key, given in dimensions.items()],
    }
    watch.put_metric_data(Namespace="Test", MetricData=[datum])


def described(watch: Any, name: str) -> dict[str, Any]:
    [found] = watch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return dict(found)


def state(watch: Any, name: str) -> str:
    return str(described(watch, name)["StateValue"])


def test_an_alarm_looks_at_the_metric_with_exactly_its_dimensions(watch: Any, name: str) -> None:
    put(watch, f"{name}-1", MetricName=name, Dimensions=[{"Name": "App", "Value": "one"}])
    put(watch, f"{name}-all", MetricName=name)

    report(watch, name, 5, App="two")
    report(watch, name, 5, App="one", Stage="dev")
    assert {state(watch, f"{name}-1"), state(watch, f"{name}-all")} == {"INSUFFICIENT_DATA"}
    report(watch, name, 5, App="one")
    assert (state(watch, f"{name}-1"), state(watch, f"{name}-all")) == (
        "ALARM",
        "INSUFFICIENT_DATA",
    )
    report(watch, name, 0)
    assert state(watch, f"{name}-all") == "OK"


def test_the_reason_is_in_the_words_of_cloudwatch(watch: Any, name: str) -> None:
    # LocalStack's recording cloudwatch test_cloudwatch, test_trigger_composite_alarm.
    put(watch, name, Threshold=21)

    report(watch, name, 21.5)

    reason = described(watch, name)["StateReason"]
    assert reason.startswith("Threshold Crossed: 1 datapoint [21.5 (")
    assert reason.endswith(")] was greater than the threshold (21.0).")


def test_an_alarm_looks_at_each_of_its_periods(watch: Any, name: str) -> None:
    put(watch, name, EvaluationPeriods=3, DatapointsToAlarm=2)

    report(watch, name, 0, ago=150)
    report(watch, name, 5, ago=90)
    assert state(watch, name) == "OK"
    report(watch, name, 5)
    assert state(watch, name) == "ALARM"


def test_an_alarm_changes_though_nothing_is_reported(
    platform: Platform, watch: Any, name: str
) -> None:
    # LocalStack's recording cloudwatch test_cloudwatch, test_breaching_alarm_actions.
    topic = platform.client("sns").create_topic(Name=name)["TopicArn"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs = platform.client("sqs")
    queue = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    platform.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    treated = {"EvaluationPeriods": 2, "TreatMissingData": "breaching", "AlarmActions": [topic]}

    put(watch, name, **treated)

    eventually(lambda: state(watch, name) == "ALARM")
    assert described(watch, name)["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints "
        "were treated as [Breaching]."
    )
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    assert json.loads(json.loads(message["Body"])["Message"])["NewStateValue"] == "ALARM"


def test_an_alarm_goes_back_when_its_data_end(watch: Any, name: str) -> None:
    put(watch, name, Period=10, TreatMissingData="notBreaching")
    report(watch, name, 5, ago=25)
    assert state(watch, name) == "ALARM"

    # Data of earlier periods count for as long as the evaluation looks back: 10 s and 20 more.
    eventually(lambda: state(watch, name) == "OK", 20)


METRICS: list[dict[str, Any]] = [
    {"Id": "rate", "Expression": "errors / calls", "Label": "rate", "ReturnData": True},
    {
        "Id": "errors",
        "ReturnData": False,
        "MetricStat": {
            "Stat": "Sum",
            "Period": 60,
            "Metric": {"Namespace": "Test", "MetricName": "Errors", "Dimensions": []},
        },
    },
]
MATH = {
    "EvaluationPeriods": 1,
    "Threshold": 0.5,
    "ComparisonOperator": "GreaterThanThreshold",
    "Metrics": METRICS,
}


def test_an_alarm_over_several_metrics_is_described(
    platform: Platform, watch: Any, name: str
) -> None:
    properties = {**MATH, "AlarmName": f"{name}-made"}
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
    stack = Stacks(platform).create({"Resources": {"Rate": alarm}})
    watch.put_metric_alarm(AlarmName=f"{name}-put", **MATH)

    assert stack.status == "CREATE_COMPLETE"
    for each in (f"{name}-made", f"{name}-put"):
        found = described(watch, each)
        assert found["Metrics"] == METRICS
        assert (found["StateValue"], found["Threshold"]) == ("INSUFFICIENT_DATA", 0.5)
        assert "MetricName" not in found
    watch.set_alarm_state(AlarmName=f"{name}-made", StateValue="ALARM", StateReason="test")
    assert state(watch, f"{name}-made") == "ALARM"
    stack.update({"Resources": {"Rate": alarm | {"Properties": properties | {"Threshold": 2}}}})
    assert (stack.status, described(watch, f"{name}-made")["Threshold"]) == ("UPDATE_COMPLETE", 2)
    stack.delete()
    assert watch.describe_alarms(AlarmNames=[f"{name}-made"])["MetricAlarms"] == []
