"""A change set leaves out what its template's conditions leave out, as the stack itself does.

Defect: the stock comparison does not look at a resource's `Condition`. One that is not to be made
is shown as added, and one that was never made as modified or replaced.
"""

from typing import Any


def patch(module: Any) -> None:
    stock = module._resolve_props_for_diff

    def resolve(
        template: dict[str, Any], parameters: dict[str, Any], stack: str, stack_id: str
    ) -> dict[str, Any]:
        # It is called for both sides, with what each has of parameters.
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
