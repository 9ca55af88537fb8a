"""Mends the emulator's defects that Slipway meets, each in a module of its own.

A patch module declares in TARGETS which function changes which module of the emulator. `install()`
runs before the emulator is imported: each of those modules is changed right after its own import,
before any other module can copy names out of it. tests/local/ has a contract test for every patch.
The patches use private names of the emulator, so its version is exact.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

# iam_evaluator matches policies with slipway.domain.iam, and template_scalars reads templates with
# slipway.domain.template_scalars. The emulator imports no more of Slipway.
sys.path.append(str(Path(__file__).parents[2] / "layers/core"))

EMULATOR = "1.5.33"

# Patches that wrap the same function are applied in this order, the last one is called first.
# These replace functions of the emulator that others wrap.
FIRST = ("physical_names", "template_scalars")
SORTED = (
    "alarm_evaluation",
    "alias_weights",
    "api_endpoint",
    "canceled_tokens",
    "change_sets",
    "closed_connections",
    "custom_resources",
    "delivered_mail",
    "event_rules",
    "event_sources",
    "execution_clock",
    "execution_inputs",
    "execution_names",
    "exports",
    "full_buckets",
    "function_code",
    "function_limits",
    "function_logs",
    "function_urls",
    "greedy_paths",
    "iam_evaluator",
    "iam_executions",
    "iam_requests",
    "iam_sources",
    "iam_tags",
    "iam_words",
    "lambda_metrics",
    "lambda_runtimes",
    "lambda_workers",
    "log_searches",
    "mapping_requests",
    "nested_executions",
    "parallel_branches",
    "parameter_limits",
    "payload_limits",
    "protected_tables",
    "resource_reasons",
    "resumed_executions",
    "retention",
    "retry_delays",
    "sdk_parameters",
    "stack_answers",
    "stack_deletions",
    "stack_states",
    "stage_settings",
    "state_machines",
    "stream_batches",
    "succeed_output",
    "table_ttl",
    "task_errors",
    "task_results",
    "task_tokens",
    "template_alarms",
    "template_format",
    "template_log_groups",
    "template_parameters",
    "template_routes",
    "template_ttl",
    "wait_moments",
    "yaml_definitions",
)
# The first checks the permissions before any other patch acts; the other records the operation.
LAST = ("iam_stacks", "stack_operations")

PATCHES: dict[str, list[Callable[[Any], None]]] = {}
for _name in (*FIRST, *SORTED, *LAST):
    for _target, _patch in importlib.import_module(f"{__name__}.{_name}").TARGETS.items():
        PATCHES.setdefault(_target, []).append(_patch)


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
    """Apply the patches to the emulator's modules as they are imported.

    Raises RuntimeError for another version of the emulator than EMULATOR.
    """
    found = version("ministack")
    if found != EMULATOR:
        raise RuntimeError(f"local/patches/ requires ministack {EMULATOR}; {found} is installed")
    sys.meta_path.insert(0, _Finder())
