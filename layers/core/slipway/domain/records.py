"""Records: what the table holds, one type for each kind of item.

The types exist for the type checker alone, because defining them would slow down each cold
start. Import them under TYPE_CHECKING.

A record is a plain dict, because most are read only to be shown or passed on. Moments are texts
(`timestamps.written`), and structures that callers define are JSON texts. An attribute that has no
value is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

Record = TypeVar("Record", bound=Mapping[str, Any])


if TYPE_CHECKING:
    from typing import Literal, NotRequired, TypedDict

    from slipway.domain.events import Action
    from slipway.domain.rights import Role, Tier

    class FailureRecord(TypedDict):
        """Why something failed, as it was reported; slipway.domain.failure decodes it."""

        error: str
        reason: NotRequired[str]
        cause: NotRequired[str]
        step: NotRequired[str]
        recovery: NotRequired[FailureRecord]

    class AuthorRecord(TypedDict):  # A caller of the API (slipway.domain.author).
        id: str
        kind: str
        name: NotRequired[str]

    Actor = str | AuthorRecord  # As text: a workflow, a function or `ttl` by its name.

    class ChangeRecord(TypedDict):
        """Why the record was last written; the event of that write copies it.

        A write without an event leaves it as it is. `actor` is a user's id, a workflow, a function
        of the platform, `ttl`, or the deployment that caused the write. `at` equals the record's
        `updated_at`. Without a `reason`, the event takes it from the record's other fields.
        """

        action: Action
        actor: str
        at: str
        by: NotRequired[AuthorRecord]
        reason: NotRequired[str]

    class PinRecord(TypedDict):
        reason: str
        at: str
        by: Actor

    class HoldRecord(TypedDict):
        """Machines may not deploy. `deployment_id` is the rollback that has set it."""

        reason: str
        at: str
        by: AuthorRecord
        deployment_id: str

    class TrustRecord(TypedDict):
        """What a project trusts, and its membership. `claims` is a JSON text, of which `pin` names
        the claim by which the trust is found. What is trusted never changes.
        """

        id: str
        project_id: str
        name: NotRequired[str]
        role: Literal["maintainer"]
        issuer: str
        audience: NotRequired[str]
        claims: str
        pin: str
        scopes: list[str]
        tiers: NotRequired[list[str]]
        created_by: str
        made_by: dict[str, str]
        created_at: str
        updated_at: str
        change: TrustChangeRecord
        version: int

    class TrustChangeRecord(TypedDict):
        """Why a trust was last written."""

        action: Literal["trust_created", "trust_changed"]
        actor: str
        at: str

    class IssuerRecord(TypedDict):
        """An issuer's public keys, a JSON text, as they were read at `read_at` (epoch seconds)."""

        issuer: str
        keys: str
        read_at: int
        ttl: int

    class ProjectRecord(TypedDict):
        id: str
        name: str
        description: NotRequired[str]
        repository: NotRequired[str]
        labels: NotRequired[dict[str, str]]
        policy: NotRequired[dict[str, Any]]
        status: Literal["active", "deleting"]
        owner: str
        environments: int
        environments_made: NotRequired[int]
        trusts: NotRequired[int]
        members: NotRequired[int]
        seats: NotRequired[int]
        owners: NotRequired[int]
        protections: NotRequired[int]  # How many environments were ever protected.
        created_at: str
        updated_at: str
        version: int
        deleted_by: NotRequired[str]
        deletion_author: NotRequired[AuthorRecord]
        # The versions of its levels of variables, by `project` and by tier, if they have any.
        configurations: NotRequired[dict[str, int]]

    class MemberRecord(TypedDict):
        """A member of a project. `overrides` has the role in environments of a tier.

        `role_by_groups` and `role_by_hand`: slipway.domain.groups.Held.
        """

        user_id: NotRequired[str]
        email: NotRequired[str]
        role: Role
        overrides: NotRequired[dict[Tier, Role]]
        role_by_groups: NotRequired[Role]
        role_by_hand: NotRequired[Role]
        added_by: NotRequired[str]
        added_at: NotRequired[str]
        version: NotRequired[int]

    class EnvironmentRecord(TypedDict):
        """`operation` is the workflow that works on the environment's resources, if one does.

        `resources` are the driver's resources that have to be retired, `remains` what could not
        be, and `retain` what is left in place on purpose. `live_in_doubt` is the deployment that
        may have left something else live than `live_version`. `slots` are those that it holds of
        quotas, by their owner, and `waiting` counts the places in its queue.
        """

        id: str
        project_id: str
        name: str
        type: Literal["ephemeral", "persistent"]
        tier: NotRequired[Tier]
        protected: NotRequired[Literal[True]]
        status: Any
        operation: NotRequired[str]
        driver: Literal["simulated", "cloudformation"]
        external_id: NotRequired[str]
        on_conflict: Any
        config: NotRequired[str]
        labels: NotRequired[dict[str, str]]
        # The name under which it was provisioned, if it was renamed.
        first_name: NotRequired[str]
        created_at: str
        created_by: str
        made_by: NotRequired[AuthorRecord]
        updated_at: str
        destroyed_at: NotRequired[str]
        change: ChangeRecord
        version: int
        failure: NotRequired[FailureRecord]
        base_url: NotRequired[str]
        outputs: NotRequired[dict[str, str]]
        due: NotRequired[str]
        due_at: NotRequired[str]
        ttl: NotRequired[int]
        listed: NotRequired[str]
        listed_at: NotRequired[str]
        # Its lease.
        ttl_hours: NotRequired[float]
        expires_at: NotRequired[str]
        max_expires_at: NotRequired[str]
        warn_before_hours: NotRequired[list[float]]
        warn_at: NotRequired[list[str]]
        expiry_mode: NotRequired[Literal["absolute", "idle"]]
        lease: NotRequired[int]
        pinned: NotRequired[PinRecord]
        # Its template.
        template: NotRequired[str]
        template_key: NotRequired[str]
        parameters: NotRequired[list[str]]
        defaults: NotRequired[list[str]]
        # The parameters that say which bucket code comes from.
        code_parameters: NotRequired[list[str]]
        # The constraints of parameters that Slipway fills in, as JSON (slipway.domain.supplied).
        filled_in: NotRequired[str]
        inputs: NotRequired[str]
        secret_inputs: NotRequired[list[str]]
        secret_places: NotRequired[dict[str, str]]
        stack_id: NotRequired[str]
        project_name: NotRequired[str]
        last_update_id: NotRequired[str]
        slots: NotRequired[dict[str, str]]
        # Its deployments.
        waiting: NotRequired[int]
        last_accepted: NotRequired[str]
        live_version: NotRequired[str]
        live_artifact: NotRequired[str]
        live_order: NotRequired[int | str]
        live_deployment_id: NotRequired[str]
        live_in_doubt: NotRequired[str]
        live_since: NotRequired[str]
        live_by: NotRequired[AuthorRecord]
        # The number of its newest configuration, and the versions of the levels above in it.
        configuration: NotRequired[int]
        configuration_levels: NotRequired[dict[str, int]]
        # The configuration that is live, and those that the parameter store may have.
        live_configuration: NotRequired[int]
        delivered: NotRequired[set[str]]
        applying: NotRequired[str]  # The last deployment that a change of it has queued.
        live_history: NotRequired[list[LiveRecord]]  # Newest first.
        hold: NotRequired[HoldRecord]
        # Its end.
        resources: NotRequired[set[str]]
        remains: NotRequired[set[str]]
        retain: NotRequired[set[str]]
        teardown_attempts: NotRequired[int]
        next_retry_at: NotRequired[str]
        retrying_since: NotRequired[str]
        retries_ended: NotRequired[bool]
        forgotten: NotRequired[bool]

    class LiveRecord(TypedDict):
        """A deployment that was live. `same_as` is the deployment whose state it has restored, if
        it was a rollback, and that one's if it was a rollback itself."""

        id: str
        version: NotRequired[str]
        same_as: NotRequired[str]

    class SnapshotRecord(TypedDict):
        """The state of an environment with a deployment, beside its version and artifact.

        `inputs` is a JSON text of all that are not secret. `secret_places` has the place of each
        secret input. `configuration` is the number of the configuration's version.
        """

        template: NotRequired[str]
        inputs: NotRequired[str]
        secret_inputs: NotRequired[list[str]]
        secret_places: NotRequired[dict[str, str]]
        configuration: NotRequired[int]

    class DeploymentRecord(TypedDict):
        """A `release` brings a version; an `update` changes the environment itself. A release may
        do both: with `inputs` it changes the environment as an update does, and with `becomes` it
        replaces the environment's template, inputs and secrets.

        `snapshot` is the state that is live with it, once it has succeeded. `urgent`: it goes ahead
        of those that wait.
        `token` is the fencing token, there once the deployment has been given the lock. `slots` as
        for an environment.
        """

        id: str
        project_id: str
        environment_id: str
        within: NotRequired[dict[str, Any]]
        kind: Literal["release", "update"]
        trigger: NotRequired[str]
        labels: NotRequired[dict[str, str]]
        status: Any
        on_conflict: Any
        change: ChangeRecord
        created_at: str
        created_by: str
        made_by: NotRequired[AuthorRecord]
        slots: NotRequired[dict[str, str]]
        started_at: NotRequired[str]
        finished_at: NotRequired[str]
        token: NotRequired[int]
        failure: NotRequired[FailureRecord]
        superseded_by: NotRequired[str]
        cancel_requested_at: NotRequired[str]
        cancel_requested_by: NotRequired[str]
        cancel_author: NotRequired[AuthorRecord]
        due: NotRequired[str]
        due_at: NotRequired[str]
        ttl: NotRequired[int]
        listed: NotRequired[str]
        listed_at: NotRequired[str]
        # The number of its configuration, and whether all of that is in the parameter store.
        configuration: NotRequired[int]
        delivered: NotRequired[bool]
        # A release, and what is live during an update.
        version: NotRequired[str]
        artifact: NotRequired[str]
        order: NotRequired[int | str]
        allow_outdated: NotRequired[bool]
        # An update.
        template: NotRequired[str]
        inputs: NotRequired[str]
        secret_inputs: NotRequired[list[str]]
        secret_place: NotRequired[str]
        becomes: NotRequired[SnapshotRecord]
        snapshot: NotRequired[SnapshotRecord]
        rolls_back_to: NotRequired[str]
        promotion_id: NotRequired[str]
        promoted_from: NotRequired[str]
        reason: NotRequired[str]
        urgent: NotRequired[Literal[True]]
        kept_inputs: NotRequired[list[str]]
        kept_of_update: NotRequired[str]

    class PlaceRecord(TypedDict):
        """A deployment's place in the queue of its environment.

        `lasts`: no later deployment supersedes it. `urgent`: it is ahead of those that are not.
        `automatic`: a token or a workload asked for it, so that it waits while there is a hold.
        """

        deployment_id: str
        kind: Literal["release", "update"]
        lasts: NotRequired[Literal[True]]
        urgent: NotRequired[Literal[True]]
        automatic: NotRequired[Literal[True]]
        order: NotRequired[int | str]
        slots: NotRequired[dict[str, str]]

    class LockRecord(TypedDict):
        """Which deployment may roll out. `token` counts the holders; `order` is the holder's."""

        token: int
        holder: NotRequired[str]
        order: NotRequired[int | str]


def change(action: Action, actor: Actor, at: str, reason: str | None = None) -> ChangeRecord:
    """The `change` of a record that is written now; `at` is written as a timestamp."""
    by = {"actor": actor} if isinstance(actor, str) else {"actor": actor["id"], "by": actor}
    made = {"action": action, "at": at, **by, **({"reason": reason} if reason else {})}
    return cast("ChangeRecord", made)


def changed(record: Record, fields: Mapping[str, Any]) -> Record:
    """The record as it will be when the fields are written; a field that is None is removed."""
    after = {**record, **fields}
    return cast(Record, {name: value for name, value in after.items() if value is not None})
