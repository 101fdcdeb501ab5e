"""The one loop that converges resources on a target: order, batching, failure and retries."""
