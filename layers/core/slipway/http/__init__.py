"""The HTTP interface: routes, requests, responses, the OpenAPI document."""
