"""The double of T9k makes of runtime and release what the manual says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doubles.t9k.gotemplate import TemplateError, render
from tests.doubles.t9k.pods import RejectedError, merge, pod_template, user_container


@pytest.mark.parametrize(
    ("text", "parameters", "filled"),
    [
        ("--model_repo={{.MODEL_REPO_PATH}}", {"MODEL_REPO_PATH": "/workspace/x"}, "/workspace/x"),
        ("{{ .A }}", {}, "<no value>"),
        # The manual's own example
        ("--models {{if .MODEL_PATH}}{{.MODEL_PATH}}{{else}}all{{end}}", {}, "--models all"),
        (
            "--models {{if .MODEL_PATH}}{{.MODEL_PATH}}{{else}}all{{end}}",
            {"MODEL_PATH": "mnist=model.mar"},
            "--models mnist=model.mar",
        ),
        ("a{{if .X}} b{{if .Y}} c{{end}}{{end}} d", {"X": "1"}, "a b d"),
        ("a {{- .X -}} b", {"X": "1"}, "a1b"),
        ("no template }} here", {}, "no template }} here"),
    ],
)
def test_the_published_part_of_go_templates(
    text: str, parameters: dict[str, str], filled: str
) -> None:
    assert render(text, parameters).endswith(filled)


@pytest.mark.parametrize(
    "text",
    [
        *("{{range .X}}{{end}}", "{{.X | quote}}", "{{ MODEL }}", "{{.X", "{{if .X}}", "{{end}}"),
        *("{{}}", "{{if eq .X 1}}{{end}}", "{{if .X}}{{else if .Y}}{{end}}"),
    ],
)
def test_every_other_template_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        render(text, {"X": "1"})


def runtime(**container: Any) -> dict[str, Any]:
    user = {
        "name": "user-container",
        "image": "triton",
        "args": ["--repo={{.REPO}}"],
        "resources": {"limits": {"cpu": 4, "memory": "64Gi"}},
        "ports": [{"containerPort": 8000}],
        **container,
    }
    return {"spec": {"enabled": True, "template": {"spec": {"containers": [user]}}}}


def release(**predictor: Any) -> dict[str, Any]:
    model = {"runtime": "triton", "parameters": {"REPO": "/workspace"}}
    return {"name": "v1", "predictor": {"model": model, **predictor}}


def test_the_template_is_merged_over_the_runtime_and_args_are_replaced() -> None:
    patch = {
        "metadata": {"annotations": {"a": "b"}},
        "spec": {
            "nodeSelector": {"gpu": "yes"},
            "containers": [
                {"name": "user-container", "image": "other", "args": ["x"]},
                {"name": "proxy", "image": "proxy"},
            ],
        },
    }
    made = pod_template("llm", runtime(), release(template=patch))
    user = user_container(made["spec"])
    assert (user["image"], user["args"]) == ("other", ["x"])
    assert user["resources"] == {"limits": {"cpu": 4, "memory": "64Gi"}}
    assert [one["name"] for one in made["spec"]["containers"]] == ["user-container", "proxy"]
    assert made["metadata"]["annotations"] == {"a": "b"}
    assert made["metadata"]["labels"] == {"serving.knative.dev/service": "llm-predict-v1"}


def test_containers_resources_replace_all_that_was_said() -> None:
    limits = {"limits": {"nvidia.com/gpu": 1}}
    named = [{"name": "user-container", "resources": limits}]
    patch = {"spec": {"containers": [{"name": "user-container", "resources": {"requests": {}}}]}}
    made = pod_template("llm", runtime(), release(containersResources=named, template=patch))
    assert user_container(made["spec"])["resources"] == limits


def test_the_claim_is_mounted_where_it_is_asked_for() -> None:
    pvc = {"name": "data", "mountPath": "/workspace", "subPath": "a/b"}
    made = pod_template("llm", runtime(), release(storage={"pvc": pvc}))
    mount = {"name": "t9k-model", "mountPath": "/workspace", "subPath": "a/b"}
    assert user_container(made["spec"])["volumeMounts"] == [mount]
    assert made["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "data"}


def test_lists_are_merged_by_their_keys() -> None:
    base = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "command": ["a"]}
    patch = {"env": [{"name": "B", "value": "3"}], "command": ["b"], "gone": None}
    assert merge({**base, "gone": 1}, patch) == {
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}],
        "command": ["b"],
    }


TWO = [{"containerPort": 8000}, {"containerPort": 8001}]
PORTS = {"spec": {"containers": [{"name": "user-container", "ports": TWO[:1]}]}}
PROXY = {"spec": {"containers": [{"name": "proxy"}]}}


@pytest.mark.parametrize(
    ("made_of", "asked", "words"),
    [
        (runtime(name="server"), release(), "no container called user-container"),
        (runtime(ports=TWO), release(), "has 2 ports"),
        (runtime(), release(template=PORTS), "may not set ports"),
        (runtime(args=["{{range .X}}"]), release(), "knows no {{range .X}}"),
        (runtime(), release(storage={"s3": {"uri": "s3://x"}}), "no s3"),
        (runtime(), release(storage={"pvc": {"name": "d", "subPath": "/a"}}), "not relative"),
        (runtime(), release(template={"spec": {"$patch": "replace"}}), r"knows no \$patch"),
    ],
)
def test_what_breaks_the_manuals_rules_is_rejected(made_of: Any, asked: Any, words: str) -> None:
    with pytest.raises(RejectedError, match=words):
        pod_template("llm", made_of, asked)


def test_without_a_port_it_is_8080_and_knative_probes_it() -> None:
    plain = runtime()
    del plain["spec"]["template"]["spec"]["containers"][0]["ports"]
    user = user_container(pod_template("llm", plain, release())["spec"])
    assert user["ports"] == [{"containerPort": 8080}]
    assert user["readinessProbe"] == {"tcpSocket": {"port": 8080}}
