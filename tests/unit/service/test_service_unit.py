"""What a service says of itself, without a host."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

from rolecall.errors import ConfigError
from rolecall.resource import Observed, Refuse, Script, overlap
from rolecall.resources.file import File
from rolecall.resources.service import Service, http_ready, logs_script, status_script
from rolecall.resources.service.listen import listen_patterns
from rolecall.resources.service.texts import borrowed, supervisor, supervisor_digest
from rolecall.resources.service.unit import unit_text, unit_word

WEB = Service("web", ("/bin/web", "--port", "80"), "/srv/rolecall/web")

HOSTILE = ("a b", "50%", "$HOME", "${X}", "back\\slash", 'quo"te', "quo'te", "line\nbreak", "%n%%")


def observed(service: Service, **fields: str) -> Observed:
    return Observed("", {**service.desired(), **fields})


def script(service: Service, seen: Observed) -> str:
    apply = service.apply(seen)
    assert isinstance(apply, Script)
    return apply.text


def test_equal_declarations_in_any_order_ask_for_the_same() -> None:
    one = dataclasses.replace(WEB, env={"B": "2", "A": "1"}, files=("/b", "/a"))
    two = dataclasses.replace(WEB, env=(("A", "1"), ("B", "2")), files=("/a", "/b"))
    assert one == two
    assert hash(one) == hash(two)
    assert one.desired() == two.desired()
    assert one.probe() == two.probe()


def test_the_supervisors_digest_is_that_of_its_text() -> None:
    assert WEB.desired()["supervisor"] == supervisor_digest()
    assert len(supervisor_digest()) == 12


def test_the_supervisor_brings_its_own_definitions() -> None:
    for name in ("rc_escape", "rc_identity", "rc_alive", "sv_members", "sv_look"):
        assert f"\n{name}() {{\n" in supervisor()


def test_borrowing_an_unknown_function_is_an_error() -> None:
    with pytest.raises(ValueError, match="substring"):
        borrowed("\nother() {\n:\n}\n", "rc_escape")


def test_a_secret_value_is_in_no_field_and_not_in_the_repr() -> None:
    service = dataclasses.replace(WEB, secret_env={"TOKEN": "s3cret"})
    assert "s3cret" not in repr(service)
    assert "s3cret" not in str(dict(service.desired()))
    assert service.desired()["env"] == "TOKEN"


def test_a_setting_of_the_supervisor_needs_no_restart() -> None:
    seen = observed(WEB, settings="other")
    assert "web/supervise start" not in script(WEB, seen)
    assert "web/supervise stop" not in script(WEB, seen)


def test_what_is_right_but_not_ready_is_waited_for() -> None:
    assert script(WEB, observed(WEB, ready="no")).endswith("web/supervise settle /srv/rolecall/web")


@pytest.mark.parametrize("field", ["state", "command", "workdir", "env", "supervisor"])
def test_another_origin_is_a_restart(field: str) -> None:
    text = script(WEB, observed(WEB, **{field: "other"}))
    assert text.index("supervise stop") < text.index("supervise start")


def test_a_taken_port_is_refused_by_name() -> None:
    service = dataclasses.replace(WEB, listens=("80",))
    apply = service.apply(observed(service, state="stopped", taken="80 by process 7 (nginx)"))
    assert isinstance(apply, Refuse)
    assert "80 by process 7 (nginx)" in apply.reason


def test_a_stopped_service_is_only_stopped() -> None:
    stopped = dataclasses.replace(WEB, running=False)
    assert stopped.desired() == {"state": "stopped"}
    assert "supervise start" not in script(stopped, observed(WEB))


def test_under_systemd_it_has_a_unit_that_starts_at_boot() -> None:
    service = dataclasses.replace(WEB, init="systemd")
    assert service.desired()["enabled"] == "yes"
    assert dataclasses.replace(service, running=False).desired()["enabled"] == "no"
    assert "supervise enable" in script(service, observed(service, enabled="no"))


def test_its_probe_reads_its_files_and_it_writes_nothing_but_its_own() -> None:
    service = dataclasses.replace(WEB, files=("/etc/web.conf",))
    assert overlap(service.reads(), File("/etc/web.conf", "").writes())
    assert not overlap(File("/etc/web.conf", "").reads(), service.writes())
    assert service.writes() == {"service:web", "/srv/rolecall/web/**"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": "a/b"},
        {"service": ""},
        {"command": ()},
        {"command": ("-x",)},
        {"command": "web --port 80"},
        {"command": ("web", "--port", 80)},
        {"files": "/etc/web.conf"},
        {"listens": "8000"},
        {"directory": "relative"},
        {"env": {"A-B": "1"}},
        {"env": {"A": "1"}, "secret_env": {"A": "2"}},
        {"init": "upstart"},
        {"listens": ("localhost:80",)},
        {"stop_timeout": -1},
        {"restart_delay": 31},
        {"log_max_bytes": 0},
    ],
)
def test_a_wrong_declaration_is_refused_before_any_host(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        dataclasses.replace(WEB, **wrong)  # type: ignore[arg-type]


def test_a_command_that_is_a_list_is_as_good() -> None:
    assert dataclasses.replace(WEB, command=list(WEB.command)) == WEB  # type: ignore[arg-type]


def test_listen_patterns_match_what_conflicts() -> None:
    assert listen_patterns("8000") == "8000 *:1F40"
    assert listen_patterns("0.0.0.0:80") == "0.0.0.0:80 *:0050"
    four = listen_patterns("127.0.0.1:8000").split()
    assert four[1] == "0100007F:1F40"
    assert "0000000000000000FFFF00000100007F:1F40" in four
    assert "00000000:1F40" in four
    assert listen_patterns("[::1]:80").split()[1] == "00000000000000000000000001000000:0050"


@pytest.mark.parametrize("address", ["", "x", "0", "65536", "1.2.3:80", "host:80"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="no address"):
        listen_patterns(address)


def test_unit_words_escape_all_that_systemd_reads() -> None:
    assert unit_word("50% $HOME") == '"50%% $$HOME"'
    assert unit_word('a\\b"c') == '"a\\\\b\\"c"'
    assert unit_word("a\nb") == '"a\\nb"'


def test_a_unit_has_no_word_of_command_or_environment() -> None:
    service = dataclasses.replace(WEB, init="systemd", secret_env={"T": "s3cret"})
    text = script(service, observed(service, unit="absent"))
    unit = unit_text("web", "/srv/rolecall/web", 10)
    assert "s3cret" not in text
    assert "--port" not in unit


@pytest.mark.parametrize("value", HOSTILE)
def test_systemd_accepts_the_unit(value: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "rolecall-web.service"
    unit.write_text(unit_text("web", f"/srv/{value}", 10))
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True
    )
    said = [line for line in done.stderr.splitlines() if "rolecall-web" in line]
    assert done.returncode == 0, done.stderr
    assert said == []


def test_shell_texts_quote_their_paths() -> None:
    assert "'/a b/supervise'" in status_script("/a b")
    assert logs_script("/a b", 7, follow=True) == "tail -n 7 -F -- '/a b/log'"
    assert "'http://h/a b'" in http_ready("http://h/a b")


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_supervisor_is_valid_shell(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "supervise"
    path.write_text(supervisor())
    subprocess.run([shell, "-n", str(path)], check=True)
