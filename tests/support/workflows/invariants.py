"""Statements that are true of every world at rest, whatever went wrong in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from slipway.domain import failure, ids, scope, timestamps
from slipway.drivers.simulated import Simulated
from slipway.store import configuration_records, project_records, table, wire
from slipway.store.deployment_records import KEPT
from tests.support import lifetimes as kinds
from tests.support.workflows import configuring, promoting
from tests.support.workflows.representations import ambiguous
from tests.support.workflows.world import Record, World

ENDED = {"succeeded", "rolled_back", "failed", "canceled", "superseded"}
AT_REST = {"running", "failed", "destroyed", "teardown_failed"}


def broken(world: World) -> list[str]:
    """Each invariant that does not hold, as a sentence; none of a world that is well."""
    items = [wire.decode(item) for item in world.items("")]
    environments = [item for item in items if item["sk"].startswith("ENV#")]
    deployments = [item for item in items if item["sk"].startswith("DEP#")]
    found = [f"A record was given up: {letter}" for letter in world.dead_letters]
    found += _names_and_counts(world, items, environments)
    found += _quotas(items, environments, deployments)
    found += _etags(world)
    found += _confirmations(world, items)
    found += kinds.faults(items)
    found += promoting.faults(items)
    found += [f"{item['pk']} has ended, and is not done" for item in items if item["sk"] == "ENDED"]
    for environment in environments:
        mine = [each for each in deployments if each["environment_id"] == environment["id"]]
        found += _environment(world, items, environment)
        found += _log(items, environment)
        found += _deployments(items, environment, mine)
        found += _live(world, environment, mine)
        found += _history(items, environment, mine)
        found += _lifetimes(items, environment, mine)
        found += _configurations(environment, mine)
    found += [f"{verb} of {e} after its teardown" for verb, e in world.infrastructure.harmed]
    if not world.is_awake():
        due = (f"{item['pk']} {item['sk']}" for item in items if "due" in item)
        found += [f"{each} is due, and nobody will look" for each in due]
    return found


def _confirmations(world: World, items: list[Record]) -> Iterator[str]:
    """What was asked is decided or has expired, and was done only if a person approved it."""
    for item in items:
        if not item["sk"].startswith("CONFIRMATION#"):
            continue
        c, status = item["id"], item["status"]
        if status not in ("rejected", "expired", "carried_out", "failed"):
            yield f"{c} is {status}"
        if "due" in item:
            yield f"{c} is {status}, but somebody will look at it"
        target = next(each for each in items if each.get("id") == item["target"])
        if (status == "carried_out") != (target["status"] == "destroyed"):
            yield f"{c} is {status}, and its target is {target['status']}"
        if status == "carried_out" and "decided_by" not in item:
            yield f"{c} was carried out, and nobody approved it"
    for item in items:
        if item["sk"].startswith("INBOX#") and item["expires_at"] > _now():
            yield f"{item['id']} is decided, and still in an inbox"


def _environment(world: World, items: list[Record], item: Record) -> Iterator[str]:
    e, status = item["id"], item["status"]
    if status not in AT_REST:
        yield f"{e} is {status}"
    if "operation" in item:
        yield f"{e} is {status}, and {item['operation']} has not let go of it"
    if "next_retry_at" in item:
        yield f"{e} is still to be retried"
    if item.get("expires_at", "~") <= _now() and status in ("running", "failed"):
        yield f"{e} is {status}, although its time was up at {item['expires_at']}"
    if status in ("running", "failed") and (item.get("warn_at") or ["~"])[0] <= _now():
        yield f"{e} is {status}, and nobody warned of its end"
    if status == "destroyed" and "due" in item:
        yield f"{e} is destroyed, but somebody will look at it"
    lists = {"listed": f"LIVE#{e.split('_')[1]}", "listed_at": e.split("_")[2]}
    there = {name: item[name] for name in lists if name in item}
    if there != ({} if status == "destroyed" else lists):
        yield f"{e} is {status}, and in the list {there}"
    lease = any(each["pk"].endswith(e.split("_")[2]) and each["sk"] == "LEASE" for each in items)
    if lease != ("expires_at" in item and status != "destroyed"):
        yield f"{e} is {status}, its lease {'is there' if lease else 'is missing'}"
    exists, registered = world.infrastructure.of(e), item.get("resources", set())
    if exists - registered:
        yield f"{e} has {exists}, and knows only of {registered}"
    if registered and (status == "destroyed" and not item.get("forgotten")):
        yield f"{e} is destroyed, but {registered} may still be there"
    if status == "running" and exists != set(Simulated.resources):
        yield f"{e} is running, but there is only {exists}"


def _configurations(item: Record, mine: list[Record]) -> Iterator[str]:
    """The parameter store has what is live, all of it, and nothing that no record names."""
    e, this = item["id"], ids.parse_environment(item["id"])
    below = f"/slipway/configurations/{scope.of(e)}/"
    there = configuring.stored(below)
    registered = item.get("delivered", set()) if item["status"] != "destroyed" else set()
    numbers = {name.removeprefix(below).partition("/")[0] for name in there}
    if numbers - registered:
        yield f"{e} has configurations {numbers} in the parameter store, and knows {registered}"
    if item["status"] == "destroyed":
        if secrets := configuring.stored(f"/slipway/environments/{e}/"):
            yield f"{e} is destroyed, and its secrets {sorted(secrets)} are not"
        return
    live = item.get("live_configuration", 0)
    found = table.get(*configuration_records.content_keys(this, live)) if live else []
    content = configuration_records.content(found)
    wanted = {name: each["value"] for name, each in content["variables"].items()}
    wanted |= dict.fromkeys(content["secrets"], "s3cret")
    has = {n.rpartition("/")[2]: v for n, v in configuring.stored(f"{below}{live}/").items()}
    if live and has != wanted:
        yield f"{e} runs with configuration {live}, and has {there}"
    ended = [each for each in mine if each["status"] == "succeeded"]
    brought = [each["configuration"] for each in ended if "configuration" in each]
    if brought and max(brought) != live:
        yield f"{e} runs with configuration {live}, and its deployments brought {brought}"


def _log(items: list[Record], environment: Record) -> Iterator[str]:
    """The log of an environment ends with its end, and only then; no lock outlives it."""
    e, status = environment["id"], environment["status"]
    mine = [each["sk"] for each in items if each["pk"] == f"ENV#{e.split('_')[2]}"]
    said = sorted(sk for sk in mine if sk.startswith("LOG#"))
    ends = [sk for sk in said if sk.endswith(("#destroyed", "#forgotten"))]
    if ends != (said[-1:] if status == "destroyed" else []):
        yield f"{e} is {status}, and its log says {said}"
    if status == "destroyed" and "LOCK" in mine:
        yield f"{e} is destroyed, and its lock is not"


def _now() -> str:
    return timestamps.written(timestamps.now())


def _names_and_counts(
    world: World, items: list[Record], environments: list[Record]
) -> Iterator[str]:
    for item in items:
        if item["sk"] == "PROJECT" and item["status"] != "active" and not item["environments"]:
            yield f"{item['id']} is {item['status']}, and nothing holds it up"
    by_project = Counter(
        each["project_id"] for each in environments if each["status"] != "destroyed"
    )
    for project, living in by_project.items():
        if world.item(project_records.key(ids.parse_project(project))) is None:
            yield f"{project} is gone, but {living} of its environments are not"
    for item in items:
        if item["sk"] == "PROJECT" and item["environments"] != by_project[item["id"]]:
            yield f"{item['id']} counts {item['environments']}, not {by_project[item['id']]}"
    names = sorted(
        item["environment_id"]
        for item in items
        if item["sk"].startswith("NAME#") and item["pk"].startswith("PROJECT#")
    )
    owners = sorted(each["id"] for each in environments if each["status"] != "destroyed")
    if names != owners:
        yield f"The names are of {names}, but these live: {owners}"


def _quotas(
    items: list[Record], environments: list[Record], deployments: list[Record]
) -> Iterator[str]:
    """Objects that count have their slots, those that have ended have none, and each counter is
    right."""
    living = [
        *(("ENVIRONMENT", each) for each in environments if each["status"] != "destroyed"),
        *(("DEPLOYMENT", each) for each in deployments if each["status"] not in ENDED),
    ]
    wanted = {
        (f"QUOTA#{owner}", f"{kind}#{number}"): each["id"]
        for kind, each in living
        for owner, number in each["slots"].items()
    }
    taken = {(each["pk"], each["sk"]): each["holder"] for each in items if "holder" in each}
    taken = {key: holder for key, holder in taken.items() if key[1] != "LOCK"}
    if taken != wanted:
        yield f"The slots are held by {taken}, not by {wanted}"
    for each in environments:
        e = each["id"].split("_")[2]
        places = sum(i["pk"] == f"ENV#{e}" and i["sk"].startswith("QUEUE#") for i in items)
        if each.get("waiting", 0) != places:
            yield f"{each['id']} counts {each['waiting']} that wait, not {places}"
    owned = Counter(each["owner"] for each in items if each["sk"] == "PROJECT")
    for each in items:
        if each["sk"] == "PROJECTS" and each["used"] != owned[each["pk"].partition("#")[2]]:
            yield f"{each['pk']} counts {each['used']} projects, not {owned}"


def _deployments(items: list[Record], environment: Record, mine: list[Record]) -> Iterator[str]:
    e = environment["id"].split("_")[2]
    for item in mine:
        if item["status"] not in ENDED:
            yield f"{item['id']} is {item['status']}"
        if "due" in item:
            yield f"{item['id']} is {item['status']}, but somebody will look at it"
        _, p, _, d = item["id"].split("_")
        if (item.get("listed"), item.get("listed_at")) != (f"DEPLOYMENTS#{p}", d):
            yield f"{item['id']} is not in the list of its project"
        said = [each["sk"] for each in items if each["pk"] == f"DEP#{item['id'].split('_')[3]}"]
        if sum(sk.endswith("#succeed") for sk in said) != (item["status"] == "succeeded"):
            yield f"{item['id']} is {item['status']}, and says {said}"
    for item in items:
        if item["pk"] == f"ENV#{e}" and item["sk"].startswith("QUEUE#"):
            yield f"{item['deployment_id']} waits still"
        if item["pk"] == f"ENV#{e}" and item["sk"] == "LOCK" and "holder" in item:
            yield f"{item['holder']} has the lock"
    ran = sorted((item for item in mine if "token" in item), key=lambda each: int(each["token"]))
    tokens = [item["token"] for item in ran]
    if tokens != list(range(1, len(ran) + 1)):
        yield f"The tokens were given in the order {tokens}"
    # A rollback is ahead of those that were accepted before it.
    in_turn = [item["id"] for item in ran if "urgent" not in item]
    if in_turn != sorted(in_turn):
        yield f"The lock was given in the order {in_turn}"
    spans = [
        (item["started_at"], item["finished_at"])
        for item in ran
        if "started_at" in item and "finished_at" in item
    ]
    for (_, ended), (began, _) in pairwise(spans):
        if began < ended:
            yield f"One began at {began}, before another ended at {ended}"
    live = [item["id"] for item in ran if item["status"] == "succeeded"]
    history = [each["id"] for each in environment.get("live_history", ())]
    if history != live[::-1][:KEPT]:
        yield f"{history} were live, not {live}"
    if live[-1:] != [each for each in [environment.get("live_deployment_id")] if each]:
        yield f"{environment.get('live_deployment_id')} is live, not the last of {live}"


def _live(world: World, environment: Record, mine: list[Record]) -> Iterator[str]:
    """A failed deployment was rolled back if another was live, and the live version is really
    there, unless the record says that it is in doubt."""
    live, doubted = None, None
    ran = sorted((item for item in mine if "token" in item), key=lambda each: int(each["token"]))
    for item in ran:
        status, failed = item["status"], failure.decode(item.get("failure", {}))
        gone = failed["error"] in ("EnvironmentGone", "StackGone")
        if failed.get("step") == "Begin" or gone:
            # It has changed nothing, or nothing is there any more.
            continue
        cut_off = failed["error"] == "ExecutionLost"
        doubted = item["id"] if cut_off or "could not be put back" in failed["reason"] else None
        live = item.get("version") if status == "succeeded" else live
        # An update is taken back to what the environment was made of, whatever was live.
        there = live or "inputs" in item
        if status == "rolled_back" and (doubted or not there):
            yield f"{item['id']} is rolled_back to {live}, and says {failed}"
        if status == "failed" and there and not doubted:
            yield f"{item['id']} is failed, and {live} was live"
    if environment["status"] != "running":
        return
    e, found = environment["id"], world.infrastructure.version_in(environment["id"])
    if environment.get("live_in_doubt") != doubted:
        yield f"{environment.get('live_in_doubt')} is said to have left {e} in doubt, not {doubted}"
    if not doubted and found != live:
        yield f"{live} is said to be live in {e}, and {found} is"


def _history(items: list[Record], environment: Record, mine: list[Record]) -> Iterator[str]:
    told: dict[str, list[Record]] = {}
    for item in sorted(items, key=lambda each: str(each["sk"])):
        if item["sk"].startswith("EVENT#"):
            told.setdefault(item["subject"], []).append(item)
    e = environment["id"]
    events = sorted(told.get(e, []), key=_number)
    versions = [_number(event) for event in events]
    if versions != list(range(1, environment["version"] + 1)):
        yield f"{e} has version {environment['version']} and events for {versions}"
    warnings = Counter(each["reason"] for each in events if each["action"] == "expiry_warning")
    if max(warnings.values(), default=0) > len(environment.get("warn_before_hours", [])):
        yield f"{e} was warned of one end too often: {warnings}"
    yield from _chain(e, events, environment["status"])
    for item in mine:
        yield from _chain(item["id"], told.get(item["id"], []), item["status"])


def _lifetimes(items: list[Record], environment: Record, mine: list[Record]) -> Iterator[str]:
    """What has ended goes, what is live stays, and nothing stays longer than what it belongs to."""
    ended = environment["status"] == "destroyed"
    if ("ttl" in environment) != ended:
        yield f"{environment['id']} is {environment['status']}, and goes {environment.get('ttl')}"
    ends = environment.get("ttl", float("inf"))
    for each in (each for each in items if each["pk"] == f"ENV#{environment['id'].split('_')[2]}"):
        if each.get("ttl", float("inf")) > ends and "due" not in each:
            yield f"{each['pk']} {each['sk']} goes {each.get('ttl')}, after its parent at {ends}"
    for deployment in mine:
        live = deployment["id"] == environment.get("live_deployment_id") and not ended
        if ("ttl" in deployment) == live:
            yield f"{deployment['id']} is {deployment['status']}, and goes {deployment.get('ttl')}"
        goes = deployment.get("ttl", float("inf"))
        pk = f"DEP#{deployment['id'].split('_')[3]}"
        of_it = [
            each for each in items if pk == each["pk"] or each.get("subject") == deployment["id"]
        ]
        for each in of_it:
            if each.get("ttl", float("inf")) > goes or "ttl" not in each:
                yield f"{each['pk']} {each['sk']} goes {each.get('ttl')}, its parent {goes}"
    said = [each for each in items if each["sk"].startswith("LOG#")]
    yield from (f"{each['pk']} {each['sk']} stays" for each in said if "ttl" not in each)


def _etags(world: World) -> Iterator[str]:
    """What is shown changes only together with the ETag, and each version records why."""
    yield from ambiguous(world.stream)
    for record in world.stream:
        image = wire.decode(record["dynamodb"].get("NewImage", {}))
        if not image.get("sk", "").startswith("ENV#"):
            continue
        name = image["id"], image["version"]
        if image["change"]["at"] != image["updated_at"]:
            yield f"{name} was written at {image['updated_at']} without saying why"


def _number(event: Record) -> int:
    return int(event["id"].rpartition("_")[2])


def _chain(subject: str, events: list[Record], status: Any) -> Iterator[str]:
    """From nothing to its present state, each event going on where the one before ended."""
    states = [event["to"] for event in events]
    sources = [event.get("from") for event in events]
    if sources != [None, *states[:-1]] or states[-1:] != [status]:
        yield f"{subject} is {status}, and its events go {list(zip(sources, states, strict=True))}"
