"""The service on a cluster: on plain Kubernetes, or on TensorStack's T9k."""
