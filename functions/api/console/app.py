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
