"""Template bodies in S3: written once under their digest, read by CloudFormation.

A body is written before the record that names it. A crash in between leaves an unreferenced object,
never a record without its body. A body that a draft no longer refers to also stays.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from slipway import aws
from slipway.aws import redaction
from slipway.errors import DriverFault, FieldError, Invalid
from slipway.settings import settings

_PUT_TRIES = 3


def key(template: str, version: str, sha256: str) -> str:
    return f"templates/{template}/{version}/{sha256}"


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def put(key: str, body: bytes, media: str) -> None:
    """Store the body. No-op if it exists: the key contains its digest."""
    from botocore.exceptions import ClientError

    wanted = {
        "Bucket": settings().templates_bucket,
        "Key": key,
        "Body": body,
        "ContentType": media,
        "ChecksumSHA256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
        "IfNoneMatch": "*",
    }
    for tries_left in reversed(range(_PUT_TRIES)):
        try:
            _s3().put_object(**wanted)
            return
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "PreconditionFailed":
                return
            # A concurrent repeat is storing the same body, and may still fail.
            if code != "ConditionalRequestConflict" or not tries_left:
                raise DriverFault(f"The template could not be stored: {error}") from error
        except aws.unanswered() as error:
            raise _fault("The template could not be stored", error) from error


def get(key: str) -> bytes:
    from botocore.exceptions import ClientError

    try:
        found = _s3().get_object(Bucket=settings().templates_bucket, Key=key)
        return bytes(found["Body"].read())
    except ClientError as error:
        raise DriverFault(f"The template could not be read: {error}") from error
    except aws.unanswered() as error:
        raise _fault("The template could not be read", error) from error


def url(key: str) -> str:
    """The URL at which CloudFormation reads it, with the caller's permissions."""
    return f"{_s3().meta.endpoint_url}/{settings().templates_bucket}/{key}"


def validate(key: str) -> None:
    """Have CloudFormation validate a stored body. Raises Invalid, DriverFault."""
    from botocore.exceptions import ClientError

    try:
        _cloudformation().validate_template(TemplateURL=url(key))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise DriverFault(f"CloudFormation did not validate the template: {error}") from error
        # No environment has to do with it, so it can quote no secret.
        text = error.response["Error"]["Message"]
        said = redaction.explanation(text, of_environments=False)
        raise Invalid([FieldError("#", said)]) from None
    except aws.unanswered() as error:
        raise _fault("CloudFormation did not validate the template", error) from error


def _fault(what: str, error: Exception) -> DriverFault:
    return DriverFault(f"{what}: {aws.without_answer(error)}")


def _s3() -> Any:
    return aws.client("s3")


def _cloudformation() -> Any:
    return aws.client("cloudformation")
