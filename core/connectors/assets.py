"""One file of a catalogue, fetched, looked at, and put in its place.

    <folder>/<key>.tif          whole and checked; counts only together with
             <key>.json         what it is and where it comes from
             <key>.pieces/      pieces of a window that is being fetched
             <key>.part         bytes of a whole file that is being fetched

`<key>.json` is written before the file is renamed into place: where both are there, the file is
whole. Whatever is killed in between is taken up again.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import shapely
from rasterio.io import DatasetReader
from rasterio.windows import Window

from core import rasters, store
from core.connectors import download, windows
from core.connectors.door import Door, Head
from core.connectors.ranges import RangeFile, head_of, version_of
from core.connectors.signing import Link
from core.connectors.windows import Cut
from core.errors import AppError, ExtentError, RefusedFileError, StoreError
from core.georeference import pixel_size
from core.text import N_
from core.workspace import crs_name, now

Made = tuple[Path, dict[str, Any]]
"""A finished file that is still to be put in its place, and what it holds."""

KIND, VERSION = "fetched-file", 1
_SMALL = 1 << 20
"""A file up to this size is fetched whole: that takes no longer than looking into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted of one file."""

    key: str
    """Name of the files on disk, without an ending."""
    title: str
    """What to call it in messages."""
    source: dict[str, Any]
    """Where it comes from: kept beside it."""
    for_layer: bool = False
    """Always cut to the study area, without overviews: a layer will be made of it."""
    nodata: float | None = None
    """Value of missing pixels, where the file names none; of what is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that was fetched."""

    path: Path
    digest: str
    num_bytes: int
    received: int
    """Bytes that came over the network for it."""
    mode: str
    """`window` or `whole`."""
    facts: dict[str, Any]
    title: str
    source: dict[str, Any]
    """As in `Wish`, and when it was `fetched`."""


def have(folder: Path, key: str) -> File | None:
    """Return the file of that key if it is there and whole."""
    path = folder / f"{key}.tif"
    try:
        body = store.read_json(folder / f"{key}.json", kind=KIND, version=VERSION)
        if path.stat().st_size != body["bytes"]:
            return None
        return File(
            path=path,
            digest=str(body["digest"]),
            num_bytes=int(body["bytes"]),
            received=int(body["received"]),
            mode=str(body["mode"]),
            facts=dict(body["facts"]),
            title=str(body["title"]),
            source=dict(body["source"]),
        )
    except (StoreError, OSError, KeyError, TypeError, ValueError):
        return None


def fetch_file(
    link: Link,
    door: Door,
    folder: Path,
    wish: Wish,
    boundary: shapely.Geometry,
    *,
    on_share: Callable[[float], None],
    check: Callable[[], None],
) -> File:
    """Fetch the part of a raster that meets a study area, or all of it where that is not offered.

    Args:
        link: Where it lies.
        door: The way there.
        folder: Where it is put; has to be there.
        wish: What is wanted.
        boundary: The study area in degrees.
        on_share: Told the share that has come.
        check: Called often; raises to end the work.

    Raises:
        OutsideError: The server does not answer, not to the end, or not any more.
        RefusedFileError: The address may not be asked, or leads to no sound GeoTIFF.
        CrsError, ExtentError: The raster has no place, or not that of the study area.
        TooLargeError: It is above the limit, or there is no room on the disk.
        StoppedError: The user stopped the work.
    """
    found = have(folder, wish.key)
    # Another catalogue may call an image of its own the same.
    if found is not None and found.source.get("catalogue") == wish.source.get("catalogue"):
        return found
    before = door.num_bytes
    head = head_of(link, door)
    place = _Place(folder, wish, boundary, check)
    if head.has_ranges and (wish.for_layer or (head.size or 0) > _SMALL):
        made = _window(link, door, head, place, on_share)
        if made is not None:
            return _keep(place, made, "window", door.num_bytes - before)
    made = _whole(link, door, head, place, on_share)
    return _keep(place, made, "whole", door.num_bytes - before)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file is put, as what, for which study area, and what is called often."""

    folder: Path
    wish: Wish
    boundary: shapely.Geometry
    check: Callable[[], None]

    @property
    def part(self) -> Path:
        return self.folder / f"{self.wish.key}.part"

    @property
    def pieces(self) -> Path:
        return self.folder / f"{self.wish.key}.pieces"


def _window(
    link: Link, door: Door, head: Head, place: _Place, on_share: Callable[[float], None]
) -> Made | None:
    """Fetch the window; None where it is the whole raster, which is better copied as it is."""
    file = RangeFile(link, door, head)

    def checked() -> None:
        place.check()
        if file.error is not None:  # GDAL might take what did not come for pixels that are missing
            raise file.error

    wish = place.wish
    try:
        with rasters.open_readable(file, wish.title) as dataset:
            cut = windows.cut_of(dataset, place.boundary, name=wish.title, nodata=wish.nodata)
            if cut.is_whole and not wish.for_layer:
                return None
            return _cut_out(
                dataset,
                cut,
                replace(place, check=checked),
                version=version_of(link, head),
                on_share=lambda share: on_share(0.95 * share),
                prefetch=file.prefetch,
            )
    except RefusedFileError:
        if file.error is not None:  # GDAL only knows that it could not read
            raise file.error from None
        raise


def _whole(
    link: Link, door: Door, head: Head, place: _Place, on_share: Callable[[float], None]
) -> Made:
    part = place.part
    store.require_space(place.folder, head.size or 0, what=place.wish.title)
    download.download(
        link,
        door,
        head,
        part,
        on_bytes=lambda done: on_share(0.95 * done / head.size if head.size else 0.5),
        check=place.check,
    )
    download.refuse_unless_size(part, head)
    try:
        made = part, _facts(part, place)
        return _cut_here(part, place) if place.wish.for_layer else made
    except AppError:
        download.forget(part)
        raise


def _space(cut: Cut) -> int:
    """Return a bound of the disk space of pieces, raw copy and finished file together."""
    return int(cut.num_bytes * 3.4)


def _facts(path: Path, place: _Place) -> dict[str, Any]:
    """Look into a finished file: it opens to its end and has a place in the study area."""
    with rasters.open_raster(path) as dataset:
        rasters.check_whole(dataset)
        _check_last_block(dataset, place.wish.title)
        lies = rasters.georeference(dataset, name=place.wish.title)
        cover = lies.cover(place.boundary)
        if cover == 0:
            raise ExtentError(N_("{name} and the study area do not meet."), name=place.wish.title)
        return {
            "crs": crs_name(lies.crs),
            "width": lies.width,
            "height": lies.height,
            "bands": dataset.count,
            "dtype": dataset.dtypes[0],
            "pixel": list(pixel_size(lies.transform)),
            "bounds": list(lies.bounds),
            "cover": round(cover, 6),
        }


def _check_last_block(dataset: DatasetReader, name: str) -> None:
    """Unpack the last block: what comes last is what a broken transfer loses."""
    rows, columns = dataset.block_shapes[-1]
    top = (dataset.height - 1) // rows * rows
    left = (dataset.width - 1) // columns * columns
    window = Window.from_slices((top, dataset.height), (left, dataset.width))
    with rasters.reading(name):
        dataset.read(dataset.count, window=window)


def keep_cut(
    source: Path,
    folder: Path,
    wish: Wish,
    boundary: shapely.Geometry,
    *,
    check: Callable[[], None],
) -> File:
    """Cut a raster that is here already to the study area and put that in its place.

    Raises:
        RefusedFileError, CrsError, ExtentError: It is not sound, or lies elsewhere.
        TooLargeError: There is no room on the disk.
    """
    place = _Place(folder, wish, boundary, check)
    return _keep(place, _cut_here(source, place), "window", 0)


def _cut_here(source: Path, place: _Place) -> Made:
    with rasters.open_raster(source) as dataset:
        cut = windows.cut_of(
            dataset, place.boundary, name=place.wish.title, nodata=place.wish.nodata
        )
        version = f"{source.name} {source.stat().st_size}"
        return _cut_out(dataset, cut, place, version=version)


def _cut_out(
    dataset: DatasetReader,
    cut: Cut,
    place: _Place,
    *,
    version: str,
    on_share: Callable[[float], None] = lambda _: None,
    prefetch: Callable[[list[tuple[int, int]]], None] | None = None,
) -> Made:
    """Read a part of a raster, piece by piece, and join the pieces; see `windows.fetch_cut`."""
    store.require_space(place.folder, _space(cut), what=place.wish.title)
    windows.fetch_cut(
        dataset,
        cut,
        place.pieces,
        version=version,
        on_share=on_share,
        check=place.check,
        prefetch=prefetch,
    )
    tmp = place.pieces / "whole.tif"
    tmp.unlink(missing_ok=True)
    is_cog, should_stop = not place.wish.for_layer, _asked(place.check)
    windows.join(dataset, cut, place.pieces, tmp, is_cog=is_cog, should_stop=should_stop)
    return tmp, _facts(tmp, place)


def _keep(place: _Place, made: Made, mode: str, received: int) -> File:
    folder, wish = place.folder, place.wish
    tmp, facts = made
    body = {
        "digest": store.file_digest(tmp),
        "bytes": tmp.stat().st_size,
        "received": received,
        "mode": mode,
        "facts": facts,
        "title": wish.title,
        "source": {**wish.source, "fetched": now()},
    }
    store.write_json(folder / f"{wish.key}.json", body, kind=KIND, version=VERSION)
    store.move_into_place(tmp, folder / f"{wish.key}.tif")
    shutil.rmtree(place.pieces, ignore_errors=True)
    download.forget(place.part)
    found = have(folder, wish.key)
    if found is None:
        raise StoreError(N_("{name} cannot be kept."), name=wish.title)
    return found


def _asked(check: Callable[[], None]) -> Callable[[], bool]:
    """Return a question that never says yes, but lets `check` raise."""

    def asked() -> bool:
        check()
        return False

    return asked
