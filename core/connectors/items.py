"""What a catalogue says of one image, read without trusting it."""

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import numpy as np
import shapely
from shapely.geometry import mapping, shape

from core import store
from core.connectors import addresses
from core.errors import AppError, InputError
from core.text import N_, as_json, filled

_LONGEST_ID = 200
_MOST_VERTICES = 10_000
_TIFF_TYPES = ("image/tiff", "image/vnd.stac.geotiff", "application/geotiff")
_TIFF_ENDINGS = (".tif", ".tiff")
# The first is drawn for anybody who asks; a thumbnail may lie where a signature is needed.
_PREVIEWS = ("rendered_preview", "thumbnail", "overview")
_FIRST_ASSETS = ("image", "data", "map", "visual", "B04")
_SAME_PLACE = 0.9
"""Share of two footprints together that both hold, from which on they are the same place."""
_ITEMSIZE = {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2, "float64": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One image of a catalogue that meets the study area."""

    id: str
    collection: str
    asset: str
    """Which file of the image is meant."""
    href: str
    """Its address, without a signature."""
    item_url: str
    """Where the catalogue tells of the image anew; `""` where it does not say."""
    date: str
    """`YYYY-MM-DD`."""
    footprint: shapely.Geometry
    """In degrees."""
    overlap: float
    """Share of the study area that the footprint covers, 0 to 1."""
    resolution_m: float | None
    num_bytes: int | None
    """Of the whole file; None where the catalogue does not say."""
    bands: tuple[str, ...]
    """Their names; none where the catalogue does not say."""
    itemsize: int
    """Bytes of one value."""
    cloud: float | None
    """Share of the image under clouds, 0 to 1."""
    thumbnail: str
    """Address of a small picture, `""` where there is none."""
    others: tuple[tuple[str, str], ...] = ()
    """Names and addresses of further files of the image that were asked for."""
    newer: str = ""
    """Id of the newest image of the same place, `""` where this is it."""

    @property
    def year(self) -> int:
        return int(self.date[:4])

    def other(self, asset: str) -> "Found":
        """Return the same image with another of its files.

        Raises:
            KeyError: That file was not asked for.
        """
        return replace(self, asset=asset, href=dict(self.others)[asset])

    @property
    def key(self) -> str:
        """A name for files: the image's id and the asset, made harmless."""
        return f"{harmless(self.id)}.{harmless(self.asset)}"

    @property
    def place(self) -> tuple[str, str]:
        """Folder and name of its files: the collection, made harmless, and the key."""
        return harmless(self.collection), self.key


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry of a catalogue that is passed over, and why."""

    id: str
    problem: str
    """A template as in `AppError`."""
    values: dict[str, Any]

    def message(self, translate: Any = str) -> str:
        """Return the reason in words."""
        return filled(self.problem, self.values, translate)


def harmless(text: str) -> str:
    """Make a file name of an id that somebody else chose; different ids get different names."""
    plain = re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_-")[:60]
    if plain == text and plain and not store.is_device(plain):
        return plain
    return f"{plain or 'x'}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"


def read_item(
    item: Any,
    boundary: shapely.Geometry,
    *,
    asset: str,
    also: str = "",
    base: str,
    check: Callable[[str], str],
) -> Found:
    """Read one item of a STAC API.

    Args:
        item: The decoded JSON.
        boundary: The study area in degrees.
        asset: Name of the file that is wanted, `""` for the first GeoTIFF.
        also: Name of a second file that has to be there, `""` for none.
        base: Address that relative links are meant from.
        check: Called with each link that will be followed; returns it, or raises. A thumbnail's is
            checked when it is fetched.

    Raises:
        InputError: Something is missing or makes no sense; RefusedFileError where a link may not
            be followed.
    """
    if not isinstance(item, dict):
        raise InputError(N_("An entry of the catalogue is no item."))
    name, collection = _text(item, "id"), _text(item, "collection")
    properties = item.get("properties")
    assets = item.get("assets")
    if not isinstance(properties, dict) or not isinstance(assets, dict):
        raise InputError(N_("{id} has no properties or no files."), id=name)
    chosen, entry = _asset(assets, asset, name)
    item_url = _self_link(item, base)
    href = check(_href(entry, item_url or base))
    if item_url:
        check(item_url)
    others: tuple[tuple[str, str], ...] = ()
    if also:
        _, second = _asset(assets, also, name)
        others = ((also, check(_href(second, item_url or base))),)
    footprint = _footprint(item.get("geometry"), name)
    return Found(
        id=name,
        collection=collection,
        asset=chosen,
        href=href,
        item_url=item_url,
        date=_date(properties, name),
        footprint=footprint,
        overlap=share_covered(boundary, footprint),
        resolution_m=_resolution(entry, properties),
        num_bytes=_whole(entry.get("file:size")),
        bands=_bands(entry),
        itemsize=_itemsize(entry),
        cloud=_share(properties.get("eo:cloud_cover")),
        thumbnail=_thumbnail(assets, item_url or base),
        others=others,
    )


def share_covered(boundary: shapely.Geometry, footprint: shapely.Geometry) -> float:
    """Return the share of an area that a footprint covers, both in degrees."""
    if boundary.area == 0:
        return 0.0
    return float(min(1.0, shapely.intersection(boundary, footprint).area / boundary.area))


def mark_older(found: list[Found]) -> list[Found]:
    """Say of each image whether there is a newer one of the same place."""
    newest: list[Found] = []
    newer: dict[str, str] = {}
    for image in sorted(found, key=lambda image: (image.date, image.id), reverse=True):
        same = next(
            (
                other
                for other in newest
                if other.collection == image.collection
                and _same_place(other.footprint, image.footprint)
            ),
            None,
        )
        if same is None:
            newest.append(image)
        else:
            newer[image.id] = same.id
    return [replace(image, newer=newer.get(image.id, "")) for image in found]


def suggested(found: tuple[Found, ...], boundary: shapely.Geometry) -> tuple[Found, ...]:
    """Return the fewest images, the newest of each place, that cover what can be covered.

    Greedy: the one that adds most to the cover is taken next, until nothing adds 0.1 % any more.
    """
    left, taken = boundary, []
    candidates = [image for image in found if not image.newer]
    while candidates and left.area > 0.001 * boundary.area:
        gains = [shapely.intersection(left, image.footprint).area for image in candidates]
        best = int(np.argmax(gains))
        if gains[best] <= 0.001 * boundary.area:
            break
        image = candidates.pop(best)
        taken.append(image)
        left = shapely.difference(left, image.footprint)
    return tuple(taken)


def to_row(image: Found) -> dict[str, Any]:
    """Return an image as plain JSON."""
    row = {name: getattr(image, name) for name in image.__dataclass_fields__}
    others = [list(pair) for pair in image.others]
    return {
        **row,
        "footprint": mapping(image.footprint),
        "bands": list(image.bands),
        "others": others,
    }


def from_row(row: dict[str, Any]) -> Found:
    """Return the image that `to_row` wrote.

    Raises:
        InputError: It is damaged.
    """
    try:
        others = tuple((str(name), str(href)) for name, href in row.get("others", ()))
        place, bands = shape(row["footprint"]), tuple(row["bands"])
        image = Found(**{**row, "footprint": place, "bands": bands, "others": others})
        texts = (image.id, image.collection, image.asset, image.href, image.item_url, image.date)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("texts are wanted")
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.GEOSException) as err:
        raise InputError(
            N_("The description of an image is damaged: {reason}."), reason=str(err)[:120]
        ) from err
    return image


def _same_place(one: shapely.Geometry, other: shapely.Geometry) -> bool:
    west, south, east, north = one.bounds
    slack = 0.2 * max(east - west, north - south)
    pairs = zip(one.bounds, other.bounds, strict=True)
    if any(abs(a - b) > slack for a, b in pairs):  # soon told, for most
        return False
    common = shapely.intersection(one, other).area
    return bool(common >= _SAME_PLACE * (one.area + other.area - common))


def _text(item: dict[str, Any], name: str) -> str:
    text = item.get(name)
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_ID or not text.isprintable():
        raise InputError(N_("An entry of the catalogue has no usable {name}."), name=name)
    return text


def _asset(assets: dict[str, Any], wanted: str, name: str) -> tuple[str, dict[str, Any]]:
    usable = {key: entry for key, entry in assets.items() if isinstance(entry, dict)}
    if wanted:
        if wanted not in usable:
            raise InputError(
                N_("{id} has no file {asset!r}."),
                hint=N_("It has: {known}."),
                id=name,
                asset=wanted[:40],
                known=", ".join(list(usable)[:12])[:200] or "-",
            )
        return wanted, usable[wanted]
    tiffs = [key for key, entry in usable.items() if _is_tiff(entry)]
    for key in (*_FIRST_ASSETS, *tiffs):
        if key in tiffs:
            return key, usable[key]
    raise InputError(N_("{id} has no GeoTIFF."), id=name)


def _is_tiff(entry: dict[str, Any]) -> bool:
    kind = str(entry.get("type", "")).lower()
    path = str(entry.get("href", "")).partition("?")[0].lower()
    return kind.startswith(_TIFF_TYPES) or (not kind and path.endswith(_TIFF_ENDINGS))


def _href(entry: dict[str, Any], base: str) -> str:
    href = entry.get("href")
    if not isinstance(href, str) or not href:
        raise InputError(N_("A file of the catalogue has no address."))
    # A relative link stays on the catalogue's own host; anything else has to be whole.
    if "://" not in href and not href.startswith("/"):
        href = urljoin(base, href)
    addresses.parsed(href)
    return href


def _thumbnail(assets: dict[str, Any], base: str) -> str:
    """Return the address of a small picture; what is none is left out, the image stays."""
    for name in _PREVIEWS:
        entry = assets.get(name)
        if isinstance(entry, dict) and str(entry.get("type", "image/")).startswith("image/"):
            try:
                return _href(entry, base)
            except InputError:
                continue
    return ""


def _self_link(item: dict[str, Any], base: str) -> str:
    links = item.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "self":
            href = link.get("href")
            if isinstance(href, str) and href:
                url = urljoin(base, href)
                return url if urlsplit(url).netloc == urlsplit(base).netloc else ""
    return ""


def _footprint(geometry: Any, name: str) -> shapely.Geometry:
    try:
        if geometry.get("type") not in ("Polygon", "MultiPolygon"):
            raise ValueError("it is no polygon")
        found = shapely.force_2d(shape(geometry))
        if not 0 < shapely.get_num_coordinates(found) <= _MOST_VERTICES:
            raise ValueError("it has too many corners")
        west, south, east, north = found.bounds
        if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
            raise ValueError("it is not in degrees")
        # What is left of a figure of eight may hold lines as well.
        parts = shapely.get_parts(shapely.make_valid(found))
        whole = shapely.union_all([part for part in parts if part.area > 0])
        if whole.is_empty:
            raise ValueError("it has no area")
        return whole
    except (
        AttributeError,
        TypeError,
        ValueError,
        IndexError,
        KeyError,
        RecursionError,
        shapely.errors.GEOSException,
    ) as err:
        raise InputError(
            N_("The footprint of {id} cannot be used: {reason}."),
            id=name,
            reason=str(err)[:80],
        ) from err


def _date(properties: dict[str, Any], name: str) -> str:
    text = properties.get("datetime") or properties.get("start_datetime")
    try:
        return datetime.fromisoformat(str(text)).date().isoformat()
    except ValueError as err:
        raise InputError(N_("{id} has no date."), id=name) from err


def _resolution(entry: dict[str, Any], properties: dict[str, Any]) -> float | None:
    rasters = entry.get("raster:bands") or entry.get("bands") or [{}]
    first = rasters[0] if isinstance(rasters, list) and isinstance(rasters[0], dict) else {}
    for value in (
        first.get("spatial_resolution"),
        entry.get("raster:spatial_resolution"),
        entry.get("gsd"),
        properties.get("gsd"),
    ):
        if isinstance(value, int | float) and math.isfinite(value) and 0 < value < 1e5:
            return float(value)
    return None


def _bands(entry: dict[str, Any]) -> tuple[str, ...]:
    for source in (entry.get("bands"), entry.get("eo:bands"), entry.get("raster:bands")):
        if isinstance(source, list) and 0 < len(source) <= 256:
            return tuple(
                str(band.get("name", i + 1))[:40] if isinstance(band, dict) else str(i + 1)
                for i, band in enumerate(source)
            )
    return ()


def _itemsize(entry: dict[str, Any]) -> int:
    for source in (entry.get("raster:bands"), entry.get("bands")):
        if isinstance(source, list) and source and isinstance(source[0], dict):
            return _ITEMSIZE.get(str(source[0].get("data_type")), 4)
    return 1


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _share(percent: Any) -> float | None:
    if isinstance(percent, int | float) and 0 <= percent <= 100:
        return float(percent) / 100
    return None


def refusal(item: Any, err: AppError) -> Refused:
    """Return the entry that is passed over because of `err`."""
    name = item.get("id") if isinstance(item, dict) else ""
    known = re.sub(r"[^\x20-\x7e]+", "?", name)[:80] if isinstance(name, str) else ""
    return Refused(known or "?", err.problem, as_json(err.values))
