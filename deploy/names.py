"""The names that a Slipway stack may have.

CloudFormation names a resource without a name of its own `<stack>-<logical id>-<12 characters>`,
and template.yaml grants permissions by the beginning of these names: `<stack>-env-*` for the
resources of environments. If such a name is too long, CloudFormation shortens the stack's part to
what the logical id leaves, but not below 25 characters (seen in names that AWS generated: functions
and roles of 64, buckets of 63 characters). An environment's rights cover names that begin
with `<stack>-env-` and its scope of 8 characters, so `<stack>` may have 12: they then cover every
generated name of the environment, and none of another one's.
"""

import re

LONGEST = 12
# The same rules as one pattern. An SSM parameter in template.yaml refuses other names with it.
PATTERN = (
    r"^(?!aws|ssm|amzn|sthree|xn--)(?!.*-(env|making|plan)(-|$))(?=.{1,12}$)"
    r"[a-z][a-z0-9]*(-[a-z0-9]+)*$"
)
# Parameter Store refuses paths that begin with the first two (secrets are below /<stack>/). S3
# refuses buckets that begin with the others.
RESERVED = ("aws", "ssm", "amzn", "sthree", "xn--")


def refusal(name: str) -> str | None:
    """A sentence that says why the stack cannot have this name; None if it can."""
    if not name:
        return "A stack needs a name"
    if re.search(r"[^a-z0-9-]", name):
        return "Use lower-case letters, digits and hyphens: buckets are named after the stack"
    if not name[0].isalpha():
        return "Begin with a letter"
    if name.endswith("-") or "--" in name:
        return "Use single hyphens, and none at the end"
    if len(name) > LONGEST:
        return (
            f"Use at most {LONGEST} characters (these are {len(name)}): CloudFormation "
            "shortens longer names, and the stack's permissions would not match them"
        )
    for word in RESERVED:
        if name.startswith(word):
            return f"AWS reserves names that begin with {word!r}"
    if re.search(r"-(env|making|plan)(-|$)", name):
        return "'-env', '-making' and '-plan' are reserved for another Slipway stack's environments"
    return None
