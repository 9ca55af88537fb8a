"""The environment variables of functions under SAM CLI: all that the deployed ones have.

SAM CLI fills in a variable from the file of `--env-vars` only if the template names it, and invents
a value for everything that it cannot resolve. So the values are read from the functions that
CloudFormation created in the backend, and `naming_all` adds every name to the template.
"""

from pathlib import Path
from typing import Any

Variables = dict[str, dict[str, str]]

# Lambda sets these on AWS. SAM CLI would use the developer's, or invent values.
OF_LAMBDA = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_ENDPOINT_URL",  # only here: the URL of the backend
)


def deployed(cloudformation: Any, functions: Any, stack: str) -> dict[str, dict[str, Any]]:
    """The configuration of every function of the stack, by its logical id.

    `functions` is a client of Lambda. Costs one call a function and one for each 100 resources.
    """
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        resource["LogicalResourceId"]: functions.get_function_configuration(
            FunctionName=resource["PhysicalResourceId"]
        )
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


def found_by(
    configuration: dict[str, Any], endpoint: str, region: str, key: dict[str, str]
) -> dict[str, str]:
    """The environment of the function.

    `key` are the variables of its credentials, `endpoint` is the URL of the backend.
    """
    return {
        **((configuration.get("Environment") or {}).get("Variables") or {}),
        **dict.fromkeys(OF_LAMBDA, ""),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_LAMBDA_FUNCTION_NAME": configuration["FunctionName"],
        "AWS_ENDPOINT_URL": endpoint,
        **key,
    }


def naming_all(template: dict[str, Any], variables: Variables, folder: Path) -> dict[str, Any]:
    """The template of the build in `folder`, with absolute paths and every variable's name.

    `--env-vars` supplies the values, so none is resolved from the template. Changes `template`.
    """
    template.get("Globals", {}).get("Function", {}).pop("Environment", None)
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties") or {}
        for uri in ("CodeUri", "ContentUri", "DefinitionUri"):
            if isinstance(properties.get(uri), str):
                properties[uri] = str((folder / properties[uri]).resolve())
        if resource["Type"] == "AWS::Serverless::Function":
            properties["Environment"] = {"Variables": dict.fromkeys(variables[name], "")}
    return template
