"""The settings of the stack, read from the environment variables on first use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple


# It has no comparison and no repr: generating them for so many fields costs every cold start.
@dataclass(frozen=True, eq=False, repr=False)
class Settings:
    """The settings of a function.

    `machines` is the common prefix of the state machines' ARNs. `making_roles` is the beginning of
    the ARNs of the roles with which CloudFormation makes environments, and `making_policy` and
    `making_boundary` are the ARNs of the policy and the permissions boundary that each of them has.
    `environment_boundary` is the ARN of the permissions boundary that each role in a template must
    have. `artifact_buckets`, `trusted_accounts` and `capacity_limits` are what templates may do
    (domain.allowances). `dynamodb` is the endpoint's URL. `session_hours` is the longest that a
    session lasts, and `token_secret` the name of the secret with which tokens are hashed.
    `mail_sender` is the address that mail comes from, empty if the platform sends no mail.
    `registration` says who may register: open, domains, invite or closed; `email_domains` are the
    domains for the second. `registration_contact` is whom to ask for an account.
    `password_sign_in`: whether passwords are accepted. `oidc_secret` is the secret with the
    company's sign-in, empty if there is none.
    `on_aws` is False on the laptop, where there is no console to link to. `public_url` is the
    scheme and host for absolute URLs, empty if API Gateway's own name is used.
    """

    table: str
    region: str
    stage: str
    stack: str
    machines: str
    max_ttl_hours: float
    simulated_seconds: float
    simulate_faults: bool
    token_minutes: int
    session_hours: float
    signing_secret: str
    templates_bucket: str
    making_roles: str
    making_policy: str
    making_boundary: str
    environment_boundary: str
    allowed_resource_types: tuple[str, ...]
    plans_function: str
    artifact_buckets: tuple[str, ...]
    trusted_accounts: tuple[str, ...]
    capacity_limits: dict[str, int]
    mail_sender: str
    registration: str
    email_domains: tuple[str, ...]
    registration_contact: str
    members_may_publish: bool
    reject_common_passwords: bool
    password_sign_in: bool
    oidc_secret: str
    on_aws: bool
    dynamodb: str
    token_secret: str
    public_url: str
    cors_origins: tuple[str, ...]


class ConsoleSettings(NamedTuple):
    """What the console alone has: its secret's name, and whether the company's sign-in is on."""

    secret: str
    company: bool


class Limits(NamedTuple):
    """The stack's limits, in the order of the variable LIMITS. `parameter` names each quota.

    `requests_per_minute` of a caller is no quota; 0 stands for any number. `waits` and
    `waits_per_caller` are requests that wait for a change at the same time.
    """

    projects_per_user: int
    templates_per_user: int
    versions_per_template: int
    environments_per_user: int
    environments_per_project: int
    deployments_waiting: int
    deployments_per_user: int
    deployments_per_project: int
    requests_per_minute: int
    waits: int = 5
    waits_per_caller: int = 3

    @staticmethod
    def parameter(field: str) -> str:
        """The stack's parameter that sets this quota."""
        return "Max" + field.title().replace("_", "")


class Credentials(NamedTuple):
    key_id: str
    secret: str
    token: str


def credentials() -> Credentials:
    """The AWS credentials of the process. Read for each call, because Lambda may renew them."""
    env = os.environ
    return Credentials(
        env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN", "")
    )


@cache
def settings() -> Settings:
    """The function's settings, cached; optional ones can be empty. Raises KeyError for others."""
    env = os.environ
    return Settings(
        table=env["TABLE"],
        region=env["AWS_REGION"],
        stage=env["STAGE"],
        stack=env["STACK"],
        machines=env["MACHINES"],
        max_ttl_hours=float(env["MAX_TTL_HOURS"]),
        simulated_seconds=float(env["SIMULATED_SECONDS"]),
        simulate_faults=env["SIMULATE_FAULTS"] == "true",
        token_minutes=int(env["TOKEN_MINUTES"]),
        session_hours=float(env.get("SESSION_HOURS", "720")),
        signing_secret=env.get("SIGNING_SECRET", ""),
        templates_bucket=env.get("TEMPLATES_BUCKET", ""),
        making_roles=env.get("MAKING_ROLES", ""),
        making_policy=env.get("MAKING_POLICY", ""),
        making_boundary=env.get("MAKING_BOUNDARY", ""),
        environment_boundary=env.get("ENVIRONMENT_BOUNDARY", ""),
        allowed_resource_types=_listed(env.get("ALLOWED_RESOURCE_TYPES", "")),
        artifact_buckets=_listed(env.get("ARTIFACT_BUCKETS", "")),
        trusted_accounts=_listed(env.get("TRUSTED_ACCOUNTS", "")),
        capacity_limits=_numbers(env.get("CAPACITY_LIMITS", "")),
        mail_sender=env.get("MAIL_SENDER", ""),
        reject_common_passwords=env.get("REJECT_COMMON_PASSWORDS", "true") == "true",
        password_sign_in=env.get("PASSWORD_SIGN_IN", "true") == "true",
        oidc_secret=env.get("OIDC_SECRET", ""),
        plans_function=env.get("PLANS_FUNCTION", ""),
        registration=env.get("REGISTRATION", "closed"),
        email_domains=_listed(env.get("ALLOWED_EMAIL_DOMAINS", "")),
        registration_contact=env.get("REGISTRATION_CONTACT", ""),
        members_may_publish=env.get("MEMBERS_MAY_PUBLISH") == "true",
        on_aws="AWS_ENDPOINT_URL" not in env,
        dynamodb=endpoint("dynamodb"),
        token_secret=env.get("TOKEN_SECRET", ""),
        public_url=env.get("PUBLIC_URL", ""),
        cors_origins=tuple(filter(None, env.get("CORS_ORIGINS", "").split(","))),
    )


@cache
def console_settings() -> ConsoleSettings:
    """The console's own settings, cached. Raises KeyError in any other function."""
    env = os.environ
    return ConsoleSettings(env["CONSOLE_SECRET"], env["COMPANY"] == "true")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def secret_sources() -> tuple[str, ...]:
    """The beginnings of the ARNs that the values of secrets may be copied from."""
    return _listed(os.environ.get("SECRET_SOURCES", ""))


def _numbers(text: str) -> dict[str, int]:
    """`memory=3008,reserved=10` as a mapping."""
    pairs = (each.partition("=") for each in _listed(text))
    return {name: int(number) for name, _, number in pairs}


@cache
def limits() -> Limits:
    """The stack's quotas, cached. Raises KeyError without the variable LIMITS."""
    return Limits(*map(int, os.environ["LIMITS"].split(",")))


class Lifetimes(NamedTuple):
    """How many days a log line is kept, and what has ended (slipway.store.lifetimes)."""

    log: int
    ended: int


@cache
def lifetimes() -> Lifetimes:
    """The stack's lifetimes, cached."""
    env = os.environ
    return Lifetimes(int(env.get("LOG_DAYS", "90")), int(env.get("ENDED_DAYS", "400")))


def endpoint(service: str) -> str:
    """The URL of a service of AWS in the function's region, or of the laptop's AWS port."""
    if given := os.environ.get("AWS_ENDPOINT_URL"):
        return given
    region = os.environ["AWS_REGION"]
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{service}.{region}.{suffix}"
