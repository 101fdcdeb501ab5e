"""``python -m rolecall``: what ``./inv`` runs."""

import sys

from rolecall.startup import hear_term, quick_exit, quick_imports

hear_term()
with quick_exit():
    with quick_imports():
        from rolecall.cli.program import program

    try:
        program.run()
    except BrokenPipeError:
        from rolecall.output import pipe_closed

        sys.exit(pipe_closed())
