"""A bucket that is not empty is not deleted with its stack.

Defects: the stock `AWS::S3::Bucket` deletes the bucket with its objects, where CloudFormation fails
with S3's error; and S3's error does not mention object versions.
"""

import re
from typing import Any

NOT_EMPTY = "The bucket you tried to delete is not empty"


def patch_s3(module: Any) -> None:
    stock = module._delete_bucket

    def delete(name: str) -> Any:
        versioned = name in module._bucket_versioning
        status, headers, body = stock(name)
        if status == 409 and versioned:
            words = f"{NOT_EMPTY}. You must delete all versions in the bucket."
            body = body.replace(NOT_EMPTY.encode(), words.encode())
            headers = {**headers, "Content-Length": str(len(body))}
        return status, headers, body

    module._delete_bucket = delete


def patch(module: Any) -> None:
    bucket = module._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    stock = bucket["delete"]

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        status, _, body = module._s3._delete_bucket(physical_id)
        if status >= 400 and status != 404:
            found = re.search(rb"<Message>(.*?)</Message>", body)
            message = found[1].decode() if found else f"{status}"
            raise ValueError(
                f'Resource handler returned message: "{message} (Service: S3, Status Code: '
                f'{status}, Request ID: {module.new_uuid()})" (RequestToken: {module.new_uuid()}, '
                "HandlerErrorCode: GeneralServiceException)"
            )
        stock(physical_id, properties)

    bucket["delete"] = delete


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch,
    "ministack.services.s3": patch_s3,
}
