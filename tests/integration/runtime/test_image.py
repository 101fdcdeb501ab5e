"""Container images: there already, loaded from an archive, not to be had."""

from __future__ import annotations

from pathlib import Path

from rolecall.resources.container_image import ContainerImage
from tests.rig.containers import BASE, Engine
from tests.support import assert_contract, converge, destroy, settled


def test_one_that_is_there_is_left_alone(podman: Engine, tmp_path: Path) -> None:
    image = ContainerImage(BASE, podman.client)
    assert converge([image], tmp_path / "home").outcomes == {image.id: "ok"}
    by_id = podman("image", "inspect", "--format", "{{.Id}}", BASE).stdout.strip()
    settled([ContainerImage(by_id, podman.client)], tmp_path / "home")


def test_it_is_loaded_from_an_archive_and_removed_again(podman: Engine, tmp_path: Path) -> None:
    name = "localhost/from-archive:3"
    archive = tmp_path / "it's an archive.tar"
    podman("tag", BASE, name)
    podman("save", "--output", str(archive), name)
    podman("rmi", name)
    image = ContainerImage(name, podman.client, str(archive))
    done = assert_contract([image], tmp_path / "home")
    assert podman.has(name)
    assert {event.total for event in done.progress} <= {archive.stat().st_size}
    destroy(image, tmp_path / "home")
    assert not podman.has(name) and podman.has(BASE)


def test_an_archive_of_another_image_says_what_to_do(podman: Engine, tmp_path: Path) -> None:
    archive = tmp_path / "other.tar"
    podman("save", "--output", str(archive), BASE)
    image = ContainerImage("localhost/wanted:1", podman.client, str(archive))
    done = converge([image], tmp_path / "home")
    assert done.outcomes == {image.id: "failed"}
    assert "holds another image than localhost/wanted:1" in done.why(image.id)


def test_a_missing_archive_is_refused_before_anything(podman: Engine, tmp_path: Path) -> None:
    image = ContainerImage("localhost/wanted:1", podman.client, str(tmp_path / "none.tar"))
    for check in (True, False):
        done = converge([image], tmp_path / "home", check=check)
        assert done.outcomes == {image.id: "failed"}
        assert f"no image archive {tmp_path / 'none.tar'}" in done.reason(image)


def test_a_registry_that_cannot_be_reached_is_named(podman: Engine, tmp_path: Path) -> None:
    # Nobody listens on port 1.
    image = ContainerImage("127.0.0.1:1/tritonserver:26.06", podman.client)
    done = converge([image], tmp_path / "home")
    assert done.outcomes == {image.id: "failed"}
    assert "registry of 127.0.0.1:1/tritonserver:26.06 cannot be reached" in done.why(image.id)


def test_without_an_engine_it_fails_with_its_name(tmp_path: Path) -> None:
    image = ContainerImage("localhost/wanted:1", "no-such-engine")
    done = converge([image], tmp_path / "home")
    assert done.outcomes == {image.id: "failed"}
    assert "no-such-engine" in done.why(image.id)
