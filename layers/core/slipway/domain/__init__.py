"""What Slipway is about: shapes, rules and the tables of allowed transitions. Knows no AWS."""
