"""The policy list is the security model: read as IAM gets it, after the SAM transform."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import names
from slipway.domain import scope
from slipway.store import account_records, device_records, throttles, verification_keys
from tests.support.repository import FUNCTIONS, MACHINES, camel, machine, running, transformed
from tests.support.roles import (
    BOUNDARIES,
    OF_NO_RESOURCE,
    POLICIES,
    ROLES,
    RULE,
    allowed,
    as_list,
    boundary_of,
    may_reach,
    named_policies,
    policy_statements,
    resource_name,
    statements,
)

# SAM attaches these by itself, for every resource; only the boundary limits them.
MANAGED = {
    # To write its log; logs:CreateLogStream and logs:PutLogEvents.
    "AWSLambdaBasicExecutionRole": r".*Function",
    # Trace segments belong to no resource.
    "AWSXrayWriteOnlyAccess": r".*",
    # To read the stream whose event source mapping it has.
    "AWSLambdaDynamoDBExecutionRole": r"Dispatch(Environments|Deployments)Function",
}
# The rights that a state machine's task needs, by the integration it calls.
NEEDS = {
    "dynamodb:updateItem": "dynamodb:UpdateItem",
    "dynamodb:getItem": "dynamodb:GetItem",
    "dynamodb:putItem": "dynamodb:PutItem",
    "lambda:invoke": "lambda:InvokeFunction",
}
AUTH = "AuthFunctionRole"
PEOPLE = "PeopleFunctionRole"
RUNTIME = "RuntimeFunctionRole"
CONSOLE = "ConsoleFunctionRole"
RETIRE, SHIP = "RetireFunctionRole", "ShipFunctionRole"
CONFIGURATION = "ConfigurationFunctionRole"
every_role = pytest.mark.parametrize("role", ROLES)


@every_role
def test_no_wildcard_stands_where_an_arn_is_possible(role: str) -> None:
    for statement in statements(role):
        assert statement["Effect"] == "Allow"
        assert not {"NotAction", "NotResource"} & set(statement)
        assert all("*" not in action for action in as_list(statement["Action"])), statement
        if not OF_NO_RESOURCE.issuperset(as_list(statement["Action"])):
            assert "*" not in as_list(statement["Resource"]), statement


@every_role
def test_every_permission_is_on_a_resource_of_this_stack(role: str) -> None:
    assert all(name in transformed_names() for _, name in allowed(role))


def transformed_names() -> set[str]:
    kinds = (
        "AWS::DynamoDB::Table",
        "AWS::Events::Rule",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::S3::Bucket",
        "AWS::SecretsManager::Secret",
        "AWS::SQS::Queue",
        "AWS::StepFunctions::StateMachine",
    )
    return {name for kind in kinds for name in transformed(kind)} | {
        "the environments",
        "the plans",
        "the making roles",
        "AWS's public parameters",
        "the sources",
        "mail",
    }


def test_only_auth_and_people_may_send_mail_and_only_from_the_sender() -> None:
    found = {
        role: each for role in ROLES for each in statements(role) if "ses:" in str(each["Action"])
    }

    assert set(found) == {AUTH, PEOPLE}
    sender = {"StringEquals": {"ses:FromAddress": {"Ref": "MailSender"}}}
    for statement in found.values():
        assert statement["Action"] == "ses:SendEmail"
        assert statement["Condition"] == sender
    for boundary_ in ("AuthBoundary", "PeopleBoundary"):
        limits = [each for each in policy_statements(boundary_) if "ses:" in str(each)]
        assert [each["Condition"] for each in limits] == [sender]
    assert not [action for action, _ in boundary() if action.startswith("ses:")]


def test_api_functions_read_the_token_secret_and_no_other_function_does() -> None:
    reads = ("secretsmanager:GetSecretValue", "TokenSecret")
    api = {
        f"{camel(folder.name)}FunctionRole"
        for folder in FUNCTIONS
        if folder.parent.name == "api" and folder.name != "docs"
    }

    assert {role for role in ROLES if reads in allowed(role)} == api
    for name in BOUNDARIES:
        if name in ("ConsoleBoundary", "FunctionBoundary", "PeopleBoundary"):
            secrets = [on for action, on in boundary(name) if action.startswith("secretsm")]
            assert any("TokenSecret" in on for on in secrets)
            assert not any("SigningSecret" in on for on in secrets)


@every_role
def test_only_known_managed_policies_are_attached(role: str) -> None:
    named = named_policies(role)
    assert not {*named} & BOUNDARIES
    for arn in ROLES[role]["Properties"].get("ManagedPolicyArns", []):
        if arn in [{"Ref": name} for name in named]:
            continue
        policy = str(arn).rpartition("/")[2].rstrip("'}")
        assert re.fullmatch(f"{MANAGED[policy]}Role", role), f"{role}: {policy}"


@every_role
def test_a_role_is_assumable_by_its_own_service_alone(role: str) -> None:
    takers = [
        service
        for statement in ROLES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        for service in as_list(statement["Principal"]["Service"])
    ]

    assert takers == ["lambda.amazonaws.com" if "Function" in role else "states.amazonaws.com"]


def boundary(name: str = "FunctionBoundary") -> Iterator[tuple[str, str]]:
    """(action, the ARN's text) that a function may be allowed at all."""
    for statement in policy_statements(name):
        assert not {"NotAction", "NotResource"} & set(statement)
        if statement["Effect"] == "Deny":
            continue
        for resource in as_list(statement["Resource"]):
            yield from ((action, str(resource)) for action in as_list(statement["Action"]))


def test_the_boundaries_limit_every_role_whatever_is_attached() -> None:
    for role in ROLES:
        kind = "Function" if "Function" in role else "Workflow"
        own = {AUTH: "Auth", PEOPLE: "People", RETIRE: "Retire", SHIP: "Ship"}
        own |= {CONSOLE: "Console", "ReconcileFunctionRole": "Reconcile", RUNTIME: "Runtime"}
        own |= {CONFIGURATION: "Configuration"}
        assert boundary_of(role) == own.get(role, kind) + "Boundary"
    # Keys of AWS's own, through those services that encrypt with them; no role is given these.
    keys = {f"kms:{action}" for action in ("Decrypt", "Encrypt", "GenerateDataKey")}
    of_metrics = {"cloudwatch:GetMetricData"}
    assert {action for action, on in boundary() if on == "*"} == OF_NO_RESOURCE - of_metrics
    for name in ("AuthBoundary", "PeopleBoundary", "RuntimeBoundary"):
        assert {action for action, on in boundary(name) if on == "*"} < OF_NO_RESOURCE
    assert {action for action, on in boundary() if ":key/*" in on} == keys
    assert not [role for role in ROLES for s in statements(role) if "kms:" in str(s["Action"])]
    # Only of what environments are made of, how it is made may be read, whatever that takes.
    for action, on in boundary():
        read = re.fullmatch(r"\w+:(Describe|Get|GetBucket|List)\*(Configuration)?", action)
        assert "*" not in action or (read and "${AWS::StackName}-env-*" in on), (action, on)
        assert not re.match(fnmatch.translate(action), "s3:GetObject") or "/templates/" in on


@pytest.mark.parametrize("name", POLICIES)
def test_each_policy_fits_iams_size_limits(name: str) -> None:
    longest = {
        "AWS::Partition": "aws",
        "AWS::Region": "ap-southeast-1",
        "AWS::AccountId": "1" * 12,
        "AWS::StackName": "s" * names.LONGEST,
    }

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(each) for each in value]
        if not isinstance(value, dict):
            return value
        if set(value) & {"Ref", "Fn::GetAtt"}:
            # Names that CloudFormation generates: the stack, the resource, and some letters.
            return (
                f"arn:aws:dynamodb:ap-southeast-1:{'1' * 12}:table/{'s' * names.LONGEST}-{'x' * 26}"
            )
        if "Fn::Split" in value:
            return ["1" * 12] * 5 + ["*.amazonaws.com"]
        if "Fn::Sub" in value:
            text = value["Fn::Sub"]
            # A bucket's name, and what a list of five accounts is joined to.
            text = text[0].replace("${Name}", "b" * 63) if isinstance(text, list) else text
            for word, known in longest.items():
                text = text.replace(f"${{{word}}}", known)
            # A bucket's name has 63 letters at most.
            return re.sub(r"\$\{\w+\.Arn\}", f"arn:aws:s3:::{'b' * 63}", text)
        return {key: resolved(each) for key, each in value.items()}

    found = [resolved(each) for each in policy_statements(name)]
    document = {"Version": "2012-10-17", "Statement": found}
    assert len(json.dumps(document, separators=(",", ":"))) <= 6144


@pytest.mark.parametrize("role", [role for role in ROLES if "Function" in role])
def test_the_boundary_allows_every_right_that_a_policy_gives(role: str) -> None:
    within = {
        (action, resource_name(on))
        for action, on in boundary(boundary_of(role))
        if on != "*" and ":states:" not in on and ":kms:" not in on
    }
    machines = {action for action, on in boundary() if ":${AWS::StackName}-*" in on}

    def is_within(action: str, on: str) -> bool:
        return any(fnmatch.fnmatchcase(action, most) and on == there for most, there in within)

    assert [
        (action, on)
        for action, on in allowed(role)
        if not (action in machines if action.startswith("states:") else is_within(action, on))
    ] == []


@pytest.mark.parametrize("role", [role for role in ROLES if "Function" not in role])
def test_the_boundary_of_state_machines_allows_every_right_that_a_policy_gives(role: str) -> None:
    within = {
        (action, re.sub(r".*-(\w+Function)-\*.*", r"\1", on) if "Function-" in on else "Table")
        for action, on in boundary("WorkflowBoundary")
        if on != "*"
    }

    assert allowed(role) <= within


WRITES = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
# Keys of items that decide about sign-in.
ACCOUNTS = (
    "KEYS",
    "ACCOUNT#usr_1",
    "ACCOUNT#ALL",
    "EMAIL#ann@example.com",
    "IDENTITY#1",
    "REGISTRATION#1",
    "INVITE#ALL",
    "RESET#1",
    "ATTEMPTS#1",
    "DEVICE#1",
)


def test_every_key_of_an_account_is_meant_here() -> None:
    keys = {
        verification_keys._PK,
        throttles.Throttle("1", throttles.Rule(1, 1, 1)).key.pk.rpartition("#")[0],
        account_records.key("usr_1").pk,
        account_records.email_key("ann@example.com").pk,
        account_records.identity_key("https://id.example.com", "1").pk.partition("#")[0] + "#1",
        account_records.registration_key("secret").pk.partition("#")[0] + "#1",
        account_records.ALL,
        account_records.INVITATIONS,
        device_records.key("1").pk,
    }

    assert keys <= set(ACCOUNTS)


# Administrators change accounts, invite, make one-time links, and delete the addresses of users.
OF_PEOPLE = {
    *((action, pk) for action in WRITES for pk in ("ACCOUNT#usr_1", "ACCOUNT#ALL", "INVITE#ALL")),
    *((action, "RESET#1") for action in WRITES),
    ("dynamodb:DeleteItem", "EMAIL#ann@example.com"),
    ("dynamodb:DeleteItem", "IDENTITY#1"),
}


@every_role
def test_only_auth_and_people_may_write_what_decides_who_signs_in(role: str) -> None:
    reached = {(action, pk) for action in WRITES for pk in ACCOUNTS if may_reach(role, action, pk)}

    every = {(action, pk) for action in WRITES for pk in ACCOUNTS}
    assert reached == {AUTH: every, PEOPLE: OF_PEOPLE}.get(role, set())


@pytest.mark.parametrize(
    "name",
    [
        *("AuthBoundary", "FunctionBoundary", "PeopleBoundary", "RetireBoundary"),
        *("ReconcileBoundary", "ShipBoundary", "WorkflowBoundary"),
    ],
)
def test_the_table_is_written_only_by_actions_that_always_have_a_leading_key(name: str) -> None:
    """A condition on leading keys says nothing of a request that has none."""
    may = {action for action, on in boundary(name) if "Table" in on and "StreamArn" not in on}
    reads = {"dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:GetItem"}

    assert set() < may - reads - {"dynamodb:ConditionCheckItem"} <= set(WRITES)


@every_role
def test_only_auth_and_people_may_read_password_hashes_and_one_time_links(role: str) -> None:
    actions = ("BatchGetItem", "Query", "GetItem", "ConditionCheckItem")
    secret = [pk for pk in ACCOUNTS if not pk.startswith(("KEYS", "ACCOUNT#"))]

    reached = {
        pk for action in actions for pk in secret if may_reach(role, f"dynamodb:{action}", pk)
    }

    none_of_people = {"REGISTRATION#1", "ATTEMPTS#1", "DEVICE#1"}
    assert reached == {AUTH: set(secret), PEOPLE: set(secret) - none_of_people}.get(role, set())


@every_role
def test_nobody_changes_an_audit_and_only_one_reader_of_the_stream_links_it(role: str) -> None:
    kinds = ("AUDIT#PLATFORM", "UNLINKED#PLATFORM", "CHAIN#PLATFORM")
    reached = {
        (action.removeprefix("dynamodb:"), pk.partition("#")[0])
        for action in WRITES
        for pk in kinds
        if may_reach(role, action, pk)
    }

    links = {("DeleteItem", "UNLINKED"), ("PutItem", "CHAIN"), ("UpdateItem", "CHAIN")}
    if role == "DispatchDeploymentsFunctionRole":
        assert reached >= links
        reached -= links
    assert reached <= {("PutItem", "AUDIT"), ("PutItem", "UNLINKED")}


@pytest.mark.parametrize("pk", ["PROJECT#1", "ENV#1", "DEP#1", "IDEMPOTENCY#usr_1", "USER#usr_1"])
def test_the_boundary_leaves_all_other_records_to_all_functions(pk: str) -> None:
    functions = [
        role
        for role in ROLES
        if role not in (CONSOLE, "DocsFunctionRole", "PlansFunctionRole") and "Function" in role
    ]
    reaching = {role for role in functions if may_reach(role, "dynamodb:UpdateItem", pk)}

    without = {PEOPLE} if pk in ("ENV#1", "DEP#1") else set()
    without |= set() if pk in ("PROJECT#1", "ENV#1") else {RETIRE}
    without |= set() if pk in ("PROJECT#1", "ENV#1", "DEP#1") else {SHIP}
    without |= {CONFIGURATION} if pk in ("DEP#1", "USER#usr_1") else set()
    # It writes nothing but a copy of what AWS says, and what counts requests.
    assert set(functions) - reaching == without | {RUNTIME}
    assert may_reach(RUNTIME, "dynamodb:UpdateItem", "SOURCES#1")


def test_only_the_function_that_deletes_environments_deletes_objects_and_it_reads_none() -> None:
    deletes = {
        role: {action for action, on in allowed(role) if on == "the environments"}
        for role in ROLES
        if any(action.startswith("s3:Delete") for action, _ in allowed(role))
    }

    assert {*deletes} == {RETIRE}
    objects = {action for action in deletes[RETIRE] if action.startswith("s3:")}
    assert objects == {
        *("s3:ListBucketVersions", "s3:ListBucketMultipartUploads"),
        *("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"),
    }
    for statement in (*statements(RETIRE), *policy_statements("RetireBoundary")):
        if any(each.startswith("s3:") for each in as_list(statement["Action"])):
            mine = {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}
            assert statement["Condition"] == {"StringEquals": mine}
    for name in BOUNDARIES - {"RetireBoundary", "EnvironmentBoundary"}:
        assert not [each for each, _ in boundary(name) if each.startswith("s3:Delete")], name


def test_every_function_and_every_state_machine_has_a_role_of_its_own() -> None:
    users = [
        resource_name(each["Properties"][place])
        for kind, place in (
            ("AWS::Lambda::Function", "Role"),
            ("AWS::StepFunctions::StateMachine", "RoleArn"),
        )
        for each in transformed(kind).values()
    ]

    assert sorted(users) == sorted(ROLES)
    assert len(users) == sum(len(running(each.name)) for each in FUNCTIONS) + len(MACHINES)


def test_only_auth_reads_the_signing_secret() -> None:
    api = [camel(folder.name) for folder in FUNCTIONS if folder.parent.name == "api"]
    secret = {("secretsmanager:GetSecretValue", "SigningSecret")}
    more = {
        "Auth": {
            *secret,
            ("secretsmanager:GetSecretValue", "CompanySecret"),
            ("ses:SendEmail", "mail"),
        },
        "People": {("ses:SendEmail", "mail")},
        "Console": {("secretsmanager:GetSecretValue", "ConsoleSecret")},
        "Templates": {("s3:GetObject", "TemplatesBucket"), ("s3:PutObject", "TemplatesBucket")},
        "Promotions": {
            # What it would change in stacks is asked of the plans function.
            ("lambda:InvokeFunction", "PlansFunction"),
            # A version is checked again if what templates may do has changed.
            ("s3:GetObject", "TemplatesBucket"),
        },
        "Environments": {
            # It writes what nobody may read but who makes the environment.
            ("ssm:PutParameter", "the environments"),
            ("ssm:DeleteParameters", "the environments"),
            # It has no right on stacks: the plans function does its dry runs.
            ("lambda:InvokeFunction", "PlansFunction"),
            # A version is checked again if what templates may do has changed.
            ("s3:GetObject", "TemplatesBucket"),
        },
        "Configuration": {
            ("ssm:PutParameter", "the environments"),
            ("ssm:GetParameters", "the environments"),
            ("ssm:GetParametersByPath", "the environments"),
            ("ssm:DeleteParameters", "the environments"),
            # What the operator allows as a source of secrets.
            ("ssm:GetParameter", "the sources"),
            ("secretsmanager:GetSecretValue", "the sources"),
        },
        "Inspection": {
            ("cloudformation:ListStackResources", "the environments"),
            ("cloudformation:DescribeStacks", "the environments"),
            ("cloudformation:DetectStackDrift", "the environments"),
            ("cloudformation:DetectStackResourceDrift", "the environments"),
            ("cloudformation:DescribeStackResourceDrifts", "the environments"),
            # It masks them in what CloudFormation says. It may read where they are used anyway.
            ("ssm:GetParameters", "the environments"),
            ("ssm:GetParametersByPath", "the environments"),
        },
        "Runtime": {
            ("cloudformation:ListStackResources", "the environments"),
            ("lambda:GetFunctionConfiguration", "the environments"),
            ("logs:FilterLogEvents", "the environments"),
            # It masks them in what environments' functions write.
            ("ssm:GetParameters", "the environments"),
            ("ssm:GetParametersByPath", "the environments"),
        },
    }

    # CloudFormation reads these with the function's rights, to detect drift.
    looked_at = {
        (action, on)
        for action, on in allowed("InspectionFunctionRole")
        if on == "the environments"
        and re.match(r"(?!cloudformation|ssm)\w+:(Describe|G[Ee][Tt]|List)", action)
    }
    assert looked_at

    for name in api:
        held = allowed(f"{name}FunctionRole")
        if name == "Inspection":
            held -= looked_at
        beside = {(action, on) for action, on in held if not action.startswith("dynamodb:")}
        # What compares tokens with their hashes (test_api_functions_read_the_token_secret…).
        token_secret = {("secretsmanager:GetSecretValue", "TokenSecret")}
        assert beside - token_secret == more.get(name, set()), name
        assert {on for action, on in held - beside} <= {"Table"}, name
    assert [role for role in ROLES if allowed(role) & secret] == [AUTH]


def test_the_console_may_read_its_own_secret_and_do_nothing_else() -> None:
    reads = ("secretsmanager:GetSecretValue", "ConsoleSecret")

    # The other one signs the addresses of callers.
    assert allowed(CONSOLE) == {reads, ("secretsmanager:GetSecretValue", "TokenSecret")}
    assert [role for role in ROLES if reads in allowed(role)] == [CONSOLE]
    limits = {action for action, _ in boundary("ConsoleBoundary")}
    assert not {action for action in limits if action.startswith(("dynamodb:", "lambda:", "ssm:"))}
    for name in BOUNDARIES - {"ConsoleBoundary"}:
        assert not any("ConsoleSecret" in on for _, on in boundary(name)), name


def test_only_dispatch_starts_executions_and_each_reader_those_of_its_records() -> None:
    starters = {
        (role, on)
        for role in ROLES
        for action, on in allowed(role)
        if action == "states:StartExecution"
    }

    # The end of provisioning gives the lock to a deployment, so environments start rollouts too.
    assert starters == {("DispatchDeploymentsFunctionRole", "RollOutDeployment")} | {
        ("DispatchEnvironmentsFunctionRole", camel(path.name.split(".")[0])) for path in MACHINES
    }


def test_dispatch_enables_the_reconcile_rule_and_only_reconcile_disables_it() -> None:
    rule = transformed("AWS::Events::Rule")[RULE]["Properties"]

    switching = {
        (role, action)
        for role in ROLES
        for action, on in allowed(role)
        if action.startswith("events:") and on == RULE
    }

    assert rule["Name"] == {"Fn::Sub": "${AWS::StackName}-reconcile"}
    assert switching == {
        ("DispatchEnvironmentsFunctionRole", "events:EnableRule"),
        ("DispatchDeploymentsFunctionRole", "events:EnableRule"),
        ("ReconcileFunctionRole", "events:EnableRule"),
        ("ReconcileFunctionRole", "events:DisableRule"),
    }


def test_plans_are_deleted_only_by_their_makers_and_never_executed() -> None:
    deleting = {
        role
        for role in ROLES
        for action, on in allowed(role)
        if (action, on) == ("cloudformation:DeleteStack", "the plans")
    }

    assert deleting == {"PlansFunctionRole", "ReconcileFunctionRole"}
    assert not [role for role in ROLES if "ExecuteChangeSet" in str(allowed(role))]


def test_the_plans_function_previews_and_writes_only_its_clean_up_records() -> None:
    previews = {
        (f"cloudformation:{action}", on)
        for on, actions in {
            "the environments": (
                "DescribeStacks",
                "TagResource",
                "CreateChangeSet",
                "DescribeChangeSet",
                "ListChangeSets",
                "DeleteChangeSet",
            ),
            "the plans": ("CreateChangeSet", "DescribeChangeSet", "DescribeStacks", "DeleteStack"),
        }.items()
        for action in actions
    }
    role, table = "PlansFunctionRole", {"dynamodb:PutItem", "dynamodb:DeleteItem"}

    assert allowed(role) == {
        *previews,
        ("cloudformation:CreateChangeSet", "the environments"),
        ("s3:GetObject", "TemplatesBucket"),
        # It masks secrets in what CloudFormation says.
        ("ssm:GetParameters", "the environments"),
        ("ssm:GetParametersByPath", "the environments"),
        ("ssm:GetParameters", "AWS's public parameters"),
        *((action, "Table") for action in table),
    }
    assert all(may_reach(role, action, "PLAN#0123") for action in table)
    for pk in ("PROJECT#1", "ENV#1", "ACCOUNT#1", "USER#1", "TEMPLATES", "IDEMPOTENCY#usr_1"):
        assert not any(may_reach(role, action, pk) for action in table), pk


def test_only_dry_runs_of_environments_and_promotions_invoke_a_function() -> None:
    invoking = {
        (role, on)
        for role in ROLES
        for action, on in allowed(role)
        if action == "lambda:InvokeFunction" and "Function" in role
    }

    asking = ("EnvironmentsFunctionRole", "PromotionsFunctionRole")
    assert invoking == {(role, "PlansFunction") for role in asking}


def test_no_function_may_read_the_whole_table() -> None:
    assert [role for role in ROLES if ("dynamodb:Scan", "Table") in allowed(role)] == []


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)
def test_a_state_machine_may_do_exactly_what_its_tasks_do(path: Path) -> None:
    needed = set()
    for state in machine(path)["States"].values():
        if state["Type"] != "Task":
            continue
        call, arguments = (
            state["Resource"].removeprefix("arn:${Partition}:states:::"),
            state["Arguments"],
        )
        if call == "aws-sdk:dynamodb:transactWriteItems":
            needed |= {
                (f"dynamodb:{action}Item", "Table")
                for item in arguments["TransactItems"]
                for action in item
            }
        else:
            name = arguments.get("FunctionName", "${Table}")
            needed |= {(NEEDS[call], on) for on in re.findall(r"\$\{(\w+)\}", name)}

    assert allowed(f"{camel(path.name.split('.')[0])}Role") == needed


def test_only_the_steps_pass_a_making_role_and_only_to_cloudformation() -> None:
    passing = {
        role: (statement["Resource"], statement["Condition"])
        for role in ROLES
        for statement in statements(role)
        if "iam:PassRole" in as_list(statement["Action"])
    }

    to_it_alone = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    steps = ("Provision", "Retire", "Ship", "Restore")
    assert sorted(passing) == sorted(f"{step}FunctionRole" for step in steps)
    assert all(condition == to_it_alone for _, condition in passing.values())
    assert all(":role/${AWS::StackName}-making-*" in str(on) for on, _ in passing.values())


def test_a_making_role_is_made_within_its_boundary_and_with_no_other_policy() -> None:
    changing = {
        (role, action, str(statement.get("Condition")))
        for role in ROLES
        for statement in statements(role)
        for action in as_list(statement["Action"])
        if re.match(r"iam:(?!PassRole|Get|List)", action)
    }
    bound = str({"StringEquals": {"iam:PermissionsBoundary": {"Ref": "EnvironmentLimits"}}})
    one_policy = str({"ArnEquals": {"iam:PolicyARN": {"Ref": "EnvironmentMaking"}}})
    made = {
        ("iam:CreateRole", bound),
        ("iam:AttachRolePolicy", one_policy),
        ("iam:TagRole", "None"),
    }
    deleted = {("iam:DeleteRole", "None"), ("iam:DetachRolePolicy", "None")}

    assert {(action, how) for role, action, how in changing if role == "ProvisionFunctionRole"} == (
        made
    )
    assert {(action, how) for role, action, how in changing if role == "RetireFunctionRole"} == (
        made | deleted
    )
    assert {role for role, *_ in changing} == {"ProvisionFunctionRole", "RetireFunctionRole"}


def test_making_roles_reach_only_the_names_of_their_own_environment() -> None:
    own = "${AWS::StackName}-env-${!aws:PrincipalTag/slipway-scope}*"
    elsewhere = {
        (action, str(resource))
        for name in ("EnvironmentMaking", "EnvironmentLimits")
        for statement in policy_statements(name)
        if statement["Effect"] == "Allow"
        for resource in as_list(statement["Resource"])
        for action in as_list(statement["Action"])
        if own not in str(resource)
    }

    # Resources without a name: lists, HTTP APIs, SAM, and the artifacts that are deployed. And the
    # values that the operator shares with all environments, and AWS with everyone.
    assert {action for action, on in elsewhere if ":apigateway:" not in on} == {
        "lambda:CreateEventSourceMapping",
        "lambda:DeleteEventSourceMapping",
        "lambda:GetEventSourceMapping",
        "lambda:UpdateEventSourceMapping",
        "lambda:*EventSourceMapping",
        # Tags of event source mappings, which say nothing of their function then.
        "lambda:ListTags",
        "lambda:TagResource",
        "lambda:UntagResource",
        "cloudformation:CreateChangeSet",
        "cloudwatch:DescribeAlarms",
        "logs:DescribeLogGroups",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameters",
    }
    shared = [on for action, on in elsewhere if action.startswith(("secrets", "ssm"))]
    public = "arn:${AWS::Partition}:ssm:*::parameter/aws/service/*"
    assert all("${AWS::StackName}/shared/*" in on or public in on for on in shared)
    assert all(on.count("/apis") or "/tags/*" in on for _, on in elsewhere if "apigateway" in on)
    limits = policy_statements("EnvironmentLimits")
    for action in ("lambda:UpdateEventSourceMapping", "lambda:CreateEventSourceMapping"):
        patterns = [each for each in limits if each["Effect"] == "Allow"]
        [limit] = [
            each
            for each in patterns
            if any(fnmatch.fnmatchcase(action, name) for name in as_list(each["Action"]))
            and own not in str(each["Resource"])
        ]
        assert own in str(limit["Condition"]["ArnLike"]["lambda:FunctionArn"])


def test_only_the_operator_writes_what_environments_share() -> None:
    """Rights to write parameters are for other paths, and there are none to write secrets."""
    writes = [
        (name, action, str(resource))
        for name in POLICIES
        for statement in policy_statements(name)
        if statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if re.match(r"(ssm|secretsmanager):(?!Get|Describe|List)", action) or action == "*"
        if ":ssm:" in str(resource) or not action.startswith("ssm:")
    ]

    assert {action for _, action, _ in writes} == {"ssm:PutParameter", "ssm:DeleteParameters"}
    kinds = ("environments", "projects", "configurations")
    own = [f"${{AWS::StackName}}/{kind}/" for kind in kinds]
    assert [each for each in writes if not any(path in each[2] for path in own)] == []


def test_only_ship_writes_what_environments_read_and_only_four_delete_it() -> None:
    """And only what keeps the secrets of projects reads them besides."""

    def may(action: str, below: str) -> set[str]:
        return {
            role
            for role in ROLES
            for statement in statements(role)
            if action in as_list(statement["Action"])
            if re.search(rf"/\$\{{AWS::StackName\}}/{below}/(prj_)?\*", str(statement["Resource"]))
        }

    assert may("ssm:PutParameter", "configurations") == {SHIP}
    removing = {SHIP, RETIRE, CONFIGURATION, "ReconcileFunctionRole"}
    assert may("ssm:DeleteParameters", "configurations") == removing
    assert may("ssm:GetParametersByPath", "configurations") == removing
    assert may("ssm:GetParameters", "configurations") == set()
    # It masks what an environment was given, which it reads by the environment's scope.
    by_scope = f"/configurations/{'?' * scope.LENGTH}"
    reading = {role for role in ROLES for each in statements(role) if by_scope in str(each)}
    assert reading == {RUNTIME}
    for name in BOUNDARIES:
        put = [on for action, on in boundary(name) if action == "ssm:PutParameter"]
        assert any("/configurations/" in on for on in put) == (name == "ShipBoundary"), name
    assert may("ssm:GetParameters", "projects") == {SHIP, CONFIGURATION}
    assert may("ssm:PutParameter", "projects") == {CONFIGURATION}
    assert may("ssm:DeleteParameters", "projects") == {CONFIGURATION, "ReconcileFunctionRole"}


def test_every_role_of_an_environment_needs_the_boundary() -> None:
    bound = {"iam:PermissionsBoundary": {"Ref": "EnvironmentBoundary"}}
    free = {
        action
        for statement in policy_statements("EnvironmentLimits")
        if statement["Effect"] == "Allow"
        and statement.get("Condition", {}).get("StringEquals") != bound
        for action in as_list(statement["Action"])
        if action.startswith("iam:")
    }
    boundary = policy_statements("EnvironmentBoundary")
    within = [each for each in boundary if each["Effect"] == "Allow"]

    assert not {
        action for action in free if re.match(r"iam:(Create|Put|Attach|DeleteRoleP)", action)
    }
    assert not [
        action
        for statement in within
        for action in as_list(statement["Action"])
        if action.startswith(("iam:", "sts:", "cloudformation:")) or "*" in action
    ]
    scope = "${!aws:PrincipalTag/slipway-scope}"
    own = f"${{AWS::StackName}}-env-{scope}*"
    configurations = f"parameter/${{AWS::StackName}}/configurations/{scope}/*"
    for statement in within:
        # A key of AWS serves every parameter; which one it is for stands in the condition.
        of_key = "kms:" in str(statement["Action"])
        named = [str(statement["Condition"])] if of_key else as_list(statement["Resource"])
        assert all(own in str(each) or configurations in str(each) for each in named if each != "*")
    [everywhere] = [each for each in within if each["Resource"] == "*"]
    assert everywhere["Condition"] == {"Null": {"aws:PrincipalTag/slipway-scope": "false"}}
