"""The emulator's defects that Slipway meets, each mended in a file of its own.

`install()` runs before the emulator is imported: each module of PATCHES is changed right after its
own import, before any other module can copy names out of it. tests/local/ has a contract test for
every patch. A new version of the emulator may move what they hold on to: hence the exact version.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from types import ModuleType
from typing import Any

from local.patches import (
    alarm_evaluation,
    alias_weights,
    api_endpoint,
    canceled_tokens,
    change_sets,
    custom_resources,
    event_rules,
    event_sources,
    execution_clock,
    execution_inputs,
    execution_names,
    exports,
    full_buckets,
    function_code,
    function_limits,
    function_logs,
    function_urls,
    greedy_paths,
    iam_evaluator,
    iam_executions,
    iam_requests,
    iam_stacks,
    iam_words,
    lambda_runtimes,
    lambda_workers,
    mapping_requests,
    nested_executions,
    parallel_branches,
    parameter_limits,
    payload_limits,
    physical_names,
    protected_tables,
    resource_reasons,
    retry_delays,
    sdk_parameters,
    stack_answers,
    stack_states,
    stage_settings,
    state_machines,
    stream_batches,
    succeed_output,
    table_ttl,
    task_errors,
    task_results,
    task_tokens,
    template_alarms,
    template_format,
    template_log_groups,
    template_parameters,
    template_routes,
    template_ttl,
    wait_moments,
    yaml_definitions,
)

EMULATOR = "1.5.33"

PATCHES: dict[str, list[Callable[[Any], None]]] = {
    "ministack.app": [iam_executions.patch_calls],
    "ministack.core.iam_actions": [iam_requests.patch, iam_words.patch],
    "ministack.core.iam_evaluator": [iam_evaluator.patch],
    "ministack.core.lambda_runtime": [lambda_workers.patch_pool],
    "ministack.services.apigateway": [greedy_paths.patch],
    "ministack.services.lambda_svc": [
        alias_weights.patch,
        custom_resources.patch_service,
        event_sources.patch,
        function_code.patch,
        function_logs.patch,
        function_limits.patch,
        lambda_runtimes.patch,
        lambda_workers.patch_service,
        payload_limits.patch,
        stream_batches.patch,
        mapping_requests.patch,
    ],
    "ministack.services.cloudwatch": [alarm_evaluation.patch, template_alarms.patch_service],
    "ministack.services.dynamodb": [
        canceled_tokens.patch,
        protected_tables.patch_service,
        table_ttl.patch,
    ],
    "ministack.services.s3": [full_buckets.patch_s3],
    "ministack.services.cloudformation.changesets": [change_sets.patch],
    "ministack.services.cloudformation.custom_resource": [custom_resources.patch],
    "ministack.services.cloudformation.drift": [iam_stacks.patch_drift],
    "ministack.services.cloudformation.engine": [
        template_format.patch,
        iam_stacks.patch_references,
        template_parameters.patch,
    ],
    "ministack.services.cloudformation.handlers": [
        exports.patch_deletion,
        resource_reasons.patch,
        stack_answers.patch,
        stack_states.patch,
        iam_stacks.patch_handlers,
    ],
    "ministack.services.cloudformation.provisioners": [
        physical_names.patch,  # first: it replaces the stock functions, which the others wrap
        protected_tables.patch,
        stage_settings.patch,
        yaml_definitions.patch,
        alias_weights.patch_template,
        api_endpoint.patch,
        iam_requests.patch_roles,
        iam_requests.patch_secrets,
        event_rules.patch_template,
        event_sources.patch_template,
        full_buckets.patch,
        function_code.patch_template,
        function_limits.patch_template,
        function_urls.patch,
        lambda_runtimes.patch_template,
        state_machines.patch_templates,
        template_alarms.patch,
        template_log_groups.patch,
        template_routes.patch,
        template_ttl.patch,
        mapping_requests.patch_template,
        iam_stacks.patch,  # last, to be asked first
    ],
    "ministack.services.cloudformation.stacks": [
        api_endpoint.patch_outputs,
        exports.patch,
        physical_names.patch_generated,
        iam_stacks.patch_deployments,
    ],
    "ministack.services.eventbridge": [event_rules.patch],
    "ministack.services.ssm": [parameter_limits.patch],
    "ministack.services.stepfunctions": [
        nested_executions.patch,
        iam_executions.patch,  # before task_errors, which gives its errors their names
        execution_clock.patch,
        execution_inputs.patch,
        execution_names.patch,
        parallel_branches.patch,
        retry_delays.patch,
        state_machines.patch,
        sdk_parameters.patch,
        succeed_output.patch,
        task_errors.patch,
        task_results.patch,
        task_tokens.patch,
        wait_moments.patch,
    ],
}


class _Patched(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        for patch in PATCHES[module.__name__]:
            patch(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in PATCHES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            spec.loader = _Patched(spec.loader)
        return spec


def install() -> None:
    found = version("ministack")
    if found != EMULATOR:
        raise RuntimeError(f"local/patches/ are for ministack {EMULATOR}, this is {found}")
    sys.meta_path.insert(0, _Finder())
