"""`make sam-local`: the API's functions under `sam local start-api`, in Lambda's own images.

The embedded platform is their backend: it has the table, the state machines and all other
functions. SAM CLI lives in an environment of its own, `.venv-sam`.
"""
