"""A change set omits the resources that its template's conditions omit, like the stack itself.

Defect: the stock comparison ignores a resource's `Condition`. It shows a resource that will not be
created as added, and one that never existed as modified or replaced.
"""

from typing import Any


def patch(module: Any) -> None:
    stock = module._resolve_props_for_diff

    def resolve(
        template: dict[str, Any], parameters: dict[str, Any], stack: str, stack_id: str
    ) -> dict[str, Any]:
        # It is called for both templates, each with its own parameters.
        resolved: dict[str, Any] = stock(template, parameters, stack, stack_id)
        conditions = module._evaluate_conditions(template, parameters)
        there = {
            name: resource
            for name, resource in resolved.get("Resources", {}).items()
            if conditions.get(resource.get("Condition"), True)
        }
        return {**resolved, "Resources": there}

    module._resolve_props_for_diff = resolve


TARGETS = {"ministack.services.cloudformation.changesets": patch}
