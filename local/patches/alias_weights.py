"""Lambda aliases: `RoutingConfig` takes effect, and is refused where AWS refuses it.

Defects: the stock service stores an alias's weights but always invokes the primary version; accepts
any weights and versions; and loses the alias when the function is not called by the Invoke API, so
that `invoked_function_arn` and GetFunction name the version. Reserved concurrency does not apply to
versions and aliases.

AWS's texts are in LocalStack's recording `test_lambda_api.snapshot.json`, test
`TestLambdaAlias::test_notfound_and_invalid_routingconfigs`.
"""

import random
from contextvars import ContextVar
from typing import Any

Refusal = tuple[str, str, int]

INVALID = "1 validation error detected: Value '{{{version}={weight}}}' at "
INVALID += "'routingConfig.additionalVersionWeights' failed to satisfy constraint: "
KEYS = (
    "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member "
)
KEYS += (
    "must have length greater than or equal to 1, Member must satisfy regular expression pattern: "
)
KEYS += "[0-9]+]"
VALUES = (
    "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member "
)
VALUES += "must have value greater than or equal to 0.0, Member must not be null]"
NAME = "1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: "
NAME += "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"

# The version that the Invoke API chose, and reported to its caller, for the alias of this ARN.
_chosen_version: ContextVar[tuple[str, str] | None] = ContextVar("drawn", default=None)


def refusal(function: dict[str, Any], version: str, weights: dict[str, Any]) -> Refusal | None:
    """Why AWS refuses these versions for an alias of the function; None if it accepts them."""
    for other, weight in weights.items():
        shown = INVALID.format(version=other, weight=weight)
        if not other.isascii() or not other.isdigit():
            return "ValidationException", shown + KEYS, 400
        if not 0 <= float(weight) <= 1:
            return "ValidationException", shown + VALUES, 400
    invalid = "InvalidParameterValueException"
    if len(weights) > 1:
        text = "Number of items in AdditionalVersionWeights cannot be greater than 1"
        return invalid, text, 400
    if version in weights:
        text = (
            f"Invalid function version {version}. Function version {version} is already included "
        )
        return invalid, text + "in routing configuration.", 400
    if weights and version == "$LATEST":
        return invalid, "$LATEST is not supported for an alias pointing to more than 1 version", 400
    for each in (version, *weights):
        if each != "$LATEST" and each not in function["versions"]:
            arn = function["config"]["FunctionArn"]
            return "ResourceNotFoundException", f"Function not found: {arn}:{each}", 404
    return None


def drawn(alias: dict[str, Any]) -> str:
    """A version of the alias, chosen at random by weight."""
    version: str = alias["FunctionVersion"]
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    # A share of requests needs no secure randomness.
    point = random.random()  # nosec B311
    for other, weight in weights.items():
        if point < float(weight):
            version = other
        point -= float(weight)
    return version


def weights_in(data: dict[str, Any]) -> dict[str, Any]:
    return (data.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}


def patch(module: Any) -> None:
    """lambda_svc: validate CreateAlias and UpdateAlias; route every invocation."""
    _patch_aliases(module)
    _patch_lookup(module)
    _patch_execution(module)
    _patch_invoke(module)


def _patch_lookup(module: Any) -> None:
    stock = module._effective_func_record_for_qualifier

    def effective(function: dict[str, Any] | None, qualifier: str | None) -> Any:
        record, config = stock(function, qualifier)
        if record is None or not function or qualifier not in function.get("aliases", {}):
            return record, config
        config = config | {"FunctionArn": f"{function['config']['FunctionArn']}:{qualifier}"}
        return record | {"config": config}, config

    module._effective_func_record_for_qualifier = effective


def _patch_execution(module: Any) -> None:
    stock = module._execute_function

    def execute(function: dict[str, Any], event: Any) -> Any:
        config = function.get("config") or function
        base, qualifier = base_of(config["FunctionArn"])
        return stock(routed(function, base, qualifier) if base and qualifier else function, event)

    def routed(function: dict[str, Any], base: dict[str, Any], qualifier: str) -> dict[str, Any]:
        """The record of the version that handles this invocation."""
        shared = {"concurrency": base.get("concurrency")}  # all versions share the reservation
        config = function["config"]
        alias = base["aliases"].get(qualifier)
        if not alias or not weights_in(alias):
            return function | shared
        arn = config["FunctionArn"]
        told = _chosen_version.get()
        version = told[1] if told and told[0] == arn else drawn(alias)
        record: dict[str, Any] = base["versions"].get(version, function)
        return record | shared | {"config": record["config"] | {"FunctionArn": arn}}

    def base_of(arn: str) -> tuple[dict[str, Any] | None, str | None]:
        """(function, qualifier) of an ARN."""
        name, qualifier = module._lambda_function_name_and_qualifier_from_arn(arn)
        account, region = module._lambda_function_account_region_from_arn(arn)
        return module._functions.get_scoped(account, region, name), qualifier

    module._execute_function = execute


def _patch_invoke(module: Any) -> None:
    stock = module._invoke

    async def invoke(
        name: str, event: Any, headers: Any, path_qualifier: Any = None, query: Any = None
    ) -> Any:
        qualifier = path_qualifier or module._qp_first(query or {}, "Qualifier")
        alias = (module._functions.get(name) or {}).get("aliases", {}).get(qualifier)
        version = drawn(alias) if alias else None
        told = _chosen_version.set((alias["AliasArn"], version) if alias and version else None)
        try:
            status, sent, body = await stock(name, event, headers, path_qualifier, query)
        finally:
            _chosen_version.reset(told)
        if version and "X-Amz-Executed-Version" in sent:
            sent["X-Amz-Executed-Version"] = version
        return status, sent, body

    module._invoke = invoke


def _patch_aliases(module: Any) -> None:
    stock_create, stock_update = module._create_alias, module._update_alias

    def create(function_name: str, data: dict[str, Any]) -> Any:
        function, name = module._functions.get(function_name), data.get("Name", "")
        if not function or not name:
            return stock_create(function_name, data)
        refused: Refusal | None = None
        if name.isdigit():
            refused = "ValidationException", NAME.format(name=name), 400
        elif name in function["aliases"]:
            text = f"Alias already exists: {function['config']['FunctionArn']}:{name}"
            refused = "ResourceConflictException", text, 409
        else:
            refused = refusal(function, data.get("FunctionVersion", "$LATEST"), weights_in(data))
        return (
            module.error_response_json(*refused) if refused else stock_create(function_name, data)
        )

    def update(function_name: str, alias_name: str, data: dict[str, Any]) -> Any:
        function = module._functions.get(function_name)
        if function and (alias := function["aliases"].get(alias_name)):
            version = data.get("FunctionVersion") or alias["FunctionVersion"]
            weights = weights_in(data if "RoutingConfig" in data else alias)
            if refused := refusal(function, version, weights):
                return module.error_response_json(*refused)
        return stock_update(function_name, alias_name, data)

    module._create_alias, module._update_alias = create, update


def patch_template(module: Any) -> None:
    """provisioners: `AWS::Lambda::Alias`, whose updates go through UpdateAlias."""
    stock_create = module._lambda_alias_create

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        function = module._lambda_function_for_cfn_ref(properties.get("FunctionName", ""))[0]
        if function:
            weights = weights_in({"RoutingConfig": module._lambda_alias_routing_config(properties)})
            version = properties.get("FunctionVersion", "$LATEST")
            if refused := refusal(function, version, weights):
                raise ValueError(f'Resource handler returned message: "{refused[1]}"')
        return stock_create(logical_id, properties, stack)

    module._lambda_alias_create = create
    module._RESOURCE_HANDLERS["AWS::Lambda::Alias"]["create"] = create


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch_template,
    "ministack.services.lambda_svc": patch,
}
