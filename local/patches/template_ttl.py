"""A table's TimeToLiveSpecification in a template takes effect.

Defect: the stock `AWS::DynamoDB::Table` drops it, so the table's items never expire.
"""

from typing import Any

from local.patches import resource


def patch(module: Any) -> None:
    def apply(name: str, properties: dict[str, Any]) -> None:
        wanted = properties.get("TimeToLiveSpecification") or {}
        enabled = module._cfn_bool(wanted.get("Enabled", "false"))
        module._dynamodb._ttl_settings[name] = {
            "TimeToLiveStatus": "ENABLED" if enabled else "DISABLED",
            "AttributeName": wanted.get("AttributeName", ""),
        }

    resource.after(module, "AWS::DynamoDB::Table", apply)


TARGETS = {"ministack.services.cloudformation.provisioners": patch}
