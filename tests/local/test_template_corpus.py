"""The laptop's CloudFormation makes a stack of every template that Slipway accepts, and refuses the
inputs that Slipway refuses (tests/api/test_template_corpus.py)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.platform import Platform
from slipway.domain import inputs as of_templates
from slipway.domain import template_parser
from slipway.errors import Invalid
from tests.support.api.corpus import CORPUS, sample
from tests.support.local.platform import eventually

MADE = [
    pytest.param(name, pointer, given, id=f"{name}-{n}")
    for name in CORPUS
    for n, (pointer, given) in enumerate(sample(name).made)
    if pointer != "#/name" and not name.startswith("a-loop-over")
]
SUPPLIED = {"PermissionsBoundary": "arn:aws-cn:iam::000000000000:policy/boundary"}


def parameters(body: str, given: dict[str, Any]) -> list[dict[str, str]]:
    """The parameters as Slipway sends them. What it refuses is sent as it is."""
    declared = template_parser.read(body.encode(), is_json=False).parameters
    try:
        texts = of_templates.checked(declared, given)
    except Invalid:
        texts = {name: str(each) for name, each in given.items()}
    names = {each.name for each in declared}
    texts |= {name: each for name, each in SUPPLIED.items() if name in names}
    return [{"ParameterKey": name, "ParameterValue": each} for name, each in texts.items()]


@pytest.mark.parametrize("name,pointer,given", MADE)
def test_a_stack_is_made_of_it_or_refused(
    platform: Platform, name: str, pointer: str | None, given: dict[str, Any]
) -> None:
    client, stack = platform.client("cloudformation"), f"test-{uuid.uuid4().hex}"
    wanted = {
        "StackName": stack,
        "TemplateBody": sample(name).body,
        "Parameters": parameters(sample(name).body, given),
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    if pointer is not None:
        with pytest.raises(ClientError):
            client.create_stack(**wanted)
        return
    client.create_stack(**wanted)

    def ended() -> str | None:
        [found] = client.describe_stacks(StackName=stack)["Stacks"]
        status: str = found["StackStatus"]
        return None if status.endswith("_IN_PROGRESS") else status

    status = eventually(ended)
    client.delete_stack(StackName=stack)
    assert status == "CREATE_COMPLETE"
