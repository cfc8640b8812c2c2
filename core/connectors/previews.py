"""Small pictures of images that were found, fetched through the door and drawn anew.

    areas/<area>/imagery/_previews/<collection>/<key>.png

What a server sends is opened as PNG or JPEG only, bounded in bytes and pixels, and packed again:
nothing of it reaches a browser as it came, and a browser asks nobody but us.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from core import png, store
from core.chips.pictures import read_picture
from core.connectors.door import Door
from core.connectors.items import Found
from core.connectors.signing import Catalogue, Link, Signer
from core.errors import AppError, InputError, OutsideError, StoppedError
from core.prepare import never
from core.text import N_
from core.workspace import Workspace

SIDE_PX = 240
_LARGEST_BYTES = 4 << 20
_LARGEST_PX = 8_000_000
_MOST_KEPT = 300
_FOLDER = "_previews"


def preview_paths(workspace: Workspace, area_id: str, images: Sequence[Found]) -> dict[str, Path]:
    """Return the pictures, by key of the image, of those whose picture was fetched.

    Raises:
        InputError: There is no such area.
    """
    root = _root(workspace, area_id)
    have = {(path.parent.name, path.stem): path for path in root.glob("*/*.png")}
    return {image.key: have[image.place] for image in images if image.place in have}


def fetch_previews(
    workspace: Workspace,
    area_id: str,
    images: Sequence[Found],
    *,
    catalogue: Catalogue,
    outside: bool,
    most_s: float = 30.0,
    on_done: Callable[[int], None] = lambda _: None,
    should_stop: Callable[[], bool] = never,
) -> dict[str, AppError]:
    """Fetch the pictures that are not there; return why, by key, where one could not be had.

    Args:
        workspace: Where the area is.
        area_id: The area.
        images: Of a search.
        catalogue: Where they were found.
        outside: Whether the user has switched outside access on.
        most_s: After so long the rest is left out.
        on_done: Told how many have been tried.
        should_stop: Asked often.

    Raises:
        InputError: There is no such area.
        OutsideError: Outside access is off.
        StoppedError: `should_stop` said so.
    """
    have = preview_paths(workspace, area_id, images)
    missing = [image for image in images if image.key not in have]
    failed: dict[str, AppError] = {}
    if not missing:
        return failed
    end = time.monotonic() + most_s
    folder, root = workspace.scratch(area_id), _root(workspace, area_id)
    late = OutsideError(
        N_("The picture did not come within {seconds:g} s."),
        hint=N_("The image itself may still be fetched."),
        seconds=most_s,
    )

    def is_over() -> bool:
        return should_stop() or time.monotonic() > end

    try:
        with Door(catalogue.url, outside=outside, should_stop=is_over) as door:
            signer = Signer(catalogue, door)
            for number, image in enumerate(missing):
                try:
                    _fetch(image, door, signer, folder, _path(root, image))
                except StoppedError:
                    if should_stop():
                        raise
                    failed |= {left.key: late for left in missing[number:]}
                    break
                except AppError as err:
                    failed[image.key] = err
                on_done(number + 1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _forget_old(workspace, area_id)
    return failed


def smaller(path: Path, side_px: int) -> bytes:
    """Return a PNG or JPEG as PNG of at most `side_px` a side.

    Raises:
        RefusedFileError: It is neither, damaged, or has more than eight million pixels.
    """
    picture = Image.fromarray(read_picture(path, most_px=_LARGEST_PX))
    picture.thumbnail((side_px, side_px))
    return png.truecolour(np.array(picture))


def _fetch(image: Found, door: Door, signer: Signer, folder: Path, target: Path) -> None:
    if not image.thumbnail:
        raise InputError(N_("The catalogue has no small picture of {id}."), id=image.id)
    url = Link(image.thumbnail, signer).url()
    with door.get(url) as answer:
        body = b"".join(door.body(answer, url, most=_LARGEST_BYTES))
    raw = folder / "preview"
    raw.write_bytes(body)
    body = smaller(raw, SIDE_PX)
    target.parent.mkdir(parents=True, exist_ok=True)
    with store.atomic_path(target) as tmp:
        tmp.write_bytes(body)


def _root(workspace: Workspace, area_id: str) -> Path:
    return workspace.folder(area_id) / "imagery" / _FOLDER


def _path(root: Path, image: Found) -> Path:
    collection, key = image.place
    return root / collection / f"{key}.png"


def _forget_old(workspace: Workspace, area_id: str) -> None:
    """Keep the newest pictures only."""
    root = _root(workspace, area_id)
    found = sorted(root.glob("*/*.png"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[_MOST_KEPT:]:
        path.unlink(missing_ok=True)
