"""A state machine's definition in S3 may be YAML, as `sam deploy` uploads it.

Defect: the stock provisioner passes the file on unchanged, and Step Functions accepts only JSON. On
AWS CloudFormation reads both ("The state machine definition must be a JSON or YAML file": the
documentation of AWS::StepFunctions::StateMachine S3Location).
"""

import json
from typing import Any

import yaml


def patch(module: Any) -> None:
    stock = module._sfn_definition

    def definition(properties: dict[str, Any]) -> str:
        text: str = stock(properties)
        if not properties.get("DefinitionS3Location"):
            return text
        try:
            read = yaml.safe_load(text)
        except yaml.YAMLError:
            return text  # Step Functions reports the error
        return json.dumps(read, default=str) if isinstance(read, dict) else text

    module._sfn_definition = definition


TARGETS = {"ministack.services.cloudformation.provisioners": patch}
