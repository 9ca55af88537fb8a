"""/console: pages for people, made of the API's answers with the rights of whoever is signed in."""

from pathlib import Path

from slipway.console import assets
from slipway.console.app import Console

assets.serve_from(Path(__file__).parent / "assets")
api = Console()
handler = api.handler

api.get("/console/sign-in", "sign_in.show", public=True)
api.post("/console/sign-in", "sign_in.sign_in", page="sign_in.show", public=True)
api.post("/console/sign-out", "sign_in.sign_out", page="projects.index")
api.get("/console/register", "sign_in.register_form", public=True)
api.post("/console/register", "sign_in.register", page="sign_in.register_form", public=True)

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
for verb in ("deploy", "extend", "pin", "unpin", "destroy"):
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
