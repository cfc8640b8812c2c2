"""Images of a study area, fetched from a catalogue into the area's folder.

    areas/<area>/imagery/<collection>/<key>.tif    the part in the study area, or the whole file
                                      <key>.json   what it is, where it comes from, its licence
                         failed.json               what could not be fetched, and why

Each image stands for itself: one that fails is written down and the others go on; fetching again
takes up what is missing and never asks for what is there.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import filelock
import shapely

from core import store
from core.connectors import addresses, signing
from core.connectors.assets import Wish, fetch_file
from core.connectors.door import Door
from core.connectors.items import Found, harmless
from core.connectors.reckoning import box_m, checked_speed, seconds
from core.connectors.shelf import Failure, Image, fetched, places_of, write_failures
from core.connectors.signing import Catalogue, Link, Signer
from core.errors import AppError, BusyError, InputError, OutsideError, StoppedError
from core.jobs import Report
from core.prepare import boundary_lonlat, never
from core.text import N_, as_json
from core.workspace import Workspace

MOST_AT_ONCE = 1000
_BANDS = 4
"""Of an image whose catalogue does not tell how many it has."""
_WHILE_FETCHED = 2.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What fetching would take."""

    num: int
    """Images that are not there yet."""
    num_there: int
    download_bytes: int
    """Over the network; images are usually packed to half of it or less."""
    disk_bytes: int
    """At most, while it runs."""
    free_bytes: int
    seconds: float
    """At `mbit_s`."""
    mbit_s: float
    is_rough: bool
    """Whether the size of some image had to be guessed."""

    @property
    def fits(self) -> bool:
        return self.disk_bytes + (64 << 20) <= self.free_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a fetch came to."""

    images: tuple[Image, ...]
    """Of those that were asked for: all that are there now."""
    failures: tuple[Failure, ...]
    received: int
    """Bytes that came over the network."""
    seconds: float


def plan_fetch(
    workspace: Workspace,
    area_id: str,
    found: Sequence[Found],
    *,
    catalogue: str,
    images: Sequence[Image] | None = None,
    mbit_s: float = 20.0,
) -> Estimate:
    """Estimate download, disk space and time, from what the catalogue said; asks nothing.

    Args:
        workspace: Where the area is.
        area_id: The area.
        found: Of a search.
        catalogue: Address of where they were found.
        images: What `shelf.fetched` gave, where that is known.
        mbit_s: Speed of the connection.

    Raises:
        InputError: There is no such area, nothing to fetch, or far too much; or no such speed.
    """
    _check_many(found)
    checked_speed(mbit_s)
    boundary = boundary_lonlat(workspace, area_id)
    here = places_of(fetched(workspace, area_id) if images is None else images, catalogue)
    missing = [image for image in found if image.place not in here]
    boundary_box = boundary.envelope
    download = disk = largest = 0
    is_rough = False
    for image in missing:
        unpacked = _unpacked(image, boundary)
        within = shapely.intersection(image.footprint, boundary_box).area
        share = min(1.0, within / max(image.footprint.area, 1e-12))
        download += int(image.num_bytes * share) if image.num_bytes else unpacked
        disk += unpacked
        largest = max(largest, unpacked)
        is_rough = is_rough or not (image.num_bytes and image.resolution_m and image.bands)
    disk += int(_WHILE_FETCHED * largest)  # pieces and raw copy, of one image at a time
    return Estimate(
        num=len(missing),
        num_there=len(found) - len(missing),
        download_bytes=download,
        disk_bytes=disk,
        free_bytes=free_bytes(workspace),
        seconds=seconds(len(missing), download, mbit_s),
        mbit_s=mbit_s,
        is_rough=is_rough,
    )


def fetch(
    workspace: Workspace,
    area_id: str,
    found: Sequence[Found],
    *,
    catalogue: Catalogue,
    licence: str = "",
    outside: bool,
    on_progress: Report | None = None,
    should_stop: Callable[[], bool] = never,
) -> Fetched:
    """Fetch images into an area's folder; those that are there are not asked for.

    Args:
        workspace: Where the area is.
        area_id: The area.
        found: Of a search, or of `failures`.
        catalogue: Where they were found.
        licence: What the catalogue says of it; kept with each image.
        outside: Whether the user has switched outside access on.
        on_progress: Called with a share from 0 to 1, a template and its values.
        should_stop: Asked often; what has come by then is kept.

    Raises:
        InputError: There is no such area, nothing to fetch, or far too much.
        OutsideError: Outside access is off. Failures of single images are returned.
        BusyError: Images of this area are being fetched already.
        TooLargeError: The estimate does not fit on the disk.
        StoppedError: `should_stop` said so.
    """
    _check_many(found)
    addresses.require_outside(outside)
    tell = on_progress or _no_report
    area = workspace.folder(area_id)
    root = area / "imagery"
    boundary = boundary_lonlat(workspace, area_id)
    begun = time.monotonic()
    failed: list[Failure] = []
    here = places_of(fetched(workspace, area_id), catalogue.url)
    reached = [image for image in found if image.place in here]
    missing = [image for image in found if image.place not in here]
    received = 0
    with one_at_a_time(workspace, area_id):
        try:
            if missing:
                estimate = plan_fetch(workspace, area_id, missing, catalogue=catalogue.url)
                store.require_space(root, estimate.disk_bytes, what=N_("Fetching these images"))
                with Door(catalogue.url, outside=outside, should_stop=should_stop) as door:
                    signer = Signer(catalogue, door)
                    for number, image in enumerate(missing):
                        part = _Part(tell, number, len(missing), image.id, door)
                        failure = _fetch_one(
                            area, image, boundary, catalogue, licence, door, signer, part
                        )
                        reached.append(image)
                        if failure is not None:
                            failed.append(failure)
                    received = door.num_bytes
        finally:
            if (area / "area.json").is_file():
                # Those that were not reached stay as they were: broken off is not tried.
                write_failures(workspace, area_id, reached, failed)
    tell(1.0, N_("Done"))
    images = fetched(workspace, area_id)
    here = places_of(images, catalogue.url)
    there = {(image.collection, image.key): image for image in images}
    return Fetched(
        images=tuple(there[image.place] for image in found if image.place in here),
        failures=tuple(failed),
        received=received,
        seconds=time.monotonic() - begun,
    )


def free_bytes(workspace: Workspace) -> int:
    """Return the free space of the workspace's disk."""
    folder = workspace.root.resolve()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def link_of(image: Found, door: Door, signer: Signer) -> Link:
    """Return the link of an image, which is asked for anew once it has expired."""

    def again() -> str:
        text = door.text(image.item_url)
        try:
            href = str(json.loads(text)["assets"][image.asset]["href"])
        except (ValueError, KeyError, TypeError, RecursionError) as err:
            raise OutsideError(
                N_("{url} does not tell of {id} any more."),
                url=addresses.shown(image.item_url),
                id=image.id,
            ) from err
        return addresses.checked_link(urljoin(image.item_url, href), home=door.home)

    return Link(image.href, signer, again if image.item_url else None)


@contextmanager
def one_at_a_time(workspace: Workspace, area_id: str) -> Iterator[None]:
    """Hold the right to fetch for an area.

    Raises:
        BusyError: Somebody else does.
    """
    locks = workspace.root / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(locks / f"{area_id}-fetch.lock", timeout=0.5):
            yield
    except filelock.Timeout as err:
        raise BusyError(
            N_("Something is being fetched for the study area {name} already."),
            hint=N_("Wait for it, or cancel it, and try again."),
            name=area_id,
        ) from err


class _Part:
    """Reports the progress of one image as a part of the whole, and of its bytes."""

    def __init__(self, tell: Report, number: int, count: int, name: str, door: Door) -> None:
        self._tell, self._number, self._count, self._name = tell, number, count, name
        self._door = door
        self._told = 0.0

    def __call__(self, share: float) -> None:
        # Each report is a file that is flushed to the disk.
        if share > 0 and time.monotonic() - self._told < 0.5:
            return
        self._told = time.monotonic()
        self._tell(
            (self._number + share) / self._count,
            N_("Image {number} of {count}: {name}, {megabytes:.1f} MB received"),
            number=self._number + 1,
            count=self._count,
            name=self._name,
            megabytes=self._door.num_bytes / 1e6,
        )


def _fetch_one(
    area: Path,
    image: Found,
    boundary: shapely.Geometry,
    catalogue: Catalogue,
    licence: str,
    door: Door,
    signer: Signer,
    part: _Part,
) -> Failure | None:
    """Fetch one image; return why it failed, if the next one may still succeed."""
    folder = store.inside(area, "imagery", harmless(image.collection))

    def check() -> None:
        door.stop_if()
        if not (area / "area.json").is_file():
            raise StoppedError(N_("Stopped: the study area was deleted."))

    try:
        check()
        folder.mkdir(parents=True, exist_ok=True)
        part(0.0)
        fetch_file(
            link_of(image, door, signer),
            door,
            folder,
            Wish(key=image.key, title=image.id[:80], source=_source(image, catalogue, licence)),
            boundary,
            on_share=part,
            check=check,
        )
    except StoppedError:
        raise
    except AppError as err:
        return Failure(
            image=image,
            catalogue=catalogue.url,
            licence=licence,
            problem=err.problem,
            hint=err.hint,
            values=as_json(err.values),
            when=time.time(),
        )
    return None


def _source(image: Found, catalogue: Catalogue, licence: str) -> dict[str, Any]:
    return {
        **signing.facts(catalogue),
        "collection": image.collection,
        "id": image.id,
        "asset": image.asset,
        "href": addresses.shown(image.href),
        "date": image.date,
        "bands": list(image.bands),
        "resolution_m": image.resolution_m,
        "licence": licence,
    }


def _unpacked(image: Found, boundary: shapely.Geometry) -> int:
    """Return the bytes of the part of an image in the study area's box, before packing."""
    part = shapely.intersection(image.footprint, boundary)
    if part.is_empty:
        return 0
    across, down = box_m(part)
    side = image.resolution_m or 1.0
    return int(across * down / side**2 * (len(image.bands) or _BANDS) * image.itemsize)


def _check_many(found: Sequence[Found]) -> None:
    if not 1 <= len(found) <= MOST_AT_ONCE:
        raise InputError(
            N_("1 to {most} images can be fetched at once; {count} were chosen."),
            most=MOST_AT_ONCE,
            count=len(found),
        )


def _no_report(share: float, text: str, /, **values: object) -> None:
    """Report nothing."""
