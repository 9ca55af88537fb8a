"""Runtimes and the code of functions (patches/lambda_runtimes.py, function_code.py, runtime.mjs).

The refusals that are AWS's are in LocalStack's recording `test_lambda_api.snapshot.json`:
`TestLambdaFunction::test_create_lambda_exceptions`, `TestRuntimeValidation`. The answers of Node.js
are in `test_lambda_common.snapshot.json`: `TestLambdaRuntimesCommon`, `nodejs20.x`.
"""

import json
import re
import shutil
import time
from typing import Any

import pytest
from botocore.loaders import Loader

from local.patches import lambda_runtimes
from local.patches.function_code import archive
from local.platform import Platform
from tests.support.local.lambdas import Function, Stack, function, refused, zipped

INVALID = "InvalidParameterValueException"
PYTHON = {"app.py": "import sys\ndef handler(event, context): return sys.version_info[:2]"}
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="there is no Node.js here")


def node(platform: Platform, code: str, file: str = "app.js", **properties: Any) -> Any:
    return function(platform, {file: code}, **{"Runtime": "nodejs20.x"} | properties)


def test_each_runtime_that_aws_knows_is_known() -> None:
    model = Loader().load_service_model("lambda", "service-2")

    known = set(lambda_runtimes.ON_AWS) | set(lambda_runtimes.RETIRED)
    assert known == set(model["shapes"]["Runtime"]["enum"])


@pytest.mark.parametrize("identifier", ["python3.8", "python3.12", "python3.14"])
def test_any_python_runs_on_the_interpreter_at_hand(platform: Platform, identifier: str) -> None:
    with function(platform, PYTHON, Runtime=identifier) as made:
        _, version = made.invoke()

    assert ".".join(map(str, version)) == lambda_runtimes.PYTHON


@pytest.mark.parametrize("identifier", ["java8", "python3.7", "nodejs14.x", "provided", "go1.x"])
def test_a_runtime_that_aws_has_retired_is_refused(platform: Platform, identifier: str) -> None:
    told = (
        f"The runtime parameter of {identifier} is no longer supported for creating or updating "
        "AWS Lambda functions. We recommend you use a supported runtime while creating or updating "
        "functions."
    )
    with refused(INVALID, told):
        Function(platform, PYTHON, Runtime=identifier)


@pytest.mark.parametrize("identifier", ["non-existent-runtime", "PYTHON3.9"])
def test_a_runtime_that_aws_does_not_know_is_refused(platform: Platform, identifier: str) -> None:
    told = (
        f"Value {identifier} at 'runtime' failed to satisfy constraint: Member must satisfy enum "
        f"value set: [{', '.join(lambda_runtimes.ON_AWS)}] or be a valid ARN"
    )
    with refused(INVALID, told):
        Function(platform, PYTHON, Runtime=identifier)


def test_a_runtime_that_does_not_run_here_is_refused_in_words(platform: Platform) -> None:
    told = (
        "java21 does not run here. On this machine the runtimes are python3.* and nodejs*; "
        "functions of other runtimes run on AWS only."
    )
    with refused(INVALID, told):
        Function(platform, PYTHON, Runtime="java21")
    with function(platform, PYTHON) as made, refused(INVALID, told):
        made.client.update_function_configuration(FunctionName=made.name, Runtime="java21")


def test_a_container_image_is_refused_in_words(platform: Platform) -> None:
    told = (
        "Container images do not run here. On this machine functions are Zip packages of a "
        "python3.* or nodejs* runtime; images run on AWS only."
    )
    with refused(INVALID, told):
        platform.client("lambda").create_function(
            FunctionName="image",
            Role="arn:aws:iam::000000000000:role/test",
            PackageType="Image",
            Code={"ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/image:1"},
        )


def test_without_node_its_runtimes_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lambda_runtimes, "node", lambda: None)

    told = lambda_runtimes.refusal("nodejs22.x")

    assert told == "nodejs22.x needs Node.js, and there is no `node` on this machine's PATH."


def stacked(runtime: str, code: str, **properties: Any) -> dict[str, Any]:
    """A template with one function of this inline code."""
    made = {
        "Runtime": runtime,
        "Handler": "index.handler",
        "Role": "arn:aws:iam::000000000000:role/test",
        "Code": {"ZipFile": code},
    }
    resource = {"Type": "AWS::Lambda::Function", "Properties": made | properties}
    output = {"Name": {"Value": {"Ref": "Maker"}}}
    return {"Resources": {"Maker": resource}, "Outputs": output}


@pytest.mark.parametrize("identifier", ["java21", "python3.7", "cobol"])
def test_a_stack_with_such_a_runtime_is_rolled_back(platform: Platform, identifier: str) -> None:
    stack = Stack(platform)
    code = {"S3Bucket": "artifacts", "S3Key": "template.json"}

    assert stack.make(stacked(identifier, "", Code=code)) == "ROLLBACK_COMPLETE"
    assert identifier in stack.reason("Maker")


def test_a_function_whose_code_is_not_in_s3_is_refused(platform: Platform) -> None:
    stack = Stack(platform)
    code = {"S3Bucket": "artifacts", "S3Key": "not-there.zip"}
    told = (
        "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified "
        "key does not exist."
    )

    assert stack.make(stacked("python3.13", "", Code=code)) == "ROLLBACK_COMPLETE"
    assert told in stack.reason("Maker")
    with refused(INVALID, told):
        platform.client("lambda").create_function(
            FunctionName="nothing",
            Role="arn:aws:iam::000000000000:role/test",
            Runtime="python3.13",
            Handler="app.handler",
            Code=code,
        )


def test_inline_code_is_the_file_index(platform: Platform) -> None:
    stack = Stack(platform)
    code = "def handler(event, context): return __name__"

    assert stack.make(stacked("python3.13", code)) == "CREATE_COMPLETE"
    client = platform.client("lambda")
    answer = client.invoke(FunctionName=stack.outputs["Name"])
    assert json.loads(answer["Payload"].read()) == "index"

    assert stack.change(stacked("python3.13", code, Handler="app.handler")) == "UPDATE_COMPLETE"
    answer = client.invoke(FunctionName=stack.outputs["Name"])
    assert json.loads(answer["Payload"].read())["errorType"] == "Runtime.ImportModuleError"


def test_the_same_inline_code_is_the_same_package() -> None:
    assert archive("x = 1", "python3.13") == archive("x = 1", "python3.13")


def custom(runtime: str, code: str, **properties: Any) -> dict[str, Any]:
    """A template whose custom resource is answered by this code."""
    template = stacked(runtime, code, Timeout=10)
    made = {"ServiceToken": {"Fn::GetAtt": ["Maker", "Arn"]}, **properties}
    template["Resources"]["Made"] = {"Type": "Custom::Thing", "Properties": made}
    template["Outputs"] = {
        "Word": {"Value": {"Fn::GetAtt": ["Made", "Word"]}},
        "Id": {"Value": {"Ref": "Made"}},
    }
    return template


IN_PYTHON = """
import cfnresponse
def handler(event, context):
    cfnresponse.send(event, context, cfnresponse.SUCCESS, {"Word": "made"}, "made-1")
"""
IN_NODE = """
const response = require("cfn-response");
exports.handler = async (event, context) => {
  await response.send(event, context, response.SUCCESS, { Word: "made" }, "made-1");
};
"""
WITH_A_CALLBACK = """
const response = require("cfn-response");
exports.handler = (event, context) => {
  response.send(event, context, response.SUCCESS, { Word: "made" }, "made-1");
};
"""


@pytest.mark.parametrize(
    ("runtime", "code"),
    [
        ("python3.13", IN_PYTHON),
        pytest.param("nodejs22.x", IN_NODE, marks=needs_node),
        pytest.param("nodejs22.x", WITH_A_CALLBACK, marks=needs_node),
    ],
)
def test_inline_code_answers_for_a_custom_resource(
    platform: Platform, runtime: str, code: str
) -> None:
    stack = Stack(platform)

    assert stack.make(custom(runtime, code)) == "CREATE_COMPLETE"
    assert stack.outputs == {"Word": "made", "Id": "made-1"}
    stack.client.delete_stack(StackName=stack.name)


def test_cfnresponse_is_there_for_inline_code_alone(platform: Platform) -> None:
    with function(platform, {"app.py": IN_PYTHON}) as made:
        _, error = made.invoke({})

    assert error["errorType"] == "Runtime.ImportModuleError"


def test_a_custom_resource_that_does_not_answer_fails_after_its_timeout(
    platform: Platform,
) -> None:
    stack = Stack(platform)
    code = "import time\ndef handler(event, context): time.sleep(5)"

    began = time.monotonic()
    assert stack.make(custom("python3.13", code, ServiceTimeout="1")) == "ROLLBACK_COMPLETE"
    assert time.monotonic() - began < 4
    told = (
        r"CloudFormation did not receive a response from your Custom Resource\. Please check your "
        r"logs for requestId \[[0-9a-f-]{36}\]\."
    )
    assert re.match(told, stack.reason("Made"))


@pytest.mark.parametrize("seconds", ["0", "3601", "soon"])
def test_a_custom_resource_waits_an_hour_at_most(platform: Platform, seconds: str) -> None:
    stack = Stack(platform)

    assert (
        stack.make(custom("python3.13", IN_PYTHON, ServiceTimeout=seconds)) == "ROLLBACK_COMPLETE"
    )
    assert f"from 1 to 3600, not {seconds}" in stack.reason("Made")


@needs_node
def test_node_knows_its_invocation(platform: Platform) -> None:
    code = """
    exports.handler = async (event, context) => ({
      event, node: process.version, environment: process.env,
      context: { ...context, remaining: context.getRemainingTimeInMillis() },
    });
    """
    with node(platform, code, Timeout=7, MemorySize=256) as made:
        _, said = made.invoke({"a": "ä"})

    context = said["context"]
    assert said["event"] == {"a": "ä"}
    assert said["node"].startswith("v")
    assert (context["functionName"], context["invokedFunctionArn"]) == (made.name, made.arn)
    assert (context["functionVersion"], context["memoryLimitInMB"]) == ("$LATEST", "256")
    assert context["logGroupName"] == f"/aws/lambda/{made.name}"
    assert re.fullmatch(r"[0-9a-f-]{36}", context["awsRequestId"])
    assert 6000 < context["remaining"] <= 7000
    assert said["environment"]["AWS_EXECUTION_ENV"] == "AWS_Lambda_nodejs20.x"
    assert said["environment"]["AWS_LAMBDA_FUNCTION_NAME"] == made.name


HANDLERS = {
    "async": "exports.handler = async (event) => event.n + 1;",
    "promise": "exports.handler = (event) => Promise.resolve(event.n + 1);",
    "callback": "exports.handler = (event, context, callback) => callback(null, event.n + 1);",
    "later": """exports.handler = (event, context, callback) => {
        setTimeout(() => callback(null, event.n + 1), 20);
    };""",
    "at once": """exports.handler = (event, context, callback) => {
        context.callbackWaitsForEmptyEventLoop = false;
        setInterval(() => {}, 1000);
        callback(null, event.n + 1);
    };""",
    "context": "exports.handler = (event, context) => context.succeed(event.n + 1);",
}


@needs_node
@pytest.mark.parametrize("how", HANDLERS)
def test_node_answers_as_its_handler_does(platform: Platform, how: str) -> None:
    with node(platform, HANDLERS[how]) as made:
        answers = [made.invoke({"n": n}) for n in range(3)]

    assert answers == [(None, n + 1) for n in range(3)]


@needs_node
def test_a_node_handler_with_nothing_left_to_do_answers_null(platform: Platform) -> None:
    with node(platform, "exports.handler = () => 7;") as made:
        assert made.invoke({}) == (None, None)
    with node(platform, "exports.handler = () => new Promise(() => {});") as made:
        assert made.invoke({}) == (None, None)


@needs_node
def test_callbacks_end_with_node_24(platform: Platform) -> None:
    with node(platform, HANDLERS["callback"], Runtime="nodejs24.x") as made:
        kind, error = made.invoke({"n": 1})

    assert (kind, error["errorType"]) == ("Unhandled", "Runtime.CallbackHandlerDeprecated")


@needs_node
@pytest.mark.parametrize(
    ("file", "code", "handler"),
    [
        ("app.mjs", "export const handler = async () => import.meta.url;", "app.handler"),
        ("app.cjs", "exports.handler = async () => __filename;", "app.handler"),
        (
            "lib/app.js",
            "exports.deep = { handler: async () => __filename };",
            "lib/app.deep.handler",
        ),
    ],
)
def test_node_finds_modules_of_each_kind(
    platform: Platform, file: str, code: str, handler: str
) -> None:
    with node(platform, code, file, Handler=handler) as made:
        _, name = made.invoke({})

    assert name.endswith(f"/{file}")


@needs_node
def test_node_heeds_a_packages_type(platform: Platform) -> None:
    files = {
        "package.json": '{"type": "module"}',
        "app.js": "import { word } from './word.js'; export const handler = async () => word;",
        "word.js": "export const word = 'esm';",
    }
    with function(platform, files, Runtime="nodejs20.x") as made:
        assert made.invoke({}) == (None, "esm")


@needs_node
@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("exports.handler = async () => { throw new RangeError('no'); };", "RangeError", "no"),
        ("exports.handler = () => { throw new Error('no'); };", "Error", "no"),
        ("exports.handler = (e, c, callback) => callback(new TypeError('no'));", "TypeError", "no"),
        ("exports.handler = async () => { throw 'no'; };", "string", "no"),
        ("exports.handler = async () => { const a = {}; a.a = a; return a; };",
         "Runtime.MarshalError", None),
        ("exports.handler = () => { setTimeout(() => { throw new Error('late'); }, 5); };",
         "Error", "late"),
        ("exports.handler = () => { Promise.reject(new Error('lost')); };",
         "Runtime.UnhandledPromiseRejection", "Error: lost"),
        ("exports.other = 1;", "Runtime.HandlerNotFound",
         "app.handler is undefined or not exported"),
        ("exports.handler = ;", "Runtime.UserCodeSyntaxError", None),
        ("require('not-there');", "Runtime.ImportModuleError", None),
        ("throw new Error('early');", "Error", "early"),
        ("exports.handler = async () => process.exit(1);", "Runtime.ExitError", None),
    ],
)  # fmt: skip
def test_an_error_in_node_has_its_class_and_its_trace(
    platform: Platform, code: str, kind: str, message: str | None
) -> None:
    with node(platform, code) as made:
        first, second = made.invoke({}), made.invoke({})

    assert [each[0] for each in (first, second)] == ["Unhandled"] * 2
    assert [each[1]["errorType"] for each in (first, second)] == [kind] * 2
    if message is not None:
        assert first[1]["errorMessage"] == message
    if kind.endswith("Error") and not kind.startswith("Runtime"):
        assert "app.js" in first[1]["trace"][1]


@needs_node
def test_a_node_worker_survives_its_handlers_errors(platform: Platform) -> None:
    code = """
    let calls = 0;
    exports.handler = async (event) => {
      calls += 1;
      if (event.fail) throw new Error();
      return calls;
    };
    """
    with node(platform, code) as made:
        made.invoke({"fail": True})
        assert made.invoke({}) == (None, 2)


@needs_node
def test_a_node_handler_that_takes_too_long_is_ended(platform: Platform) -> None:
    code = "exports.handler = () => { while (true); };"
    with node(platform, code, Timeout=1) as made:
        _, error = made.invoke({})

    assert error["errorType"] == "Sandbox.Timedout"


@needs_node
def test_lines_that_node_logs_have_time_level_and_request_id(platform: Platform) -> None:
    code = """
    exports.handler = async (event, context) => {
      console.warn("two %s", "words");
      console.log({ a: 1 });
      process.stdout.write("plain\\n");
      return context.awsRequestId;
    };
    """
    with node(platform, code) as made:
        _, request = made.invoke({})
        found = platform.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{made.name}")[
            "events"
        ]

    lines = [event["message"] for event in found]
    assert any(re.fullmatch(rf"\d{{4}}-.*Z\t{request}\tWARN\ttwo words", line) for line in lines)
    assert any(line.endswith(f"\t{request}\tINFO\t{{ a: 1 }}") for line in lines)
    assert "plain" in lines


@needs_node
def test_node_has_the_packages_of_its_layers(platform: Platform) -> None:
    files = {"nodejs/node_modules/word/index.js": "module.exports = 'layer'"}
    layer = platform.client("lambda").publish_layer_version(
        LayerName="word",
        Content={"ZipFile": zipped(files)},
    )["LayerVersionArn"]

    with node(platform, "exports.handler = async () => require('word');", Layers=[layer]) as made:
        assert made.invoke({}) == (None, "layer")


@needs_node
@pytest.mark.parametrize("n", [1, 1_000_000])
def test_events_of_any_size_go_to_node_and_back(platform: Platform, n: int) -> None:
    with node(platform, "exports.handler = async (event) => event;") as made:
        _, answer = made.invoke({"text": "ä" * n})

    assert answer == {"text": "ä" * n}
