"""The report of a real deployment: venv, wheels, model, engine, server, and its first answer."""

from __future__ import annotations

import shutil
from pathlib import Path

from rolecall.report.read import read_run
from tests.integration.deployed import ROOT, Deployment, events, run_inv
from tests.rig.browser import Page


def test_a_deployment_is_reported(deployed: Deployment, shown: Page, tmp_path: Path) -> None:
    log, out = deployed.first_log, tmp_path / "deploy.html"
    run = read_run(log)
    (part,) = run.parts.values()
    assert (run.ended, run.outcome, run.broken) == ("finished", "changed", 0)
    assert {step.role for step in part.steps} >= {"python", "model", "engine", "repo", "server"}
    jobs = {step.id for step in part.steps if step.job}
    assert {"artifact:model", "artifact:engine"} <= jobs
    assert {settings.role for settings in run.settings} >= {"rolecall", "model", "server"}
    assert {span.label for span in part.spans} >= {"open", "apply", "answer"}
    shutil.copy(log, ROOT / ".rolecall/runs")  # fifty later runs have driven it from there
    done = run_inv("report", log.stem, "--out", str(out))
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    shown.look(360, 800)
    shown.open(out)
    shown.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert shown.value("document.documentElement.scrollWidth") <= 360
    assert shown.requests == [out.resolve().as_uri()]
    assert shown.complaints == []


def test_a_plan_is_reported_as_a_check(deployed: Deployment, tmp_path: Path) -> None:
    out = tmp_path / "plan.html"
    run = events(deployed.inv("plan", "--json"))[0]["run"]
    done = run_inv("report", run, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert read_run(ROOT / f".rolecall/runs/{run}.jsonl").check
    assert "Nothing was to be done." in out.read_text()
