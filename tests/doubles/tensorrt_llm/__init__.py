"""Doubles of TensorRT-LLM's tools and of the git repositories that its files come from.

Its wheels need a GPU, and cannot be fetched everywhere. :mod:`.prefix` lays the doubles out as an
installed runtime; they accept exactly the flags of the version that they are told to be.
"""
