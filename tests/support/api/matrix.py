"""Who may do what, as a whole: callers of every role, kind and scope, and the objects they meet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from slipway import aws
from slipway.access import api_tokens, policy, signing
from slipway.aws import dynamodb
from slipway.aws.dynamodb import DynamoDBError
from slipway.domain import credentials, ids
from slipway.domain.api_token import NewToken
from slipway.domain.credentials import API_TOKEN, Credential
from slipway.domain.rights import ROLES, SCOPES, TIERS, Kind, Role, Scope, Tier
from slipway.errors import DriverFault
from slipway.store import environment_records, table, token_records
from tests.support.api.client import Client
from tests.support.api.people import signed_in
from tests.support.api.registering import appoint
from tests.support.repository import ROOT
from tests.support.store import world

DOCUMENT = json.loads((ROOT / "functions/api/docs/openapi.json").read_text())
KINDS: tuple[Kind, ...] = ("personal", "ci", "agent")
SCOPE_SETS: tuple[tuple[Scope, ...], ...] = (*((scope,) for scope in SCOPES), SCOPES)
# A trust gives no scope that concerns more than its project.
OF_TRUSTS = tuple(scope for scope in SCOPES if scope not in ("templates", "tokens"))
TRUST_SETS: tuple[tuple[Scope, ...], ...] = (*((scope,) for scope in OF_TRUSTS), OF_TRUSTS)


@dataclass(frozen=True)
class Caller:
    """`role` in the project, None for a stranger; `scopes` of a token, None for a session."""

    client: Client
    role: Role | None
    kind: Kind
    scopes: tuple[Scope, ...] | None
    administrator: bool = False

    @property
    def id(self) -> str:
        """Whose rights it has."""
        return self.client.user_id


@dataclass(frozen=True)
class Target:
    """What a request names: ids by their name in a path, and what the policy asks of it.

    `where`: in the callers' project ("here"), in another one ("foreign"), or nowhere ("missing").
    `tier`: of its environment; `maker`: who created that.
    """

    where: str
    ids: dict[str, str]
    tier: Tier | None = None
    maker: str = ""


@dataclass(frozen=True)
class Operation:
    """An operation of the OpenAPI document that has a caller."""

    method: str
    path: str
    action: str
    media: str | None
    body: Any

    @property
    def rule(self) -> policy.Rule:
        return policy.ACTIONS[self.action]

    @property
    def names_environment(self) -> bool:
        words = {*re.findall(r"\{(\w+)\}", self.path)}
        if self.action == "promotions:create":
            # In its body.
            return True
        # PUT by an external id names one that need not exist.
        by_name = "external_id" in words and self.action != "environments:create"
        return by_name or bool(words & {"environment_id", "deployment_id"})

    def send(self, caller: Caller, target: Target) -> Any:
        """The answer to the request, with the example of the document as its body."""
        path = re.sub(r"\{(\w+)\}", lambda word: target.ids[word[1]], self.path)
        body = self.body
        if self.action == "promotions:create":
            body = {"from": target.ids["source_id"], "to": [target.ids["environment_id"]]}
        if isinstance(body, dict):
            replaced = {name: target.ids[name] for name in body if name in target.ids}
            body = json.dumps({**body, **replaced})
        return caller.client.send(self.method, path, body, media=self.media)


def operations() -> Iterator[Operation]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if operation["security"]:
                content = operation.get("requestBody", {}).get("content", {})
                media = next(iter(content), None)
                body = example_of(content[media]) if media else None
                yield Operation(method.upper(), path, operation["x-slipway-action"], media, body)


def example_of(content: Any) -> Any:
    """The only example of a body, or the first one."""
    examples = [each["value"] for each in content.get("examples", {}).values()]
    return content.get("example", examples[0] if examples else None)


class Stage:
    """A project with members of every role, their tokens and trusts, and another project."""

    def __init__(self) -> None:
        self.holder = signed_in("holder@example.com")
        self.mate = signed_in("mate@example.com")
        stranger = signed_in("stranger@example.com")
        admin = signed_in("admin@example.com")
        appoint(admin.user_id)
        self.project = world.project(self.holder.principal)
        people: dict[Role | None, Client] = {
            role: signed_in(f"{role}@example.com") for role in ROLES
        }
        for role, client in people.items():
            self._add(client, str(role))
        self._add(self.mate, "deployer")
        people[None] = stranger
        self.callers = [Caller(client, role, "user", None) for role, client in people.items()]
        self.callers.append(Caller(admin, None, "user", None, administrator=True))
        self.callers += [
            self._token(client, role, kind, scopes)
            for role, client in people.items()
            for kind in KINDS
            for scopes in SCOPE_SETS
        ]
        self.callers += [self._workload(n, scopes) for n, scopes in enumerate(TRUST_SETS)]
        self.environments = {
            (tier, maker): self._environment(tier, maker)
            for tier in TIERS
            for maker in ("", *(client.user_id for client in people.values()))
        }
        self._configure(f"projects/{self.project}")
        self._template(people["owner"])
        elsewhere = signed_in("elsewhere@example.com")
        self.foreign = world.project(elsewhere.principal, "foreign")
        foreign = world.environment(self.foreign, elsewhere.principal, "foreign")
        world.comes_up(foreign)
        wanted = {"preset": "github", "claims": {"repository_id": "77"}, "scopes": ["read"]}
        trust = elsewhere.post(f"/api/v1/projects/{self.foreign}/trusts", wanted).json["id"]
        self._foreign = {
            "project_id": str(self.foreign),
            "environment_id": str(foreign),
            "other_id": str(foreign),
            "deployment_id": str(world.deployment(foreign, elsewhere.principal)),
            "trust_id": trust,
            "user_id": elsewhere.user_id,
            "member_id": elsewhere.user_id,
            "token_id": self._token_id(elsewhere),
            "confirmation_id": self._confirmation(elsewhere, str(foreign)),
            "promotion_id": self._promotion_into(elsewhere, foreign),
        }
        live = self.environments["production", ""]
        self._source = self._live(self.holder, self.project, "source")
        target = ids.parse_environment(live["environment_id"])
        self._promotion = self._promotion_into(self.holder, target)
        self._token_of_mate = self._token_id(self.mate)
        self._confirmation_id = self._confirmation(self.holder, live["environment_id"])

    def _add(self, client: Client, role: str) -> None:
        email = client.get("/api/v1/auth/me").json["email"]
        where = f"/api/v1/projects/{self.project}/members"
        assert self.holder.post(where, {"email": email, "role": role}).status == 201

    def _token(
        self, client: Client, role: Role | None, kind: Kind, scopes: tuple[Scope, ...]
    ) -> Caller:
        """A token, written as slipway.services.tokens does, which reads all others first."""
        wanted = NewToken.model_validate(
            {"name": f"{kind} {len(self.callers)}", "kind": kind, "scopes": list(scopes)}
        )
        made = Credential(API_TOKEN, client.user_id, ids.new_part(), credentials.new_secret())
        account: Any = {"id": client.user_id}
        hash_ = api_tokens.keyed_hash(made)
        record = token_records.new(api_tokens.id_of(made), wanted, hash_, account, None)
        for write in token_records.writes(record):
            table.write(write)
        return Caller(Client(made.text, client.user_id), role, kind, scopes)

    def _token_id(self, client: Client) -> str:
        wanted = {"name": "mine", "kind": "ci", "scopes": ["read"]}
        return str(client.post("/api/v1/auth/tokens", wanted).json["id"])

    def _workload(self, n: int, scopes: tuple[Scope, ...]) -> Caller:
        claims = {"repository_id": str(1000 + n)}
        wanted = {"preset": "github", "claims": claims, "scopes": scopes}
        made = self.holder.post(f"/api/v1/projects/{self.project}/trusts", wanted)
        assert made.status == 201, made.text
        self.trust = made.json["id"]
        token = signing.mint_for_workload(self.trust, "repo:acme/payments", 900)
        return Caller(Client(token, self.trust), "maintainer", "workload", scopes)

    def _environment(self, tier: Tier, maker: str) -> dict[str, str]:
        name = f"{tier} {maker}".strip()
        made = world.environment(self.project, self.holder.principal, name, external_id=name)
        fields = {"status": "running", "tier": tier, "created_by": maker or self.holder.user_id}
        expression, values = table.setting(fields)
        table.write(table.Update(environment_records.key(made), expression, values))
        self._configure(f"environments/{made}")
        deployment = world.deployment(made, self.holder.principal)
        return {
            "environment_id": str(made),
            "deployment_id": str(deployment),
            "external_id": name,
        }

    def _configure(self, target: str) -> None:
        """The first configuration has a variable, and the second one a secret as well."""
        answer = self.holder.patch(f"/api/v1/{target}/variables", {"PORT": "80"})
        assert answer.status == 200, answer.text
        path = f"/api/v1/{target}/secrets/DATABASE_PASSWORD"
        assert self.holder.send("PUT", path, '{"value": "x"}').status == 200

    def _template(self, owner: Client) -> None:
        assert owner.post("/api/v1/templates", {"name": "web"}).status == 201
        live = self.environments["staging", ""]["environment_id"]
        world.is_of_a_template(ids.parse_environment(live))

    def _live(self, of: Client, project: ids.ProjectId, name: str) -> str:
        """An environment in which a version is live, which can be promoted."""
        made = world.environment(project, of.principal, name)
        world.comes_up(made)
        deployment = f"dep_{made.p}_{made.e}_{ids.new_part()}"
        fields = {"live_version": "v1", "live_deployment_id": deployment}
        table.write(table.Update(environment_records.key(made), *table.setting(fields)))
        return str(made)

    def _promotion_into(self, of: Client, target: ids.EnvironmentId) -> str:
        source = self._live(of, target.project, "promoted")
        answer = of.post("/api/v1/promotions", {"from": source, "to": [str(target)]})
        assert answer.status == 202, answer.text
        return str(answer.json["id"])

    def _confirmation(self, of: Client, environment: str) -> str:
        wanted = {"name": "all", "kind": "agent", "scopes": SCOPES}
        token = of.post("/api/v1/auth/tokens", wanted).json["token"]
        answer = Client(token).delete(f"/api/v1/environments/{environment}")
        assert answer.status == 202, answer.text
        return str(answer.json["id"])

    def targets(self, operation: Operation, caller: Caller) -> Iterator[Target]:
        """Each kind of object that the operation can meet."""
        words = set(re.findall(r"\{(\w+)\}", operation.path))
        if operation.action == "promotions:create":
            words = {"environment_id"}
        here = {
            "project_id": str(self.project),
            "trust_id": self.trust,
            "user_id": self.mate.user_id,
            "member_id": self.mate.user_id,
            "invitation_id": f"inv_{ids.new_part()}",
            "confirmation_id": self._confirmation_id,
            "promotion_id": self._promotion,
            "source_id": self._source,
            "token_id": self._token_of_mate,
            "external_id": "pr-77",
            "template": "web",
            "version": "1.0",
            "secret": "DATABASE_PASSWORD",
            "number": "1",
            "other": "2",
        }
        if operation.names_environment:
            for tier in TIERS:
                for maker in {"", caller.id} & {maker for _, maker in self.environments}:
                    made = self.environments[tier, maker]
                    other = {"other_id": made["environment_id"]}
                    yield Target("here", {**here, **made, **other}, tier, maker)
        else:
            yield Target("here", here)
        if words & self._foreign.keys():
            yield Target("foreign", {**here, **self._foreign})
            yield Target("missing", {**here, **missing()})


def missing() -> dict[str, str]:
    """Well-formed ids of what does not exist."""
    p, e, d = (ids.new_part() for _ in range(3))
    return {
        "project_id": f"prj_{p}",
        "environment_id": f"env_{p}_{e}",
        "other_id": f"env_{p}_{e}",
        "deployment_id": f"dep_{p}_{e}_{d}",
        "trust_id": f"trs_{p}_{e}",
        "user_id": f"usr_{e}",
        "member_id": f"usr_{e}",
        "token_id": f"tok_{p}_{e}",
        "confirmation_id": f"cnf_{p}_{e}",
        "promotion_id": f"pro_{p}_{e}",
    }


@contextmanager
def frozen() -> Iterator[None]:
    """Nothing is written: a request that comes to its first write is answered with 503.

    So every request meets the same state, and what the table has is read from it once.
    """
    items: dict[str, Any] = {}
    pages: dict[str, Any] = {}
    stock: Callable[..., Any] = dynamodb.together

    def one(operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "Query":
            asked = json.dumps(request)
            if asked not in pages:
                [pages[asked]] = stock((operation, request))
            return dict(pages[asked])
        if operation != "BatchGetItem":
            raise DynamoDBError("ProvisionedThroughputExceededException", {"message": "frozen"})
        [(name, wanted)] = request["RequestItems"].items()
        for key in wanted["Keys"]:
            asked = json.dumps(key)
            if asked not in items:
                only = {"RequestItems": {name: {**wanted, "Keys": [key]}}}
                [answer] = stock((operation, only))
                items[asked] = answer["Responses"].get(name, [])
        found = [item for key in wanted["Keys"] for item in items[json.dumps(key)]]
        return {"Responses": {name: found}}

    def together(*calls: tuple[str, dict[str, Any]], aside: Any = None) -> list[dict[str, Any]]:
        answers = [one(*call) for call in calls]
        return answers + ([{}] if aside else [])

    def unreachable(*_: Any, **__: Any) -> Any:
        raise DriverFault("frozen")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamodb, "together", together)
        patch.setattr(aws, "call", unreachable)
        patch.setattr(aws, "client", unreachable)
        yield
