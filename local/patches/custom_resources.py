"""Custom resources are invoked and awaited as on AWS.

Defects: the stock service waits until the function returns, however long that takes, before
`ServiceTimeout` begins; uses one hour for a `ServiceTimeout` that is not a number; and fails with a
text of its own. AWS invokes the function asynchronously, documents 1 to 3,600 seconds with a
default of 3,600, and names the request that was not answered.
"""

from contextvars import ContextVar
from typing import Any

LONGEST = 3600  # seconds
SILENT = (
    "CloudFormation did not receive a response from your Custom Resource. Please check your logs"
    " for requestId [{request}]. If you are using the Python cfn-response module, you may need to"
    " update your Lambda function code so that CloudFormation can attach the updated version."
)

# The requests that were sent to a custom resource; None outside of custom resources.
_sent_requests: ContextVar[list[str] | None] = ContextVar("sent", default=None)


def patch(module: Any) -> None:
    """custom_resource: Create, Update and Delete of every custom resource."""
    stock = module.invoke_custom_resource

    def invoke(
        kind: str, logical_id: str, properties: dict[str, Any], *args: Any, **more: Any
    ) -> Any:
        seconds = str(properties.get("ServiceTimeout", LONGEST))
        if not seconds.isdigit() or not 1 <= int(seconds) <= LONGEST:
            raise ValueError(
                f"ServiceTimeout must be an integer from 1 to {LONGEST}, not {seconds}"
            )
        requests: list[str] = []
        asking = _sent_requests.set(requests)
        try:
            return stock(kind, logical_id, properties, *args, **more)
        except TimeoutError as error:
            raise TimeoutError(SILENT.format(request=", ".join(requests))) from error
        finally:
            _sent_requests.reset(asking)

    module.invoke_custom_resource = invoke


def patch_service(module: Any) -> None:
    """lambda_svc: a custom resource's function is invoked asynchronously."""
    stock = module._execute_function_with_config_scope

    def execute(function: dict[str, Any], event: Any) -> Any:
        requests = _sent_requests.get()
        if requests is None:
            return stock(function, event)
        requests.append(event["RequestId"])
        asking = _sent_requests.set(None)  # the invocation's own thread copies this context
        try:
            return module.invoke_async_with_retry(function, event)
        finally:
            _sent_requests.reset(asking)

    module._execute_function_with_config_scope = execute


TARGETS = {
    "ministack.services.cloudformation.custom_resource": patch,
    "ministack.services.lambda_svc": patch_service,
}
