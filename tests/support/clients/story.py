"""The first story of the API, told by the client that openapi-python-client made.

    python story.py http://127.0.0.1:8000        with the client's folder in PYTHONPATH

Prints one line for each step. The client's types are the only knowledge of the API here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from slipway_client import AuthenticatedClient, Client
from slipway_client.api.auth import auth_me, auth_register, auth_sign_in
from slipway_client.api.deployments import deployments_create, deployments_get, deployments_logs
from slipway_client.api.environments import (
    environments_create,
    environments_get,
    environments_list,
    environments_tear_down,
)
from slipway_client.api.projects import projects_create
from slipway_client.api.templates import (
    templates_add_version,
    templates_body,
    templates_create,
    templates_publish,
)
from slipway_client.models import (
    Deployment,
    Environment,
    NewDeployment,
    NewEnvironment,
    NewEnvironmentType,
    NewProject,
    NewTemplate,
    NewUser,
    Problem,
    Project,
    SessionTokens,
    SignIn,
    SignInForm,
    Template,
    TemplateBody,
    TemplateVersion,
    User,
)

Model = TypeVar("Model")
SECONDS = 60


def expect(model: type[Model], answer: Any) -> Model:
    """The answer, which must be of this model."""
    assert isinstance(answer, model), answer
    return answer


def once(done: Callable[[Any], bool], read: Callable[[], Any]) -> Any:
    """What `read` returns once it is `done`."""
    ends = time.monotonic() + SECONDS
    while not done(seen := read()):
        assert time.monotonic() < ends, seen
        time.sleep(0.1)
    return seen


def signed_in(url: str) -> AuthenticatedClient:
    anyone = Client(base_url=url)
    email, password = f"python-{time.time_ns()}@example.com", "secret123"
    user = expect(User, auth_register.sync(client=anyone, body=NewUser(email, password)))
    # Both ways to sign in: the form of OAuth 2, and JSON.
    form = SignInForm(username=email, password=password)
    expect(SessionTokens, auth_sign_in.sync(client=anyone, body=form))
    wrong = auth_sign_in.sync(client=anyone, body=SignIn(username=email, password="wrong"))
    assert expect(Problem, wrong).code == "wrong_credentials"
    right = auth_sign_in.sync(client=anyone, body=SignIn(username=email, password=password))
    token = expect(SessionTokens, right).access_token
    client = AuthenticatedClient(base_url=url, token=token)
    assert expect(User, auth_me.sync(client=client)).id == user.id
    print("signed in as", user.email.partition("-")[0])
    return client


def ship(client: AuthenticatedClient) -> None:
    wanted = NewProject(name="payments", description="payment service")
    project = expect(Project, projects_create.sync(client=client, body=wanted))
    environment = expect(
        Environment,
        environments_create.sync(
            project.id,
            client=client,
            body=NewEnvironment("preview-pr-123", NewEnvironmentType.EPHEMERAL, ttl_hours=24),
        ),
    )
    print("environment", environment.name, environment.status)
    once(
        lambda seen: seen.status == "running",
        lambda: expect(Environment, environments_get.sync(environment.id, client=client)),
    )
    deployment = expect(
        Deployment,
        deployments_create.sync(environment.id, client=client, body=NewDeployment("sha-1234567")),
    )
    ended = once(
        lambda seen: seen.finished_at is not None,
        lambda: expect(Deployment, deployments_get.sync(deployment.id, client=client)),
    )
    print("deployment", ended.version, ended.status)
    lines = expect(list, deployments_logs.sync(deployment.id, client=client))
    assert lines and all(line.message for line in lines)
    running = expect(Environment, environments_get.sync(environment.id, client=client))
    assert running.live_version == "sha-1234567" and running.failure is None
    listed = expect(list, environments_list.sync(project.id, client=client))
    assert [each.id for each in listed] == [environment.id]
    gone = environments_tear_down.sync(environment.id, client=client)
    print("environment", running.name, expect(Environment, gone).status)


def publish(client: AuthenticatedClient) -> None:
    name = f"python-{time.time_ns()}"
    expect(Template, templates_create.sync(client=client, body=NewTemplate(name=name)))
    body = TemplateBody.from_dict({"Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}})
    made = templates_add_version.sync(name, client=client, body=body, version="1.0")
    assert expect(TemplateVersion, made).state == "draft"
    published = templates_publish.sync(name, "1.0", client=client)
    print("template", expect(TemplateVersion, published).state)
    assert b"AWS::SQS::Queue" in templates_body.sync_detailed(name, "1.0", client=client).content


def main() -> None:
    client = signed_in(sys.argv[1])
    ship(client)
    publish(client)


if __name__ == "__main__":
    main()
