"""Functions run in their own language, and other runtimes are refused with a reason.

Defect: the stock service creates a function of any runtime, even of one that AWS does not know or
no longer accepts, and answers an invocation that it cannot run with an error about Docker or with
an invented result.

Here `python3.*` runs on the interpreter that runs the platform, and `nodejs*` on the `node` on
PATH, whatever minor version the identifier has. AWS's texts for runtimes that it refuses are in
LocalStack's recording `test_lambda_api.snapshot.json`: `test_create_lambda_exceptions` and
`TestRuntimeValidation::test_create_deprecated_function_runtime_with_validation_enabled`.
"""

import functools
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local import runtime

SDK = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")
NODE_RUNTIME = Path(runtime.__file__).with_suffix(".mjs")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# The runtimes in AWS's message, and later ones from botocore's model.
ON_AWS = (
    *("nodejs20.x", "python3.14", "provided.al2023", "python3.12", "python3.13", "nodejs24.x"),
    *(
        "nodejs22.x",
        "java25",
        "python3.10",
        "python3.11",
        "java21",
        "ruby3.3",
        "ruby3.4",
        "ruby3.2",
    ),
    *("python3.8", "python3.9", "java17", "nodejs16.x", "dotnet10", "dotnet8", "java11", "dotnet6"),
    *("nodejs18.x", "provided.al2", "java8.al2", "nodejs26.x", "python3.15", "ruby4.0"),
    *("java8.al2023", "java11.al2023", "java17.al2023"),
)
# Runtimes whose refusal was recorded, and those that AWS retired earlier.
RETIRED = (
    *("java8", "go1.x", "provided", "ruby2.7", "nodejs14.x", "python3.7", "dotnetcore3.1"),
    *("nodejs12.x", "nodejs", "nodejs4.3", "nodejs4.3-edge", "nodejs6.10", "nodejs8.10"),
    *("nodejs10.x", "python2.7", "python3.6", "ruby2.5"),
    *("dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1"),
)


@functools.cache
def node() -> str | None:
    """The path of Node.js; None if it is not installed."""
    return shutil.which("node")


def refusal(identifier: str, package: str = "Zip") -> str | None:
    """Why a function of this runtime and package type is refused; None if it is not."""
    if package == "Image":
        return (
            "Container images do not run here. On this machine functions are Zip packages of a"
            " python3.* or nodejs* runtime; images run on AWS only."
        )
    if identifier in RETIRED:
        return (
            f"The runtime parameter of {identifier} is no longer supported for creating or updating"
            " AWS Lambda functions. We recommend you use a supported runtime while creating or"
            " updating functions."
        )
    if identifier not in ON_AWS:
        return (
            f"Value {identifier} at 'runtime' failed to satisfy constraint: Member must satisfy"
            f" enum value set: [{', '.join(ON_AWS)}] or be a valid ARN"
        )
    if identifier.startswith("nodejs") and not node():
        return f"{identifier} needs Node.js, and there is no `node` on this machine's PATH."
    if not identifier.startswith(("python", "nodejs")):
        return (
            f"{identifier} does not run here. On this machine the runtimes are python3.* and"
            " nodejs*; functions of other runtimes run on AWS only."
        )
    return None


def program(identifier: str) -> list[str]:
    """The command of a worker process, to which the number of its socket is appended."""
    if identifier.startswith("nodejs"):
        return [node() or "node", str(NODE_RUNTIME)]
    return [sys.executable, "-I", "-S", runtime.__file__]


def import_path(identifier: str, task_root: Path, layers: list[Path]) -> list[Path]:
    """The folders in which the runtime looks for modules, the function's code first."""
    if identifier.startswith("nodejs"):
        return [task_root]
    site = f"python/lib/python{PYTHON}/site-packages"
    return [task_root, *(layer / each for layer in layers for each in (site, "python")), sdk()]


def variables(identifier: str, task_root: Path, layers: list[Path]) -> Mapping[str, str]:
    """The runtime's own environment variables. AWS_EXECUTION_ENV names the real runtime."""
    if not identifier.startswith("nodejs"):
        return {"AWS_EXECUTION_ENV": f"AWS_Lambda_python{PYTHON}"}
    major = identifier.removeprefix("nodejs").partition(".")[0]
    kinds = (f"nodejs/node{major}/node_modules", "nodejs/node_modules")
    folders = [*(str(layer / kind) for layer in layers for kind in kinds), str(task_root)]
    return {"AWS_EXECUTION_ENV": f"AWS_Lambda_{identifier}", "NODE_PATH": ":".join(folders)}


@functools.cache
def sdk() -> Path:
    """A folder with only the AWS SDK, as links into our site-packages."""
    folder = Path(tempfile.mkdtemp(prefix="sdk-"))
    for name in SDK:
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            found = Path(spec.origin)
            found = found.parent if found.name == "__init__.py" else found
            (folder / found.name).symlink_to(found)
    return folder


def patch(module: Any) -> None:
    """lambda_svc: CreateFunction and UpdateFunctionConfiguration, by which templates update too."""
    stock_create, stock_update = module._create_function, module._update_config

    def refused(text: str) -> Any:
        return module.error_response_json("InvalidParameterValueException", text, 400)

    def create(data: dict[str, Any]) -> Any:
        image = "ImageUri" in (data.get("Code") or {})
        package = "Image" if image else data.get("PackageType", "Zip")
        asked = package == "Image" or data.get(
            "Runtime"
        )  # otherwise the stock service reports what is missing
        text = refusal(data.get("Runtime", ""), package) if asked else None
        return refused(text) if text else stock_create(data)

    def update(name: str, data: dict[str, Any]) -> Any:
        text = refusal(data["Runtime"]) if data.get("Runtime") else None
        return refused(text) if text else stock_update(name, data)

    module._create_function, module._update_config = create, update


def patch_template(module: Any) -> None:
    """provisioners: `AWS::Lambda::Function`, created or replaced."""
    stock_create = module._lambda_create

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        image = "ImageUri" in (properties.get("Code") or {})
        package = "Image" if image else properties.get("PackageType", "Zip")
        if not image and not properties.get("Runtime"):
            raise ValueError("Runtime is mandatory for a function of a Zip package.")
        if text := refusal(properties.get("Runtime", ""), package):
            raise ValueError(f'Resource handler returned message: "{text}" (InvalidRequest)')
        return stock_create(logical_id, properties, stack)

    module._lambda_create = create
    module._RESOURCE_HANDLERS["AWS::Lambda::Function"]["create"] = create


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch_template,
    "ministack.services.lambda_svc": patch,
}
