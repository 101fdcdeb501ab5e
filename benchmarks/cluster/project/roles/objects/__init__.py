"""Objects of many kinds in one namespace."""
