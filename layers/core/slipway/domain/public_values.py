"""Parameters whose values are AWS's public parameters, such as the newest image of Amazon Linux.

The value of a parameter of a type `AWS::SSM::Parameter::Value<…>` is a name in the parameter store,
and CloudFormation reads what it stands for with rights that the caller does not have. So it may
only name what AWS shows to everyone, below /aws/service/. Nobody else can write there: the store
refuses names that begin with "aws".
"""

from __future__ import annotations

import re

_TYPE = re.compile(
    r"AWS::SSM::Parameter::Value<(?:String|CommaDelimitedList|List<String>"
    r"|AWS::[A-Za-z0-9:]+|List<AWS::[A-Za-z0-9:]+>)>"
)
# The store's own limit for a name is 1,011 characters with its ARN.
_NAME = re.compile(r"/aws/service/[A-Za-z0-9_.-][A-Za-z0-9_./-]{0,900}")
_REFUSED = (
    "must name one of AWS's public parameters, /aws/service/…: environments have no right to other "
    "parameters of the account"
)


def is_type(kind: str) -> bool:
    """Whether CloudFormation has such a type."""
    return _TYPE.fullmatch(kind) is not None


def problem(name: str) -> str | None:
    """Why CloudFormation may not read the parameter of this name; None if it may."""
    return None if _NAME.fullmatch(name) else _REFUSED
