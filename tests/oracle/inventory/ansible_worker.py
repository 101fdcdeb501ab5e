"""Runs Ansible's command lines for the tests, a fork each, so that start-up is paid once.

Started with the Python of the oracle's environment, in which ansible-core is installed, and with
the path of some inventory to warm up on. Each line of its input is a request, answered by a line:

- a list of arguments, ``["ansible-inventory", "-i", "hosts", "--list"]``: a whole command line;
- a mapping, ``{"source": "hosts", "patterns": ["all", "web*"]}``: the hosts of each pattern,
  or null where Ansible refuses it.

Each runs in a child of its own, because Ansible keeps what it has read in globals.
"""

import json
import os
import sys
import tempfile
import traceback

from ansible.cli.adhoc import AdHocCLI
from ansible.cli.inventory import InventoryCLI
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager

PROGRAMS = {"ansible": AdHocCLI, "ansible-inventory": InventoryCLI}


def command_line(arguments):
    """Run one of Ansible's programs; returns its exit status."""
    try:
        PROGRAMS[arguments[0]].cli_executor(arguments)
    except SystemExit as end:
        return end.code or 0
    return 0


def match(request):
    """Print the hosts that each pattern names."""
    manager = None
    found = []
    for pattern in request["patterns"]:
        local = any(name in pattern for name in ("localhost", "127.0.0.1", "::1"))
        if manager is None or local:  # a manager remembers which name it first had for this machine
            manager = InventoryManager(loader=DataLoader(), sources=[request["source"]])
        try:
            found.append([host.name for host in manager.get_hosts(pattern)])
        except AnsibleError:
            found.append(None)
        if local:
            manager = None
    print(json.dumps(found))
    return 0


def answer(request):
    """Run one request in a child and return what it did."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            status = 1
            try:
                status = match(request) if isinstance(request, dict) else command_line(request)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return {"status": os.waitstatus_to_exitcode(status), "out": texts[0], "err": texts[1]}


def main():
    """Load every plugin once, then answer until the input ends."""
    loader = DataLoader()
    manager = InventoryManager(loader=loader, sources=[sys.argv[1]])
    variables = VariableManager(loader=loader, inventory=manager)
    for host in manager.get_hosts():
        variables.get_vars(host=host)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


main()
