"""``why RESOURCE``: everything that decides about one resource."""

from __future__ import annotations

from collections.abc import Mapping

from rolecall import journal
from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.cluster.resource import ClusterResource
from rolecall.cluster.run import Opened as OpenedCluster
from rolecall.cluster.run import brief, open_cluster
from rolecall.cluster.target import ClusterTarget
from rolecall.errors import ConfigError
from rolecall.loop.plan import Prediction, Step, predict
from rolecall.resource import Observed, Resource
from rolecall.resources.cluster_object import ClusterObject
from rolecall.session import Session
from rolecall.settings import nearest
from rolecall.shell import words
from rolecall.shell_run import Opened

_HIDDEN = "********"


def explain(project: Project, resource_id: str, flags: Flags) -> None:
    """Print the probe, the answer, the desired state and the last change of a resource.

    Raises:
        ConfigError: no role declares that resource.
    """
    if not resource_id:
        raise ConfigError("which resource?", "./inv why file:/etc/hosts; ./inv plan lists the ids")
    declared = project.declared(flags)
    for plan in project.host_plans(flags):
        if isinstance(plan.target, ClusterTarget):
            opened = open_cluster(plan, declared)
            if step := _explain(opened, resource_id):
                _print_fields_owner(plan.target, step)
    for session, seen in project.look(flags, machines=True):
        if step := _explain(seen, resource_id):
            _print_last_change(session, step)


def _explain(opened: Opened | OpenedCluster, resource_id: str) -> Step | None:
    """Print what decides about a resource; returns its step unless it is skipped."""
    steps = {step.resource.id: step for step in opened.steps}
    skips = {skip.id: skip for _, skip in opened.skips}
    if resource_id in skips:
        print(f"{opened.host.name}  {resource_id}\n  skipped: {skips[resource_id].reason}")
        return None
    if resource_id not in steps:
        raise ConfigError(
            f"no role declares {resource_id} on {opened.host.name}",
            nearest(resource_id, [*steps, *skips]),
        )
    step = steps[resource_id]
    said = predict(opened.steps, opened.answers)[step.number]
    print(f"{opened.host.name}  {resource_id}  (role {step.role})")
    _print_state(step, opened.answers[step.number], said)
    return step


def _print_state(step: Step, observed: Observed, said: Prediction) -> None:
    resource = step.resource
    verdict = f"{said.outcome} {said.reason}".strip()
    hidden = resource.secret
    print(f"  verdict   {verdict}")
    print(f"  probe     {_probe(resource)}")
    desired = dict(resource.desired())
    print("  observed  " + _fields(dict(observed.fields), hidden=hidden))
    changes = brief(said.changes) if isinstance(resource, ClusterResource) else said.changes
    differing = {change.field for change in changes}
    rest = {name: value for name, value in desired.items() if name not in differing}
    if not differing and rest:
        print("  desired   the same")
    elif rest or not desired:
        print("  desired   " + _fields(rest, hidden=hidden))
    for change in changes:
        before, after = (_HIDDEN, _HIDDEN) if hidden else (change.before, change.after)
        print(f"  differs   {change.field}: {_value(before)} → {_value(after)}")


def _probe(resource: Resource) -> str:
    if isinstance(resource, ClusterResource):
        return ", ".join(f"reads {question}" for question in resource.look().questions)
    probe = resource.probe()
    shown = _HIDDEN if resource.secret else _fold(words(probe.args))
    return f"{probe.function.name} {shown}{' (as root)' if resource.probe_sudo else ''}"


def _print_fields_owner(target: ClusterTarget, step: Step) -> None:
    """Who has written an object, and when: the cluster itself records it."""
    if not isinstance(step.resource, ClusterObject):
        return
    live = target.api.read([step.resource.ref])[0]
    if not isinstance(live, Mapping):
        print("  changed   never: it does not exist")
        return
    for entry in live["metadata"].get("managedFields", []):
        part = f" ({entry['subresource']})" if entry.get("subresource") else ""
        print(f"  changed   {entry.get('time', '')} by {entry['manager']}{part}")


def _print_last_change(session: Session, step: Step) -> None:
    last = journal.last_change(journal.fetch(session), step.resource.id)
    if last is None:
        print("  changed   never by Rolecall")
        return
    print(f"  changed   {last.at} in run {last.run}")
    for name, before, after in last.changes:
        print(f"            {name}: {_value(before)} → {_value(after)}")


def _fields(fields: dict[str, str], *, hidden: bool) -> str:
    if not fields:
        return "nothing"
    return "\n            ".join(
        f"{name}={_HIDDEN if hidden else _fold(value)}" for name, value in fields.items()
    )


def _value(value: str | None) -> str:
    return "nothing" if value is None else _fold(value) or '""'


def _fold(text: str, limit: int = 200) -> str:
    line = text.replace("\n", "\\n")
    return line if len(line) <= limit else f"{line[:limit]}… ({len(line)} characters)"
