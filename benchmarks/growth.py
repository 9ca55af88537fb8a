"""Growth: the same requests with 10, 1,000 and 100,000 items in the table.

Half of the items are other users' projects, two fifths are their environments, and one in ten is a
deployment in the environment of the requests. The cost of a request must not depend on the number
of items. The usage of a template is an exception, because it counts the template's environments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.loopback import Item, Watched
from benchmarks.round_trips import HOLD_SECONDS, handlers
from benchmarks.stage import Stage
from benchmarks.support import bars, save, show
from benchmarks.units import Paid

SIZES = (10, 1_000, 100_000)
MADE_FROM_ONE = (10, 1_000, 10_000)

Ask = Callable[[Stage], Any]
ASKED: dict[str, Ask] = {
    "read an environment": lambda s: s.ann.get(f"/api/v1/environments/{s.environment}"),
    "read a deployment": lambda s: s.ann.get(f"/api/v1/deployments/{s.deployment}"),
    "list projects": lambda s: s.ann.get("/api/v1/projects"),
    "list environments": lambda s: s.ann.get(f"/api/v1/environments/projects/{s.project}"),
    "list deployments": lambda s: s.ann.get(_deployments(s), limit=10),
    "read logs": lambda s: s.ann.get(f"/api/v1/deployments/{s.deployment}/logs"),
    "create a project": lambda s: s.ann.post("/api/v1/projects", {"name": "orders"}),
    "create an environment": lambda s: s.ann.post(
        f"/api/v1/environments/projects/{s.project}", {"name": "another", "type": "persistent"}
    ),
    "create a deployment": lambda s: s.ann.post(_deployments(s), {"version": "sha-1234567"}),
    "extend a lease": lambda s: s.ann.post(
        f"/api/v1/environments/{s.environment}/extend", {"ttl_hours": 48}
    ),
}


def _deployments(stage: Stage) -> str:
    return f"/api/v1/deployments/environments/{stage.environment}"


def others(stage: Stage, item: Callable[[Any], Item], count: int) -> Iterator[Item]:
    """Create `count` items like the existing ones. `item` reads an item by its key."""
    from slipway.domain import ids
    from slipway.domain.ids import DeploymentId
    from slipway.store import deployment_records, environment_records, project_records

    project, environment, deployment = map(
        item,
        (
            project_records.key(stage.project),
            environment_records.key(stage.environment),
            deployment_records.key(stage.deployment),
        ),
    )
    # Older than everything that is created later.
    d = f"0{stage.deployment.d[1:]}"
    for n in range(count):
        p, e = ids.new_part(), ids.new_part()
        if n % 10 == 9:
            d = ids.new_part(after=d)
            made = DeploymentId(stage.environment.p, stage.environment.e, d)
            yield deployment | {"sk": {"S": f"DEP#{d}"}, "id": {"S": str(made)}}
        elif n % 2:
            yield environment | {"pk": {"S": f"PROJECT#{p}"}, "sk": {"S": f"ENV#{e}"}}
        else:
            yield project | {"pk": {"S": f"PROJECT#{p}"}}


def fill(dynamodb: Watched, stage: Stage, count: int) -> None:
    def item(key: Any) -> Item:
        found: Item = dynamodb.ask("GetItem", {"TableName": "slipway", "Key": key.wire()})["Item"]
        return found

    dynamodb.put(list(others(stage, item, count)))


def pages(dynamodb: Watched, stage: Stage) -> tuple[int, list[Paid]]:
    """The number of deployments that the cursors lead to, each once, and each page's cost."""
    seen: list[str] = []
    paid: list[Paid] = []
    query = "limit=100"
    while query:
        with dynamodb.watching() as calls:
            answer = stage.ann.send("GET", _deployments(stage), query=query)
        assert answer.status == 200, answer.text
        paid.append(Paid(calls))
        seen += [each["id"] for each in answer.json]
        onward = re.search(r"\?(.*?)>", answer.headers.get("link", ""))
        query = onward[1] if onward else ""
    assert len(seen) == len(set(seen)) and seen == sorted(seen, reverse=True)
    return len(seen), paid


def used(dynamodb: Watched, count: int) -> Paid:
    """The cost of showing the usage of a template with so many environments."""
    from slipway.domain import ids

    stage = Stage().with_environment_from_template()
    project, environment = stage.project.p, str(stage.environment)
    key = {"pk": {"S": "TEMPLATE#web"}, "sk": {"S": f"USED#{environment}"}}
    line: Item = dynamodb.ask("GetItem", {"TableName": "slipway", "Key": key})["Item"]
    more = (f"env_{project}_{ids.new_part()}" for _ in range(count - 1))
    dynamodb.put(
        [line | {"sk": {"S": f"USED#{each}"}, "environment_id": {"S": each}} for each in more]
    )
    with dynamodb.watching(HOLD_SECONDS) as calls:
        answer = stage.ann.get("/api/v1/templates/web/usage")
    assert answer.json["up_to_date"] == count
    return Paid(calls)


def main() -> None:
    found: dict[str, list[Paid]] = {name: [] for name in ASKED}
    followed = []
    with Watched() as dynamodb, handlers(dynamodb):
        for size in SIZES:
            dynamodb.create_table()
            stage = Stage()
            assert stage.ann.get("/api/v1/auth/me").status == 200
            fill(dynamodb, stage, size)
            for name, ask in ASKED.items():
                with dynamodb.watching(HOLD_SECONDS) as asked_for:
                    answer = ask(stage)
                assert answer.status < 300, (name, answer.text)
                found[name].append(Paid(asked_for))
            count, paid = pages(dynamodb, stage)
            assert count >= size // 10
            calls_a_page = max(len(page.calls) for page in paid)
            items_a_page = max(page.items for page in paid)
            followed.append((size, count, len(paid), calls_a_page, items_a_page))
        counted = []
        for count in MADE_FROM_ONE:
            dynamodb.create_table()
            cost = used(dynamodb, count)
            counted.append((count, cost.depth, cost.items, int(cost.units[0])))
    rows = [
        (
            name,
            *(paid.depth for paid in turns),
            *(paid.items for paid in turns),
            "yes" if len({(paid.depth, paid.units) for paid in turns}) == 1 else "NO",
        )
        for name, turns in found.items()
    ]
    header = ("", *(f"trips at {size:,}" for size in SIZES))
    header += (*(f"items at {size:,}" for size in SIZES), "same units")
    show("Growth: round trips and items read, by items in the table", header, rows)
    show(
        "Cursors to the last page of one environment's deployments",
        ("items", "deployments", "pages", "calls a page", "items a page"),
        followed,
    )
    show(
        "Counting the usage of a template",
        ("environments", "round trips", "items", "read units"),
        counted,
    )
    bars(
        "growth",
        "Items that DynamoDB looks at for a request, by items in the table",
        {
            f"{name}, {size:,}": {"": float(paid.items)}
            for name in ("read an environment", "list deployments", "create a deployment")
            for size, paid in zip(SIZES, found[name], strict=True)
        },
        "items",
    )
    save(
        "growth",
        {
            "sizes": SIZES,
            "round trips": {name: [paid.depth for paid in turns] for name, turns in found.items()},
            "items": {name: [paid.items for paid in turns] for name, turns in found.items()},
            "units": {name: [paid.units for paid in turns] for name, turns in found.items()},
            "cursors": followed,
            "usage": counted,
        },
    )


if __name__ == "__main__":
    main()
