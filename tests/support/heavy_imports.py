"""Modules that a function imports late or never, because they slow a cold start."""

from __future__ import annotations

# Modules that take long to import, and that only some functions or few requests need.
AWS_SDK = {"boto3", "botocore.session", "urllib3"}
SIGNING_IN = {"argon2", "email_validator", "passlib"}
TOKENS = {"cryptography", "jwt"}
NEVER = {
    "aws_lambda_powertools.event_handler.openapi.params",
    "aws_lambda_powertools.utilities.idempotency",
    "aws_xray_sdk",
    "cffi",
    "dns",
    "jinja2",
    "pycparser",
    "slipway.importers",
    "slipway.http.openapi",
    "yaml",
}
