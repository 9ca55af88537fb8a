"""A value that a parameter's pattern does not allow is refused (patches/parameter_limits.py)."""

import uuid

import pytest
from botocore.exceptions import ClientError

from deploy import names
from local.platform import Platform
from tests.support.local.platform import Stacks
from tests.support.repository import resources

GUARD = {"Resources": {"It": resources("AWS::SSM::Parameter")["StackNameFits"]}}


def test_the_api_refuses_it_in_awss_words(platform: Platform) -> None:
    ssm, name = platform.client("ssm"), f"test-{uuid.uuid4().hex}"
    request = {"Name": name, "Type": "String", "AllowedPattern": r"^\d+$"}

    ssm.put_parameter(**request, Value="42")
    with pytest.raises(ClientError) as refused:
        ssm.put_parameter(**request, Value="x42", Overwrite=True)

    assert refused.value.response["Error"] == {
        "Code": "ParameterPatternMismatchException",
        "Message": r"Parameter value, x42, doesn't match the allowed pattern ^\d+$",
    }


@pytest.mark.parametrize("name", ["slipway-test-e", "slipway-env", "Slipway", "s" * 21])
def test_a_stack_of_slipway_whose_name_cannot_work_fails_by_itself(
    platform: Platform, name: str
) -> None:
    stack = Stacks(platform).create(GUARD, name=name)

    if names.refusal(name) is None:
        assert stack.status == "CREATE_COMPLETE"
    else:
        assert stack.status == "ROLLBACK_COMPLETE"
        assert "ParameterPatternMismatchException" in stack.failures()["It"]
