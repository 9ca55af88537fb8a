"""Every row of docs/aws.md has a proof and a test, and all that Slipway relies on has a row."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.session import Session

from deploy.prove.__main__ import CHECKS
from slipway import errors
from slipway.domain.template import MAX_BYTES
from slipway.drivers import cloudformation, stacks
from slipway.http.routes import MAX_BODY_BYTES
from slipway.services import drift
from tests.support.aws_facts import FIXTURES, fixture
from tests.support.repository import MACHINES, ROOT, machine, modules

pytestmark = pytest.mark.xdist_group("aws")


DOCUMENT = (ROOT / "docs/aws.md").read_text()
UNPROVEN = "**unproven**"
AT_LEAST = 60
SERVICES = (
    *("cloudformation", "dynamodb", "dynamodbstreams", "events"),
    *("s3", "secretsmanager", "ssm", "stepfunctions"),
)
# Error codes that AWS's pages have and botocore's models have not.
COMMON = {
    *("AccessDeniedException", "RequestLimitExceeded", "RequestTimeout", "ThrottlingException"),
    *("SerializationException", "UnknownOperationException", "ValidationException"),
    *("TooManyRequestsException", "ValidationError", "PreconditionFailed", "ChangeSetNotFound"),
    *("ConditionalRequestConflict", "ConditionalCheckFailed", "TransactionConflict"),
    *("AlreadyExistsException",),
}
LAMBDA_CANNOT = {
    *("Lambda.TooManyRequestsException", "Lambda.ServiceException", "Lambda.AWSLambdaException"),
    *("Lambda.SdkClientException", "Lambda.ClientExecutionTimeoutException"),
}
PAYLOAD_BYTES = 6 * 1024 * 1024


class Row(NamedTuple):
    id: str
    aws: str
    slipway: str
    proof: str
    test: str


def rows() -> list[Row]:
    """The rows of every table of facts that Slipway relies on."""
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in DOCUMENT.splitlines()
        if re.match(r"\| `[a-z0-9-]+` \| ", line)
    ]
    return [Row(each[0].strip("`"), *each[1:]) for each in cells if len(each) == 5]


ROWS = rows()
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)


@cache
def model(service: str) -> Any:
    return Session().get_service_model(service)


@cache
def functions_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


def test_there_are_enough_rows_and_no_two_have_the_same_id() -> None:
    assert len(ROWS) >= AT_LEAST
    assert len({row.id for row in ROWS}) == len(ROWS)
    lines = [line for line in DOCUMENT.splitlines() if line.count(" | ") == 4 and "`" in line]
    assert len(lines) == len(ROWS)


@every_row
def test_a_proof_is_of_one_of_the_kinds(row: Row) -> None:
    kinds = {
        "recording": r"recording \[\w+\]\(\.\./tests/aws/fixtures/\w+\.json\)",
        "model": r"model `\w+` `[\w.]+`",
        "page": r"page \[[^]]+\]\(https://docs\.aws\.amazon\.com/[\w/.-]+\)",
    }
    proofs = re.split(r"[;,] (?=recording|model|page)", row.proof)

    assert row.proof == UNPROVEN or all(
        any(re.fullmatch(pattern, proof) for pattern in kinds.values()) for proof in proofs
    )


@every_row
def test_the_proof_of_a_row_exists(row: Row) -> None:
    for name, path in re.findall(r"\[(\w+)\]\(\.\./(tests/aws/fixtures/\w+\.json)\)", row.proof):
        assert (ROOT / path).is_file()
        assert fixture(name)["recordings"]
    for service, words in re.findall(r"model `(\w+)` `([\w.]+)`", row.proof):
        name, _, member = words.partition(".")
        shape = model(service).shape_for(name)
        assert not member or member in shape.members


@every_row
def test_the_tests_of_a_row_exist(row: Row) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row.test)

    assert named and row.test.count("`") == 2 * len(named)
    for path, name in named:
        assert name in functions_in(path)


@every_row
def test_the_code_of_a_row_exists(row: Row) -> None:
    paths = re.findall(r"`([\w.-]+(?:/[\w.-]*)+)`", row.slipway)
    for path in paths:
        where = path.replace("slipway/", "layers/core/slipway/", 1)
        assert (ROOT / (where if path.startswith("slipway/") else path)).exists(), path


def test_every_fixture_is_the_proof_of_a_row() -> None:
    proofs = " ".join(row.proof for row in ROWS)
    unused = [path.stem for path in FIXTURES.glob("*.json") if f"[{path.stem}]" not in proofs]

    assert unused == []


def test_the_fixtures_name_what_they_are_taken_from() -> None:
    for path in FIXTURES.glob("*.json"):
        content = fixture(path.stem)
        assert set(content) == {"says", "recordings", "facts"}
        for recording in content["recordings"]:
            assert set(recording) == {"file", "test", "recorded"}
            assert re.fullmatch(r"tests/aws/services/[\w/]+\.snapshot\.json", recording["file"])
            assert re.fullmatch(r"20\d\d-\d\d-\d\d", recording["recorded"])


# ── Everything that is relied on has a row ───────────────────────────────────────────────────


def caught() -> set[str]:
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.update(value.get("ErrorEquals", ()))
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    for path in MACHINES:
        walk(machine(path))
    return found


@pytest.mark.parametrize("name", sorted(caught()))
def test_every_error_that_a_state_machine_names_has_a_row(name: str) -> None:
    assert any(f"`{name}`" in row.aws + row.slipway for row in ROWS)


def modelled() -> set[str]:
    return {
        name
        for service in SERVICES
        for name in model(service).shape_names
        if getattr(model(service).shape_for(name), "metadata", {}).get("exception")
    }


def read_by(tree: ast.AST) -> set[str]:
    """The codes and the words of AWS that a module compares with."""
    known = modelled() | COMMON
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            found |= {node.attr} if node.value.attr == "exceptions" else set()
        if isinstance(node, ast.Compare | ast.Set):
            constants = (each for each in ast.walk(node) if isinstance(each, ast.Constant))
            found |= {str(each.value) for each in constants} & known
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Constant):
            words = str(node.left.value)
            is_sentence = " " in words and isinstance(node.ops[0], ast.In)
            found |= {words} if is_sentence else set()
        # DriverRefused.says
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "says":
            found |= {str(each.value) for each in node.args if isinstance(each, ast.Constant)}
    return found


def asked() -> list[tuple[str, ast.AST]]:
    trees: list[tuple[str, ast.AST]] = [
        (name, tree) for name, tree in modules().items() if ".importers" not in name
    ]
    redrive = Path("local/redrive.py")
    return [*trees, (str(redrive), ast.parse((ROOT / redrive).read_text()))]


@pytest.mark.parametrize(
    "name, tree", asked(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_code_and_word_of_aws_that_the_code_reads_has_a_row(name: str, tree: ast.AST) -> None:
    text = " ".join(row.aws + row.slipway for row in ROWS)

    missing = {
        word
        for word in read_by(tree)
        if f"`{word}`" not in text and not (" " in word and word in text)
    }

    assert missing == set()


def test_codes_are_found_where_they_are_read() -> None:
    found = set().union(*(read_by(tree) for _, tree in asked()))

    assert {"ExecutionAlreadyExists", "does not exist", "TransactionCanceledException"} <= found
    assert {"ThrottlingException", "PreconditionFailed", "already in progress"} <= found


def test_every_unproven_row_is_in_the_list_and_has_a_check() -> None:
    part = DOCUMENT.partition("## What stays unproven")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([a-z0-9-]+)` \| ", part, re.MULTILINE)

    assert sorted(listed) == sorted(row.id for row in ROWS if row.proof == UNPROVEN)
    assert sorted(listed) == sorted(check.row for check in CHECKS)


# ── Rows that are about words alone ──────────────────────────────────────────────────────────


def invocations(path: Path) -> list[dict[str, Any]]:
    return [
        state
        for state in machine(path)["States"].values()
        if "lambda:invoke" in str(state.get("Resource"))
    ]


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_every_invocation_is_tried_again_when_lambda_cannot(path: Path) -> None:
    for state in invocations(path):
        retried = {name for each in state["Retry"] for name in each["ErrorEquals"]}

        assert retried >= LAMBDA_CANNOT


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_no_state_machine_uses_a_function_that_is_not_listed(path: Path) -> None:
    [row] = [row for row in ROWS if row.id == "sfn-jsonata"]

    used = set(re.findall(r"(\$[a-zA-Z]+)\(", path.read_text()))

    assert used <= set(re.findall(r"`(\$[a-zA-Z]+)`", row.aws))


def test_every_state_of_a_stack_is_known() -> None:
    states = set(model("cloudformation").shape_for("StackStatus").enum)
    busy = {each for each in states if stacks.is_busy({"StackStatus": each})}

    others = states - busy - cloudformation._RUNS
    assert others == {
        *("REVIEW_IN_PROGRESS", "CREATE_FAILED", "ROLLBACK_FAILED", "ROLLBACK_COMPLETE"),
        *("DELETE_FAILED", "DELETE_COMPLETE", "UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED"),
        "IMPORT_ROLLBACK_FAILED",
    }


def test_every_state_of_drift_is_known() -> None:
    assert set(drift._STATUS) == set(model("cloudformation").shape_for("StackDriftStatus").enum)


def test_no_route_takes_more_than_lambda_does() -> None:
    # In base64 a body grows by a third.
    assert max(MAX_BODY_BYTES, MAX_BYTES) * 4 / 3 < PAYLOAD_BYTES


def test_classes_that_workflows_catch_are_errors_of_slipway() -> None:
    classes = {name for name in caught() if "." not in name}

    assert classes
    assert all(issubclass(getattr(errors, name), errors.SlipwayError) for name in classes)
