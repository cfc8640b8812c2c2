"""Which images a folder of a foreign set holds, and what their folders say of them."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from core.chips.options import MOST_CHIPS
from core.chips.pictures import SUFFIXES
from core.errors import RefusedFileError, TooLargeError
from core.text import N_

_SPLITS = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test", "val": "test", "valid": "test", "validation": "test",
}  # fmt: skip
_SIZED = re.compile(r"[A-Za-z]+_(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Image:
    """An image file."""

    path: Path
    name: str
    """Path below the folder, for the table."""
    split: str
    label: str


def list_images(folder: Path, skipped: list[str]) -> Iterator[Image]:
    """List the images of a folder, in order, with split and label.

    Args:
        folder: The folder.
        skipped: Gets the names of files that are no images.

    Raises:
        RefusedFileError: A link leads out of the folder.
        TooLargeError: There are more images than a set can hold.
    """
    count = 0
    for split, root in _roots(folder):
        for path in _files(root, folder.resolve(), skipped):
            count += 1
            if count > MOST_CHIPS:
                raise TooLargeError(
                    N_("{name} holds more than {most:,} images."), name=folder.name, most=MOST_CHIPS
                )
            inner = path.relative_to(root)
            label = inner.parts[0] if len(inner.parts) > 1 else ""
            yield Image(path, path.relative_to(folder).as_posix(), split, label[:80])


def is_split(name: str) -> bool:
    """Tell whether a folder's name says which split its images are of."""
    return name.lower() in _SPLITS


def _roots(folder: Path) -> list[tuple[str, Path]]:
    """Return the folders that hold images or classes, each with its split."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    splits = [path for path in inner if path.name.lower() in _SPLITS]
    sized = _largest(inner)
    if not splits:
        return [("train", sized or folder)]
    found = [] if sized is None else [("train", sized)]
    for path in splits:
        below = sorted(each for each in path.iterdir() if each.is_dir())
        found.append((_SPLITS[path.name.lower()], _largest(below) or path))
    return found


def _largest(folders: list[Path]) -> Path | None:
    """Return the folder of the largest size of a pyramid, if the folders are one."""
    sized = [(int(name[1]), path) for path in folders if (name := _SIZED.fullmatch(path.name))]
    plain = [path for path in folders if path.name.lower() not in _SPLITS]
    return max(sized)[1] if sized and len(sized) == len(plain) else None


def _files(root: Path, whole: Path, skipped: list[str]) -> Iterator[Path]:
    """Walk a folder in order; links that lead out of `whole` are refused, hidden files left out."""
    for here, folders, names in os.walk(root):
        at = Path(here)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in chain(folders, names):
            within(whole, at / name)
        for name in sorted(names):
            if name.startswith("."):
                continue
            if name.lower().endswith(SUFFIXES):
                yield at / name
            else:
                skipped.append(name)


def within(whole: Path, path: Path) -> Path:
    """Return a path whose links, followed, stay in the folder.

    Raises:
        RefusedFileError: A link leads out of it.
    """
    if path.is_symlink():
        try:
            target = path.resolve()
        except (OSError, RuntimeError):  # a loop of links
            target = whole.parent
        if whole not in target.parents:
            raise RefusedFileError(
                N_("{name} is a link that leads out of the folder."),
                hint=N_("Replace it by the file itself, or remove it."),
                name=path.name[:80],
            )
    return path
