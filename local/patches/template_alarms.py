"""An alarm over several metrics (`Metrics`, metric math) is stored and described.

Defects: the stock `AWS::CloudWatch::Alarm` refuses it and thereby the whole template; stock
PutMetricAlarm drops its Metrics. Such an alarm is not evaluated: it stays in INSUFFICIENT_DATA
unless SetAlarmState changes it.
"""

from typing import Any

# The fields of an alarm on one metric, which an alarm with Metrics does not have.
_SINGLE_METRIC_FIELDS = (
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Period",
    "Dimensions",
)


def patch(module: Any) -> None:
    stock = module._cw_metric_alarm_record

    def record(name: str, properties: dict[str, Any]) -> Any:
        if not (metrics := properties.get("Metrics")):
            return stock(name, properties)
        rest = {key: value for key, value in properties.items() if key != "Metrics"}
        alarm = stock(name, {"MetricName": "-", "Namespace": "-", **rest})
        return _with_metrics(alarm, [_typed_query(module, query) for query in metrics])

    module._cw_metric_alarm_record = record


def patch_service(module: Any) -> None:
    stock = module._put_metric_alarm

    def put(params: Any, data: dict[str, Any], *rest: Any, **named: Any) -> Any:
        answer = stock(params, data, *rest, **named)
        if metrics := (data or {}).get("Metrics"):
            name = data["AlarmName"]
            module._alarms[name] = _with_metrics(module._alarms[name], metrics)
        return answer

    module._put_metric_alarm = put


def _with_metrics(alarm: dict[str, Any], metrics: list[Any]) -> dict[str, Any]:
    kept = {key: value for key, value in alarm.items() if key not in _SINGLE_METRIC_FIELDS}
    return kept | {"Metrics": metrics}


def _typed_query(module: Any, query: dict[str, Any]) -> dict[str, Any]:
    """A template's MetricDataQuery, in which numbers and booleans may be strings."""
    found = dict(query)
    if "ReturnData" in found:
        found["ReturnData"] = module._cfn_bool(found["ReturnData"])
    if "Period" in found:
        found["Period"] = int(found["Period"])
    if stat := found.get("MetricStat"):
        found["MetricStat"] = {**stat, "Period": int(stat["Period"])}
    return found


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch,
    "ministack.services.cloudwatch": patch_service,
}
