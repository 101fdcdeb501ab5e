"""The OpenAI front: a small HTTP server that speaks OpenAI's API and asks Triton.

It runs on a target in an environment of its own (roles/python/locks/front.in), and knows nothing
of Rolecall. :mod:`.served` and :mod:`.chat_template` need nothing but the standard library and
jinja2, and are used by the controller as well.
"""
