"""The command line of Slipway: a client of its public API."""

__version__ = "0.1.0"
