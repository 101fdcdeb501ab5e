"""The API of a cluster: everything that a run reads there and writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rolecall.cluster.errors import Forbidden, no_cluster, not_served, refused
from rolecall.cluster.kinds import Kinds
from rolecall.cluster.kubeconfig import POOL, Access, access
from rolecall.cluster.objects import MANAGED_BY, MANAGER, Found, Object, Question, Ref, Selection
from rolecall.cluster.parallel import parallel
from rolecall.cluster.wire import JSON, Answer, Wire
from rolecall.errors import ConfigError

if TYPE_CHECKING:
    from rolecall.cluster.streams import Executed

#: Objects of one page of a list.
PAGE = 500

#: From so many objects of one kind on, they are listed instead of asked for one by one.
MANY = 3

#: From so many on that the list lacks, it is looked up by a list of names which of them exist.
DOUBTS = 10

#: The content type of lists that have the names without the objects (meta/v1, server-side view).
NAMES = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

#: The label of all that Rolecall manages.
OURS = (MANAGED_BY, MANAGER)

#: What one list is of: api version, kind and namespace.
Family: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True)
class Right:
    """Something that a cluster may allow: a verb on a resource, or on a part of it."""

    verb: str
    ref: Ref
    part: str = ""

    @classmethod
    def on(cls, verb: str, ref: Ref, part: str = "") -> Right:
        """``verb`` on the kind of ``ref`` in its namespace, such as ``get`` on a pod's ``log``."""
        return cls(verb, Ref(ref.api_version, ref.kind, "", ref.namespace), part)

    def __str__(self) -> str:
        group = f".{self.ref.group}" if self.ref.group else ""
        kind = f"{self.ref.kind.lower()}{f'/{self.part}' if self.part else ''}{group}"
        return f"{self.verb} {kind} in namespace {self.ref.namespace}"


class Api:
    """One cluster, as one context of a kubeconfig reaches it. Threads may share it.

    Attributes:
        context: the context's name.
    """

    def __init__(self, context: str, kubeconfig: str, namespace: str, cache: Path) -> None:
        """Nothing is read or asked until it is needed; ``cache`` keeps what kinds there are."""
        self.context = context
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._cache = cache

    @property
    def namespace(self) -> str:
        """The namespace that was asked for, else the context's own."""
        return self._namespace or self._access.namespace

    @cached_property
    def _access(self) -> Access:
        return access(self.context, self._kubeconfig)

    @cached_property
    def wire(self) -> Wire:
        """The requests of this context."""
        return Wire(self._access, self.context)

    @cached_property
    def _kinds(self) -> Kinds:
        return Kinds(self.wire.server, self._cache, self._resources)

    def _resources(self, path: str) -> dict[str, Any] | None:
        answer = self.wire.request("GET", path)
        if answer.status == 404:
            return None
        _check(answer, "get", Ref("v1", "APIResourceList", path))
        return answer.said

    def read(self, questions: Sequence[Question]) -> list[Found]:
        """What the cluster says to each question: one parallel read.

        Many objects of one kind and namespace, and those of kinds that are selected from anyway,
        are taken from a list of those that Rolecall manages; what that lacks is asked for by name.

        Raises:
            Forbidden: one of them may not be read.
            UnreachableError: the cluster does not answer.
        """
        unique = list(dict.fromkeys(questions))
        lists = _lists(unique)
        direct = [one for one in unique if not _is_listed(one, lists)]
        asked: list[Question] = [*lists.values(), *direct]
        answers = dict(zip(asked, self._all(asked), strict=True))
        found: dict[Question, Found] = {one: answers[one] for one in direct}
        for family, selection in lists.items():
            things = answers[selection]
            assert isinstance(things, tuple)
            for thing in things:
                found[Ref(*family[:2], thing["metadata"]["name"], family[2])] = thing
        for one in unique:
            if isinstance(one, Selection) and one not in found:
                found[one] = _selected(answers[lists[_family(one)]], one)
        missing = [one for one in unique if isinstance(one, Ref) and one not in found]
        found |= dict.fromkeys(self._absent(missing))
        missing = [one for one in missing if one not in found]
        found |= zip(missing, self._all(missing), strict=True)
        return [found[one] for one in questions]

    def _all(self, questions: Sequence[Question]) -> list[Found]:
        """The answers; of several that are forbidden, one error names them all."""
        answers: list[Found] = []
        refused: dict[str, Forbidden] = {}
        for question, said in zip(questions, parallel(self._allowed, questions, POOL), strict=True):
            if isinstance(said, Forbidden):
                verb, name = ("get", question.name) if isinstance(question, Ref) else ("list", "")
                ref = Ref(question.api_version, question.kind, name, question.namespace)
                refused[str(Right.on(verb, ref))] = said
            else:
                answers.append(said)
        if len(refused) > 1:
            raise Forbidden(
                "\n".join(["the cluster does not allow:", *(f"  {one}" for one in refused)]),
                next(iter(refused.values())).hint,
            )
        for error in refused.values():
            raise error
        return answers

    def _allowed(self, question: Question) -> Found | Forbidden:
        try:
            return self._one(question)
        except Forbidden as error:
            return error

    def _absent(self, refs: Sequence[Ref]) -> list[Ref]:
        """Those that are not there, where so many are in doubt that all names are listed."""
        counts = Counter(map(_family, refs))
        doubted = [family for family, count in counts.items() if count >= DOUBTS]
        lists = parallel(lambda family: self._listed(Selection(*family), NAMES), doubted, POOL)
        names = {
            family: {thing["metadata"]["name"] for thing in things}
            for family, things in zip(doubted, lists, strict=True)
        }
        return [ref for ref in refs if ref.name not in names.get(_family(ref), {ref.name})]

    def _one(self, question: Question) -> Found:
        if isinstance(question, Selection):
            return self._listed(question)
        place = self._kinds.place(question)
        if place is None:
            return None
        path = place.path(question.api_version, question.namespace, question.name)
        answer = self.wire.request("GET", path)
        if answer.status == 404:
            return None
        return _check(answer, "get", question).said

    def _listed(self, question: Selection, accept: str = JSON) -> tuple[Object, ...]:
        place = self._kinds.place(question)
        if place is None:
            return ()
        labels = ",".join(f"{name}={value}" for name, value in question.labels)
        query = {"limit": str(PAGE), **({"labelSelector": labels} if labels else {})}
        things: list[Object] = []
        ref = Ref(question.api_version, question.kind, "", question.namespace)
        while True:
            path = place.path(question.api_version, question.namespace)
            answer = self.wire.request("GET", path, query, accept=accept)
            if answer.status == 404 and question.api_version == "v1":
                raise no_cluster(self.wire.server, path)
            if answer.status == 404 or (answer.status == 403 and question.optional):
                return ()
            if answer.status == 410:  # the list has expired between two pages: from the begin
                things.clear()
                query.pop("continue", None)
                continue
            said = _check(answer, "list", ref).said
            typed = {"apiVersion": question.api_version, "kind": question.kind}
            things += [{**typed, **thing} for thing in said.get("items") or []]
            more = (said.get("metadata") or {}).get("continue")
            if not more:
                return tuple(things)
            query["continue"] = more

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply: the fields of ``manifest`` become Rolecall's.

        Args:
            manifest: what is wanted.
            force: take over fields that others own.
            dry_run: change nothing, but say what it would come to.

        Raises:
            Conflict: others own fields that would change, and ``force`` is not given.
            Invalid: it is not acceptable, or changes what cannot be changed.
            Forbidden, NotServed, UnreachableError: it cannot be asked for.
        """
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": _word(force)}
        if dry_run:
            query["dryRun"] = "All"
        ref = Ref.of(manifest)
        # JSON is YAML, which is all that the name of this content type asks for.
        answer = self.wire.request(
            "PATCH", self._path(ref), query, manifest, "application/apply-patch+yaml"
        )
        return _check(answer, "apply", ref).said

    def create(self, manifest: Object) -> Object:
        """Make an object that is not there yet. Raises as :meth:`apply` does."""
        ref = Ref.of(manifest)
        path = self._path(ref).rpartition("/")[0]
        query = {"fieldManager": MANAGER}
        return _check(
            self.wire.request("POST", path, query, manifest, again=False), "create", ref
        ).said

    def replace(self, thing: Object) -> Object:
        """Write an object that was read; a ``Conflict`` if it has moved on since."""
        ref = Ref.of(thing)
        query = {"fieldManager": MANAGER}
        answer = self.wire.request("PUT", self._path(ref), query, thing, again=False)
        return _check(answer, "update", ref).said

    def merge(self, ref: Ref, patch: Mapping[str, Any]) -> Object:
        """Set some fields of an object, whoever owns them. Raises as :meth:`apply` does."""
        query = {"fieldManager": MANAGER}
        answer = self.wire.request(
            "PATCH", self._path(ref), query, patch, "application/merge-patch+json"
        )
        return _check(answer, "patch", ref).said

    def delete(self, ref: Ref, *, uid: str = "", foreground: bool = False) -> bool:
        """Delete an object; False where it was gone already.

        Args:
            ref: the object.
            uid: delete only this very one.
            foreground: what belongs to it goes first.
        """
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground" if foreground else "Background",
        }
        if uid:
            body["preconditions"] = {"uid": uid}
        place = self._kinds.place(ref)
        if place is None:
            return False
        path = place.path(ref.api_version, ref.namespace, ref.name)
        answer = self.wire.request("DELETE", path, (), body)
        if answer.status == 404:
            return False
        _check(answer, "delete", ref)
        return True

    def version(self) -> str:
        """The server's version, such as ``v1.34.4``."""
        answer = self.wire.request("GET", "/version")
        return str(_check(answer, "get", Ref("v1", "Version", "version")).said["gitVersion"])

    def serves(self, api_version: str, kind: str) -> bool:
        """Whether the cluster knows a kind."""
        return self._kinds.place(Ref(api_version, kind, "")) is not None

    def missing(self, rights: Sequence[Right]) -> list[Right]:
        """Those of ``rights`` that the cluster does not give (SelfSubjectAccessReview)."""
        given = parallel(self._has, rights, POOL)
        return [right for right, is_given in zip(rights, given, strict=True) if not is_given]

    def _has(self, right: Right) -> bool:
        place = self._kinds.place(right.ref)
        if place is None:  # the apply says it better
            return True
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {
                    "verb": right.verb,
                    "group": right.ref.group,
                    "resource": place.plural,
                    "subresource": right.part,
                    "namespace": right.ref.namespace,
                }
            },
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self.wire.request("POST", path, (), review)
        ref = Ref("authorization.k8s.io/v1", "SelfSubjectAccessReview", "")
        return bool(_check(answer, "create", ref).said["status"].get("allowed"))

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        previous: bool = False,
    ) -> Iterator[str]:
        """The lines of a container's log, and with ``follow`` those to come, until it ends."""
        from rolecall.cluster.streams import logs

        query = {"container": container, "follow": _word(follow), "previous": _word(previous)}
        if tail is not None:
            query["tailLines"] = str(tail)
        return logs(self.wire, Ref("v1", "Pod", pod, namespace), query)

    def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> Executed:
        """Run a command in a container to its end.

        Raises:
            RolecallError: that is not allowed, there is no such program, or the pod is gone.
        """
        from rolecall.cluster.streams import execute

        return execute(self.wire, Ref("v1", "Pod", pod, namespace), container, command)

    def forward(
        self, namespace: str, pod: str, port: int
    ) -> AbstractContextManager[tuple[str, int]]:
        """A local address whose connections are carried to ``port`` of a pod."""
        from rolecall.cluster.forward import forward

        return forward(self.wire, Ref("v1", "Pod", pod, namespace), port)

    def _path(self, ref: Ref) -> str:
        place = self._kinds.place(ref)
        if place is None:
            raise not_served(ref)
        if place.namespaced and not ref.namespace:
            raise ConfigError(f"{ref} belongs to a namespace, and none is known")
        return place.path(ref.api_version, ref.namespace, ref.name)


def _lists(questions: Iterable[Question]) -> dict[Family, Selection]:
    """The lists that answer several questions, by what they are of."""
    counts: dict[Family, int] = {}
    selections: dict[Family, list[Selection]] = {}
    for question in questions:
        family = _family(question)
        if isinstance(question, Ref):
            counts[family] = counts.get(family, 0) + 1
        elif OURS in question.labels:
            selections.setdefault(family, []).append(question)
    lists = {family: given[0] for family, given in selections.items() if len(given) == 1}
    many = [family for family, count in counts.items() if count >= MANY]
    many += [family for family, given in selections.items() if len(given) > 1]
    for family in many:
        given = selections.get(family, [])
        optional = family not in counts and all(one.optional for one in given)
        lists[family] = Selection(*family, (OURS,), optional)
    return lists


def _is_listed(question: Question, lists: Mapping[Family, Selection]) -> bool:
    """Whether one of the lists has the answer, as far as the objects have our labels."""
    is_ours = isinstance(question, Ref) or OURS in question.labels
    return is_ours and _family(question) in lists


def _selected(things: Found, question: Selection) -> tuple[Object, ...]:
    """Those of a list that have all labels of ``question``."""
    assert isinstance(things, tuple)
    wanted = set(question.labels)
    return tuple(
        thing for thing in things if wanted <= (thing["metadata"].get("labels") or {}).items()
    )


def _family(question: Question) -> Family:
    return question.api_version, question.kind, question.namespace


def _word(value: bool) -> str:
    return "true" if value else "false"


def _check(answer: Answer, verb: str, ref: Ref) -> Answer:
    if answer.status >= 300:
        raise refused(answer.status, answer.said, verb, ref)
    return answer
