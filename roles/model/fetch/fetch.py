#!/usr/bin/env python3
"""Fetches a model into $OUT: every file of it, each verified, with a list of them.

Runs on the target as the build of an artifact, with the Python of the tools. $KEEP outlives a
fetch that fails or is killed, and the next one goes on from it; $OLD is a damaged version that
is being replaced, from which files that are still right are taken; $SUMS takes the digests, and
$NOTES the commit.

The commit of a branch or tag is looked up once: what $OLD, --card or $KEEP noted of it holds.

A failure that the user can do something about is ``error: ...`` and ``next: ...`` on standard
output and exit code 1.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from directory import Directory
from errors import FetchError, MissingFileError
from hugging_face import HuggingFace
from integrity import tensors, weight_map
from listing import OURS, File, Listing, load
from modelscope import ModelScope
from progress import say, shown
from source import Patience, Source
from store import Store, amount, link_or_move

_REPOSITORY = re.compile(r"(?P<hub>hf|ms)://(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>.+))?")


@dataclass(frozen=True)
class Places:
    """The directories of a build."""

    out: Path
    keep: Path
    old: Path | None
    sums: Path
    notes: Path

    @classmethod
    def given(cls) -> Places:
        """As the artifact's build has them in its environment."""
        old = os.environ.get("OLD", "")
        return cls(
            Path(os.environ["OUT"]),
            Path(os.environ["KEEP"]),
            Path(old) if old else None,
            Path(os.environ["SUMS"]),
            Path(os.environ["NOTES"]),
        )


class Fetch:
    """One model on its way."""

    def __init__(self, options: argparse.Namespace, places: Places) -> None:
        self._options, self._places = options, places
        self._store = Store(places.keep, places.old)
        self._source = _source(options, places.keep)

    def run(self) -> None:
        """Fetch what is asked for, verify it, and lay it out in $OUT.

        Raises:
            FetchError: the user has to do something about it.
        """
        listing = self._listing()
        self._refuse_unverifiable(listing.files)
        files = listing.card() if self._options.shape else listing.files
        self._report(listing, files)
        self._bring(listing.card())
        for index in listing.indices():
            listing.check_shards(index.path, set(weight_map(self._store.path(index)).values()))
        self._bring(files)
        if not self._options.shape:
            self._check_weights(listing)
        self._lay_out(listing, files)

    def _listing(self) -> Listing:
        """What is to be fetched; as it was found the first time, if that is known."""
        noted = self._places.keep / "listing.json"
        old = [self._places.old / name for name in OURS] if self._places.old else []
        card = [Path(self._options.card) / "card.json"] if self._options.card else []
        brought = self._options.brought
        others = [Path(brought) / name for name in OURS] if brought else []
        for place in (*others, *old, *card, noted):
            found = load(place)
            if found and found.commit and found.source == self._options.source:
                self._source.at(found.commit)
                break
        else:
            found = self._source.listing()
            found = found.selected(self._options.allow, self._options.ignore)
        noted.write_text(found.to_json(), encoding="utf-8")
        return found

    def _refuse_unverifiable(self, files: Iterable[File]) -> None:
        unknown = [file.path for file in files if not (file.sha256 or file.blob)]
        local = self._options.source.startswith("file://")
        if unknown and not local and not self._options.unverified:
            names = ", ".join(unknown[:5])
            raise FetchError(
                f"{self._options.source}: the server gives no digest for {len(unknown)} files "
                f"({names}), so what arrives cannot be verified",
                "take another source, such as hf://; or set model.unverified to accept them by "
                "size and structure",
            )

    def _report(self, listing: Listing, files: Sequence[File]) -> None:
        at = f" at commit {listing.commit}" if listing.commit else ""
        what = f"the shape of {amount(listing.bytes)}" if self._options.shape else "a model"
        size = amount(sum(file.size for file in files))
        say(f"{listing.source}{at}: {what} in {len(files)} files of {size}")

    def _bring(self, files: Sequence[File]) -> None:
        """Have all of ``files`` in the store, verified."""
        total = sum(file.size for file in files)

        def arrived() -> int:
            return sum(min(file.size, self._store.arrived(file)) for file in files)

        with shown("verifying what is there", total, lambda: 0):
            lacking = _each(files, self._lacking, self._options.parallel)
        wanted = [file for file, lacks in zip(files, lacking, strict=True) if lacks]
        try:
            if wanted:
                _each(wanted, self._source.check, self._options.parallel)
                self._store.check_space(tuple(wanted))
                with shown(f"fetching {len(wanted)} files", total, arrived):
                    largest_first = sorted(wanted, key=lambda file: -file.size)
                    _each(largest_first, self._fetch, self._options.parallel)
        finally:
            self._store.save()

    def _lacking(self, file: File) -> bool:
        return not self._store.have(file)

    def _fetch(self, file: File) -> None:
        """Fetch and verify one file; a part that an earlier run left gets a second chance."""
        resumed = self._store.arrived(file) > 0
        while True:
            self._source.fetch(file, self._store.path(file))
            wrong = self._store.verify(file)
            if not wrong:
                return
            self._store.discard(file)
            if not resumed:
                raise FetchError(
                    f"{file.path} did not arrive as {self._options.source} lists it: {wrong}",
                    "it was damaged or replaced on the way and has been removed: run this again, "
                    "or take another mirror (model.endpoint)",
                )
            say(f"{file.path}: what an earlier run left does not fit, fetching it anew")
            resumed = False

    def _check_weights(self, listing: Listing) -> None:
        held: dict[str, frozenset[str]] = {}
        for file in listing.files:
            if file.path.endswith(".safetensors"):
                held[file.path] = tensors(self._store.path(file))
        for index in listing.indices():
            folder = index.path.rpartition("/")[0]
            for tensor, shard in weight_map(self._store.path(index)).items():
                path = f"{folder}/{shard}" if folder else shard
                if tensor not in held.get(path, frozenset((tensor,))):
                    raise FetchError(
                        f"{index.path} says that {path} holds {tensor}, and it does not",
                        "the repository contradicts itself: take another revision",
                    )

    def _lay_out(self, listing: Listing, files: Sequence[File]) -> None:
        described = {file.path: self._store.described(file) for file in files}
        for file in files:
            target = self._places.out / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            link_or_move(self._store.path(file), target)
        with self._places.sums.open("w", encoding="utf-8", errors="surrogateescape") as sums:
            for file in files:
                stat = (self._places.out / file.path).stat()
                digest = described[file.path].sha256
                sums.write(f"{digest} {stat.st_size} {int(stat.st_mtime)} ./{file.path}\n")
        complete = Listing(
            listing.source,
            listing.commit,
            tuple(described.get(file.path, file) for file in listing.files),
            listing.left_out,
        )
        self._places.notes.write_text(f"commit={listing.commit}\nbytes={listing.bytes}\n")
        name = "card.json" if self._options.shape else "model.json"
        (self._places.out / name).write_text(complete.to_json(), encoding="utf-8")


def _each(files: Sequence[File], act: Callable[[File], object], parallel: int) -> list[object]:
    """Do ``act`` to every file, several at a time; results in the order of ``files``.

    Raises:
        FetchError: one failed; or some are missing, and it names them all.
    """
    pool = ThreadPoolExecutor(max_workers=parallel)
    futures: dict[Future[object], File] = {pool.submit(act, file): file for file in files}
    missing: list[str] = []
    pending = set(futures)
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            error = future.exception()
            if isinstance(error, MissingFileError):
                missing.append(futures[future].path)
            elif error:
                pool.shutdown(wait=False, cancel_futures=True)
                raise error
    pool.shutdown()
    if missing:
        raise FetchError(
            f"the source is incomplete: it lists {len(missing)} of {len(files)} files that it "
            f"does not have: {', '.join(sorted(missing)[:10])}",
            "take another mirror (model.endpoint) or another revision; what has come is kept",
        )
    return [future.result() for future in futures]


def _source(options: argparse.Namespace, keep: Path) -> Source:
    """The source that ``options`` name."""
    token = Path(options.token_file).read_text().strip() if options.token_file else ""
    if options.source.startswith("file://"):
        folder = Path(options.source.removeprefix("file://"))
        return Directory(options.source, folder, link=options.link)
    if options.brought:
        return Directory(options.source, Path(options.brought), link=False)
    named = _REPOSITORY.fullmatch(options.source)
    if not named:
        raise FetchError(f"{options.source} is no source that this program knows")
    how = (options.endpoint, token, Patience(options.pause))
    if named["hub"] == "hf":
        return HuggingFace(options.source, named["repo"], named["revision"] or "main", *how)
    revision = named["revision"] or "master"
    return ModelScope(options.source, named["repo"], revision, *how, keep / "modelscope")


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--token-file", default="")
    parser.add_argument("--allow", action="append", default=[])
    parser.add_argument("--ignore", action="append", default=[])
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--pause", type=float, default=1.0, help="before the second attempt, in s")
    parser.add_argument("--card", default="", help="a directory with card.json, if there is one")
    parser.add_argument("--shape", action="store_true", help="only what tells the model's shape")
    parser.add_argument("--link", action="store_true", help="of a directory, do not copy")
    parser.add_argument(
        "--brought", default="", help="a directory with what another machine fetched"
    )
    parser.add_argument("--unverified", action="store_true", help="accept what has no digest")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = _arguments(sys.argv[1:] if arguments is None else arguments)
    try:
        Fetch(options, Places.given()).run()
    except FetchError as error:
        say(str(error))
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        full = FetchError(
            f"the disk is full: {error.filename or os.environ['KEEP']}",
            "free some space, or set rolecall.home to a directory on a larger disk; "
            "what has come is kept",
        )
        say(str(full))
    else:
        return 0
    return 1


if __name__ == "__main__":
    status = main()
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    # Downloads that are still under way would else be waited for.
    os._exit(status)
