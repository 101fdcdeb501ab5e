"""Runs Ansible's command lines for the tests, a fork each, so that start-up is paid once.

Started with the Python of the oracle's environment, in which ansible-core is installed. Reads one
JSON list of arguments a line, such as ``["ansible-inventory", "-i", "hosts", "--list"]``, and
answers with one line ``{"status": 0, "out": "…", "err": "…"}``. Each runs in a child of its own:
Ansible keeps what it has read in globals.
"""

import json
import os
import sys
import tempfile
import traceback

from ansible.cli.adhoc import AdHocCLI
from ansible.cli.inventory import InventoryCLI

PROGRAMS = {"ansible": AdHocCLI, "ansible-inventory": InventoryCLI}


def answer(arguments):
    """Run one command line in a child and return what it did."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            status = 1
            try:
                status = PROGRAMS[arguments[0]].cli_executor(arguments)
            except SystemExit as end:
                status = end.code or 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status if isinstance(status, int) else 1)
        _, status = os.waitpid(child, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "surrogateescape"))
    return {"status": os.waitstatus_to_exitcode(status), "out": texts[0], "err": texts[1]}


def main():
    """Answer until the input ends."""
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


main()
