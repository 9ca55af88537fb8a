"""The descriptions of tags, operations and parameters in the OpenAPI document.

An operation's summary is the first paragraph of its function's docstring. Its description is what
follows there, or what this module says of it; a function would load a long docstring at each start.
A test finds each operation that has neither.
"""

from __future__ import annotations

TAGS: dict[str, str] = {
    "auth": "Register, sign in and out, and manage passwords and tokens.",
    "users": "Who has an account. Most of it is for administrators.",
    "invitations": "Who may register where registration needs an invitation.",
    "trusts": "Workloads, such as jobs of a CI system, that act without a stored secret.",
    "members": "Who works on a project, and in which role.",
    "projects": "What a team ships, and the audit of who changed it.",
    "templates": "Descriptions of environments, in versions that a platform team publishes.",
    "environments": "Where versions run: create, change, look into and tear down.",
    "deployments": "Versions on their way into an environment, and their logs.",
    "promotions": "Versions on their way from one environment to the next, by stages.",
    "variables": "What an environment is configured with: variables, secrets and their versions.",
    "confirmations": "Destructive requests of machines, which wait for a person.",
    "docs": "Whether the platform answers.",
}

_LISTED = (
    "Filters are combined. Destroyed environments are listed only with `include=ended` or their "
    "`status`. With a filter, a page can be short or empty while the `Link` header leads on. The "
    "list can lag behind by a moment; reading an environment cannot."
)

OPERATIONS: dict[str, str] = {
    # --- auth
    "auth_register": "Answers 202 if the address must be proven first: a mail with a link leads "
    "on. The stack's parameter `Registration` says who may register.",
    "auth_verify_email": "Needed only where registering was answered with 202.",
    "auth_sign_in": "Takes JSON, and the form of OAuth 2's password grant. Send the answer's "
    "`access_token` with other requests, and its `refresh_token` to get the next one.",
    "auth_refresh": "A refresh token works once. One that is used twice ends its session, because "
    "nobody can tell which of the two callers owns it.",
    "auth_logout": "Its access and refresh tokens stop working at once.",
    "auth_logout_everywhere": "API tokens go on; revoke them separately.",
    "auth_change_password": "Answers with the tokens of a new session.",
    "auth_request_password_reset": "The answer is the same whether or not the address has an "
    "account. The link works for an hour.",
    "auth_reset_password": "The token is from the mailed link, or from an administrator.",
    "auth_begin_company_sign_in": "For browsers. Works if the stack's parameters name the "
    "company's OpenID Connect provider.",
    "auth_complete_company_sign_in": "The provider sends browsers here. Programs get the tokens as "
    "JSON, browsers a page.",
    "auth_begin_on_device": "The device shows `user_code` and where to type it, and asks with "
    "`device_code`. Both are valid for ten minutes.",
    "auth_complete_on_device": "Ask every `interval` seconds while the error is "
    "`authorization_pending`, and five seconds more slowly after each `slow_down`. A code that is "
    "used twice ends the session that it began.",
    "auth_look_at_device": "Show a person `asked_from` and `asked_at` before anything is approved: "
    "a stranger can send somebody a code of his own. Many wrong codes are answered with 429.",
    "auth_approve_device": "The session lasts no longer than the one in which you approve it.",
    "auth_deny_device": "Also what you have approved, until the device has its session.",
    "auth_me": "Shows the role on the platform, too. A workload has no account.",
    "auth_exchange_token": "For jobs of a CI system: no secret is stored there. A project's trust "
    "says which jobs may do this.",
    "auth_workload_support": "Jobs ask their issuer for a token with this audience.",
    "auth_create_token": "The token acts as you, within its scopes and limits, until it expires.",
    "auth_list_tokens": "Without what proves them.",
    "auth_revoke_tokens": "Also those that others of your tokens created.",
    "auth_revoke_token": "Its next request is refused.",
    "auth_keys": "Other services verify the platform's access tokens with them.",
    # --- people
    "users_list_users": "With their roles on the platform and whether they are disabled.",
    "users_get_user": "All of your own account and, for administrators, of everyone's.",
    "users_get_quotas": "The stack's parameters set the limits.",
    "users_change_user": "The last administrator keeps the role.",
    "users_delete_user": "Hand the user's projects over first.",
    "users_hand_over": "Repeat the request if it is interrupted: it goes on with the projects that "
    "are left.",
    "users_disable_user": "All sessions and tokens of the user stop working. Projects go on.",
    "users_enable_user": "The user signs in again with the same password.",
    "users_make_password_reset": "It is mailed if the platform sends mail; otherwise the answer "
    "has it. It works for a day.",
    "invitations_invite": "Another invitation for the same address replaces the first one.",
    "invitations_list_invitations": "In no particular order.",
    "invitations_revoke_invitation": "It can no longer be used to register.",
    "trusts_trust": "A trust names claims of the issuer's tokens. A job whose token has them gets "
    "a token of the platform, for 15 minutes, from `/auth/oidc/exchange`.",
    "trusts_list_trusts": "Without tokens: a trust stores none.",
    "trusts_get_trust": "Shows which tokens are trusted, and what their workloads may do.",
    "trusts_change_trust": "Which tokens are trusted does not change.",
    "trusts_delete_trust": "Tokens that were exchanged before stop working, too.",
    "members_list_members": "An open invitation has the status `invited`.",
    "members_add_member": "Somebody who has no account is invited: the invitation is mailed if the "
    "platform sends mail; otherwise the answer has it.",
    "members_get_member": "The id is that of the user, or that of the invitation.",
    "members_change_member": "The last owner keeps the role.",
    "members_remove_member": "The member sees the project no longer, from the next request on.",
    "members_leave": "Your tokens reach the project no longer.",
    "members_transfer": "The new owner is a member already. You stay as a maintainer.",
    "members_permissions": "Ask before you show a button.",
    # --- projects
    "projects_create": "You become its owner. Names are unique among the projects that you own.",
    "projects_list": "Those in which you are a member.",
    "projects_get": "Shows its policy and whether it is being deleted.",
    "projects_change": "Omitted fields keep their values; `null` clears an optional one. A new "
    "policy applies to environments that are created later.",
    "projects_delete": "With `cascade=true` it first tears down the project's environments; read "
    "the project for progress.",
    "projects_list_audit": "Filters are combined. Send `Accept: application/x-ndjson` for one "
    "entry a line.",
    "projects_verify_audit": "Reads a page of the chain at a time. Continue with `next`.",
    "projects_list_platform_audit": "With `project_id`, that of a project, also once it is "
    "deleted.",
    "projects_verify_platform_audit": "Reads a page of the chain at a time. Continue with `next`.",
    # --- templates
    "templates_create": "You become its owner. Names are unique on the platform.",
    "templates_list": "All users see all templates.",
    "templates_get": "Its versions are listed separately.",
    "templates_change": "Its name stays: the references of its versions have it.",
    "templates_delete": "A template without a published version goes at once; any other needs its "
    "name in `X-Confirm`. Its name can be used again.",
    "templates_usage": "Counts the environments of all projects.",
    "templates_uses": "A page can be short or empty while `Link` leads on.",
    "templates_add_version": "Send YAML or JSON. A fault is refused, with a pointer to it.",
    "templates_versions": "Drafts, too.",
    "templates_version": "Read `parameters` to learn which inputs an environment takes.",
    "templates_replace": "A published version never changes.",
    "templates_discard": "A published version stays; deprecate it.",
    "templates_body": "The bytes that were sent, with their media type.",
    "templates_publish": "To change something afterwards, add and publish another version.",
    "templates_deprecate": "Environments that have it can still be updated to other versions.",
    # --- environments
    "environments_create": "With `template` it is a CloudFormation stack; without, it is "
    "simulated. `dry_run=true` answers with a plan and creates nothing. Follow it until `status` "
    "is `running`; deployments can be created at once.",
    "environments_browse": _LISTED + " The list is of all your projects.",
    "environments_list": _LISTED,
    "environments_deploy": "The project and the environment can be named, so that a pipeline needs "
    "no ids. It waits in the queue behind those accepted before it.",
    "environments_list_deployments": "Newest first. Updates of the environment are among them.",
    "environments_ensure": "For bots that keep no state: they name the environment after what it "
    "is for, such as a pull request, and send the request as often as they like.",
    "environments_get": "Shows its state, its URL, its lease and what is live in it. Can wait for "
    "a change, a state or a version.",
    "environments_change": "Omitted fields keep their values; `labels` and `config` are merged "
    "field by field (RFC 7396), and `null` removes. What runs does not change: a stack keeps the "
    "name with which it was created. Refused once the environment is ending.",
    "environments_tear_down": "A failed teardown is retried by itself. With `force=true`, one that "
    "has failed is marked as destroyed and its remaining resources are recorded.",
    "environments_logs": "Its states, and what its stack reported. Can wait for the next line.",
    "environments_update": "`dry_run=true` answers with what would change and changes nothing. A "
    "failed update is rolled back.",
    "environments_see_queue": "In the order in which they will run. Can wait for a change.",
    "environments_see_events": "Who changed what, when and why.",
    "environments_retry_teardown": "A resource that is left in place is no longer managed.",
    "environments_extend": "Only environments with a lease can be extended.",
    "environments_touch": "With `expiry_mode: absolute` it is refused: extend the environment.",
    "environments_roll_back": "`dry_run=true` answers with what would change and changes nothing. "
    "The answer is 201 for a new rollback, and 200 if one to the same deployment has not ended. A "
    "protected environment needs `X-Confirm: <its name>` if more than the version changes, and a "
    "machine a person if a resource would be deleted or replaced.",
    "environments_release_hold": "For a person, in a session. What machines had deployed before, "
    "and what waits because of the hold, goes on.",
    "environments_compare": "Values of variables and secrets are not shown. They are compared as "
    "the next deployment of each environment would have them.",
    "environments_pin": "A pinned environment is still torn down by request.",
    "environments_unpin": "The new lease ends no later than the policy allows.",
    "environments_see_resources": "As CloudFormation reports them.",
    "environments_detect_drift": "CloudFormation compares the stack with its template.",
    "environments_see_drift": "Shows each property that was changed by hand.",
    # --- deployments
    "deployments_create": "It is `pending` until its turn comes. One that fails is rolled back to "
    "the version before it. `on_conflict` says what to do if another one is under way.",
    "deployments_browse": "Filters are combined. With a filter, a page can be short or empty while "
    "the `Link` header leads on. The list can lag behind by a moment.",
    "deployments_list_in_project": "Filters are combined. With a filter, a page can be short or "
    "empty while the `Link` header leads on. The list can lag behind by a moment.",
    "deployments_list": "Updates of the environment are among them.",
    "deployments_get": "It has ended once `finished_at` is set. Can wait for a change or a state.",
    "deployments_cancel": "A rollout that has begun restores the previous version.",
    "deployments_logs": "Until it has ended, later lines follow; continue with the last `Link`. "
    "Can wait for the next line.",
    "deployments_draw_timeline": "It follows the reader's light or dark theme and has no script. "
    "While the rollout runs, its steps follow from the log. It needs a token as other objects do, "
    "so a page that shows it has to fetch it first.",
    "environments_draw_history": "The last twenty deployments, newest first, and the versions that "
    "were live.",
    "deployments_timeline": "One entry for each state of its Step Functions execution.",
    # --- promotions
    "promotions_promote": "The targets get the version, the artifact and the template version that "
    "are live in the source, and keep their own inputs, variables and secrets. One that refuses it "
    "leaves the others alone; nothing is made if one does not exist or you may not deploy to it. "
    "Name protected targets whose template version changes in `X-Confirm`, separated by commas.",
    "promotions_get": "The status of a target follows that of its deployment within a second. "
    "Can wait for a change or a state.",
    "promotions_list_in_project": "Refused ones, too.",
    "promotions_get_pipeline": "Without stages if the project has none.",
    "promotions_put_pipeline": "The rules hold for promotions; a deployment of a version does not "
    "ask them.",
    "promotions_list_stages": "An environment is compared with the one of the stage before to "
    "which something was deployed last. The list can lag behind by a moment.",
    # --- variables
    "variables_list_variables": "Send `Accept: text/plain` for a file of `NAME=value` lines, or "
    "`application/merge-patch+json` for an object that a change takes again.",
    "variables_change_variables": "A merge: `null` removes a variable from the environment's own "
    "level, omitted ones stay. A merge patch and a file of `NAME=value` lines are taken, too. It "
    "takes effect with the next deployment.",
    "variables_list_variables_of_project": "Send `Accept: text/plain` for a file of `NAME=value` "
    "lines, or `application/merge-patch+json` for an object that a change takes again.",
    "variables_change_variables_of_project": "A merge: `null` removes a variable from this level. "
    "Environments have it from their next deployment on.",
    "variables_list_secrets": "Names, versions, who and when; never a value.",
    "variables_set_secret": "No answer but `reveal` shows the value. It takes effect with the next "
    "deployment.",
    "variables_remove_secret": "It takes effect with the next deployment.",
    "variables_reveal_secret": "The answer is never stored, and the audit says who asked.",
    "variables_list_secrets_of_project": "Names, versions, who and when; never a value.",
    "variables_set_secret_of_project": "Environments have it from their next deployment on.",
    "variables_remove_secret_of_project": "Environments lack it from their next deployment on.",
    "variables_reveal_secret_of_project": "The answer is never stored, and the audit says who "
    "asked.",
    "variables_list_configurations": "Each change of its variables or secrets makes one.",
    "variables_get_configuration": "Secrets are shown by name and version.",
    "variables_compare_configurations": "Values of secrets are not shown. Names are in their "
    "order; a page follows with `Link`.",
    "variables_restore_configuration": "What the project and the tier still have as it was stays "
    "inherited; everything else becomes the environment's own.",
    "variables_purge_configurations": "For a value that should never have been there. All of them "
    "lack the name from then on.",
    "variables_purge_configurations_of_project": "For a value that should never have been there. "
    "Environments' own values of the name stay: purge them there.",
    # --- confirmations
    "confirmations_list": "Of all projects in which you may do what is asked.",
    "confirmations_get": "The machine that asked can read it, too.",
    "confirmations_approve": "Send the `digest` that you have read, so that you approve nothing "
    "else.",
    "confirmations_reject": "The reason is shown to who asked.",
    "docs_health": "Answers without asking the database.",
}

PARAMETERS: dict[str, str] = {
    "confirmation_id": "The id of the confirmation.",
    "deployment_id": "The id of the deployment.",
    "environment_id": "The id of the environment.",
    "external_id": "The caller's own name for the environment.",
    "invitation_id": "The id of the invitation.",
    "member_id": "The id of the user or of the invitation.",
    "other_id": "The id of the second environment.",
    "number": "The number of the configuration.",
    "other": "The number of the configuration to compare it with.",
    "project_id": "The id of the project.",
    "promotion_id": "The id of the promotion.",
    "secret": "The name of the secret.",
    "template": "The name of the template.",
    "token_id": "The id of the token.",
    "trust_id": "The id of the trust.",
    "user_id": "The id of the user.",
    "version": "The number of the version: major.minor.",
}
