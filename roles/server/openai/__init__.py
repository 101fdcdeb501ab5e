"""The OpenAI API in front of what Triton serves."""
