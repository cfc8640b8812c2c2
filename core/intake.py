"""Files on their way in: uploads kept in the workspace, and files of the server's data folder."""

import os
import re
import shutil
import time
import uuid
from pathlib import Path
from typing import BinaryIO

from core import store
from core.errors import InputError, RefusedFileError
from core.settings import settings
from core.text import N_

RASTER_SUFFIXES = (".tif", ".tiff", ".img")
VECTOR_SUFFIXES = (".geojson", ".json", ".gpkg", ".parquet", ".zip", ".shp")
_KEPT_SECONDS = 24 * 3600
_MOST_LISTED = 500
_CHUNK = 1 << 20


def save_upload(root: Path, name: str, stream: BinaryIO) -> Path:
    """Write an uploaded file below `root/uploads` and return its path.

    The file's own name is kept only as far as it is harmless: letters, digits, `.`, `_`, `-`.
    Uploads older than a day are deleted on the way.

    Raises:
        RefusedFileError: It is larger than the upload limit, or empty.
        TooLargeError: There is no room on the disk.
    """
    folder = root / "uploads"
    _forget_old(folder)
    target = folder / uuid.uuid4().hex[:12] / _harmless(name)
    store.require_space(folder, _size_of(stream), what=name)
    most = settings().upload_mb << 20
    written = 0
    try:
        with store.atomic_path(target) as tmp, tmp.open("wb") as out:
            while chunk := stream.read(_CHUNK):
                written += len(chunk)
                if written > most:
                    raise RefusedFileError(
                        N_("{name} is larger than the {most} MB that may be uploaded."),
                        hint=N_("Put it into the server's data folder and bring it in from there."),
                        name=name,
                        most=settings().upload_mb,
                    )
                out.write(chunk)
        if not written:
            raise RefusedFileError(
                N_("{name} is empty."), hint=N_("Choose another file."), name=name
            )
    except BaseException:  # a full disk too
        shutil.rmtree(target.parent, ignore_errors=True)
        raise
    return target


def discard_upload(root: Path, path: Path) -> None:
    """Delete an upload that was taken in or turned down; any other path is left alone."""
    folder = (root / "uploads").resolve()
    if path.resolve().parent.parent == folder:
        shutil.rmtree(path.parent, ignore_errors=True)


def uploads(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """List the uploads that are still there, in order of their names."""
    found = (path for path in (root / "uploads").glob("*/*") if path.name.endswith(suffixes))
    return sorted(found, key=lambda path: (path.name, path))


def data_files(suffixes: tuple[str, ...]) -> list[str]:
    """List files of the server's data folder, as paths below it, in order; at most 500.

    Links are not followed and hidden files are left out.
    """
    root = settings().data
    found: list[str] = []
    if not root.is_dir():
        return found
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                found.append((Path(folder) / name).relative_to(root).as_posix())
        if len(found) >= _MOST_LISTED:
            break
    return found[:_MOST_LISTED]


def data_file(relative: str) -> Path:
    """Return the path of a file below the server's data folder.

    Raises:
        InputError: It is not below that folder, links followed, or there is no such file.
    """
    path = store.inside(settings().data, relative)
    if not path.is_file():
        raise InputError(
            N_("There is no file {name!r} in the server's data folder."),
            hint=N_("Choose one from the list."),
            name=relative[:120],
        )
    return path


def stamp(path: Path) -> int:
    """Return a number that changes whenever the file does."""
    found = path.stat()
    return found.st_mtime_ns ^ found.st_size


def _harmless(name: str) -> str:
    path = Path(name.replace("\\", "/"))
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem).strip("_") or "file"
    if store.is_device(stem):
        stem = f"file_{stem}"
    suffix = re.sub(r"[^a-z0-9.]", "", path.suffix.lower())
    return stem[:80] + suffix[:10]


def _size_of(stream: BinaryIO) -> int:
    place = stream.tell()
    size = stream.seek(0, 2)
    stream.seek(place)
    return size


def _forget_old(folder: Path) -> None:
    limit = time.time() - _KEPT_SECONDS
    for old in folder.glob("*"):
        if old.is_dir() and old.stat().st_mtime < limit:
            shutil.rmtree(old, ignore_errors=True)
