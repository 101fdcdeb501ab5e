"""ModelScope, through its own client (read in modelscope_hub 0.5.1).

The client goes on with an unfinished file (``NAME.incomplete``), checks size and sha256 as far
as the server's listing gives them, and waits as a busy server asks, up to a minute.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from errors import FetchError, MissingFileError, TransientError
from listing import COMMIT, File, Listing, checked
from progress import say
from source import Patience

_LATER = ("run this again later; what has come is kept",)


class ModelScope:
    """The model ``repo`` at ``revision``; the client's own records lie in ``scratch``."""

    def __init__(
        self,
        source: str,
        repo: str,
        revision: str,
        endpoint: str,
        token: str,
        patience: Patience,
        scratch: Path,
    ) -> None:
        # A day for one file: how slow a network may be is the user's affair.
        os.environ.setdefault("MODELSCOPE_DOWNLOAD_TOTAL_TIMEOUT", "86400")
        os.environ["TQDM_DISABLE"] = "1"
        from modelscope_hub import HubApi, HubConfig

        logging.getLogger("modelscope_hub").setLevel(logging.ERROR)
        config = HubConfig(
            endpoint=endpoint or None,
            cache_dir=scratch / "cache",
            config_dir=scratch / "config",
            token=token,
        )
        self._api = HubApi(config)
        self._endpoint = config.endpoint
        self._source, self._repo, self._revision, self._token = source, repo, revision, token
        self._patiently = patience
        self._commit = revision if COMMIT.fullmatch(revision) else ""

    def listing(self) -> Listing:
        """Every file; of a branch or tag, at the commit that its newest file is from.

        ModelScope does not say which commit a branch is at. The commit of the file that was
        changed last is it, unless the last commit only removed files; so what it lists has to be
        the same, and otherwise the sizes and digests alone hold the model to what was listed.
        """
        entries = self._patiently(lambda: self._entries(self._revision))
        files = _files(entries)
        if not self._commit:
            newest = max(
                entries, key=lambda entry: int(entry.get("CommittedDate") or 0), default={}
            )
            commit = str(newest.get("Revision") or "")
            if COMMIT.fullmatch(commit) and self._same(commit, files):
                self._commit = commit
            at = f"commit {commit}" if self._commit else "at no commit that the server names"
            say(f"{self._source}: {self._revision} is {at}")
        return Listing(self._source, self._commit, files)

    def at(self, commit: str) -> None:
        """Stay at the commit that was found before."""
        self._commit = commit

    def _same(self, commit: str, files: tuple[File, ...]) -> bool:
        try:
            return _files(self._patiently(lambda: self._entries(commit))) == files
        except FetchError:
            return False

    def _entries(self, revision: str) -> list[dict[str, Any]]:
        with self._explained():
            found = self._api.legacy.list_repo_files(self._repo, "model", revision)
        return [entry for entry in found if (entry.get("Type") or "blob") != "tree"]

    def check(self, file: File) -> None:
        """Nothing: the listing is all that there is to ask for."""

    def fetch(self, file: File, target: Path) -> None:
        """Download it, from where an earlier attempt stopped."""
        folder = target.parents[file.path.count("/")]
        with self._explained(file.path):
            self._api.download_file(
                self._repo,
                "model",
                file.path,
                revision=self._commit or self._revision,
                local_dir=folder,
                expected_sha256=file.sha256 or None,
                file_size=file.size,
            )

    @contextmanager
    def _explained(self, path: str = "") -> Iterator[None]:
        """Say what the client's errors mean."""
        from modelscope_hub.errors import HubError

        try:
            yield
        except HubError as error:
            raise self._meaning(error, path) from None

    def _meaning(self, error: Any, path: str) -> Exception:
        from modelscope_hub import errors

        if isinstance(error, errors.NotExistError) and path:
            return MissingFileError(path)
        if isinstance(error, errors.FileIntegrityError):
            return FetchError(
                f"{path} arrives other than it is listed, again and again: {_line(error)}",
                "the server is at fault: take another revision, or try later",
            )
        if isinstance(error, errors.NetworkError):
            unreachable = FetchError(
                f"{self._endpoint} cannot be reached from this host, or broke off: {_line(error)}",
                "check network, name service and proxy of the host; what has come is kept",
            )
            # Of a file, the client has tried it several times itself.
            return unreachable if path else TransientError(unreachable)
        if isinstance(error, errors.RateLimitError):
            patience = f", and wants {error.retry_after} s of patience" if error.retry_after else ""
            return FetchError(
                f"{self._endpoint} limits how much may be asked of it{patience}", *_LATER
            )
        return self._refusal(error)

    def _refusal(self, error: Any) -> FetchError:
        from modelscope_hub import errors

        set_token = "set model.token: !env MODELSCOPE_API_TOKEN, of an account that may read it"
        if isinstance(error, errors.AuthenticationError):
            return FetchError(
                f"{self._endpoint} does not accept model.token: expired, revoked or mistyped"
                if self._token
                else f"{self._repo} is only for those who are logged in, and there is no token",
                set_token,
            )
        if isinstance(error, errors.PermissionDeniedError):
            return FetchError(
                f"{self._endpoint} refuses {self._repo}: {_line(error)}",
                f"ask for access at {self._endpoint}/models/{self._repo}, then {set_token}",
            )
        if isinstance(error, errors.NotExistError):
            return FetchError(
                f"{self._endpoint} has no model {self._repo} with a revision {self._revision}, "
                "or it is private",
                "check model.source (the usual branch is master); "
                f"for a private model, {set_token}",
            )
        return FetchError(f"{self._endpoint} has trouble: {_line(error)}", *_LATER)


def _files(entries: list[dict[str, Any]]) -> tuple[File, ...]:
    files = (
        checked(entry.get("Path"), entry.get("Size"), entry.get("Sha256")) for entry in entries
    )
    return tuple(sorted(files, key=lambda file: file.path))


def _line(error: Any) -> str:
    return str(error.message).splitlines()[0][:300]
