"""Results on disk: immutable folders, found again by a digest of what they were made from.

    results/<kind>-<digest>/   result.json and the files it names

The digest covers the kind, every input (layers and boundary by their own digests), the parameters
and the version of the code: equal digests mean equal results, and changed code never serves an old
one. Each kind keeps the folders used in the last day, and 64 in any case; others are deleted.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from core import store
from core.errors import AppError, StoreError
from core.record import code_version
from core.text import N_
from core.workspace import Workspace, now

RESULT_VERSION = 1
_KEPT = 64
_KEPT_SECONDS = 86_400.0  # longer than any run, whose layers may be more than 64
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Key:
    """What a result is of. `inputs` is anything that JSON can hold."""

    kind: str
    inputs: dict[str, Any]

    @property
    def digest(self) -> str:
        """Return 16 hex digits over kind, inputs and code."""
        body = json.dumps([self.kind, self.inputs, code_version()], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Return the folder's name."""
        return f"{self.kind}-{self.digest}"


def find(workspace: Workspace, area_id: str, key: Key) -> Path | None:
    """Return the folder of a finished result; None where it has to be made."""
    folder = _root(workspace, area_id) / key.name
    if not _is_finished(folder):
        return None
    with suppress(OSError):  # deleted just now, or not ours: whoever reads it will see
        os.utime(folder)  # used now: deleted last
    return folder


def load(
    workspace: Workspace, area_id: str, key: Key, read: Callable[[Path, dict[str, Any]], _T]
) -> _T | None:
    """Return what `read` makes of a result's folder and facts; None where it has to be made.

    A damaged result is deleted and counts as not there.
    """
    folder = find(workspace, area_id, key)
    if folder is None:
        return None
    try:
        return read(folder, facts(folder))
    except (AppError, OSError, ValueError, KeyError, TypeError):
        discard(folder)
        return None


def facts(folder: Path) -> dict[str, Any]:
    """Return what a result says of itself.

    Raises:
        StoreError: Its description is damaged, or a file of it is not as it was written.
    """
    body = store.read_json(folder / "result.json", kind="result", version=RESULT_VERSION)
    files = body.get("files")
    if not isinstance(files, dict):
        raise StoreError(N_("{name} is damaged."), name=f"{folder.name}/result.json")
    for name, digest in files.items():
        path = store.inside(folder, name)
        if not path.is_file() or store.file_digest(path) != digest:
            raise StoreError(N_("{name} is damaged."), name=f"{folder.name}/{name}")
    return body


def discard(folder: Path) -> None:
    """Delete a result that turned out to be damaged, so that it is made again."""
    (folder / "result.json").unlink(missing_ok=True)  # from here on it does not count
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def making(
    workspace: Workspace, area_id: str, key: Key, **more: Any
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield an empty folder and a dictionary of facts; both become the result at the end.

    Whoever finishes first wins: a result that is there already is left as it is.
    """
    folder = workspace.scratch(area_id)
    body: dict[str, Any] = {
        "result": key.kind, "digest": key.digest, "inputs": key.inputs, "code": code_version(),
        "made": now(), **more,
    }  # fmt: skip
    try:
        yield folder, body
        body["files"] = {
            path.relative_to(folder).as_posix(): store.file_digest(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        store.write_json(folder / "result.json", body, kind="result", version=RESULT_VERSION)
        target = _root(workspace, area_id) / key.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _is_finished(target):
            shutil.rmtree(target, ignore_errors=True)
            try:
                folder.rename(target)
            except OSError:
                if not _is_finished(target):
                    raise
        _forget_old(target.parent, key.kind)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_finished(folder: Path) -> bool:
    return (folder / "result.json").is_file()


def _root(workspace: Workspace, area_id: str) -> Path:
    return workspace.folder(area_id) / "results"


def _forget_old(root: Path, kind: str) -> None:
    used: list[tuple[float, Path]] = []
    for folder in root.glob(f"{kind}-*"):
        with suppress(OSError):  # another process deleted it just now
            used.append((folder.stat().st_mtime, folder))
    oldest = time.time() - _KEPT_SECONDS
    for when, folder in sorted(used, reverse=True)[_KEPT:]:
        if when < oldest:
            shutil.rmtree(folder, ignore_errors=True)
