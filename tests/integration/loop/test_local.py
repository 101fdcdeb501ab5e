"""The shell of this machine ends with its controller, whatever it is at."""

from __future__ import annotations

import threading
from pathlib import Path

from rolecall.targets.local import LocalChannel, LocalTarget


def closed_within(channel: LocalChannel, seconds: float) -> bool:
    closing = threading.Thread(target=channel.close, daemon=True)
    closing.start()
    closing.join(seconds)
    if closing.is_alive():
        channel.interrupt()
        return False
    return True


def test_a_shell_whose_output_nobody_has_read_can_be_closed(tmp_path: Path) -> None:
    """Ctrl-C while a file of megabytes comes: its rest is in the pipe, and in front of it."""
    channel = LocalTarget().open_shell()
    channel.write(b"head -c 20000000 /dev/zero\n: >'%s'\n" % str(tmp_path / "after").encode())
    assert channel.read()
    assert closed_within(channel, 30)
    assert (tmp_path / "after").exists(), "a step in progress is finished, not cut"


def test_a_detached_job_that_holds_the_output_open_delays_no_close() -> None:
    channel = LocalTarget().open_shell()
    channel.write(b"setsid sleep 20 & echo begun\n")
    assert channel.read() == b"begun\n"
    assert closed_within(channel, 5)
