"""The module in the fixture's layer."""

VERSION = 1
