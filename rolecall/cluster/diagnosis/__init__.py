"""What keeps an object of a cluster from working, said from the objects themselves.

Reasons and messages are matched as Kubernetes 1.34 writes them; each module names its source.
"""
