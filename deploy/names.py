"""Which names a stack of Slipway may have.

CloudFormation names what has no name of its own `<stack>-<logical id>-<12 characters>`, and the
rights in template.yaml are given by how these names begin: `<stack>-env-*` for what environments
are made of. Where such a name would be too long, CloudFormation cuts the stack's part to what the
logical id leaves, but never below 25 characters (seen in names that AWS has made: functions and
roles of 64, buckets of 63). An environment's stack is `<stack>-env-<20 characters>`, so `<stack>`
may have 20: its right to everything that begins with `<stack>-env-` then holds for whatever
CloudFormation makes of it.
"""

import re

LONGEST = 20
# The same in one expression, for template.yaml, which refuses other names by an SSM parameter.
PATTERN = (
    r"^(?!aws|ssm|amzn|sthree|xn--)(?!.*-(env|plan)(-|$))(?=.{1,20}$)[a-z][a-z0-9]*(-[a-z0-9]+)*$"
)
# Parameter Store refuses paths that begin with the first two (secrets are below /<stack>/), S3
# buckets that begin with the others.
RESERVED = ("aws", "ssm", "amzn", "sthree", "xn--")


def refusal(name: str) -> str | None:
    """Why the stack cannot have this name, in a sentence; None if it can."""
    if not name:
        return "A stack needs a name"
    if re.search(r"[^a-z0-9-]", name):
        return "Use lower-case letters, digits and hyphens: buckets are named after the stack"
    if not name[0].isalpha():
        return "Begin with a letter"
    if name.endswith("-") or "--" in name:
        return "Put single hyphens between words, not at the end"
    if len(name) > LONGEST:
        return (
            f"Use at most {LONGEST} characters (these are {len(name)}): CloudFormation cuts longer "
            "names, and the stack's rights would no longer fit the names it makes"
        )
    for word in RESERVED:
        if name.startswith(word):
            return f"AWS keeps names that begin with {word!r} to itself"
    if re.search(r"-(env|plan)(-|$)", name):
        return "'-env' and '-plan' are how the stacks of another Slipway's environments are named"
    return None
