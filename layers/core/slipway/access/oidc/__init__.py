"""Tokens of other issuers (OpenID Connect): reading an issuer's keys, verifying its tokens."""
