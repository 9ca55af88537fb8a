"""What the parameter store has of secrets."""

from __future__ import annotations

import boto3

from slipway.settings import settings


def stored() -> dict[str, str]:
    """What is in the parameter store, by place."""
    ssm = boto3.client("ssm", region_name=settings().region)
    found: dict[str, str] = {}
    for page in ssm.get_paginator("describe_parameters").paginate():
        for each in page["Parameters"]:
            assert each["Type"] == "SecureString"
            answer = ssm.get_parameter(Name=each["Name"], WithDecryption=True)
            place = each["Name"].removeprefix(f"/{settings().stack}/")
            found[place] = answer["Parameter"]["Value"]
    return found
