"""/console: pages for people, made of the API's answers with the rights of the signed-in person."""

from pathlib import Path

from slipway.console import assets
from slipway.console.app import Console

assets.serve_from(Path(__file__).parent / "assets")
api = Console()
handler = api.handler

api.get("/console/sign-in", "sign_in.show", public=True)
api.post("/console/sign-in", "sign_in.sign_in", page="sign_in.show", public=True)
api.get("/console/sign-in/company", "sign_in.company", public=True)
api.get("/console/sign-in/callback", "sign_in.company_callback", public=True)
api.post("/console/sign-out", "sign_in.sign_out", page="projects.index")
api.get("/console/register", "sign_in.register_form", public=True)
api.post("/console/register", "sign_in.register", page="sign_in.register_form", public=True)
api.get("/console/device", "devices.show")
api.post("/console/device", "devices.decide", page="devices.show")

api.get("/console", "projects.index")
api.post("/console/projects", "projects.create", page="projects.index")
api.get("/console/projects/<project_id>", "projects.show")
api.get("/console/projects/<project_id>/environments", "projects.environments")
api.get("/console/projects/<project_id>/new", "environment_forms.new")
api.post(
    "/console/projects/<project_id>/new", "environment_forms.create", page="environment_forms.new"
)

api.get("/console/environments/<environment_id>", "environments.show")
api.get("/console/environments/<environment_id>/summary", "environments.summary")
api.get("/console/environments/<environment_id>/activity", "environments.activity")
api.get("/console/environments/<environment_id>/events", "environments.events")
api.get("/console/environments/<environment_id>/resources", "environments.resources")
api.get("/console/environments/<environment_id>/update", "environment_forms.update_form")
api.post(
    "/console/environments/<environment_id>/update",
    "environment_forms.update",
    page="environment_forms.update_form",
)
for verb in ("deploy", "rollback", "release", "extend", "pin", "unpin", "destroy"):
    api.post(
        f"/console/environments/<environment_id>/{verb}",
        f"environment_forms.{verb}",
        page="environments.show",
    )
api.post(
    "/console/environments/<environment_id>/drift",
    "environment_forms.check_drift",
    page="environments.resources",
)

api.get("/console/deployments/<deployment_id>", "deployments.show")
api.get("/console/deployments/<deployment_id>/rollout", "deployments.rollout")
api.post(
    "/console/deployments/<deployment_id>/cancel", "deployments.cancel", page="deployments.show"
)

api.get("/console/projects/<project_id>/settings", "project_settings.show")
api.post(
    "/console/projects/<project_id>/settings",
    "project_settings.change",
    page="project_settings.show",
)
api.post(
    "/console/projects/<project_id>/settings/delete",
    "project_settings.remove",
    page="project_settings.show",
)
api.get("/console/projects/<project_id>/audit", "audit.of_project")
api.post(
    "/console/projects/<project_id>/audit/verify", "audit.verify_project", page="audit.of_project"
)
api.get("/console/audit", "audit.of_platform")
api.post("/console/audit/verify", "audit.verify_platform", page="audit.of_platform")

MEMBERS = "/console/projects/<project_id>/members"
api.get(MEMBERS, "members.index")
api.post(MEMBERS, "members.add", page="members.index")
api.get(f"{MEMBERS}/<member>", "members.show")
api.post(f"{MEMBERS}/<member>", "members.change", page="members.show")
api.post(f"{MEMBERS}/<member>/remove", "members.remove", page="members.show")
api.post(f"{MEMBERS}/<member>/transfer", "members.transfer", page="members.show")
api.post("/console/projects/<project_id>/leave", "members.leave", page="members.index")
api.post(
    "/console/projects/<project_id>/trusts/<trust>/remove",
    "members.remove_trust",
    page="members.index",
)

api.get("/console/templates", "templates.index")
api.post("/console/templates", "templates.create", page="templates.index")
TEMPLATE = "/console/templates/<template>"
api.get(TEMPLATE, "templates.show")
api.post(f"{TEMPLATE}/description", "templates.change", page="templates.show")
api.post(f"{TEMPLATE}/delete", "templates.remove", page="templates.show")
api.post(f"{TEMPLATE}/versions", "templates.add", page="templates.show")
VERSION = f"{TEMPLATE}/versions/<number>"
api.get(VERSION, "template_versions.show")
api.post(VERSION, "template_versions.replace", page="template_versions.show")
for verb in ("publish", "deprecate", "discard"):
    api.post(f"{VERSION}/{verb}", f"template_versions.{verb}", page="template_versions.show")

api.get("/console/tokens", "tokens.index")
api.post("/console/tokens", "tokens.create", page="tokens.index")
api.post("/console/tokens/revoke-all", "tokens.revoke_all", page="tokens.index")
api.post("/console/tokens/<token>/revoke", "tokens.revoke", page="tokens.index")

api.get("/console/users", "users.index")
api.get("/console/users/<user>", "users.show")
api.post("/console/users/<user>/role", "users.change_role", page="users.show")
api.post("/console/users/<user>/delete", "users.remove", page="users.show")
api.post("/console/users/<user>/hand-over", "users.hand_over", page="users.show")
for verb in ("disable", "enable", "password"):
    api.post(f"/console/users/<user>/{verb}", f"users.{verb}", page="users.show")
api.post("/console/invitations", "users.invite", page="users.index")
api.post("/console/invitations/<invitation>/revoke", "users.revoke_invitation", page="users.index")

api.get("/console/confirmations", "confirmations.index")
api.get("/console/confirmations/<confirmation>", "confirmations.show")
for verb in ("approve", "reject"):
    api.post(
        f"/console/confirmations/<confirmation>/{verb}",
        f"confirmations.{verb}",
        page="confirmations.show",
    )

OWN = "/console/environments/<environment_id>/variables"
api.get(OWN, "variables.of_environment")
api.post(OWN, "variables.set_own", page="variables.of_environment")
api.post(f"{OWN}/remove", "variables.remove_own", page="variables.of_environment")
api.post(f"{OWN}/secrets", "variables.set_own_secret", page="variables.of_environment")
api.post(f"{OWN}/secrets/remove", "variables.remove_own_secret", page="variables.of_environment")
api.post(f"{OWN}/restore/<number>", "variables.restore", page="variables.of_environment")
SHARED = "/console/projects/<project_id>/variables/<tier>"
api.get(SHARED, "variables.of_project")
api.post(SHARED, "variables.set_shared", page="variables.of_project")
api.post(f"{SHARED}/remove", "variables.remove_shared", page="variables.of_project")
api.post(f"{SHARED}/secrets", "variables.set_shared_secret", page="variables.of_project")
api.post(f"{SHARED}/secrets/remove", "variables.remove_shared_secret", page="variables.of_project")
