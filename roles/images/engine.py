"""Docker or Podman, as far as images are built, found and pushed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall.api import ConfigError, RolecallError

#: The label that holds the digest of what an image was built from.
LABEL = "rolecall.content"


@dataclass(frozen=True)
class Engine:
    """A container engine.

    Attributes:
        kind: ``docker`` or ``podman``.
        client: the program.
    """

    kind: str
    client: str

    def content(self, reference: str) -> str | None:
        """What an image was built from, by its label; None where there is no such image.

        Raises:
            ConfigError: the engine cannot be used.
        """
        form = f'{{{{index .Config.Labels "{LABEL}"}}}}'
        done = self._run(["image", "inspect", "--format", form, reference], capture=True)
        if done.returncode == 0:
            return done.stdout.strip()
        if "no such image" in done.stderr.lower() or "image not known" in done.stderr.lower():
            return None
        said = done.stderr.strip().splitlines() or ["no word"]
        raise ConfigError(
            f"{self.client} cannot be used: {said[-1]}",
            "start it, or let this user use it (group docker, then log in anew)",
        )

    def build(
        self,
        folder: Path,
        reference: str,
        arguments: Mapping[str, str],
        content: str,
        network: str = "",
    ) -> None:
        """Build the context in ``folder``; the engine's output is shown as it comes.

        Raises:
            RolecallError: it failed.
        """
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        if network:
            options.append(f"--network={network}")
        if self.kind == "podman":
            options.append("--format=docker")  # OCI's own knows no HEALTHCHECK
        options += [f"--label={LABEL}={content}", f"--tag={reference}"]
        done = self._run(["build", *options, f"--file={folder / 'Dockerfile'}", str(folder)])
        if done.returncode:
            raise RolecallError(
                f"the image could not be built: {self.client} ended with {done.returncode}; why "
                "stands above",
                "--base names another base image, --wheels a directory of wheels where there is "
                "no network; the same command goes on from the layers that were made",
            )

    def push(self, reference: str, target: str) -> None:
        """Give an image another name, and bring it to the registry in that.

        Raises:
            RolecallError: it failed.
        """
        for command in (["tag", reference, target], ["push", target]):
            done = self._run(command)
            if done.returncode:
                raise RolecallError(
                    f"{target} could not be pushed: {self.client} ended with {done.returncode}; "
                    "why stands above",
                    f"{self.client} login {target.partition('/')[0]}, then run this again: what "
                    "has arrived is not sent twice",
                )

    def _run(
        self, arguments: Sequence[str], *, capture: bool = False
    ) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self.client, *arguments],
                env={**os.environ, "DOCKER_BUILDKIT": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=capture,
                text=True,
            )
        except OSError as error:
            raise ConfigError(
                f"{self.client} cannot be run: {error.strerror}",
                "install Docker or Podman; --engine and runtime.client name another",
            ) from error
