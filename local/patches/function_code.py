"""Functions of templates get the code that AWS gives them, or are not created.

Defects: the stock `AWS::Lambda::Function` puts inline code into the file that `Handler` names,
where AWS always uses `index`; it does not add `cfnresponse` (Python) or `cfn-response` (Node.js),
which AWS's documentation of `Code.ZipFile` promises; and, like CreateFunction, it creates a
function without code if the object in S3 does not exist.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

LOCAL = Path(__file__).parents[1]
LONGEST_INLINE = 4 * 2**20
MISSING = "Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
NO_BUCKET = MISSING.format(code="NoSuchBucket", message="The specified bucket does not exist")
NO_KEY = MISSING.format(code="NoSuchKey", message="The specified key does not exist.")


def archive(source: str, runtime: str) -> bytes:
    """The package that CloudFormation creates from inline code."""
    if len(source.encode()) > LONGEST_INLINE:
        raise ValueError(f"The inline code is larger than {LONGEST_INLINE} bytes")
    node = runtime.startswith("nodejs")
    if not node and not runtime.startswith("python"):
        raise ValueError("ZipFile can only be used with Node.js and Python runtimes")
    files = (
        {
            "index.js": source,
            "node_modules/cfn-response/index.js": (LOCAL / "cfn-response.js").read_text(),
        }
        if node
        else {"index.py": source, "cfnresponse.py": (LOCAL / "cfnresponse.py").read_text()}
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in files.items():
            package.writestr(
                zipfile.ZipInfo(name), text
            )  # undated: the same code gives the same bytes
    return content.getvalue()


def missing(code: dict[str, Any]) -> str | None:
    """AWS's message if the code's object in S3 cannot be read; None if it can."""
    from ministack.services import lambda_svc, s3

    if not code.get("S3Bucket") or not code.get("S3Key"):
        return None
    if code["S3Bucket"] not in s3._buckets:
        return NO_BUCKET
    found = lambda_svc._fetch_code_from_s3(
        code["S3Bucket"], code["S3Key"], version_id=code.get("S3ObjectVersion")
    )
    return None if found else NO_KEY


def patch(module: Any) -> None:
    """lambda_svc: CreateFunction."""
    stock_create = module._create_function

    def create(data: dict[str, Any]) -> Any:
        if text := missing(data.get("Code") or {}):
            return module.error_response_json("InvalidParameterValueException", text, 400)
        return stock_create(data)

    module._create_function = create


def patch_template(module: Any) -> None:
    """provisioners: `AWS::Lambda::Function`."""
    stock_create = module._lambda_create

    def inline(source: str | None, handler: str, runtime: str = "") -> bytes | None:
        return archive(source, runtime) if source else None

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        if text := missing(properties.get("Code") or {}):
            raise ValueError(f'Resource handler returned message: "{text}" (InvalidRequest)')
        return stock_create(logical_id, properties, stack)

    module._zip_inline = inline
    module._lambda_create = create
    module._RESOURCE_HANDLERS["AWS::Lambda::Function"]["create"] = create


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch_template,
    "ministack.services.lambda_svc": patch,
}
