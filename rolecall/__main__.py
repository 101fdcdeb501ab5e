"""``python -m rolecall``: what ``./inv`` runs."""

from rolecall.startup import hear_term, quick_exit, quick_imports, run, whole_streams

whole_streams()
hear_term()
with quick_exit():
    with quick_imports():
        from rolecall.cli.program import program

    run(program)
