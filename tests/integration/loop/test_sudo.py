"""Resources that need root, for a user who becomes root through sudo."""

import shutil
import subprocess
from dataclasses import dataclass, field

import pytest

from rolecall.events import ResourceDone
from rolecall.loop.converge import Convergence, probe
from rolecall.loop.plan import Step
from rolecall.loop.scripts import dialect
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.session import Session
from rolecall.targets.local import LocalTarget

pytestmark = pytest.mark.skipif(
    not shutil.which("sudo") or subprocess.run(["sudo", "-n", "true"], check=False).returncode != 0,
    reason="needs sudo without a password",
)


@dataclass
class Host:
    """This machine as its user sees it, whoever that is: root comes through sudo."""

    home: str
    shell: str
    events: list = field(default_factory=list)

    def converge(self, resources):
        session = Session(LocalTarget(shell=self.shell))
        try:
            terms = dialect(session.mark, self.home, "run", "who", is_root=False)
            session.tell(terms.opening())
            steps = [Step(number, "test", item) for number, item in enumerate(resources)]
            answers = probe(session, steps, terms)
            Convergence(session, steps, answers, terms, self.events.append).run()
        finally:
            session.close()
        done = [event for event in self.events if isinstance(event, ResourceDone)]
        return {event.id: (event.outcome, event.reason) for event in done}


def test_resources_with_sudo_converge_like_any_other(tmp_path, home, shell):
    if "busybox" in shell:
        pytest.skip("busybox brings no sudo")
    resources = [
        Directory(f"{tmp_path}/made", sudo=True),
        File(f"{tmp_path}/made/a", "it's $x\n\\ `y`\n" * 3, sudo=True, mode="640"),
        File(f"{tmp_path}/made/b", b"\0\xff", sudo=True),
        File(f"{tmp_path}/made/c", "as myself"),
        File(f"{tmp_path}/made/d", "secret", sudo=True, secret=True),
    ]
    host = Host(str(home), shell)
    assert set(host.converge(resources).values()) == {("changed", "")}
    assert set(host.converge(resources).values()) == {("ok", "")}
    assert (tmp_path / "made/a").read_text() == "it's $x\n\\ `y`\n" * 3
    assert (tmp_path / "made/b").read_bytes() == b"\0\xff"


def test_a_failing_apply_under_sudo_stops_at_its_first_failing_command(tmp_path, home, shell):
    if "busybox" in shell:
        pytest.skip("busybox brings no sudo")
    file = File(f"{tmp_path}/gone/a", "x", sudo=True)
    ((outcome, reason),) = Host(str(home), shell).converge([file]).values()
    assert outcome == "failed"
    assert "ended with status" in reason and "irectory" in reason
