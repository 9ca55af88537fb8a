"""Slipway: a serverless internal developer platform."""
