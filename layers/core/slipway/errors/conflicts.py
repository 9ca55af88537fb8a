"""Refusals because of the current state: the caller reads the object, then decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.errors.base import Conflict, FieldError


class EmailTaken(Conflict):
    code = "email_taken"
    title = "This e-mail address is already registered. Sign in, or use another one."


class NameTaken(Conflict):
    code = "name_taken"
    title = "This name is already in use. Choose another one."


class AmbiguousName(Conflict):
    """`project_ids`: the projects that have the name."""

    code = "ambiguous_name"
    title = "Several of your projects have this name. Use the id of the one that you mean."

    def __init__(self, project_ids: Sequence[str]) -> None:
        super().__init__(
            f"Several of your projects have this name. Use an id: {', '.join(project_ids)}",
            project_ids=list(project_ids),
        )


class ExternalIdTaken(Conflict):
    code = "external_id_taken"
    title = "Another environment of the project has this external_id. Use another one."


class ProjectNotEmpty(Conflict):
    """`environments`: `{id, name}` of each environment of the project."""

    code = "project_not_empty"
    title = "The project still has environments. Delete them, or send ?cascade=true."

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        super().__init__(environments=list(environments))


class ProtectedEnvironments(Conflict):
    """`environments`: `{id, name}` of each protected environment of the project."""

    code = "protected_environments"
    title = "The project has protected environments. Unprotect or delete each of them first."

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        super().__init__(environments=list(environments))


class ConfirmationRequired(Conflict):
    """`name`: the name to send."""

    code = "confirmation_required"
    title = "This has to be confirmed. Send the object's name in the header X-Confirm."

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(
            detail or f"The environment is protected. To go on, send the header X-Confirm: {name}",
            name=name,
        )


class ProjectGoing(Conflict):
    code = "project_going"
    title = "The project is being deleted. Use another project."


class EnvironmentNotReady(Conflict):
    """`environment_status`: the state that the environment is in."""

    code = "environment_not_ready"
    title = "The environment accepts no deployments. Create a new environment."

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The environment is {status} and accepts no deployments. Create a new environment.",
            environment_status=status,
        )


class EnvironmentGoing(Conflict):
    """`environment_status`: the state that the environment is in. `seconds`: when to try again, for
    a request that succeeds when the environment has gone."""

    code = "environment_going"
    title = "The environment is ending and can no longer change. Create a new environment."

    def __init__(self, status: str, seconds: int = 0) -> None:
        detail = f"The environment is {status}, so it cannot change. Create a new environment."
        if seconds:
            detail = (
                f"The environment with this external_id is {status}. Try again when it is gone."
            )
        super().__init__(detail, environment_status=status)
        self._seconds = seconds

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self._seconds)} if self._seconds else {}


class EnvironmentDiffers(Conflict):
    """`environment_id`: the environment with the external id. `errors` has what differs."""

    code = "environment_differs"
    title = "The environment with this external_id is not as the body says. Change either of them."

    def __init__(self, environment_id: str, differences: Sequence[FieldError]) -> None:
        first, *more = differences
        others = f" (and {len(more)} more)" if more else ""
        super().__init__(
            f"{first.pointer} {first.detail}{others}. Change the environment, or send what it is.",
            environment_id=environment_id,
        )
        self._differences = differences

    @property
    def fields(self) -> Sequence[FieldError]:
        return self._differences


class NoLease(Conflict):
    code = "no_lease"
    title = "The environment has no lease to change. Only ephemeral environments have one."


class DeploymentFinished(Conflict):
    """`deployment_status`: how it ended."""

    code = "deployment_finished"
    title = "The deployment has already ended. It can no longer be canceled."

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The deployment has already ended as {status}. It can no longer be canceled.",
            deployment_status=status,
        )


class QueueBusy(Conflict):
    code = "queue_busy"
    title = "Another deployment is running or waiting. Wait for it, or send another on_conflict."


class NothingLive(Conflict):
    code = "nothing_live"
    title = (
        "Nothing is live in this environment, so there is nothing to deploy with the new "
        "configuration. Deploy a version; it brings the newest configuration."
    )


class TemplateTakesNoVersion(Conflict):
    """`template`: the version of the template that the environment uses."""

    code = "template_takes_no_version"
    title = (
        "The environment's template takes neither Version nor Artifact, so a deployment would "
        "change nothing. Update the environment instead."
    )

    def __init__(self, template: str) -> None:
        super().__init__(
            f"{template} declares neither Version nor Artifact, so a deployment would change "
            "nothing. Update the environment to a version of the template that declares one of "
            "them.",
            template=template,
        )


class OutdatedDeployment(Conflict):
    """`newer`: the id of the deployment that is live or queued. `newer_version` is its version,
    None while it is queued, and `newer_order` the `sequence` or `committed_at` that is newer."""

    code = "outdated_deployment"
    title = "A newer version is live or queued. Send allow_outdated to deploy anyway."

    def __init__(
        self, newer: str, order: int | str, than: int | str, version: str | None = None
    ) -> None:
        name = "sequence" if isinstance(order, int) else "committed_at"
        where = f"live is {version}" if version else f"{newer} is in the queue"
        super().__init__(
            f"{name} {than} is older than {order}: {where}. Send allow_outdated to deploy anyway.",
            newer=newer,
            newer_version=version,
            newer_order=order,
        )


class NothingToRetry(Conflict):
    code = "nothing_to_retry"
    title = "No teardown of this environment has failed. Read its status."


class NothingToRetain(Conflict):
    code = "nothing_to_retain"
    title = "No stack is left to retain resources of. Retry without retain."


class TemplateInUse(Conflict):
    """`used`: how many environments use it. `list`: the path that lists those that you can see."""

    code = "template_in_use"
    title = "Environments use the template. Destroy them first, or deprecate its versions."

    def __init__(self, template: str, used: int) -> None:
        those = "1 environment uses" if used == 1 else f"{used} environments use"
        super().__init__(
            f"{those} the template. Destroy them first, or deprecate its versions.",
            used=used,
            list=f"/api/v1/templates/{template}/environments",
        )


class VersionTaken(Conflict):
    code = "version_taken"
    title = "The template already has this version. Choose another number."


class VersionFixed(Conflict):
    """`version_state`: the state that the version is in."""

    code = "version_fixed"
    title = "A published version cannot change. Add a new version."

    def __init__(self, detail: str, state: str) -> None:
        super().__init__(detail, version_state=state)


class NotPublished(Conflict):
    code = "not_published"
    title = "Only a published version can be deprecated. Delete the draft instead."


class NoStack(Conflict):
    code = "no_stack"
    title = "The environment has no stack to inspect. Only those with a template have one."


class StackNotReady(Conflict):
    """`stack_status`: the stack's status in CloudFormation."""

    code = "stack_not_ready"
    title = "The environment's stack is changing or incomplete. Try again when it is complete."

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The stack is {status}. Try again when it is complete.", stack_status=status
        )


class NoTemplate(Conflict):
    code = "no_template"
    title = "The environment has no template to update. Create one from a template."


class ConfirmationDecided(Conflict):
    """`confirmation_status`: what became of it."""

    code = "confirmation_decided"
    title = "It was decided already, or has expired. Read the confirmation."

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The confirmation is {status} and can no longer be decided. Ask for another one.",
            confirmation_status=status,
        )


class ConfirmationChanged(Conflict):
    code = "confirmation_changed"
    title = "The digest is not that of this confirmation. Read it again, then decide."


class TooManyUndecided(Conflict):
    """`limit`: how many requests of one machine may wait in a project."""

    code = "too_many_undecided"
    title = "Too many of your requests wait for a person. Let them be decided first."

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit)


class LastAdministrator(Conflict):
    code = "last_administrator"
    title = "The last administrator cannot be disabled or demoted. Appoint another one first."


class UserActive(Conflict):
    code = "user_active"
    title = "Only a disabled user can be deleted. Disable the user first."


class UserNotEmpty(Conflict):
    """`projects`: `{id, name}` of some of those that count towards the user's quota."""

    code = "user_not_empty"
    title = "The user still has projects. Transfer or delete them first."

    def __init__(self, projects: Sequence[Mapping[str, str]]) -> None:
        super().__init__(projects=list(projects))


class QuotaExceeded(Conflict):
    """`quota` is the stack's parameter, `limit` its value, and `used` how much counts. `could_end`
    has some of what counts, the oldest first, and `list` the path that lists all of it."""

    code = "quota_exceeded"
    title = "A quota is used up. End something that counts, or ask for a higher quota."

    def __init__(self, quota: str, limit: int, used: int, **extra: Any) -> None:
        detail = f"{used} are in use, and {quota} allows {limit}. End one, or ask to raise {quota}."
        super().__init__(detail, quota=quota, limit=limit, used=used, **extra)

    def without_names(self) -> QuotaExceeded:
        """The same, for a caller who may not know what counts: it is another user's."""
        return QuotaExceeded(*(self._extra[name] for name in ("quota", "limit", "used")))


class TrustExists(Conflict):
    """`trust_id`: the trust that is there."""

    code = "trust_exists"
    title = "The project already has this trust. Change that one, or add a claim."

    def __init__(self, trust_id: str = "") -> None:
        super().__init__(trust_id=trust_id)


class TooManyTrusts(Conflict):
    code = "too_many_trusts"
    title = "The project has as many trusts as it may have. Delete one that is not used."


class AmbiguousTrust(Conflict):
    """`projects`: the ids of projects that trust the workload."""

    code = "ambiguous_trust"
    title = "More than one project trusts this workload. Send project_id."

    def __init__(self, projects: Sequence[str] = ()) -> None:
        super().__init__(projects=list(projects))


class AlreadyMember(Conflict):
    code = "already_member"
    title = "The user is a member of the project already. Change the member's role instead."


class LastOwner(Conflict):
    code = "last_owner"
    title = "A project always has an owner. Make another member an owner first, or transfer it."


class ProjectFull(Conflict):
    """`limit`: how many members and invitations a project can have."""

    code = "project_full"
    title = "The project has as many members and invitations as it can have. Remove one first."

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"A project has at most {limit} members and invitations. Remove one first.", limit=limit
        )


class UserDisabled(Conflict):
    code = "user_disabled"
    title = "The user's account is disabled or gone. Ask an administrator to enable it."


class TooManyTokens(Conflict):
    """`limit`: how many tokens a user may have."""

    code = "too_many_tokens"
    title = "You have as many tokens as a user may have. Revoke one that you no longer use."

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit)
