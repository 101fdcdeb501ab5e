"""What a host says of itself: its roles, what its server serves, and what it served before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rolecall.loop.answers import parts
from rolecall.loop.plan import Step, predict
from rolecall.resource import Observed
from rolecall.resources.service import status_script
from rolecall.role import Host
from rolecall.session import Session
from rolecall.shell import quote
from rolecall.shell_run import Opened
from roles.server.openai.place import base_url, model_name
from roles.server.openai.service import services
from roles.server.openai.warning import warning
from roles.server.place import Place
from roles.server.role import service
from roles.server.settings import Server

# rc_engine REPOSITORY: what the repository serves: its engine, or the LLM API's model.
_ENGINE = r"""
rc_engine() {
  [ -n "$1" ] || return 0
  rc_said=$(tr '\n' ' ' <"$1/tensorrt_llm/config.pbtxt" 2>/dev/null | sed -n \
    's/.*"gpt_model_path" *value *:* *{ *string_value *: *"\([^"]*\)".*/\1/p')
  [ -n "$rc_said" ] || rc_said=$(sed -n "s/^model: *[\"']*\([^\"']*\)[\"']*$/\1/p" \
    "$1/tensorrt_llm/1/model.yaml" 2>/dev/null)
  printf '%s\n' "$rc_said"
}
rc_frame engine
rc_engine "$rc_now"
rc_frame earlier
printf '%s\n' "$rc_before"
rc_engine "$rc_before"
"""


@dataclass(frozen=True)
class Earlier:
    """What ``./inv rollback`` goes back to.

    Attributes:
        engine: the engine, or the model.
        repository: the model repository.
        since: Unix time at which it began to serve.
        missing: a path without which it cannot.
    """

    engine: str
    repository: str
    since: int
    missing: str

    @classmethod
    def of(cls, observed: Observed, said: str) -> Earlier | None:
        """Read it from what the service says; None where there is nothing to go back to."""
        if not observed.get("previous"):
            return None
        repository, _, engine = said.partition("\n")
        since = int(observed.get("previous.since") or 0)
        return cls(engine, repository, since, observed.get("previous.missing"))


@dataclass(frozen=True)
class OpenAi:
    """What speaks OpenAI's API on a host.

    Attributes:
        url: the base URL, as the host itself reaches it.
        model: the model's id.
        key: whether it asks for a key.
        state, ready: as those of the server.
    """

    url: str
    model: str
    key: bool
    state: str
    ready: bool


@dataclass(frozen=True)
class HostStatus:
    """What is known of one host.

    Attributes:
        roles: for each role, how many resources are ``ok`` and how many are not.
        state: of the server: running, restarting, stopped …
        since: Unix time of its start, 0 when it does not run.
        endpoint: URL of the HTTP API as the host itself reaches it.
        remote: whether the host is another machine than this one.
        engine: what is served; empty on a cluster.
        openai: what speaks OpenAI's API, where that is set.
        warning: what is amiss with who may ask.
        image: of the pods that serve, on a cluster.
        idle: why nothing is to be started though nothing serves; empty where it is.
    """

    host: str
    roles: dict[str, dict[str, int]]
    state: str
    ready: bool
    since: int
    restarts: int
    endpoint: str
    remote: bool
    engine: str
    earlier: Earlier | None
    openai: OpenAi | None = None
    warning: str = ""
    image: str = ""
    idle: str = ""

    @property
    def serves(self) -> bool:
        """Whether all that is set can answer."""
        return self.ready and (self.openai is None or self.openai.ready)


def host_status(session: Session, opened: Opened) -> HostStatus:
    """Ask a host, in one more round trip, how its server is."""
    directory = service(opened.host).directory
    front = opened.host.settings(Server).has_front
    script = (
        f"rc_status=$({status_script(directory)})\n"
        "rc_frame service\n"
        "printf '%s\\n' \"$rc_status\"\n"
        f"rc_frame openai\n{_openai_script(opened.host)}\n"
        f"{_repository('rc_now', 'command')}{_repository('rc_before', 'previous.command')}{_ENGINE}"
    )
    said = {part.frame.kind: part for part in parts(session.exchange(script))}
    observed = Observed.parse(said["service"].text)
    place = Place.of(opened.host, session.target)
    return HostStatus(
        opened.host.name,
        by_role(opened.steps, opened.answers),
        observed.get("state", "stopped"),
        observed.get("ready") == "yes",
        int(observed.get("since") or 0),
        int(observed.get("restarts") or 0),
        place.url,
        place.remote,
        said["engine"].text,
        Earlier.of(observed, said["earlier"].text),
        _openai(opened.host, Observed.parse(said["openai"].text) if front else observed),
        warning(opened.host.settings(Server)),
    )


def _openai_script(host: Host) -> str:
    found = services(host)
    return status_script(found[0].directory) if found else ":"


def _openai(host: Host, observed: Observed) -> OpenAi | None:
    settings = host.settings(Server)
    if not settings.openai:
        return None
    return OpenAi(
        base_url(host),
        model_name(host),
        settings.api_key is not None,
        observed.get("state", "stopped"),
        observed.get("ready") == "yes",
    )


def _repository(variable: str, field: str) -> str:
    """Shell text that reads the model repository from a command in ``$rc_status``."""
    name = field.replace(".", "[.]")
    pattern = quote(f"s/^{name}=.*--model-repository=\\([^ ]*\\).*/\\1/p")
    return f"{variable}=$(printf '%s\\n' \"$rc_status\" | sed -n {pattern} | head -n 1)\n"


def by_role(steps: Sequence[Step], answers: Mapping[int, Observed]) -> dict[str, dict[str, int]]:
    """Of each role, how many resources have each outcome."""
    said = predict(steps, answers)
    counts: dict[str, Counter[str]] = {}
    for step in steps:
        counts.setdefault(step.role, Counter())[said[step.number].outcome] += 1
    return {role: dict(counter) for role, counter in counts.items()}
