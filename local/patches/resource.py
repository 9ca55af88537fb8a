"""No patch: a helper for patches that change the resources of templates."""

from collections.abc import Callable
from typing import Any


def after(module: Any, kind: str, apply: Callable[[str, dict[str, Any]], None]) -> None:
    """Call `apply` with the name and properties of each resource that was created or updated."""
    resource = module._RESOURCE_HANDLERS[kind]
    stock_create, stock_update = resource["create"], resource["update"]

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        made = stock_create(logical_id, properties, stack)
        apply(made[0], properties)
        return made

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        made = stock_update(physical_id, old, new, *rest)
        apply(made[0], new)
        return made

    resource["create"], resource["update"] = create, update
