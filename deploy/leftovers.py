"""Resources that a deleted stack leaves behind: those to remove, to keep, and orphans."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

# The stack whose bucket `sam deploy --resolve-s3` uses, for all SAM applications of an account.
SAM_STACK = "aws-sam-cli-managed-default"


def remove(session: Any, stack: str) -> None:
    """Delete the plans, secrets and packages of a stack that was deleted."""
    cloudformation = session.client("cloudformation")
    for plan in stacks(cloudformation, f"{stack}-plan-"):
        cloudformation.delete_stack(StackName=plan)
    ssm = session.client("ssm")
    while found := _secrets(ssm, stack):
        ssm.delete_parameters(Names=found)
    if bucket := _sam_bucket(cloudformation):
        _empty(session.client("s3"), bucket, f"{stack}/")


def _secrets(ssm: Any, stack: str) -> list[str]:
    """The names of up to ten secrets, as many as one call deletes."""
    path = f"/{stack}/environments/"
    found = ssm.get_parameters_by_path(Path=path, Recursive=True, MaxResults=10)["Parameters"]
    return [each["Name"] for each in found]


def _sam_bucket(cloudformation: Any) -> str | None:
    try:
        [found] = cloudformation.describe_stacks(StackName=SAM_STACK)["Stacks"]
    except ClientError:
        return None
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    return outputs.get("SourceBucket")


def _empty(s3: Any, bucket: str, prefix: str) -> None:
    """Delete every version of every object below the prefix."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        objects = [
            {"Key": each["Key"], "VersionId": each["VersionId"]}
            for each in page.get("Versions", []) + page.get("DeleteMarkers", [])
        ]
        if objects:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})


def kept(session: Any, stack: str) -> list[tuple[str, str]]:
    """The resources that are kept on purpose, each with a command that deletes it."""
    found = [
        (
            f"bucket {name}, which holds template versions",
            f"aws s3 rb --force s3://{name}   (after its versions are deleted)",
        )
        for name in _buckets(session, stack)
    ]
    found += [
        (
            f"table {name}, which is protected from deletion",
            f"aws dynamodb update-table --table-name {name} --no-deletion-protection-enabled; "
            f"aws dynamodb delete-table --table-name {name}",
        )
        for name in _tables(session, stack)
    ]
    found += [
        (
            f"log group {name}, of an environment's function",
            f"aws logs delete-log-group --log-group-name {name}",
        )
        for name in _log_groups(session, stack)
    ]
    return found


def _buckets(session: Any, stack: str) -> list[str]:
    names = [each["Name"] for each in session.client("s3").list_buckets()["Buckets"]]
    return [name for name in names if name.startswith(f"{stack}-templatesbucket-")]


def _tables(session: Any, stack: str) -> list[str]:
    pages = session.client("dynamodb").get_paginator("list_tables").paginate()
    names = [name for page in pages for name in page["TableNames"]]
    return [name for name in names if name.startswith(f"{stack}-Table-")]


def _log_groups(session: Any, stack: str) -> list[str]:
    """Log groups that Lambda created by itself, which CloudFormation does not delete."""
    pages = (
        session.client("logs")
        .get_paginator("describe_log_groups")
        .paginate(logGroupNamePrefix=f"/aws/lambda/{stack}-env-")
    )
    return [each["logGroupName"] for page in pages for each in page["logGroups"]]


def remove_roles(session: Any, stack: str) -> None:
    """Delete the roles with which environments were made, those whose stack is gone.

    Usually there are none: each is deleted after its environment's stack. One that is left, because
    the environment was forcibly marked as destroyed, would keep the policies of Slipway's stack.
    """
    iam = session.client("iam")
    live = list(stacks(session.client("cloudformation"), f"{stack}-env-"))
    for page in iam.get_paginator("list_roles").paginate():
        for name in (each["RoleName"] for each in page["Roles"]):
            before, _, scope = name.partition(f"{stack}-making-")
            if before or not scope or any(each.startswith(f"{stack}-env-{scope}") for each in live):
                continue
            attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            for policy in attached:
                iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
            iam.delete_role(RoleName=name)


def orphans(session: Any, stack: str) -> list[str]:
    """Stacks of environments that have no record."""
    return [f"stack {name}" for name in stacks(session.client("cloudformation"), f"{stack}-env-")]


def stacks(cloudformation: Any, prefix: str) -> Iterator[str]:
    """The names of stacks with this prefix, except deleted ones."""
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        for each in page["Stacks"]:
            if each["StackName"].startswith(prefix) and each["StackStatus"] != "DELETE_COMPLETE":
                yield each["StackName"]
