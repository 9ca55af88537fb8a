"""Alarms evaluate their own metric over all of their periods, even when no data arrives.

Defects: the stock evaluation ignores dimensions, DatapointsToAlarm and TreatMissingData, merges all
periods into one, and runs only when data arrives. The rules are those of the CloudWatch user guide,
"Alarm evaluation"; the reasons use the words of LocalStack's recording cloudwatch test_cloudwatch,
test_breaching_alarm_actions and test_trigger_composite_alarm. AWS looks back further than the
periods that it evaluates, without saying how far: here it is two periods.
"""

import contextlib
import operator
import threading
import time
from collections.abc import Callable
from typing import Any

EVERY = 5.0  # seconds between evaluations of alarms without new data
FURTHER = 2  # periods
_COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
_TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching"}
Verdict = tuple[str, str] | None


def patch(module: Any) -> None:
    stock = module._evaluate_alarm

    def evaluate(alarm: dict[str, Any]) -> None:
        if alarm.get("ComparisonOperator") not in _COMPARISONS:  # anomaly detection
            stock(alarm)
        elif alarm.get("MetricName") and (verdict := judge(alarm, _datapoints(module, alarm))):
            _set_state(module, alarm, *verdict)

    module._evaluate_alarm = evaluate
    threading.Thread(target=_evaluate_periodically, args=[module], daemon=True).start()


def judge(alarm: dict[str, Any], datapoints: list[tuple[float, float | None]]) -> Verdict:
    """The state and the reason for the values of the last periods, the newest first.

    A period without data is None. Returns None if the state does not change.
    """
    periods = alarm["EvaluationPeriods"]
    needed = alarm.get("DatapointsToAlarm") or periods
    compare, _ = _COMPARISONS[alarm["ComparisonOperator"]]
    threshold = float(alarm["Threshold"])
    found = [(at, value) for at, value in datapoints if value is not None][:periods]
    breaching = sum(compare(value, threshold) for _, value in found)
    missing, treat = periods - len(found), alarm.get("TreatMissingData") or "missing"
    if alarm["Namespace"] == "AWS/DynamoDB":
        treat = "ignore"  # whatever its value
    if not found and treat == "missing":
        verb = "was" if periods == 1 else "were"
        return "INSUFFICIENT_DATA", f"Insufficient Data: {_counted(periods)} {verb} unknown."
    if treat in _TREATED or not missing:
        breaching += missing if treat == "breaching" else 0
        state = "ALARM" if breaching >= needed else "OK"
    elif breaching >= needed or (treat == "missing" and breaching == len(found)):
        state = "ALARM"
    elif breaching < len(found):
        state = "OK"
    else:
        return None
    return state, _state_reason(alarm, state, found, missing)


def _state_reason(
    alarm: dict[str, Any], state: str, found: list[tuple[float, float]], missing: int
) -> str:
    if not found:
        filled = f"{missing} missing {'datapoints were' if missing > 1 else 'datapoint was'}"
        return (
            f"Threshold Crossed: no datapoints were received for {missing} "
            f"period{'s' * (missing > 1)} and {filled} treated as "
            f"[{_TREATED[alarm['TreatMissingData']]}]."
        )
    listed = ", ".join(f"{value} ({_formatted(at)})" for at, value in found)
    verb = "was" if len(found) == 1 else "were"
    crossed = _COMPARISONS[alarm["ComparisonOperator"]][1]
    return (
        f"Threshold Crossed: {_counted(len(found))} [{listed}] {verb} "
        f"{'' if state == 'ALARM' else 'not '}{crossed} the threshold "
        f"({float(alarm['Threshold'])})."
    )


def _counted(number: int) -> str:
    return f"{number} datapoint{'s' * (number > 1)}"


def _formatted(at: float) -> str:
    return time.strftime("%d/%m/%y %H:%M:%S", time.gmtime(at))


def _datapoints(module: Any, alarm: dict[str, Any]) -> list[tuple[float, float | None]]:
    """The statistic of each of the last periods, the newest first."""
    dimensions = module._dims_key(module._dims_from_list(alarm.get("Dimensions") or []))
    points = module._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions)) or []
    if unit := alarm.get("Unit"):
        points = [point for point in points if point.get("Unit") == unit]
    # An alarm has either Statistic (basic) or ExtendedStatistic (percentile).
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    period, now = alarm.get("Period") or 60, time.time()
    found: list[tuple[float, float | None]] = []
    for number in range(alarm["EvaluationPeriods"] + FURTHER):
        end = now - number * period
        here = [point for point in points if end - period < point["Timestamp"] <= end]
        stats = module._calc_stats(here)
        value = module._stat_value(stats, statistic, here) if stats else None
        found.append((end - period, value))
    return found


def _set_state(module: Any, alarm: dict[str, Any], state: str, reason: str) -> None:
    before = alarm["StateValue"]
    if state == before:
        return
    now = int(time.time())
    alarm |= {"StateValue": state, "StateReason": reason, "StateUpdatedTimestamp": now}
    module._record_history(alarm["AlarmName"], before, state, reason)
    module._dispatch_alarm_actions(alarm, before, state, reason)
    module._evaluate_parent_alarms(alarm)


def _evaluate_periodically(module: Any) -> None:
    while True:
        time.sleep(EVERY)
        with contextlib.suppress(RuntimeError):  # the dict changed while we looked
            module._evaluate_all_alarms()


TARGETS = {"ministack.services.cloudwatch": patch}
