"""``./inv rollback`` of a real deployment."""

from __future__ import annotations

import json
import urllib.request

from tests.integration.deployed import Deployment, events, failure, outcomes, recap

NEW = ("--set", "repo.max_batch_size=16")


def served_batch(deployed: Deployment) -> int:
    """What the running server says of itself."""
    with urllib.request.urlopen(f"{deployed.http}/v2/models/ensemble/config", timeout=10) as answer:
        return int(json.load(answer)["max_batch_size"])


def test_a_rollback_serves_the_old_repository_in_one_restart(deployed: Deployment) -> None:
    try:
        done = deployed.inv("deploy", "--json", *NEW)
        assert done.returncode == 0, failure(done)
        assert served_batch(deployed) == 16
        status = deployed.inv("status", *NEW).stdout
        assert "./inv rollback goes back to it" in status

        plan = deployed.inv("rollback", "--check", "--json")
        assert outcomes(plan) == {"rollback:triton": "would change"}
        assert served_batch(deployed) == 16

        pid = deployed.server_pid
        done = deployed.inv("rollback", "--json")
        assert done.returncode == 0, failure(done)
        assert recap(done)["changed"] == 1
        assert served_batch(deployed) == 64
        assert deployed.server_pid != pid
        log = deployed.log_path.read_text()
        assert log.count("rolecall: stopped") >= 1
        said = deployed.inv("chat", "Say yes.", "--max-tokens", "8")
        assert said.returncode == 0 and said.stdout.strip()

        plan = deployed.inv("plan", "--json", *NEW)
        assert [id_ for id_, said in outcomes(plan).items() if said not in ("ok", "skipped")] == [
            "service:triton"
        ]
        (change,) = [e for e in events(plan) if e.get("id") == "service:triton"]
        assert "--model-repository" in str(change)

        # Back again, which is forward; then nothing is to do.
        done = deployed.inv("rollback", "--json")
        assert done.returncode == 0 and served_batch(deployed) == 16
        done = deployed.inv("deploy", "--json", *NEW)
        assert recap(done)["changed"] == 0
    finally:
        done = deployed.inv("deploy", "--json")
    assert done.returncode == 0, failure(done)
    assert served_batch(deployed) == 64
