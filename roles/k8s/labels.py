"""The labels of this role's objects, besides those of everything that Rolecall makes."""

COMPONENT = "app.kubernetes.io/component"

#: The component of the pods that serve.
SERVER = "server"
