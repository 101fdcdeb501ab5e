"""What a model needs, from its config.json alone. Standard library only, Python 3.8 or newer.

The package runs on the controller, for the task, and on the host, for the role's requirement.
"""
