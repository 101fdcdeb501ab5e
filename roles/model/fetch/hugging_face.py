"""The Hugging Face Hub and its mirrors, through their own client.

Read in huggingface_hub 2.4.0. Its ``snapshot_download`` is not used, for two reasons: it returns
a directory that it found, with no more than a warning, when the hub cannot be asked; and since
2.0 it begins every file anew that an earlier process left unfinished. What it is made of is used
instead: ``HfApi.model_info`` and ``list_repo_tree``, ``get_hf_file_metadata`` and ``http_get``,
which goes on from where a file stopped.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from errors import FetchError, MissingFileError, TransientError
from listing import COMMIT, File, Listing, checked
from progress import say
from source import LONGEST_WAIT, Patience, partial

#: Seconds without a byte after which a server counts as silent.
_SILENCE = 60

#: Bytes that the client gathers before it writes them: what a kill may cost of each file.
_CHUNK = 1 << 20


class HuggingFace:
    """The repository ``repo`` at ``revision``; ``endpoint`` is a mirror, or empty."""

    def __init__(
        self,
        source: str,
        repo: str,
        revision: str,
        endpoint: str,
        token: str,
        patience: Patience,
    ) -> None:
        _set_up(endpoint)
        import httpx2
        from huggingface_hub import HfApi, constants, set_client_factory

        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
        set_client_factory(
            lambda: httpx2.Client(
                follow_redirects=True,
                timeout=_SILENCE,
                event_hooks={"request": [_never_wait_for_ever], "response": [_notice]},
            )
        )
        self._source, self._repo, self._revision = source, repo, revision
        self._endpoint = str(constants.ENDPOINT)
        self._token, self._patiently = token, patience
        self._api = HfApi(endpoint=self._endpoint, token=token or False)
        self._commit = revision if COMMIT.fullmatch(revision) else ""
        self._locations: dict[str, str] = {}

    def listing(self) -> Listing:
        """Every file of the repository; a branch or tag is resolved first."""
        if not self._commit:
            self._commit = self._patiently(self._resolve)
            say(f"{self._source}: {self._revision} is commit {self._commit}")
        files = self._patiently(self._tree)
        return Listing(self._source, self._commit, files)

    def at(self, commit: str) -> None:
        """Stay at the commit that was found before."""
        self._commit = commit

    def _resolve(self) -> str:
        with self._explained():
            info = self._api.model_info(self._repo, revision=self._revision, timeout=_SILENCE)
        if not COMMIT.fullmatch(info.sha or ""):
            raise FetchError(
                f"{self._endpoint} does not say which commit {self._revision} of {self._repo} is",
                "name the commit in model.source: hf://ORG/NAME@COMMIT",
            )
        return str(info.sha)

    def _tree(self) -> tuple[File, ...]:
        from huggingface_hub.hf_api import RepoFile

        with self._explained():
            return tuple(
                checked(
                    entry.path,
                    entry.lfs.size if entry.lfs else entry.size,
                    entry.lfs.sha256 if entry.lfs else "",
                    "" if entry.lfs else entry.blob_id,
                )
                for entry in self._api.list_repo_tree(
                    self._repo, recursive=True, revision=self._commit
                )
                if isinstance(entry, RepoFile)
            )

    def check(self, file: File) -> None:
        """Ask for the file's headers: it is there, may be read, and is the one that is listed."""
        self._locations[file.path] = self._patiently(lambda: self._locate(file))

    def _locate(self, file: File) -> str:
        """The address that the file's bytes come from."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        url = hf_hub_url(self._repo, file.path, revision=self._commit, endpoint=self._endpoint)
        with self._explained(file.path):
            found = get_hf_file_metadata(
                url, token=self._token or False, timeout=_SILENCE, endpoint=self._endpoint
            )
        if found.etag in {None, file.sha256, file.blob}:
            return str(found.location)
        raise FetchError(
            f"{self._endpoint} serves another {file.path} ({found.etag}) than it lists",
            "take another mirror (model.endpoint), or try later",
        )

    def fetch(self, file: File, target: Path) -> None:
        """Download it, from where an earlier attempt stopped."""
        part = partial(target)
        self._patiently(lambda: self._get(file, part), lambda: _size(part))
        part.replace(target)

    def _get(self, file: File, part: Path) -> None:
        from huggingface_hub import constants
        from huggingface_hub.file_download import http_get

        if file.size > constants.MAX_HTTP_DOWNLOAD_SIZE:
            self._get_large(file, part)
            return
        if _size(part) > file.size:
            part.unlink()
        location = self._locations.pop(file.path, "") or self._locate(file)
        with part.open("ab") as out, self._explained(file.path, signed=True):
            http_get(
                location,
                out,
                resume_size=out.tell(),
                headers=self._headers(location),
                expected_size=file.size,
                displayed_filename=file.path,
            )

    def _headers(self, location: str) -> dict[str, str]:
        """Headers of a download: only the hub itself is shown the token, no store behind it.

        A mirror may lead to the hub that it mirrors.
        """
        from huggingface_hub.utils import build_hf_headers

        hubs = (self._endpoint, "https://huggingface.co")
        own = urlsplit(location)[:2] in {urlsplit(hub)[:2] for hub in hubs}
        headers: dict[str, str] = build_hf_headers(token=(own and self._token) or False)
        return headers | {"Accept-Encoding": "identity"}

    def _get_large(self, file: File, part: Path) -> None:
        """What plain HTTP is not offered for goes through Xet, which begins anew."""
        from huggingface_hub import hf_hub_download

        folder = part.with_name(f"{part.name}.xet")
        with self._explained(file.path):
            found = hf_hub_download(
                self._repo,
                file.path,
                revision=self._commit,
                local_dir=folder,
                token=self._token or False,
                endpoint=self._endpoint,
            )
        Path(found).replace(part)

    @contextmanager
    def _explained(self, path: str = "", *, signed: bool = False) -> Iterator[None]:
        """Say what the client's errors mean; ``signed``: the address may have expired."""
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        try:
            yield
        except HfHubHTTPError as error:
            status = int(error.response.status_code)
            if signed and status in {401, 403, 404, 410}:
                # The address of a store behind the hub lasts an hour; the hub gives a new one.
                said = f"the store behind {self._endpoint} refuses {path} ({status})"
                raise TransientError(FetchError(said, *_LATER)) from None
            if status in {408, 416} or status >= 500:
                raise TransientError(self._meaning(error, path)) from None
            raise self._meaning(error, path) from None
        except OfflineModeIsEnabled:
            raise FetchError("HF_HUB_OFFLINE is set on the host", "unset it there") from None
        except httpx2.RequestError as error:
            raise TransientError(self._unreachable(error)) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FetchError(
                f"{self._endpoint} does not answer as a hub does: {error}", "check model.endpoint"
            ) from None
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise
            if error.errno is None:  # the client's own: fewer bytes than announced
                said = str(error).splitlines()[0]
                raise TransientError(FetchError(f"{path}: {said}", *_LATER)) from None
            raise

    def _meaning(self, error: Any, path: str) -> FetchError:
        """An answer of the hub in plain words."""
        response = error.response
        status, code = response.status_code, response.headers.get("X-Error-Code", "")
        said = response.headers.get("X-Error-Message", "")
        where = f"{self._endpoint}/{self._repo}"
        set_token = "set model.token: !env HF_TOKEN, with the token of an account that may read it"
        if code == "GatedRepo" and not self._token:
            return FetchError(
                f"{self._repo} is gated: its licence has to be accepted, and there is no token",
                f"accept it at {where}, then {set_token}",
            )
        if code == "GatedRepo":
            return FetchError(
                f"{self._repo} is gated, and the account of model.token may not read it: {said}",
                f"accept its licence at {where} with that account, and wait until it is granted",
            )
        if code == "RevisionNotFound":
            return FetchError(
                f"{self._repo} has no revision {self._revision}",
                f"see its commits at {where}/commits/main, and name one in model.source",
            )
        if code == "EntryNotFound" or (path and status == 404 and code != "RepoNotFound"):
            return MissingFileError(path)
        if status == 401 and self._token and code != "RepoNotFound":
            return FetchError(
                f"{self._endpoint} does not accept model.token: expired, revoked or mistyped",
                f"make a new one at {self._endpoint}/settings/tokens and set model.token to it",
            )
        if code == "RepoNotFound" or status in {401, 404}:
            private = (
                "the account of model.token may not see it" if self._token else "it is private"
            )
            return FetchError(
                f"{self._endpoint} has no model {self._repo}, or {private}",
                "check model.source"
                + ("" if self._token else f"; if the model is private, {set_token}"),
            )
        if status == 403:
            return FetchError(
                f"{self._endpoint} refuses {self._repo}{f'/{path}' * bool(path)}: "
                f"{said or 'forbidden'}",
                "give model.token the right to read this repository (a fine-grained token names "
                "the repositories that it is for)"
                if self._token
                else set_token,
            )
        if status == 429:
            return FetchError(f"{self._endpoint} limits how much may be asked of it", *_LATER)
        reason = said or response.reason_phrase
        return FetchError(f"{self._endpoint} answered {status} ({reason})", *_LATER)

    def _unreachable(self, error: Exception) -> FetchError:
        text = str(error) or type(error).__name__
        if "CERTIFICATE" in text.upper():
            return FetchError(
                f"the certificate of {self._endpoint} is not accepted by this host: {text}",
                "install the certificate of your proxy there, or use another endpoint",
            )
        return FetchError(
            f"{self._endpoint} cannot be reached from this host, or broke off: {text}",
            "check network, name service and proxy of the host, or set model.endpoint to a mirror; "
            "what has come is kept, and the next run goes on from there",
        )


_LATER = ("run this again later, or set model.endpoint to a mirror; what has come is kept",)


def _set_up(endpoint: str) -> None:
    """What the client reads from the environment when it is imported."""
    fixed = {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": str(_SILENCE),
    }
    os.environ.update(fixed)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
        os.environ.pop(name, None)
    if endpoint:
        os.environ["HF_ENDPOINT"] = endpoint.rstrip("/")


def _never_wait_for_ever(request: Any) -> None:
    """Give a request without a time limit one: the client's listing has none."""
    limits = request.extensions.get("timeout") or {}
    request.extensions["timeout"] = {
        kind: limits.get(kind) or _SILENCE for kind in ("connect", "read", "write", "pool")
    }


def _notice(response: Any) -> None:
    """Say that a server is busy; do not sleep for as long as it likes.

    Raises:
        FetchError: it asks for more patience than :data:`LONGEST_WAIT`.
    """
    if response.status_code != 429:
        return
    from huggingface_hub.utils import parse_ratelimit_headers

    host = f"{response.request.url.scheme}://{response.request.url.netloc.decode()}"
    limit = parse_ratelimit_headers(response.headers)
    said = response.headers.get("Retry-After", "")
    wait = limit.reset_in_seconds if limit and not limit.remaining else None
    wait = int(said) if wait is None and said.isdigit() else wait
    if wait is not None and wait > LONGEST_WAIT:
        raise FetchError(
            f"{host} limits how much may be asked of it, and wants {wait} s of patience",
            f"run this again in {-(-wait // 60)} minutes; what has come is kept",
            "a token (model.token) usually has a higher limit",
        )
    say(f"{host} is busy: waiting {f'{wait} s' if wait is not None else 'a little'}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
