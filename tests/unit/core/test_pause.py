"""A question in the middle of a run: who is asked, when, and what is shown meanwhile."""

from __future__ import annotations

import threading

import pytest

from rolecall.errors import RolecallError
from rolecall.events import Event, Message, Recap, Stream
from rolecall.sudo import SudoPassword, sudo_error


class Screen:
    def __init__(self) -> None:
        self.said: list[str] = []

    def handle(self, event: Event) -> None:
        assert isinstance(event, Message)
        self.said.append(event.text)

    def finish(self, recap: Recap) -> None:
        self.said.append("over")

    def pause(self) -> None:
        self.said.append("paused")

    def resume(self) -> None:
        self.said.append("resumed")


def test_events_during_a_question_are_shown_after_it() -> None:
    screen = Screen()
    stream = Stream([screen])
    with stream.paused():
        stream.emit(Message("", "meanwhile"))  # nobody has to wait
        assert screen.said == ["paused"]
    stream.emit(Message("", "afterwards"))
    assert screen.said == ["paused", "resumed", "meanwhile", "afterwards"]


def test_a_run_that_ends_during_a_question_shows_everything() -> None:
    screen = Screen()
    stream = Stream([screen])
    with stream.paused():
        stream.emit(Message("", "interrupted"))
        stream.finish()
    assert screen.said == ["paused", "interrupted", "over", "resumed"]


@pytest.mark.parametrize("known", [True, False])
def test_many_hosts_ask_once_whether_there_is_an_answer_or_none(known: bool) -> None:
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        if not known:
            raise RolecallError("no password was typed")
        return "it's"

    password = SudoPassword(ask, only_if_asked=True)
    said: list[str] = []

    def host() -> None:
        try:
            said.append(password.assignment())
        except RolecallError as error:
            said.append(error.message)

    threads = [threading.Thread(target=host) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == [1]
    assert set(said) == {"""rc_password='it'"'"'s'""" if known else "no password was typed"}


@pytest.mark.parametrize(
    ("line", "needs"),
    [
        ("sudo: a password is required", True),
        ("sudo-rs: interactive authentication is required", True),
        ("Sorry, try again.", False),
        ("joe is not in the sudoers file.", False),
        ("sudo is not installed", False),
    ],
)
def test_only_a_sudo_that_wants_a_password_is_given_one(line: str, needs: bool) -> None:
    assert sudo_error("gpu-1", [line]).needs_password is needs
