"""The fields of each type of state, as the Step Functions developer guide lists them."""

from typing import NamedTuple

QUERY_LANGUAGES = ("JSONPath", "JSONata")


class State(NamedTuple):
    """Fields by the query language that supports them; `required` are in `both`."""

    both: frozenset[str] = frozenset()
    jsonpath: frozenset[str] = frozenset()
    jsonata: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    moves_on: bool = True
    """It has Next or End."""


def _fields(text: str) -> frozenset[str]:
    return frozenset(text.split())


EVERY_STATE = _fields("Type Comment QueryLanguage")
_PATHS = _fields("InputPath OutputPath")
_RESULT = _fields("Parameters ResultPath ResultSelector")
_RETRIES = _fields("Retry Catch Assign")

STATES = {
    "Pass": State(
        _fields("Assign"), _PATHS | _fields("Parameters Result ResultPath"), _fields("Output")
    ),
    "Task": State(
        _RETRIES | _fields("Resource TimeoutSeconds HeartbeatSeconds Credentials"),
        _PATHS | _RESULT | _fields("TimeoutSecondsPath HeartbeatSecondsPath"),
        _fields("Arguments Output"),
        required=("Resource",),
    ),
    "Parallel": State(
        _RETRIES | _fields("Branches"),
        _PATHS | _RESULT,
        _fields("Arguments Output"),
        required=("Branches",),
    ),
    "Map": State(
        _RETRIES
        | _fields("ItemProcessor Iterator ItemReader ItemBatcher ItemSelector ResultWriter Label")
        | _fields("MaxConcurrency ToleratedFailureCount ToleratedFailurePercentage"),
        _PATHS
        | _RESULT
        | _fields("ItemsPath MaxConcurrencyPath")
        | _fields("ToleratedFailureCountPath ToleratedFailurePercentagePath"),
        _fields("Items Output"),
    ),
    "Choice": State(
        _fields("Choices Default Assign"),
        _PATHS,
        _fields("Output"),
        required=("Choices",),
        moves_on=False,
    ),
    "Wait": State(
        _fields("Seconds Timestamp Assign"),
        _PATHS | _fields("SecondsPath TimestampPath"),
        _fields("Output"),
    ),
    "Succeed": State(frozenset(), _PATHS, _fields("Output"), moves_on=False),
    "Fail": State(_fields("Error Cause"), _fields("ErrorPath CausePath"), moves_on=False),
}
TERMINAL = ("Succeed", "Fail")

MACHINE = _fields("Comment QueryLanguage StartAt States TimeoutSeconds Version")
BRANCH = _fields("Comment StartAt States")
PROCESSOR = BRANCH | _fields("ProcessorConfig")

RETRIER = State(
    _fields(
        "Comment ErrorEquals IntervalSeconds MaxAttempts BackoffRate MaxDelaySeconds JitterStrategy"
    ),
    required=("ErrorEquals",),
)
CATCHER = State(
    _fields("Comment ErrorEquals Next Assign"),
    _fields("ResultPath"),
    _fields("Output"),
    required=("ErrorEquals", "Next"),
)
_KINDS = (
    "String Numeric Timestamp",
    ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals"),
)
COMPARISONS = frozenset(
    {
        f"{kind}{how}{path}"
        for kind in _KINDS[0].split()
        for how in _KINDS[1]
        for path in ("", "Path")
    }
    | _fields("And Or Not BooleanEquals BooleanEqualsPath StringMatches IsNull IsPresent")
    | _fields("IsNumeric IsString IsBoolean IsTimestamp")
)
CHOICE = State(
    _fields("Comment Next Assign"),
    COMPARISONS | _fields("Variable"),
    _fields("Condition Output"),
    required=("Next",),
)
# At most one of each group, and exactly one of the last group.
ALTERNATIVES = (
    ("TimeoutSeconds", "TimeoutSecondsPath"),
    ("HeartbeatSeconds", "HeartbeatSecondsPath"),
    ("MaxConcurrency", "MaxConcurrencyPath"),
    ("ToleratedFailureCount", "ToleratedFailureCountPath"),
    ("ToleratedFailurePercentage", "ToleratedFailurePercentagePath"),
    ("Error", "ErrorPath"),
    ("Cause", "CausePath"),
    ("ItemProcessor", "Iterator"),
)
WAITS = ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")
# The least and the greatest value of each field, unless it is an expression.
NUMBERS: dict[str, tuple[float, float]] = {
    "TimeoutSeconds": (1, 99999999),
    "HeartbeatSeconds": (1, 99999999),
    "Seconds": (0, 99999999),
    "MaxConcurrency": (0, float("inf")),
    "ToleratedFailureCount": (0, float("inf")),
    "ToleratedFailurePercentage": (0, 100),
    "IntervalSeconds": (1, 99999999),
    "MaxAttempts": (0, 99999999),
    "BackoffRate": (1, float("inf")),
    "MaxDelaySeconds": (1, 31622400),
}
FRACTIONS = ("ToleratedFailurePercentage", "BackoffRate")
