"""Preflight: whether the model can be served here, found out before anything heavy begins."""

import json
from collections.abc import Iterator
from pathlib import Path

from rolecall.api import Host, Requirement, Resource, Tree, folder_files, quote, role
from roles.engine import role as engines
from roles.model import role as models
from roles.model.settings import Model
from roles.preflight.checks import Check, checks, environment_checks, memory_mib
from roles.preflight.deployment import plan
from roles.preflight.settings import Preflight
from roles.preflight.sizing.fit import DOES_NOT_FIT
from roles.preflight.sizing.plan import Gpus, Plan, to_json
from roles.python.role import needs_tools, tools_python

_HERE = Path(__file__).parent

#: Shell text that asks a host for its GPUs and its shared memory.
FACTS = (_HERE / "facts.sh").read_text()

#: The sizing, under the names by which its modules import each other.
_PROGRAM = (
    ("roles/__init__.py", b""),
    ("roles/preflight/__init__.py", b""),
    *(
        (f"roles/preflight/sizing/{name}", data)
        for name, data in folder_files(_HERE / "sizing", "*.py")
    ),
)

_RUN = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from roles.preflight.sizing.report import main; sys.exit(main(sys.argv[2]))"
)

_TEST = """
for rc_place in {program} {card}; do
  [ -e "$rc_place" ] || {{ echo "not known yet: $rc_place is not there"; exit 1; }}
done
{python} -I -B -c {run} {program} {asked}
"""


def program(host: Host) -> Tree:
    """The sizing, as it lies on the host."""
    return Tree("preflight", host.path("artifacts"), _PROGRAM)


def interpreter(host: Host) -> str:
    """The Python on the host that runs the sizing."""
    return tools_python(host) if needs_tools(host) else host.facts.python or "python3"


@role(Preflight, facts=FACTS)
def preflight(host: Host, settings: Preflight) -> Iterator[Resource]:
    """Require what the deployment needs of the host."""
    wanted = plan(host)
    if wanted is None:
        failed = [check for check in environment_checks(host) if check.verdict == DOES_NOT_FIT]
        yield from (_requirement(check) for check in failed)
        return
    yield from (_requirement(check) for check in checks(host, wanted))
    card = models.card(host)
    if card is not None:
        yield program(host)
        yield from models.card_resources(host)
        yield _fits(host, settings, wanted, card.path)


def _requirement(check: Check) -> Requirement:
    """The check as a requirement: decided by facts, so that nothing in a run can change it."""
    test = ":"
    if check.verdict == DOES_NOT_FIT:
        test = f"printf '%s\\n' {quote(check.said)}; exit 1"
    return Requirement(check.title, test, check.hint, depends_on=frozenset())


def _fits(host: Host, settings: Preflight, wanted: Plan, card: str) -> Requirement:
    asked = {
        "plan": to_json(wanted),
        "gpus": to_json(Gpus.of_facts(host.facts.extra)),
        "card": card,
        "memory_mib": memory_mib(host),
        "accept": settings.accept,
        "disk": disk(host),
    }
    text = _TEST.format(
        program=quote(program(host).path),
        card=quote(card),
        python=quote(interpreter(host)),
        run=quote(_RUN),
        asked=quote(json.dumps(asked)),
    )
    return Requirement(
        "room for the model",
        text,
        "./inv preflight shows all figures; preflight.accept says what is good enough",
        depends_on=frozenset({program(host).path, card, interpreter(host)}),
    )


def disk(host: Host) -> list[dict[str, str]]:
    """What will be made on the disk, where, and what says that it is there already."""
    model, engine = models.artifact(host), engines.artifact(host)
    found = []
    if not host.settings(Model).link:
        found.append({"what": "model", "path": model.path, "unless": model.path})
    if engine is not None:
        found += [
            {"what": what, "path": engine.path, "unless": engine.path}
            for what in ("checkpoint", "engine")
        ]
    return found
