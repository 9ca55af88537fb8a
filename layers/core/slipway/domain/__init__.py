"""Types, rules and tables of allowed transitions, without AWS."""
