"""Fixtures that the tests of security share with those of the API."""

from tests.support.api.fixtures import hashed, mailbox, quick_argon2, root, stage

__all__ = ["hashed", "mailbox", "quick_argon2", "root", "stage"]
