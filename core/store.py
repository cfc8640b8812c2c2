"""Names, digests, and files that a reader sees whole or not at all."""

import hashlib
import json
import os
import re
import shutil
import time
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import InputError, StoreError, TooLargeError
from core.text import N_

_ID = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
# Windows keeps these names for devices, whatever their ending.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])")
_CHUNK = 1 << 20
_MOVES, _MOVE_WAIT_S = 11, 0.1


def checked_id(text: str, *, what: str = N_("name")) -> str:
    """Return `text` if it can serve as a file name and in an address; refuse it otherwise.

    Raises:
        InputError: Anything but 1 to 64 small letters, digits, `_` and `-`, with a letter or a
            digit at both ends.
    """
    if _ID.fullmatch(text) and not _RESERVED.fullmatch(text):
        return text
    raise InputError(
        N_("{text!r} cannot be used as a {what}."),
        hint=N_("Use 1 to 64 small letters, digits, '_' and '-'."),
        text=text[:80],
        what=what,
    )


def slug(title: str, *, fallback: str) -> str:
    """Make an id from a free title: `Münster (west)` gives `munster-west`.

    A title without any Latin letter or digit, 上海 say, gets `fallback` and six hex digits of its
    own digest, so that the same title always makes the same id.
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    text = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-")
    if not text or _RESERVED.fullmatch(text):
        text = f"{fallback}-{hashlib.sha256(title.encode()).hexdigest()[:6]}"
    return text


def inside(root: Path, *parts: str) -> Path:
    """Join `parts` to `root` and return the path if it lies inside, links followed.

    Raises:
        InputError: The path leaves `root`, by `..`, by an absolute part or by a link.
    """
    base = root.resolve()
    try:
        path = base.joinpath(*parts).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL, a name too long, a loop of links
        path = base.parent
    if path == base or base not in path.parents:
        raise InputError(
            N_("{path!r} is not inside {root}."),
            hint=N_("Give a path below that folder."),
            path="/".join(parts)[:120],
            root=root.name,
        )
    return path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; flush it and move it into place on success only.

    The temporary name keeps the suffix, since drivers choose the format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_name(f".tmp-{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        yield tmp
        move_into_place(tmp, path)
    except OSError as err:
        refuse_write(err, path.name)
        raise
    finally:
        tmp.unlink(missing_ok=True)


def move_into_place(tmp: Path, path: Path) -> None:
    """Flush a finished file and rename it; a reader of `path` sees the old one or this one."""
    with tmp.open("rb+") as file:
        os.fsync(file.fileno())
    _moved(tmp, path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; flush its files and move it into place on success.

    There must be nothing at `path`.
    """
    tmp = path.with_name(f".tmp-{uuid.uuid4().hex[:12]}")
    try:
        tmp.mkdir(parents=True)
        yield tmp
        for file in tmp.iterdir():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
        _flush_folder(tmp)
        _moved(tmp, path)
        _flush_folder(path.parent)
    except OSError as err:
        refuse_write(err, path.name)
        raise
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def _flush_folder(folder: Path) -> None:
    """Flush a folder's list of names; a system that cannot open a folder (Windows) does it so."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_write(err: OSError, name: str) -> None:
    """Say in words why a file could not be written; return where `err` is of another kind.

    Raises:
        TooLargeError: There is no room.
        StoreError: The place is read-only.
    """
    if err.errno in {27, 28, 122}:  # file too large, no space left, quota exceeded
        raise TooLargeError(
            N_("There is no room to write {name}: {reason}."),
            hint=N_("Nothing was changed. Make room in the workspace and try again."),
            name=name,
            reason=err.strerror,
        ) from err
    if err.errno in {1, 13, 30}:  # not permitted, access denied, read-only
        raise StoreError(
            N_("{name} cannot be written: {reason}."),
            hint=N_("Nothing was changed. Check who may write to the workspace."),
            name=name,
            reason=err.strerror,
        ) from err


def _moved(tmp: Path, path: Path) -> None:
    """Move a file into place; on Windows that has to wait for whoever reads the old one."""
    for _ in range(_MOVES - 1):
        try:
            tmp.replace(path)
            return
        except PermissionError:
            time.sleep(_MOVE_WAIT_S)
    tmp.replace(path)


def is_device(name: str) -> bool:
    """Tell whether Windows takes a name, whatever its ending, for a device."""
    return bool(_RESERVED.fullmatch(name.partition(".")[0].lower()))


def write_json(path: Path, body: dict[str, Any], *, kind: str, version: int) -> None:
    """Write `body`, which has no keys of that name, as JSON under a `kind` and `version` header."""
    assert not {"kind", "version"} & body.keys()
    text = json.dumps({"kind": kind, "version": version, **body}, indent=1, ensure_ascii=False)
    with atomic_path(path) as tmp:
        tmp.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path, *, kind: str, version: int) -> dict[str, Any]:
    """Read what `write_json` wrote, without its header.

    Raises:
        StoreError: The file is absent, is not JSON, is of another kind, or is newer.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as err:
        raise StoreError(
            N_("Cannot read {name}: {reason}."), name=path.name, reason=str(err)
        ) from err
    if not isinstance(body, dict) or body.pop("kind", None) != kind:
        raise StoreError(N_("{name} is not a file of kind {kind}."), name=path.name, kind=kind)
    found = body.pop("version", 0)
    if not isinstance(found, int) or found > version:
        raise StoreError(
            N_("{name} has version {found}; this program reads up to {version}."),
            hint=N_("Update the program."),
            name=path.name,
            found=found,
            version=version,
        )
    return body


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def require_space(folder: Path, needed_bytes: int, *, what: str) -> None:
    """Refuse work whose output would not fit on the disk that holds `folder`.

    Raises:
        TooLargeError: Less than `needed_bytes` plus 64 MiB is free.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed_bytes + (64 << 20) > free:
        raise TooLargeError(
            N_("{what} needs about {needed:.1f} GB, but {free:.1f} GB are free."),
            hint=N_("Make room on the disk, or point the workspace elsewhere."),
            what=what,
            needed=needed_bytes / 1e9,
            free=free / 1e9,
        )
