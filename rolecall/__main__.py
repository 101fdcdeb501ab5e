"""``python -m rolecall``: what ``./inv`` runs."""

from rolecall.cli.program import program

program.run()
