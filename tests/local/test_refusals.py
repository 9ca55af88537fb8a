"""CloudFormation's refusals before or while it makes a stack (patches/template_format.py,
exports.py, stack_states.py), and the emulator's own.

The recordings are LocalStack's, cloudformation/api.
"""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.platform import Platform
from tests.support.local.platform import Made, Stacks, eventually

QUEUE: dict[str, Any] = {"Type": "AWS::SQS::Queue"}
ROLE: dict[str, Any] = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    },
}


@pytest.fixture
def stacks(platform: Platform) -> Stacks:
    return Stacks(platform)


def named(value: Any, **more: Any) -> dict[str, Any]:
    return {"Resources": {"Q": QUEUE | {"Properties": {"QueueName": value}}}, **more}


def refusal(stacks: Stacks, template: Any, **more: Any) -> str:
    """The messages of CreateStack and CreateChangeSet."""
    body = template if isinstance(template, str) else json.dumps(template)
    said = set()
    for call, fields in (
        (stacks.client.create_stack, {}),
        (stacks.client.create_change_set, {"ChangeSetName": "plan", "ChangeSetType": "CREATE"}),
    ):
        with pytest.raises(ClientError) as refused:
            call(StackName=f"test-{uuid.uuid4().hex}", TemplateBody=body, **fields, **more)
        error = refused.value.response["Error"]
        said.add(f"{error['Code']}: {error['Message']}")
    assert len(said) == 1
    return said.pop().removeprefix("ValidationError: ")


FORMAT = "Template format error: "
REFUSED = [
    # test_validations, test_missing_resources_block, test_resources_blocks, test_invalid_output_*.
    ({"Outputs": {}}, f"{FORMAT}At least one Resources member must be defined."),
    ({"Resources": {}}, f"{FORMAT}At least one Resources member must be defined."),
    (
        {"Resources": {"A": {"Properties": {}}}},
        f"{FORMAT}[/Resources/A] Every Resources object must contain a Type member.",
    ),
    (
        {"Resources": {"A": QUEUE | {"Invalid": 1}}},
        "Invalid template resource property 'Invalid'",
    ),
    (
        {"Resources": {"Q": QUEUE}, "Outputs": {"MyOutput": {"Value": None}}},
        "[/Outputs/MyOutput/Value] 'null' values are not allowed in templates",
    ),
    (
        {"Resources": {"Q": QUEUE}, "Outputs": {"MyOutput": {"Description": "x"}}},
        f"{FORMAT}Every Outputs member must contain a Value object",
    ),
    # test_stacks, test_linting_error_during_creation.
    ({"Resources": {"A": "text"}}, f"{FORMAT}Any Resources member must be an object."),
    # test_changesets, test_using_pseudoparameters_in_places.
    (
        {"Resources": {"AWS::NoValue": QUEUE}},
        f"{FORMAT}Resource name AWS::NoValue is non alphanumeric.",
    ),
    (
        {"Resources": {"Q": QUEUE}, "Parameters": {"AWS::NoValue": {"Type": "String"}}},
        f"{FORMAT}Parameter name AWS::NoValue is non alphanumeric.",
    ),
    # test_templates, test_validate_invalid_json_template_should_fail.
    ('{"Resources":', f"{FORMAT}JSON not well-formed. (line 1, column 14)"),
    ("Resources:\n  - [", f"{FORMAT}YAML not well-formed. (line 2, column 6)"),
    # AWS's article on template validation errors.
    (named({"Ref": "Nope"}), f"{FORMAT}Unresolved resource dependencies [Nope] in the Resources"),
    (
        named({"Fn::Sub": "${Nope}-${Other.Arn}"}),
        f"{FORMAT}Unresolved resource dependencies [Nope, Other] in the Resources",
    ),
    (
        {"Resources": {"Q": QUEUE | {"DependsOn": ["Nope"]}}},
        f"{FORMAT}Unresolved resource dependencies [Nope] in the Resources block of the template",
    ),
    (
        {"Resources": {"Q": QUEUE}, "Outputs": {"O": {"Value": {"Ref": "Nope"}}}},
        f"{FORMAT}Unresolved resource dependencies [Nope] in the Outputs block of the template",
    ),
    (
        named({"Fn::GetAtt": ["Nope", "Arn"]}),
        "Template error: instance of Fn::GetAtt references undefined resource Nope",
    ),
    (
        {"Resources": {"Q": QUEUE}, "Globals": {}},
        "Invalid template property or properties [Globals]",
    ),
    (
        {"Resources": {"Q": QUEUE}, "Parameters": {"P": {"Type": "Strin"}}},
        f"{FORMAT}Unrecognized parameter type: Strin",
    ),
    (
        {"Resources": {"A": QUEUE | {"DependsOn": "B"}, "B": QUEUE | {"DependsOn": "A"}}},
        "Circular dependency between resources: [A, B]",
    ),
    (
        {"Resources": {"Q": QUEUE | {"Condition": "Nope"}}},
        f"{FORMAT}Unresolved condition dependency Nope in the Resources block of the template",
    ),
    (
        named({"Fn::If": ["Nope", "a", "b"]}),
        f"{FORMAT}Unresolved condition dependency Nope in the Resources block of the template",
    ),
    (
        {"Resources": {"Q": QUEUE | {"DeletionPolicy": "Keep"}}},
        f"{FORMAT}Unrecognized DeletionPolicy Keep for resource Q",
    ),
    # The emulator has this one.
    (
        named({"Fn::FindInMap": ["M", "a", "b"]}),
        "Template error: Unable to get mapping for M::a::b",
    ),
]


@pytest.mark.parametrize(("template", "said"), REFUSED)
def test_a_template_that_is_not_understood_is_refused(
    stacks: Stacks, template: Any, said: str
) -> None:
    assert refusal(stacks, template).startswith(said)


def test_references_to_what_is_there_are_taken(stacks: Stacks) -> None:
    template = {
        "Parameters": {"Title": {"Type": "String", "Default": "x"}},
        "Conditions": {"IsX": {"Fn::Equals": [{"Ref": "Title"}, "x"]}},
        "Resources": {
            "A": QUEUE | {"Condition": "IsX", "Metadata": {"Ref": "Nope"}},
            "B": QUEUE
            | {
                "DependsOn": "A",
                "DeletionPolicy": "Retain",
                "Properties": {
                    "QueueName": {"Fn::Sub": ["${Title}-${T}-${AWS::StackName}", {"T": "t"}]},
                    "Tags": [{"Key": "a", "Value": {"Fn::If": ["IsX", {"Ref": "Title"}, "n"]}}],
                },
            },
        },
        "Outputs": {"Id": {"Value": {"Fn::Sub": "${A.Arn} ${!x} ${AWS::StackId}"}}},
    }
    assert stacks.create(template).status == "CREATE_COMPLETE"


def test_macros_stand_where_resources_do(platform: Platform, stacks: Stacks) -> None:
    s3, bucket = platform.client("s3"), f"snippets-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="more.json", Body=json.dumps({"Included": QUEUE}).encode())
    include = {"Name": "AWS::Include", "Parameters": {"Location": f"s3://{bucket}/more.json"}}
    template = {
        "Transform": "AWS::LanguageExtensions",
        "Resources": {
            "Fn::ForEach::Each": ["Name", ["One", "Two"], {"Queue${Name}": QUEUE}],
            "Fn::Transform": include,
        },
    }
    capabilities = ["CAPABILITY_AUTO_EXPAND"]

    stack = stacks.create(template, Capabilities=capabilities)

    assert stack.status == "CREATE_COMPLETE"
    assert set(stack.physical_ids()) == {"Included", "QueueOne", "QueueTwo"}
    include["Parameters"] = {"Location": f"s3://{bucket}/none.json"}
    with pytest.raises(ClientError, match="Transform AWS::Include failed with"):
        stacks.create(template, Capabilities=capabilities)


@pytest.mark.parametrize(
    ("template", "missing"),
    [
        ({"Resources": {"R": ROLE}}, "CAPABILITY_IAM"),
        (
            {"Resources": {"R": ROLE | {"Properties": ROLE["Properties"] | {"RoleName": "r"}}}},
            "CAPABILITY_NAMED_IAM",
        ),
    ],
)
def test_roles_have_to_be_acknowledged(
    stacks: Stacks, template: dict[str, Any], missing: str
) -> None:
    # API reference, CreateStack, Capabilities.
    said = f"InsufficientCapabilitiesException: Requires capabilities : [{missing}]"
    assert refusal(stacks, template) == said
    stack = stacks.create({"Resources": {"Q": QUEUE}})
    with pytest.raises(ClientError, match="InsufficientCapabilities"):
        stack.update(template, Capabilities=[])


def test_an_unnamed_capability_does_not_do_for_a_named_role(stacks: Stacks) -> None:
    properties = ROLE["Properties"] | {"RoleName": f"r-{uuid.uuid4().hex}"}
    template = {"Resources": {"R": ROLE | {"Properties": properties}}}

    said = refusal(stacks, template, Capabilities=["CAPABILITY_IAM"])

    assert said.endswith("Requires capabilities : [CAPABILITY_NAMED_IAM]")
    assert stacks.create(template).status == "CREATE_COMPLETE"


def test_a_transform_has_to_be_acknowledged_by_a_stack(stacks: Stacks) -> None:
    template = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"Q": QUEUE}}

    with pytest.raises(ClientError, match="CAPABILITY_AUTO_EXPAND"):
        stacks.create(template, Capabilities=[])
    # "This capability doesn't apply to creating change sets" (API reference, CreateChangeSet).
    stacks.client.create_change_set(
        StackName=f"test-{uuid.uuid4().hex}",
        ChangeSetName="plan",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps(template),
    )


def exporting(name: str, value: Any = "x") -> dict[str, Any]:
    return {
        "Resources": {"Q": QUEUE},
        "Outputs": {"O": {"Value": value, "Export": {"Name": name}}},
    }


def importing(name: str) -> dict[str, Any]:
    tags = [{"Key": "of", "Value": {"Fn::ImportValue": name}}]
    return {"Resources": {"Q": QUEUE | {"Properties": {"Tags": tags}}}}


def reason(stack: Made) -> str:
    """Why the stack itself failed."""
    events = stack.client.describe_stack_events(StackName=stack.id)["StackEvents"]
    failed = [each for each in events if each["ResourceStatus"].endswith("_FAILED")]
    return str(failed[0]["ResourceStatusReason"])


@pytest.fixture
def export() -> str:
    return f"export-{uuid.uuid4().hex}"


def test_a_name_is_exported_once(stacks: Stacks, export: str) -> None:
    first = stacks.create(exporting(export))

    second = stacks.create(exporting(export))

    assert second.status == "ROLLBACK_COMPLETE"
    said = f"Export with name {export} is already exported by stack {first.name}."
    assert reason(second) == said
    listed = {each["Name"]: each for each in stacks.client.list_exports()["Exports"]}
    assert listed[export]["ExportingStackId"] == first.id


def test_an_export_in_use_stays_as_it_is(stacks: Stacks, export: str) -> None:
    exporter, importer = stacks.create(exporting(export)), stacks.create(importing(export))

    exporter.update(exporting(export, "y"))
    assert exporter.status == "UPDATE_ROLLBACK_COMPLETE"
    said = f"Export {export} cannot be updated as it is in use by {importer.name}"
    assert reason(exporter) == said
    exporter.update({"Resources": {"Q": QUEUE}})
    said = f"Export {export} cannot be deleted as it is in use by {importer.name}"
    assert (exporter.status, reason(exporter)) == ("UPDATE_ROLLBACK_COMPLETE", said)
    exporter.delete()
    assert (exporter.status, reason(exporter)) == ("UPDATE_ROLLBACK_COMPLETE", said)
    told = exporter.client.describe_stack_events(StackName=exporter.id)["StackEvents"][:2]
    assert [each["ResourceStatus"] for each in told] == [
        "UPDATE_ROLLBACK_COMPLETE",
        "DELETE_IN_PROGRESS",
    ]
    assert told[0]["ResourceStatusReason"] == said
    importer.delete()
    exporter.update(exporting(f"{export}-2"))
    assert exporter.status == "UPDATE_COMPLETE"
    names = {each["Name"] for each in stacks.client.list_exports()["Exports"]}
    assert (export in names, f"{export}-2" in names) == (False, True)


def test_an_export_that_does_not_exist_cannot_be_imported(stacks: Stacks, export: str) -> None:
    stack = stacks.create(importing(export))

    assert stack.status == "ROLLBACK_COMPLETE"
    assert export in stack.failures()["Q"]


WAITING: dict[str, Any] = {
    "Resources": {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Wait": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "2"},
        },
    }
}


def assert_refused(stacks: Stacks, name: str, stack_id: str, state: str) -> None:
    """UpdateStack and CreateChangeSet refuse a stack in that state."""
    body = json.dumps({"Resources": {"Q": QUEUE, "R": QUEUE}})
    said = f"Stack:{stack_id} is in {state} state and can not be updated."
    for call, fields in (
        (stacks.client.update_stack, {}),
        (stacks.client.create_change_set, {"ChangeSetName": "plan"}),
    ):
        with pytest.raises(ClientError) as refused:
            call(StackName=name, TemplateBody=body, **fields)
        assert refused.value.response["Error"]["Message"] == said


def test_a_stack_that_is_being_changed_is_not_updated(stacks: Stacks) -> None:
    # test_changesets, test_changeset_for_deleted_stack: DELETE_IN_PROGRESS.
    name = f"test-{uuid.uuid4().hex}"
    body = json.dumps(WAITING)
    made = stacks.client.create_stack(StackName=name, TemplateBody=body)["StackId"]

    assert_refused(stacks, name, made, "CREATE_IN_PROGRESS")

    eventually(
        lambda: (
            stacks.client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
            == "ROLLBACK_COMPLETE"
        )
    )
    assert_refused(stacks, name, made, "ROLLBACK_COMPLETE")


def test_a_stack_that_was_deleted_is_not_updated(stacks: Stacks) -> None:
    # test_update_stack, test_update_deleted_stack.
    stack = stacks.create({"Resources": {"Q": QUEUE}})
    stack.delete()

    assert_refused(stacks, stack.id, stack.id, "DELETE_COMPLETE")
    with pytest.raises(ClientError, match=rf"Stack \[{stack.name}\] does not exist"):
        stacks.client.update_stack(StackName=stack.name, TemplateBody=json.dumps(WAITING))


def test_retained_resources_stay(platform: Platform, stacks: Stacks) -> None:
    kept = QUEUE | {"DeletionPolicy": "Retain"}
    stack = stacks.create({"Resources": {"Kept": kept, "Dropped": kept, "Gone": QUEUE}})
    urls = stack.physical_ids()

    stack.update({"Resources": {"Kept": kept, "Gone": QUEUE}})
    stack.delete()

    assert stack.status == "DELETE_COMPLETE"
    events = stack.client.describe_stack_events(StackName=stack.id)["StackEvents"]
    skipped = {
        each["LogicalResourceId"] for each in events if each["ResourceStatus"] == "DELETE_SKIPPED"
    }
    assert skipped == {"Kept", "Dropped"}
    sqs = platform.client("sqs")
    for name in ("Kept", "Dropped"):
        sqs.get_queue_attributes(QueueUrl=urls[name])
    with pytest.raises(ClientError):
        sqs.get_queue_attributes(QueueUrl=urls["Gone"])


def test_an_update_that_fails_goes_back_through_its_states(stacks: Stacks) -> None:
    before = {"Resources": {"Q": QUEUE}}
    stack = stacks.create(before)

    stack.update({"Resources": {"Q": QUEUE, "New": QUEUE, **WAITING["Resources"]}})

    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    events = stack.client.describe_stack_events(StackName=stack.id)["StackEvents"]
    states = [
        each["ResourceStatus"]
        for each in reversed(events)
        if each["LogicalResourceId"] == stack.name and each["ResourceStatus"].startswith("UPDATE")
    ]
    assert states == [
        "UPDATE_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
    ]
    assert list(stack.physical_ids()) == ["Q"]
    assert stack.client.get_template(StackName=stack.name)["TemplateBody"] == before
