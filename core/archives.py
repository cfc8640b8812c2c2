"""Take a shapefile or images out of a zip, counting what comes out, whatever its header says."""

import errno
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from core import store
from core.errors import InputError, RefusedFileError, TooLargeError
from core.geotables import chosen_layer
from core.text import N_
from core.wkb import damaged

PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
MOST_ENTRIES = 1000
MOST_IMAGES = 60_000
_MOST_DIRECTORY_BYTES = 1 << 20
_MOST_IMAGES_DIRECTORY_BYTES = 16 << 20
_MOST_DEEP = 6
_CHUNK = 1 << 18
_ENCRYPTED = 0x1
_LINK, _KIND_MASK = 0o120000, 0o170000
_END = struct.Struct("<4s4H2LH")  # end of central directory, APPNOTE.TXT 4.3.16
_END64_LOCATOR_BYTES = 20


def unpack_shapefile(
    path: Path, folder: Path, *, label: str, layer: str | None, most_bytes: int
) -> tuple[Path, str]:
    """Copy the parts of one shapefile to `folder` as `layer.shp`, `layer.shx` …

    No name from the archive becomes a path. Other files in the archive are not touched.

    Returns:
        The path of the `.shp` and the shapefile's name inside the archive.

    Raises:
        RefusedFileError: No shapefile, a part is missing, a link, a secret or an odd packing, too
            many entries, or a damaged archive.
        InputError: Several shapefiles and none chosen; the message names them.
        TooLargeError: More than `most_bytes` come out.
    """
    _check_directory(path, label)
    try:
        with zipfile.ZipFile(path) as archive:
            parts, name = _parts(archive, label, layer)
            left = most_bytes
            for suffix, info in parts.items():
                with archive.open(info) as source, (folder / f"layer{suffix}").open("xb") as out:
                    left -= _copy(source, out, left, label, most_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error) as err:
        raise damaged(label, str(err)) from err
    except (UnicodeDecodeError, OSError) as err:
        if isinstance(err, OSError) and err.errno != errno.EINVAL:  # EINVAL: offset before 0
            raise
        raise damaged(label, N_("the zip archive is broken")) from err
    return folder / "layer.shp", name


def unpack_geotiff(path: Path, out: Path, *, label: str, most_bytes: int) -> None:
    """Copy the only GeoTIFF of an archive to `out`; no name from the archive becomes a path.

    Raises:
        RefusedFileError: There is none or several, it is a link or oddly packed, or the archive is
            damaged or holds too many entries.
        TooLargeError: More than `most_bytes` come out.
    """
    _check_directory(path, label)
    try:
        with zipfile.ZipFile(path) as archive:
            found = [
                info
                for info in archive.infolist()
                if PurePosixPath(info.filename.replace("\\", "/")).suffix.lower() == ".tif"
            ]
            if len(found) != 1:
                raise RefusedFileError(
                    N_("{name} holds {count} GeoTIFFs, one is wanted."),
                    name=label,
                    count=len(found),
                )
            _check_entry(found[0], label)
            with archive.open(found[0]) as source, out.open("wb") as target:
                _copy(source, target, most_bytes, label, most_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error) as err:
        raise damaged(label, str(err)) from err


def unpack_images(
    path: Path,
    folder: Path,
    *,
    label: str,
    suffixes: tuple[str, ...],
    most_bytes: int,
    on_file: Callable[[float], None] = lambda _share: None,
) -> int:
    """Copy the images of an archive to `folder`, in folders named after those they lie in.

    Folders tell class and split, so their names are kept, as far as they are harmless: letters,
    digits, spaces, `.`, `_` and `-`. Files are numbered,
    with their own name behind. Other files are not touched.

    Args:
        path: The archive.
        folder: An empty folder.
        label: What to call the archive.
        suffixes: Of images, small letters.
        most_bytes: How much may come out.
        on_file: Called with the share that is done before each file; may raise to end it.

    Returns:
        How many there are.

    Raises:
        RefusedFileError: No image, a link, a secret or an odd packing, a name that leads out, too
            many or too deep folders or entries, or a damaged archive.
        TooLargeError: More than `most_bytes` come out.
    """
    _check_directory(path, label, most=MOST_IMAGES, most_bytes=_MOST_IMAGES_DIRECTORY_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            found = list(_images(archive, label, suffixes))
            if not found:
                raise RefusedFileError(
                    N_("{name} holds no image."),
                    hint=N_("Pack PNG or JPEG files, or folders of them, as an ordinary zip."),
                    name=label,
                )
            left = most_bytes
            for number, (info, folders, stem) in enumerate(found):
                on_file(number / len(found))
                target = folder.joinpath(*folders)
                target.mkdir(parents=True, exist_ok=True)
                name = f"{number:06d}-{stem}"
                with archive.open(info) as source, (target / name).open("xb") as out:
                    left -= _copy(source, out, left, label, most_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error) as err:
        raise damaged(label, str(err)) from err
    except UnicodeDecodeError as err:
        raise damaged(label, N_("the zip archive is broken")) from err
    return len(found)


def _images(
    archive: zipfile.ZipFile, label: str, suffixes: tuple[str, ...]
) -> Iterator[tuple[zipfile.ZipInfo, list[str], str]]:
    """List the images with harmless names of their folders and files, in the order of names."""
    if len(archive.infolist()) > MOST_IMAGES:
        raise damaged(label, N_("its list of files does not match"))
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        inner = PurePosixPath(info.filename.replace("\\", "/"))
        hidden = any(part.startswith(".") and part != ".." for part in inner.parts)
        if info.is_dir() or hidden or "__MACOSX" in inner.parts:
            continue
        if inner.suffix.lower() in suffixes:
            _check_entry(info, label)
            if len(inner.parts) > _MOST_DEEP:
                raise RefusedFileError(
                    N_("{name} holds folders in folders in folders: {part!r}."),
                    hint=N_("Pack images, or one folder a class."),
                    name=label,
                    part=info.filename[:80],
                )
            folders = [_harmless(part) for part in inner.parts[:-1]]
            yield info, folders, _harmless(inner.stem) + inner.suffix.lower()


def _harmless(part: str) -> str:
    """Return a name with everything else than letters, digits, spaces and `. _ -` replaced."""
    plain = re.sub(r"[^\w .-]+", "_", part).strip(" .")[:60] or "_"
    return f"{plain}_" if store.is_device(plain) else plain


def _check_directory(
    path: Path, label: str, *, most: int = MOST_ENTRIES, most_bytes: int = _MOST_DIRECTORY_BYTES
) -> None:
    """Bound the list of entries before `zipfile` reads all of it into memory."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = max(0, size - _END.size - 0xFFFF - _END64_LOCATOR_BYTES)
        file.seek(start)
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise damaged(label, N_("the zip archive has no end"))
    _, _, _, _, entries, directory_bytes, _, _ = _END.unpack_from(tail, at)
    is_zip64 = b"PK\x06\x07" in tail[max(0, at - _END64_LOCATOR_BYTES) : at]
    if is_zip64 or entries > most or directory_bytes > most_bytes:
        raise RefusedFileError(
            N_("{name} holds more than {most} files."),
            hint=N_("Pack only what is to be brought in, or several archives."),
            name=label,
            most=most,
        )


def _parts(
    archive: zipfile.ZipFile, label: str, layer: str | None
) -> tuple[dict[str, zipfile.ZipInfo], str]:
    if len(archive.infolist()) > MOST_ENTRIES:
        raise damaged(label, N_("its list of files does not match"))
    found: dict[str, dict[str, zipfile.ZipInfo]] = {}
    for info, stem, suffix in _candidates(archive):
        found.setdefault(stem, {}).setdefault(suffix, info)
    shapefiles = [stem for stem, parts in found.items() if ".shp" in parts]
    if not shapefiles:
        raise RefusedFileError(
            N_("{name} holds no shapefile."),
            hint=N_("Pack the .shp with its .shx, .dbf and .prj; archives inside it are not read."),
            name=label,
        )
    stem = chosen_layer(label, shapefiles, layer)
    for info in found[stem].values():
        _check_entry(info, label)
    return found[stem], stem


def _candidates(archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, str, str]]:
    for info in archive.infolist():
        inner = PurePosixPath(info.filename.replace("\\", "/"))
        # macOS packs a second, unreadable "._name.shp" beside each file.
        hidden = inner.name.startswith(".") or "__MACOSX" in inner.parts
        is_file = bool(info.filename) and not info.is_dir()
        if is_file and not hidden and inner.suffix.lower() in PARTS:
            yield info, str(inner.with_suffix("")), inner.suffix.lower()


def _check_entry(info: zipfile.ZipInfo, label: str) -> None:
    inner = PurePosixPath(info.filename.replace("\\", "/"))
    reason = ""
    if (info.external_attr >> 16) & _KIND_MASK == _LINK:
        reason = N_("is a link")
    elif inner.is_absolute() or ".." in inner.parts or ":" in inner.parts[0]:
        reason = N_("points outside the archive")
    elif info.flag_bits & _ENCRYPTED:
        reason = N_("is protected by a password")
    elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        reason = N_("is packed in a way that is not read")
    if reason:
        raise RefusedFileError(
            N_("{part!r} in {name} {reason}."),
            hint=N_("Pack the files again as an ordinary zip."),
            part=info.filename[:80],
            name=label,
            reason=reason,
        )


def _copy(source: IO[bytes], out: IO[bytes], left: int, label: str, most: int) -> int:
    done = 0
    while chunk := source.read(_CHUNK):
        done += len(chunk)
        if done > left:
            raise TooLargeError(
                N_("{name} unpacks to more than {most:.0f} MB."),
                hint=N_("Simplify it, or keep only what is needed, and try again."),
                name=label,
                most=most / 1e6,
            )
        out.write(chunk)
    return done


def copy_beside(path: Path, folder: Path, *, label: str, most_bytes: int) -> Path:
    """Copy a plain `.shp` and the parts beside it to `folder`, under names of our own.

    Raises:
        InputError: The path has no readable `.shp`.
        TooLargeError: They are larger than `most_bytes`.
    """
    left = most_bytes
    for part in sorted(path.parent.glob("*")):
        suffix = part.suffix.lower()
        if part.stem == path.stem and suffix in PARTS and part.is_file():
            with part.open("rb") as source, (folder / f"layer{suffix}").open("wb") as out:
                left -= _copy(source, out, left, label, most_bytes)
    if not (folder / "layer.shp").is_file():
        raise InputError(N_("There is no file {name}."), name=label)
    return folder / "layer.shp"
