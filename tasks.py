"""What ``./inv --list`` shows: every task of this project."""

from functools import partial
from pathlib import Path

from invoke import Collection

from rolecall.cli import fleet, tasks
from rolecall.cli.completion.task import completion_task
from rolecall.cli.project import Project
from rolecall.cli.report import report_tasks
from rolecall.cli.verify import verify_task
from roles.bench.tasks import bench_task
from roles.bundle.tasks import bundle_task
from roles.dashboard.tasks import dashboard_task
from roles.images.tasks import image_task, serve_task
from roles.k8s.tasks import k8s_task
from roles.preflight.tasks import preflight_task
from roles.server.tasks import serving_tasks, show_answer

ROLES = {
    "bundle": "Verify the bundle that a host without a network takes everything from.",
    "system": "Install operating system packages.",
    "python": "Make the serving environment: pinned, hashed wheels.",
    "preflight": "Check that the model can be served here.",
    "runtime": "See to what the serving software runs in.",
    "model": "Fetch and verify the model.",
    "engine": "Build the engine for this machine.",
    "repo": "Render the Triton model repository.",
    "server": "Run Triton, supervised, until it is ready.",
    "k8s": "Serve on a cluster: the volume, the pods, their address.",
}

#: Roles whose name is a task that does more than converge them.
OWN_TASKS = ("bundle", "preflight", "k8s")

project = Project(Path(__file__).parent, tuple(ROLES))

ns = Collection()
for task in (
    tasks.converge_task(
        project,
        "deploy",
        "Converge: everything a served model needs.",
        after=partial(show_answer, project),
        examples={
            "": "this machine: a small model on a CPU",
            "--hosts gpu --canary gpu-1": "a group; gpu-1 goes first and has to answer",
            "--tags engine,repo,server": "only these roles",
            "--set engine.max_batch_size=8": "with another setting",
        },
    ),
    tasks.plan_task(project),
    *tasks.role_tasks(project, {n: doc for n, doc in ROLES.items() if n not in OWN_TASKS}),
    preflight_task(project),
    bundle_task(project),
    k8s_task(project),
    image_task(project),
    serve_task(project),
    dashboard_task(project),
    verify_task(project),
    tasks.drift_task(project),
    bench_task(project),
    tasks.why_task(project),
    tasks.settings_task(project),
    tasks.inventory_task(project),
    tasks.destroy_task(project),
    *serving_tasks(project),
    *fleet.fleet_tasks(project),
    *report_tasks(project),
    completion_task(project),
    tasks.test_task(project),
):
    ns.add_task(task)
