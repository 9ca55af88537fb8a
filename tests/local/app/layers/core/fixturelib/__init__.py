"""What the fixture's layer brings."""

VERSION = 1
