"""``python -m rolecall``: what ``./inv`` runs."""

import sys

from rolecall.startup import hear_term, quick_exit, quick_imports, run, whole_streams

whole_streams()
hear_term()
with quick_exit():
    try:
        with quick_imports():
            from rolecall.cli.program import program

        run(program)
    except KeyboardInterrupt:  # before a task has begun, which tells it itself
        sys.exit(130)
