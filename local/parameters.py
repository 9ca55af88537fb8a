"""The stack's parameters: those of `make local PARAMETERS=`, and the laptop's own defaults.

The format is that of SAM's `parameter_overrides`: Key=Value pairs, separated by spaces; a value
with spaces is quoted. CloudFormation validates names and values when the stack is created.
"""

import shlex
import sys

MAIL_SENDER = "slipway@example.com"
# The bucket for the code that deployments bring.
BUILDS = "slipway-builds"
_RAISED = (
    "MaxEnvironmentsPerUser",
    "MaxEnvironmentsPerProject",
    "MaxDeploymentsWaiting",
    "MaxDeploymentsPerUser",
    "MaxDeploymentsPerProject",
)


class Malformed(Exception):
    """The text is not a list of Key=Value pairs. The message says where."""


def parse(text: str) -> dict[str, str]:
    """The parameters by name, from text like `Stage=prod Title='Two words'`.

    Raises Malformed for unbalanced quotes, a word that is not Key=Value, or a repeated name.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Malformed(f"{text!r}: {error}") from error
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isalnum():
            raise Malformed(f"{word!r} is not Key=Value; quote a value that contains spaces")
        if name in found:
            raise Malformed(f"{name} is given twice")
        found[name] = value
    return found


def own_defaults(given: dict[str, str]) -> dict[str, str]:
    """The laptop's own defaults of parameters, beside those that are given."""
    # Domains are only allowed to those who prove their address.
    sender = {"MailSender": MAIL_SENDER} if given.get("Registration") == "domains" else {}
    return {
        "PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "SimulateFaults": "true",
        "Registration": "open",
        "MembersMayPublish": "true",
        "ArtifactBuckets": BUILDS,
        # README's first steps use one.
        "RejectCommonPasswords": "false",
        # No other application shares this machine's Lambda, as in an account with enough quota.
        "StreamParallelism": "10",
        # Load tests and the soak make far more than a person does. The rates are AWS's quotas.
        **dict.fromkeys(("ThrottleRate", "CostlyRate"), "10000"),
        **dict.fromkeys(("ThrottleBurst", "CostlyBurst"), "5000"),
        **dict.fromkeys(_RAISED, "100000"),
        "RequestsPerMinute": "1000000",
        # As many as local/patches/lambda_workers.py has workers for.
        **dict.fromkeys(("MaxWaits", "MaxWaitsPerCaller"), "64"),
        **sender,
    }
