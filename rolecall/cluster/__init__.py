"""A cluster as a target: its objects, the API that serves them, and a run on it."""
