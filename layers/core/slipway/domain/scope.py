"""The scope of an environment: the part of its resources' names that rights tell it apart by.

Names that CloudFormation generates keep at least 25 characters of the stack's name (deploy/names.py
has the proof). An environment's stack is `<slipway's stack>-env-` and its part of the id, random
half first: the scope is the first 8 characters of that, so with 12 for Slipway's stack, every
name that is generated has all of it. 40 random bits are few for a guess but enough to tell
environments apart, and two never share a scope: the name of the making role contains it, and IAM
gives a name once (slipway.drivers.making_role).
"""

from __future__ import annotations

from slipway.domain.ids import parse_environment

# The tag of roles and stacks whose value is the scope.
TAG = "slipway-scope"
LENGTH = 8
_RANDOM_HALF = 10


def stack_suffix(environment_id: str) -> str:
    """The environment's part of its stack's name. Raises NotFound for a malformed id."""
    part = parse_environment(environment_id).e
    return part[_RANDOM_HALF:] + part[:_RANDOM_HALF]


def of(environment_id: str) -> str:
    """The scope. Raises NotFound for a malformed id."""
    return stack_suffix(environment_id)[:LENGTH]
