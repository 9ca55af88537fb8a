"""The order in which the examples of the OpenAPI document work on a fresh platform.

Each step sends the example of one operation, as the document writes it for a shell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Body = Any


@dataclass(frozen=True)
class Step:
    """One request.

    `operation`: its id. `status`: of the answer. `who`: whose token it sends, by the token's
    variable. `sets`: variables of the shell that get the value of others for this request.
    `keeps`: variables that get fields of the answer. `which`: the number of the example.
    `until`: whether the answer is the awaited one; it is asked again until then.
    """

    operation: str
    status: int = 200
    who: str = "OWNER"
    sets: dict[str, str] = field(default_factory=dict)
    keeps: dict[str, str] = field(default_factory=dict)
    which: int = 0
    until: Callable[[Body], bool] = lambda body: True


def has_run(body: Body) -> bool:
    return bool(body["status"] == "running")


def has_ended(body: Body) -> bool:
    return bool(body["finished_at"])


def has_two(body: Body) -> bool:
    return [line["number"] for line in body] == [2, 1]


def adds_the_secret(body: Body) -> bool:
    return [(each["name"], each["change"]) for each in body] == [("DATABASE_PASSWORD", "added")]


def measures_it(body: Body) -> bool:
    return [each["version"] for each in body["deployments"]] == ["sha-1234567"]


def is_gone(body: Body) -> bool:
    return bool(body["status"] == "destroyed")


_TEMPLATED = {"ENVIRONMENT_ID": "TEMPLATED_ID"}
_IN_PROJECT = {"ENVIRONMENT_ID": "IN_PROJECT_ID"}
_BOB = {"MEMBER_ID": "BOB_ID", "USER_ID": "BOB_ID", "OTHER_USER_ID": "OWNER_ID"}

STORY = [
    Step("docs_health"),
    Step("auth_keys"),
    Step("auth_workload_support"),
    Step("auth_register", 201, keeps={"OWNER_ID": "id"}),
    Step("auth_sign_in", keeps={"OWNER": "access_token", "REFRESH_TOKEN": "refresh_token"}),
    Step("auth_refresh", keeps={"OWNER": "access_token"}),
    Step("auth_me"),
    # --- a sign-in on a device
    Step("auth_begin_on_device", keeps={"DEVICE_CODE": "device_code", "USER_CODE": "user_code"}),
    Step("auth_look_at_device"),
    Step("auth_deny_device"),
    Step("auth_begin_on_device", keeps={"DEVICE_CODE": "device_code", "USER_CODE": "user_code"}),
    Step("auth_approve_device"),
    Step("auth_complete_on_device"),
    Step("auth_create_token", 201, keeps={"TOKEN_ID": "id"}),
    Step("auth_list_tokens"),
    Step("auth_revoke_token", 204),
    Step("auth_revoke_tokens", 204),
    # --- a project and its members
    Step("projects_create", 201, keeps={"PROJECT_ID": "id"}),
    Step("projects_list"),
    Step("projects_get"),
    Step("projects_change"),
    Step("members_permissions"),
    Step("members_add_member", 201),
    Step("members_list_members"),
    Step("members_get_member", sets=_BOB),
    Step("members_change_member", sets=_BOB),
    Step("members_leave", 204, "BOB"),
    Step("members_add_member", 201),
    Step("members_remove_member", 204, sets=_BOB),
    Step("members_add_member", 201),
    Step("trusts_trust", 201, keeps={"TRUST_ID": "id"}),
    Step("trusts_list_trusts"),
    Step("trusts_get_trust"),
    Step("trusts_change_trust"),
    Step("trusts_delete_trust", 204),
    # --- a template
    Step("templates_create", 201),
    Step("templates_list"),
    Step("templates_get"),
    Step("templates_change"),
    Step("templates_add_version", 201),
    Step("templates_versions"),
    Step("templates_version"),
    Step("templates_replace"),
    Step("templates_body"),
    Step("templates_discard", 204),
    Step("templates_add_version", 201),
    Step("templates_publish"),
    Step("templates_usage"),
    # --- environments
    Step("environments_create", 201, keeps={"ENVIRONMENT_ID": "id"}),
    Step("environments_create", 201, keeps={"TEMPLATED_ID": "id"}, which=1),
    Step("environments_create_in_project", 201, keeps={"IN_PROJECT_ID": "id"}),
    Step("environments_list"),
    Step("environments_list_in_project"),
    Step("environments_browse"),
    Step("templates_uses"),
    Step("environments_ensure", 201, keeps={"ENSURED_ID": "id"}),
    Step("environments_get_by_external_id"),
    Step("environments_tear_down_by_external_id", 202),
    Step("environments_get", until=has_run),
    Step("environments_logs"),
    Step("environments_see_events"),
    Step("environments_extend"),
    Step("environments_touch"),
    Step("environments_pin"),
    Step("environments_unpin"),
    Step("environments_get", sets=_TEMPLATED, until=has_run),
    Step("environments_see_resources", sets=_TEMPLATED),
    Step("environments_detect_drift", 202, sets=_TEMPLATED),
    Step("environments_see_drift", sets=_TEMPLATED),
    # --- variables, secrets and configurations
    Step("variables_change_variables_of_project"),
    Step("variables_list_variables_of_project"),
    Step("variables_set_secret_of_project"),
    Step("variables_list_secrets_of_project"),
    Step("variables_reveal_secret_of_project"),
    Step("variables_remove_secret_of_project"),
    Step("variables_change_variables"),
    Step("variables_list_variables"),
    Step("variables_set_secret"),
    Step("variables_list_secrets"),
    Step("variables_reveal_secret"),
    Step("variables_list_configurations", until=has_two),
    Step("variables_get_configuration"),
    Step("variables_compare_configurations", until=adds_the_secret),
    Step("variables_remove_secret"),
    Step("variables_set_secret"),
    Step("variables_restore_configuration"),
    Step("variables_purge_configurations"),
    Step("variables_purge_configurations_of_project"),
    # --- deployments
    Step("deployments_create", 201, keeps={"DEPLOYMENT_ID": "id"}),
    Step("deployments_list"),
    Step("environments_get_in_project", sets=_IN_PROJECT),
    Step("deployments_create_in_environment", 201, sets=_IN_PROJECT),
    Step("environments_deploy", 201, sets=_IN_PROJECT),
    Step("environments_list_deployments", sets=_IN_PROJECT),
    Step("deployments_list_in_environment"),
    Step("deployments_list_in_project"),
    Step("deployments_browse"),
    Step("environments_see_queue"),
    Step("deployments_get", until=has_ended),
    Step("deployments_logs"),
    Step("deployments_timeline"),
    Step("deployments_draw_timeline"),
    Step("environments_runtime_logs"),
    Step("environments_metrics", until=measures_it),
    Step("environments_draw_history"),
    Step("deployments_create", 201, keeps={"SECOND_ID": "id"}),
    Step("deployments_get", sets={"DEPLOYMENT_ID": "SECOND_ID"}, until=has_ended),
    Step("environments_roll_back", 201, keeps={"ROLLBACK_ID": "id"}),
    Step("deployments_get", sets={"DEPLOYMENT_ID": "ROLLBACK_ID"}, until=has_ended),
    Step("environments_release_hold"),
    Step("environments_compare", sets={"OTHER_ID": "IN_PROJECT_ID"}),
    Step("environments_update", 201, sets=_TEMPLATED),
    # It waits behind the update, so it can still be canceled.
    Step("deployments_create", 201, sets=_TEMPLATED, keeps={"DEPLOYMENT_ID": "id"}),
    Step("deployments_cancel", 202),
    # --- stages
    Step("promotions_put_pipeline", sets={"TARGET_ID": "IN_PROJECT_ID"}),
    Step("promotions_get_pipeline"),
    Step("promotions_list_stages"),
    Step(
        *("promotions_promote", 202),
        sets={"FROM": "ENVIRONMENT_ID", "TARGET_ID": "IN_PROJECT_ID"},
        keeps={"PROMOTION_ID": "id"},
    ),
    Step("promotions_get", until=has_ended),
    Step("promotions_list_in_project"),
    # --- a machine asks, and a person decides
    Step("environments_tear_down", 202, "AGENT", keeps={"CONFIRMATION_ID": "id"}),
    Step("confirmations_list"),
    Step("confirmations_get"),
    Step("confirmations_reject"),
    Step("environments_tear_down", 202, "AGENT", keeps={"CONFIRMATION_ID": "id"}),
    Step("confirmations_approve"),
    Step("environments_get", until=is_gone),
    # --- the end of the project
    Step("environments_change", sets=_TEMPLATED, keeps={"ENVIRONMENT_NAME": "name"}),
    Step("environments_tear_down", 202, sets=_TEMPLATED),
    Step("environments_get", sets=_TEMPLATED, until=is_gone),
    Step("environments_get", sets={"ENVIRONMENT_ID": "ENSURED_ID"}, until=is_gone),
    Step("environments_change_in_project", sets=_IN_PROJECT, keeps={"ENVIRONMENT_NAME": "name"}),
    Step("environments_tear_down_in_project", 202, sets=_IN_PROJECT),
    Step("environments_get", sets=_IN_PROJECT, until=is_gone),
    Step("templates_deprecate"),
    Step("templates_delete", 204),
    Step("projects_list_audit"),
    Step("projects_verify_audit"),
    Step("members_transfer", sets=_BOB),
    # --- what administrators do
    Step("users_list_users", who="ADMIN"),
    Step("users_get_user", sets=_BOB),
    Step("invitations_invite", 201, "ADMIN", keeps={"INVITATION_ID": "id"}),
    Step("invitations_list_invitations", who="ADMIN"),
    Step("invitations_revoke_invitation", 204, "ADMIN"),
    Step("projects_list_platform_audit", who="ADMIN"),
    Step("projects_verify_platform_audit", who="ADMIN"),
    Step("users_get_quotas", who="ADMIN", sets=_BOB),
    Step("users_change_user", who="ADMIN", sets=_BOB),
    Step("users_disable_user", who="ADMIN", sets=_BOB),
    Step("users_enable_user", who="ADMIN", sets=_BOB),
    Step("users_disable_user", who="ADMIN", sets=_BOB),
    Step("users_hand_over", 204, "ADMIN", sets=_BOB),
    Step("users_delete_user", 204, "ADMIN", sets=_BOB),
    Step("projects_delete", 204),
    # --- passwords and the end of sessions
    Step("auth_change_password", keeps={"OWNER": "access_token"}),
    Step("auth_logout", 204),
    Step("auth_request_password_reset", 202),
    Step(
        *("users_make_password_reset", 200, "ADMIN"),
        sets={"USER_ID": "OWNER_ID"},
        keeps={"RECEIVED_TOKEN": "reset"},
    ),
    Step("auth_reset_password", 204),
    Step("auth_logout_everywhere", 204, "ADMIN"),
]

CANNOT_WORK = {
    "auth_verify_email": ("link_invalid", "No mail is sent, so no address has to be proven."),
    "auth_begin_company_sign_in": ("company_off", "The platform has no company's sign-in."),
    "auth_complete_company_sign_in": ("company_off", "The platform has no company's sign-in."),
    "auth_exchange_token": ("workload_refused", "No issuer of workloads' tokens is reached."),
    "environments_retry_teardown": ("nothing_to_retry", "No teardown has failed."),
}
"""The examples that cannot work on a fresh platform: the code of the refusal, and why."""
