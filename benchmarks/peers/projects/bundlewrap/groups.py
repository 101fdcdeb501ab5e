"""No groups: every node names its bundle."""

groups = {}
