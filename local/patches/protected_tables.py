"""A table with deletion protection is not deleted with its stack.

Defects: the stock `AWS::DynamoDB::Table` deletes it, so that a stack of stage prod lost its table;
and DeleteTable has a message of its own (AWS's: nubo-db/dynoxide, issue 46).
"""

from typing import Any

WORDS = (
    "Resource cannot be deleted as it is currently protected against deletion. "
    "Disable deletion protection first."
)


def patch_service(module: Any) -> None:
    stock = module._delete_table

    def delete(data: dict[str, Any]) -> Any:
        status, headers, body = stock(data)
        if status == 400 and b"is protected against deletion" in body:
            return module.error_response_json("ValidationException", WORDS, 400)
        return status, headers, body

    module._delete_table = delete


def patch(module: Any) -> None:
    table = module._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    stock = table["delete"]

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        found = module._dynamodb._tables.get(physical_id, {})
        if str(found.get("DeletionProtectionEnabled")).lower() == "true":
            raise ValueError(
                f'Resource handler returned message: "{WORDS} (Service: DynamoDb, Status Code: '
                f'400, Request ID: {module.new_uuid()})" (RequestToken: {module.new_uuid()}, '
                "HandlerErrorCode: GeneralServiceException)"
            )
        stock(physical_id, properties)

    table["delete"] = delete


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch,
    "ministack.services.dynamodb": patch_service,
}
