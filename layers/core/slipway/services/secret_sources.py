"""Sources: parameters and secrets of the account that a secret's value may be copied from.

The stack's parameter SecretSources lists the beginnings of their ARNs. Slipway reads them with its
own right, for everyone who may set a secret, so an entry says which project and which tier it is
for: `{project_id}` in it stands for the id of the project, and `{tier}` for the tier. A name that
people choose, such as a project's, would let them choose what they read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slipway import aws
from slipway.domain.rights import tier_of
from slipway.errors import DriverRefused, FieldError, Invalid
from slipway.services.level_changes import OwnLevel, SharedLevel
from slipway.settings import secret_sources, settings

if TYPE_CHECKING:
    from slipway.services.level_changes import Seen, Target

_PARAMETER_STORE = r"arn:[a-z0-9-]+:ssm:[a-z0-9-]+:\d{12}:parameter(/[A-Za-z0-9_.-]+)+"
_SECRETS_MANAGER = r"arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+"
_NAME = r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*"


def read(origin: str, target: Target, seen: Seen) -> str:
    """The value of the source with this name or ARN. One call.

    Raises Invalid if no entry of SecretSources allows it, or if it has no text. DriverFault.
    """
    arn = _arn(origin)
    if arn is None:
        raise _refused("is not the name or the ARN of a parameter, or the ARN of a secret")
    if not any(arn.startswith(each) for each in _allowed(target, seen)) or _is_ours(arn):
        raise _refused("is not a source that this platform allows here")
    try:
        return _value(arn)
    except DriverRefused:
        # Its reason may tell what else there is in the account.
        raise _refused("cannot be read: it does not exist, or it is not shared") from None


def _refused(detail: str) -> Invalid:
    return Invalid([FieldError("#/from", detail)])


def _arn(origin: str) -> str | None:
    if re.fullmatch(f"{_PARAMETER_STORE}|{_SECRETS_MANAGER}", origin):
        return origin
    if origin.startswith("arn:") or not re.fullmatch(_NAME, origin):
        return None
    _, partition, _, region, account, *_ = settings().machines.split(":")
    return f"arn:{partition}:ssm:{region}:{account}:parameter/{origin.removeprefix('/')}"


def _allowed(target: Target, seen: Seen) -> list[str]:
    """The beginnings of ARNs that the level may copy from."""
    tier = None
    if isinstance(target, OwnLevel):
        tier = tier_of(seen.record)
    elif isinstance(target, SharedLevel):
        tier = target.tier
    found = []
    for entry in secret_sources():
        # The level of a whole project reaches all its tiers, so it has none of a single one.
        if tier is not None or "{tier}" not in entry:
            project = f"prj_{seen.record['id'].split('_')[1]}"
            found.append(entry.replace("{project_id}", project).replace("{tier}", tier or ""))
    return found


def _is_ours(arn: str) -> bool:
    """Whether it is one that Slipway keeps for itself, or for an environment."""
    _, _, name = arn.partition(":parameter/")
    own, shared = f"{settings().stack}/", f"{settings().stack}/shared/"
    return arn == settings().token_secret or (name.startswith(own) and not name.startswith(shared))


def _value(arn: str) -> str:
    if ":secretsmanager:" in arn:
        return str(
            aws.call("secretsmanager", "get_secret_value", SecretId=arn).get("SecretString", "")
        )
    ours = settings().machines.split(":")[3:5] == arn.split(":")[3:5]
    name = arn.partition(":parameter/")[2]
    wanted = (f"/{name}" if "/" in name else name) if ours else arn
    answer = aws.call("ssm", "get_parameter", Name=wanted, WithDecryption=True)
    return str(answer["Parameter"]["Value"])
