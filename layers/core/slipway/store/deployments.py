"""Deployments and their logs. How one follows another is in store/queue.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from slipway import workflows
from slipway.errors import NotFound, Overtaken
from slipway.ids import DeploymentId, EnvironmentId
from slipway.model import moments
from slipway.model.deployment import Deployment, LogLine
from slipway.model.paging import Page, Paging
from slipway.store import environments, projects, table
from slipway.store.table import Item, Key, Lost, Put

PREFIX = "DEP#"
LOG = "LOG#"
_ENDING = timedelta(minutes=1)


def key(deployment: DeploymentId) -> Key:
    return Key(f"ENV#{deployment.e}", PREFIX + deployment.d)


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
    return allowed(deployment, *table.get(*access(deployment, user_id)))


def access(deployment: DeploymentId, user_id: str) -> tuple[Key, Key]:
    """What says whether the user may see the deployment, and its record; for `allowed`."""
    return projects.member(deployment.environment.project, user_id), key(deployment)


def allowed(deployment: DeploymentId, membership: Item | None, item: Item | None) -> Item:
    """The whole record, for a member of its project. Raises NotFound."""
    # Its key does not name the project, so an id with a made-up ancestry would find it too.
    if not (membership and item and item["id"] == str(deployment)):
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
    """The environment's deployments, newest first. Raises NotFound."""
    found, items, last = table.page(
        environments.access(environment, user_id), f"ENV#{environment.e}", PREFIX, paging
    )
    environments.allowed(*found)
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


def log_lines(deployment: DeploymentId, lines: Sequence[LogLine]) -> None:
    """Write down what the infrastructure says, as far as the log does not have it yet.

    `lines` are all there are so far, in order. Who follows the log never looks back, so what
    is older than its last line stays out of it. One round trip, and one for each new line.
    """
    if not lines:
        return
    [*last], _ = table.query(f"DEP#{deployment.d}", LOG, limit=1, newest_first=True)
    in_this_moment: Counter[str] = Counter()
    for line in lines:
        ts = moments.written(line.ts)
        sk = f"{LOG}{ts}#{line.step}#{in_this_moment[ts]:05}"
        in_this_moment[ts] += 1
        if not last or sk > last[0]["sk"]:
            with suppress(Lost):
                table.write(Put(Key(f"DEP#{deployment.d}", sk), line.model_dump()))


def logs(deployment: DeploymentId, user_id: str, paging: Paging) -> Page[LogLine]:
    """The rollout's lines, oldest first. Raises NotFound. Two round trips as it ends.

    While the deployment has not ended the last page has a cursor too: more may come after it.
    """
    pk = f"DEP#{deployment.d}"
    keys = access(deployment, user_id)
    found, items, last = table.page(keys, pk, LOG, paging, newest_first=False)
    ended = allowed(deployment, *found).get("finished_at")
    if last is None and ended is None:
        last = items[-1]["sk"] if items else paging.after
    elif last is None and str(ended) >= moments.written(moments.now() - _ENDING):
        # The last lines may have come after the page was read, and before the record was.
        items, last = table.query(pk, LOG, limit=paging.limit, after=paging.after)
    return Page([LogLine(**item) for item in items], last)
