"""Use cases: what handlers, steps and dispatch call. Each decides and writes as one."""
