"""The state of the table before a request that the benchmarks make."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

WEB = "/api/v1/templates/web"
BODY = "Resources: {Jobs: {Type: AWS::SQS::Queue}}"
WITH_SECRET = f"{BODY}\nParameters: {{Password: {{Type: String, NoEcho: true}}}}"
PERSON = {"email": "bob@example.com", "password": "correct horse battery"}
TRUST: dict[str, Any] = {
    "issuer": "https://ci.example.com",
    "claims": {"repository_id": "456789", "ref": "refs/heads/main"},
    "scopes": ["read", "deploy"],
}


class Stage:
    """A user with a project, a running environment and a deployment that waits in it."""

    # Set by `with_administrator`, `with_reset_link`, `with_registration`, `with_refresh_token` and
    # `with_company`.
    root: Any
    user: str
    invitation: str
    invited: str
    reset: str
    user_code: str
    grant: dict[str, str]
    registration: str
    refresh_token: str
    token: Any
    # Set by `with_trust` and `with_workload`.
    trust: str
    issuer: Any
    job: Any
    confirmation: str
    # Set by `with_source` and `with_promotion`.
    target: Any
    promoted: str
    firm: Any = None

    def __init__(self) -> None:
        from slipway.access import passwords, signing, tokens
        from slipway.store import user_records
        from tests.support.api.client import Client
        from tests.support.store import world

        self._undone = ExitStack()
        tokens.forget()
        signing.forget()
        self.world = world
        user = user_records.add("ann@example.com", passwords.hash_password("secret123"))
        self.ann = Client(signing.mint(user.id).access_token, user.id)
        self.project = world.project(self.ann.principal, policy={"expiry_mode": "idle"})
        self.environment = world.environment(
            self.project, self.ann.principal, external_id="github:pr:123"
        )
        world.comes_up(self.environment)
        self.deployment = world.deployment(self.environment, self.ann.principal)

    @property
    def by_external_id(self) -> str:
        """The path of the environment by its external id."""
        return f"/api/v1/projects/{self.project}/environments/by-external-id/github:pr:123"

    @property
    def named(self) -> str:
        return "/api/v1/projects/payments/environments/preview"

    def with_known_external_id(self) -> Stage:
        """Let this process have met the external id."""
        assert self.ann.get(self.by_external_id).status == 200
        return self

    def with_known_names(self) -> Stage:
        """Let this process have met the names of the project and of the environment."""
        assert self.ann.get(self.named).status == 200
        return self

    def with_known_projects(self) -> Stage:
        """Let this process have seen which projects the user has."""
        assert self.ann.get("/api/v1/environments").status == 200
        assert self.ann.get("/api/v1/deployments").status == 200
        return self

    def with_disabled_user(self) -> Stage:
        self.with_administrator()
        self.root.post(f"{self.user}/disable")
        return self

    def with_administrator(self) -> Stage:
        """Add an administrator, another user and an invitation; `user` and `invited` are paths."""
        from slipway.access import signing
        from slipway.store import user_records
        from tests.support.api.client import Client

        root = user_records.add("root@example.com", "a hash", role="admin").id
        self.root = Client(signing.mint(root).access_token, root)
        self.user = f"/api/v1/users/{user_records.add('eve@example.com', 'a hash').id}"
        made = self.root.post("/api/v1/invitations", {"email": PERSON["email"]}).json
        self.invitation = made["invitation"]
        self.invited = f"/api/v1/invitations/{made['id']}"
        return self

    def with_member(self) -> Stage:
        """Add eve to the project, and an invitation; `member` and `seat` are paths."""
        self.with_administrator()
        self.members = f"/api/v1/projects/{self.project}/members"
        new = {"role": "deployer"}
        eve = self.ann.post(self.members, {**new, "email": "eve@example.com"})
        seat = self.ann.post(self.members, {**new, "email": PERSON["email"]})
        assert (eve.status, seat.status) == (201, 201)
        self.eve, self.invitation = eve.json["user_id"], seat.json["invitation"]
        self.member, self.seat = eve.headers["location"], seat.headers["location"]
        return self

    def with_other_owner(self) -> Stage:
        """Let eve be an owner, too."""
        self.with_member()
        assert self.ann.patch(self.member, {"role": "owner"}).status == 200
        return self

    def with_reset_link(self) -> Stage:
        """Make a link that sets eve's password."""
        self.with_administrator()
        self.reset = self.root.post(f"{self.user}/password-reset").json["reset"]
        return self

    def with_device(self) -> Stage:
        """Begin a sign-in on a device."""
        codes = self.ann.form("/api/v1/auth/device", {"client_id": "slipway-cli"}).json
        self.user_code = codes["user_code"]
        self.grant = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": codes["device_code"],
            "client_id": "slipway-cli",
        }
        return self

    def with_approved_device(self) -> Stage:
        """Approve it in a session that has a refresh token."""
        from tests.support.api.client import Client

        self.with_device()
        login = {"username": "ann@example.com", "password": "secret123"}
        person = Client(self.ann.post("/api/v1/auth/login", login).json["access_token"])
        path = "/api/v1/auth/device/approve"
        assert person.post(path, {"user_code": self.user_code}).status == 200
        return self

    def with_refresh_token(self) -> Stage:
        """Begin a session that can be refreshed."""
        login = {"username": "ann@example.com", "password": "secret123"}
        self.refresh_token = self.ann.post("/api/v1/auth/login", login).json["refresh_token"]
        return self

    def with_trust(self) -> Stage:
        """Trust a workload; `trust` is the path."""
        from tests.support.issuer import Issuer

        self.issuer = Issuer(TRUST["issuer"], "EdDSA")
        made = self.ann.post(f"/api/v1/projects/{self.project}/trusts", TRUST)
        self.trust = made.headers["location"]
        return self

    def with_issuers_keys(self) -> Stage:
        """Trust a workload whose issuer's keys have been read."""
        self.with_trust().exchange()
        return self

    def with_workload(self) -> Stage:
        """Exchange a workload's token; `job` is the workload."""
        from slipway.access import tokens
        from tests.support.api.client import Client

        self.job = Client(self.with_trust().exchange().json["access_token"])
        tokens.forget()
        # The public keys are read before the request that is measured.
        self.ann.get("/api/v1/projects")
        return self

    def exchange(self) -> Any:
        """Exchange a token of the issuer, which answers at once if its keys have to be read."""
        from unittest import mock

        from slipway.access.oidc import keys
        from tests.support.api.client import Client

        body = {"token": self.issuer.token(), "project_id": str(self.project)}
        with mock.patch.object(keys, "read", return_value=self.issuer.keys):
            return Client().post("/api/v1/auth/oidc/exchange", body)

    def with_company(self) -> Stage:
        """Add a company's sign-in, by which bob can come."""
        import pytest

        from tests.support.api import company

        patch = self._undone.enter_context(pytest.MonkeyPatch.context())
        self.firm = self._undone.enter_context(company.without_secrets_manager(patch))
        self.firm.provider.people["ann"]["email"] = PERSON["email"]
        return self

    def with_company_user(self) -> Stage:
        """Let bob have come by the company's sign-in."""
        self.refresh_token = self.with_company().firm.sign_in().json["refresh_token"]
        return self

    def close(self) -> None:
        """Take away what other requests would notice."""
        from slipway.settings import settings

        self._undone.close()
        settings.cache_clear()

    def with_token(self) -> Stage:
        """Create a token, and use it once."""
        from tests.support.api.client import Client

        wanted = {"name": "CI", "kind": "ci", "scopes": ["read", "config"]}
        made = self.ann.post("/api/v1/auth/tokens", wanted).json
        self.token = Client(made["token"], made["id"])
        assert self.token.get("/api/v1/auth/me").status == 200
        return self

    def with_registration(self) -> Stage:
        """Add a registration whose address is not proven yet."""
        from slipway.access import passwords
        from slipway.store import account_records, table

        hashed = passwords.hash_password(PERSON["password"])
        write, secret = account_records.new_registration(PERSON["email"], hashed)
        table.write(write)
        self.registration = secret
        return self

    def with_source(self) -> Stage:
        """Let a version be live in the environment, and add a target of promotions."""
        from slipway.domain import ids, timestamps
        from slipway.store import environment_records, table

        live = str(ids.DeploymentId(self.environment.p, self.environment.e, ids.new_part()))
        since = timestamps.written(timestamps.now())
        fields = {"live_version": "v1", "live_deployment_id": live, "live_since": since}
        change = table.setting(fields)
        table.write(table.Update(environment_records.key(self.environment), *change))
        self.target = self.world.environment(self.project, self.ann.principal, "target")
        self.world.comes_up(self.target)
        return self

    def promotion(self) -> dict[str, Any]:
        """A promotion into the target."""
        return {"from": str(self.environment), "to": [str(self.target)]}

    def with_promotion(self) -> Stage:
        """Promote to the target; `promoted` is the path."""
        made = self.with_source().ann.post("/api/v1/promotions", self.promotion())
        assert made.status == 202, made.text
        self.promoted = f"/api/v1/promotions/{made.json['id']}"
        return self

    def pipeline(self) -> dict[str, Any]:
        """A pipeline with the environment."""
        return {"stages": [{"name": "preview", "environment_ids": [str(self.environment)]}]}

    def with_confirmation(self) -> Stage:
        """Let an agent ask to delete the environment; `confirmation` is a path."""
        from slipway.services import confirmations
        from slipway.store import confirmation_records
        from tests.support.asking import ask_to_delete

        asked = ask_to_delete(self.ann.user_id, self.environment)
        item = confirmation_records.find(asked)
        assert item
        confirmations.deliver(item)
        self.confirmation = f"/api/v1/confirmations/{asked}"
        return self

    def with_two_live(self) -> Stage:
        """Let two versions go live, one after the other."""
        self.world.goes_live(self.deployment)
        self.world.goes_live(self.world.deployment(self.environment, self.ann.principal, "v2"))
        return self

    def with_hold(self) -> Stage:
        """Roll the environment back, so that it is held."""
        where = f"/api/v1/environments/{self.with_two_live().environment}/rollback"
        assert self.ann.post(where, {"reason": "a trial"}).status == 201
        return self

    def with_failed_teardown(self) -> Stage:
        failure = {"error": "Refused", "reason": "not empty", "step": "Retire"}
        self.world.becomes(self.environment, "teardown_failed", failure=failure)
        return self

    def with_quiet_environment(self, on_conflict: str = "queue") -> Stage:
        self.environment = self.world.environment(
            self.project, self.ann.principal, "quiet", on_conflict=on_conflict
        )
        return self

    def with_rejecting_environment(self) -> Stage:
        """Add an environment whose default is to reject, and whose only deployment has ended."""
        self.with_quiet_environment("reject")
        from slipway.services import rollout_queue

        rollout_queue.cancel(
            self.world.deployment(self.environment, self.ann.principal), self.ann.principal
        )
        return self

    def with_draft(self) -> Stage:
        made = self.ann.post("/api/v1/templates", {"name": "web"})
        added = self.ann.send("POST", f"{WEB}/versions", BODY, media="application/yaml")
        assert (made.status, added.status) == (201, 201)
        return self

    def with_published_version(self) -> Stage:
        assert self.with_draft().ann.post(f"{WEB}/versions/1.0/publish").status == 200
        return self

    def with_published_secrets(self) -> Stage:
        self.with_draft()
        added = self.ann.send("POST", f"{WEB}/versions", WITH_SECRET, media="application/yaml")
        assert added.status == 201
        assert self.ann.post(f"{WEB}/versions/1.1/publish").status == 200
        return self

    def with_secrets(self) -> Stage:
        self.with_published_secrets()
        user, inputs = self.ann.principal, {"Password": "hunter22"}
        self.environment = self.world.environment(
            self.project, user, "with-secrets", template="web@1.1", inputs=inputs
        )
        self.world.comes_up(self.environment)
        return self

    def with_configurations(self) -> Stage:
        """The first configuration has a variable, and the second one a secret as well."""
        for target in (f"projects/{self.project}", f"environments/{self.environment}"):
            assert self.ann.patch(f"/api/v1/{target}/variables", {"PORT": "80"}).status == 200
            path = f"/api/v1/{target}/secrets/PASSWORD"
            assert self.ann.send("PUT", path, '{"value": "x"}').status == 200
        return self

    def with_stack(self) -> Stage:
        self.world.becomes(self.environment, "running", driver="cloudformation")
        return self

    def with_environment_from_template(self) -> Stage:
        self.with_published_version()
        user, name = self.ann.principal, "from-a-template"
        self.environment = self.world.environment(self.project, user, name, template="web@1.0")
        self.world.comes_up(self.environment)
        return self

    def with_changed_inputs(self) -> Stage:
        path = f"/api/v1/environments/{self.with_environment_from_template().environment}/update"
        assert self.ann.post(path, {"inputs": {}}).status == 201
        return self

    def with_pin(self) -> Stage:
        path = f"/api/v1/environments/{self.environment}/pin"
        assert self.ann.post(path, {"reason": "a demonstration"}).status == 200
        return self
