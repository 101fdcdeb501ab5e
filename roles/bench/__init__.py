"""A load test of what is served."""
