"""One run at a time: the lock of a namespace, as a Lease of the cluster.

The holder renews it; one that has not been renewed for :data:`DURATION` is of a run that died
(coordination.k8s.io/v1, used as client-go's leader election uses it).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from rolecall.cluster.objects import MANAGED_BY, MANAGER, Found, Object, Ref
from rolecall.errors import RolecallError, UnreachableError
from rolecall.lock import LOCK_POLL, LockHolder, locked_error, signature

if TYPE_CHECKING:
    from rolecall.cluster.api import Api, Right

#: Seconds without a renewal after which a lock is void.
DURATION = 60

#: Seconds between two renewals.
RENEWAL = 15.0


def lock_ref(namespace: str) -> Ref:
    """The lock of a namespace."""
    return Ref("coordination.k8s.io/v1", "Lease", "rolecall", namespace)


def lock_rights(namespace: str) -> tuple[Right, ...]:
    """What a run needs to be allowed to take the lock, renew it, and give it up."""
    from rolecall.cluster.api import Right

    return tuple(Right.on(verb, lock_ref(namespace)) for verb in ("create", "update", "delete"))


def holder(lease: Found) -> str:
    """Who holds a lock, as :class:`LockHolder` reads it; empty where nobody does any more."""
    if lease is None or isinstance(lease, tuple):
        return ""
    spec = lease.get("spec") or {}
    text = str(spec.get("holderIdentity") or "")
    held = LockHolder.parse(text)
    if held is None or held.is_dead:
        return ""
    silent = time.time() - _seconds(str(spec.get("renewTime", "")))
    return "" if silent > spec.get("leaseDurationSeconds", DURATION) else text


@contextmanager
def held(
    api: Api,
    namespace: str,
    name: str,
    run_id: str,
    deadline: float,
    waiting: Callable[[str], None],
    stop: threading.Event,
) -> Iterator[None]:
    """Hold the lock of ``namespace``, waiting until ``deadline`` (monotonic) for who has it.

    ``name`` is the host's in messages; ``waiting`` hears once for whom it is waited; ``stop``
    ends the waiting.

    Raises:
        LockedError: another run holds it.
        UnreachableError: the waiting was ended.
    """
    taken = _take(api, lock_ref(namespace), name, run_id, deadline, waiting, stop)
    over = threading.Event()
    thread = threading.Thread(target=_renew, args=(api, taken, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(RolecallError):  # it is void in a minute
            api.delete(lock_ref(namespace), uid=taken["metadata"]["uid"])


def _take(
    api: Api,
    ref: Ref,
    name: str,
    run_id: str,
    deadline: float,
    waiting: Callable[[str], None],
    stop: threading.Event,
) -> Object:
    said = ""
    while True:
        if stop.is_set():
            raise UnreachableError(f"{name}: interrupted")
        found = api.read([ref])[0]
        by = holder(found)
        if not by:
            lease = found if found and not isinstance(found, tuple) else None
            text = f"lease {int(time.time())} {run_id} {signature()}"
            try:
                return api.replace(_held(lease, text)) if lease else api.create(_new(ref, text))
            except RolecallError:
                now = api.read([ref])[0]
                by = holder(now)
                if not by or now is None or isinstance(now, tuple):
                    raise
                if by == text:  # the answer was lost, not the lock
                    return now
        error = locked_error(name, by)
        if time.monotonic() >= deadline:
            raise error
        if by != said:
            waiting(f"waiting: {error.message}")
        said = by
        stop.wait(LOCK_POLL)


def _new(ref: Ref, text: str) -> dict[str, Any]:
    metadata = {"name": ref.name, "namespace": ref.namespace, "labels": {MANAGED_BY: MANAGER}}
    lease = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata}
    return _held({**lease, "spec": {"acquireTime": _now()}}, text)


def _held(lease: Object, text: str) -> dict[str, Any]:
    spec = {"holderIdentity": text, "leaseDurationSeconds": DURATION, "renewTime": _now()}
    return {**lease, "spec": {**lease["spec"], **spec}}


def _renew(api: Api, lease: Object, over: threading.Event) -> None:
    while not over.wait(RENEWAL):
        with suppress(RolecallError):  # the next renewal may succeed
            lease = api.replace(_held(lease, lease["spec"]["holderIdentity"]))


#: Kubernetes' MicroTime.
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


def _now() -> str:
    return datetime.now(timezone.utc).strftime(_TIME)


def _seconds(text: str) -> float:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return 0.0
