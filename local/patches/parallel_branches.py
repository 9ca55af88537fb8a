"""A Parallel or Map state fails as soon as one branch fails, and the other branches stop.

Defects: the stock states wait for every branch to end and then report the failed branch that is
first in the list, not the one that failed first; the branches of a Parallel share one context, so
that a task token or a state's name may be another branch's; and JSONata's Arguments, Output and
Assign of a Parallel are ignored. In LocalStack's recording stepfunctions/v2 timeouts/test_timeouts,
test_service_lambda_map_timeout, one iteration fails and the others are aborted.
"""

import contextvars
import copy
import itertools
import queue
import threading
from collections.abc import Callable
from typing import Any

from local.patches.scope import Scope, Stopped, check, current

Job = Callable[[], Any]
Outcome = tuple[int, Any, BaseException | None]
Node = dict[str, Any]


def patch(module: Any) -> None:
    stock_map = module._run_map_items

    def run_branches(state: Node, given: Any, execution: Node, ctx: Node) -> Any:
        effective = _branch_input(module, state, given, ctx)

        def job(branch: Node) -> Job:
            mine = {**ctx, "variables": dict(ctx.get("variables", {}))}
            return lambda: module._run_sub_machine(
                branch["States"], branch["StartAt"], effective, execution, mine
            )

        results = _run_jobs(module, [job(branch) for branch in state["Branches"]])
        return _state_output(module, state, given, ctx, results)

    def run_items(state: Node, given: Any, execution: Node, ctx: Node) -> Any:
        processor = state.get("Iterator") or state.get("ItemProcessor", {})
        if (processor.get("ProcessorConfig") or {}).get("Mode") == "DISTRIBUTED":
            return stock_map(state, given, execution, ctx)
        items, most = _map_items(module, state, given, ctx)

        def job(number: int, item: Any) -> Job:
            mine = copy.deepcopy(ctx)
            mine["Map"] = {"Item": {"Index": number, "Value": item}}
            return lambda: module._run_sub_machine(
                processor["States"],
                processor["StartAt"],
                _item_input(module, state, given, item, mine),
                execution,
                mine,
            )

        results = _run_jobs(module, list(itertools.starmap(job, enumerate(items))), most)
        return _state_output(module, state, given, ctx, results)

    module._run_parallel_branches, module._run_map_items = run_branches, run_items


def _branch_input(module: Any, state: Node, given: Any, ctx: Node) -> Any:
    """The input of each branch of a Parallel."""
    if module._state_query_language(state, ctx) == "JSONata":
        return module._apply_jsonata_arguments(state, given, ctx)
    effective = module._apply_input_path(state, given, ctx)
    return module._apply_parameters(state, effective, ctx)


def _map_items(module: Any, state: Node, given: Any, ctx: Node) -> tuple[list[Any], int]:
    """The items of a Map, and how many run at once (0: all)."""
    most = state.get("MaxConcurrency", 0)
    if module._state_query_language(state, ctx) == "JSONata":
        items = given
        if "Items" in state:
            items = module._jsonata_state_field(state, "Items", "array", given, ctx)
        if isinstance(most, str):
            most = module._jsonata_state_field(state, "MaxConcurrency", "number", given, ctx)
    else:
        effective = module._apply_input_path(state, given, ctx)
        items = module._resolve_path_or_ctx(state.get("ItemsPath", "$"), effective, ctx)
        if path := state.get("MaxConcurrencyPath"):
            most = module._resolve_path_or_ctx(path, effective, ctx)
    return (items if isinstance(items, list) else [items]), int(most)


def _item_input(module: Any, state: Node, given: Any, item: Any, ctx: Node) -> Any:
    wanted = state.get("ItemSelector") or state.get("Parameters")
    if not wanted:
        return item
    if module._state_query_language(state, ctx) == "JSONata":
        return module._apply_jsonata_template(wanted, given, ctx)
    return module._resolve_params_obj(wanted, module._apply_input_path(state, given, ctx), ctx)


def _state_output(module: Any, state: Node, given: Any, ctx: Node, results: list[Any]) -> Any:
    if module._state_query_language(state, ctx) == "JSONata":
        output = module._apply_jsonata_output(state, given, ctx, result=results, default=results)
        module._apply_state_assign(state, given, ctx, result=results)
    else:
        result = module._apply_result_selector(state, results)
        output = module._apply_result_path(state, given, result)
        output = module._apply_output_path(state, output, ctx)
    return output, module._next_or_end(state)


def _run_jobs(module: Any, jobs: list[Job], most: int = 0) -> list[Any]:
    """Run the jobs, at most `most` at once (0: all), and return their results in order.

    Raises the error of the job that fails first, without waiting for the others.
    """
    scope, ended = Scope(current.get()), queue.SimpleQueue[Outcome]()
    # This wakes the waiting thread if the execution is stopped.
    scope.on_end(lambda: ended.put((-1, None, Stopped())))
    ahead, lock = iter(enumerate(jobs)), threading.Lock()

    def work() -> None:
        current.set(scope)
        while True:
            with lock:
                number, job = next(ahead, (-1, None))
            if job is None:
                return
            ended.put(_outcome(module, number, job))

    for _ in range(min(most or len(jobs), len(jobs))):
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=[work], daemon=True).start()
    results = [None] * len(jobs)
    try:
        for _ in jobs:
            number, result, error = ended.get()
            if error:
                raise error
            results[number] = result
    finally:
        scope.end()
    return results


def _outcome(module: Any, number: int, job: Job) -> Outcome:
    try:
        check()
        return number, job(), None
    except (module._ExecutionError, Stopped) as error:
        return number, None, error
    except Exception as error:
        return number, None, module._ExecutionError("States.Runtime", str(error))


TARGETS = {"ministack.services.stepfunctions": patch}
