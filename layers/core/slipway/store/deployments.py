"""Deployments and their logs. How one follows another is in store/queue.py."""

from __future__ import annotations

from contextlib import suppress

from slipway import workflows
from slipway.errors import NotFound, Overtaken
from slipway.ids import DeploymentId, EnvironmentId
from slipway.model.deployment import Deployment, LogLine
from slipway.model.paging import Page, Paging, bad_cursor
from slipway.store import environments, projects, table
from slipway.store.table import Item, Key, Lost, Put

_PREFIX = "DEP#"
LOG = "LOG#"


def key(deployment: DeploymentId) -> Key:
    return Key(f"ENV#{deployment.e}", _PREFIX + deployment.d)


def read(item: Item) -> Deployment:
    arn = workflows.execution_arn("roll_out_deployment", item["id"])
    order = item.get("order")
    shown = {
        **item,
        "sequence": order if isinstance(order, int) else None,
        "committed_at": order if isinstance(order, str) else None,
        "logs_url": f"/api/v1/deployments/{item['id']}/logs",
        "execution_arn": arn,
        "execution_url": workflows.execution_url(arn),
    }
    return Deployment.model_validate(shown)


def get(deployment: DeploymentId, user_id: str) -> Deployment:
    """Raises NotFound, also for somebody else's deployment."""
    return read(authorised(deployment, user_id))


def authorised(deployment: DeploymentId, user_id: str) -> Item:
    """The whole record, for a member of its project. Raises NotFound."""
    member = projects.member(deployment.environment.project, user_id)
    allowed, item = table.get(member, key(deployment))
    # Its key does not name the project, so an id with a made-up ancestry would find it too.
    if not (allowed and item and item["id"] == str(deployment)):
        raise NotFound("No such deployment")
    return item


def find(deployment: DeploymentId) -> Item | None:
    """The whole record, for the workflows: they ask for nobody's permission."""
    return table.get(key(deployment))[0]


def held_by(deployment: DeploymentId, token: int) -> tuple[Item, Item]:
    """The running deployment and its environment; one round trip.

    Raises Overtaken if they are not for the holder of this token to change any more.
    """
    item, environment = table.get(key(deployment), environments.key(deployment.environment))
    if not (item and item["status"] == "running" and item["token"] == token):
        raise Overtaken("The rollout was ended by somebody else")
    if not (environment and environment["status"] == "running"):
        raise Overtaken("The environment is not running any more")
    return item, environment


def of(environment: EnvironmentId, user_id: str, paging: Paging) -> Page[Deployment]:
    """The environment's deployments, newest first. Raises NotFound. Two round trips."""
    after = paging.after
    if after is not None and not after.startswith(_PREFIX):
        raise bad_cursor()
    environments.get(environment, user_id)
    items, last = table.query(
        f"ENV#{environment.e}", _PREFIX, limit=paging.limit, after=after, newest_first=True
    )
    return Page([read(item) for item in items], last)


def log(deployment: DeploymentId, step: str, entered_at: str, *messages: str) -> None:
    """Write lines of the rollout's log, one round trip a line.

    A step that is tried again writes its lines again under the same keys, which begin with
    the moment when the workflow entered the step (as text): nothing is said twice.
    """
    for n, message in enumerate(messages):
        line = {"ts": entered_at, "step": step, "level": "info", "message": message}
        with suppress(Lost):
            table.write(Put(Key(f"DEP#{deployment.d}", f"{LOG}{entered_at}#{step}#{n}"), line))


def logs(deployment: DeploymentId, user_id: str, paging: Paging) -> Page[LogLine]:
    """The rollout's lines, oldest first. Raises NotFound. Two round trips.

    While the deployment has not ended the last page has a cursor too: more may come after it.
    """
    after = paging.after
    if after is not None and not after.startswith(LOG):
        raise bad_cursor()
    ended = get(deployment, user_id).finished_at is not None
    items, last = table.query(f"DEP#{deployment.d}", LOG, limit=paging.limit, after=after)
    if last is None and not ended:
        last = items[-1]["sk"] if items else after
    return Page([LogLine(**item) for item in items], last)
