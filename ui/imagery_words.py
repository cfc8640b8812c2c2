"""What is said of images on the Imagery page: rows, facts, estimates, outlines. No widgets."""

import base64
import html
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from core.connectors.imagery import Estimate
from core.connectors.items import Found
from core.connectors.shelf import Failure, Image
from ui.language import _
from ui.quantities import share_text, size_text
from ui.theme import ACCENT

FOUND, OLDER, HERE = "#6B7A7A", "#B8860B", "#7B3294"
STYLES: dict[str, dict[str, Any]] = {
    "older": {"color": OLDER, "weight": 1.2, "dashArray": "2 5", "fill": False},
    "found": {"color": FOUND, "weight": 1.2, "fill": False},
    "chosen": {"color": ACCENT, "weight": 2.0, "fill": True, "fillColor": ACCENT,
               "fillOpacity": 0.14},
    "here": {"color": HERE, "weight": 1.8, "dashArray": "8 4", "fill": False},
    "halo": {"color": "#FFFFFF", "weight": 7, "fill": False},
    "looked": {"color": "#D1495B", "weight": 3.5, "fill": False},
}  # fmt: skip
"""How an outline is drawn, by what the image is, the lowest first: lines differ too."""


def image_label(image: Found) -> str:
    """Return what an image is called in a list: its date and its name."""
    return f"{image.date} · {image.id}"


def years_texts(found: Sequence[Found]) -> list[str]:
    """Say of each image whether there are images of the same place of other years."""
    older, newest = _("older: the newest is of {date}"), _("newest of {count}")
    dates = {image.id: image.date for image in found}
    counts = Counter(image.newer for image in found)
    texts = []
    for image in found:
        if image.newer:
            texts.append(older.format(date=dates.get(image.newer, "")))
        else:
            count = counts[image.id]
            texts.append(newest.format(count=count + 1) if count else "")
    return texts


def resolution_text(image: Found) -> str:
    """Write the side of a pixel on the ground."""
    return f"{image.resolution_m:.3g} m" if image.resolution_m else _("not told")


def found_table(
    found: Sequence[Found], *, licence: str, here: set[str], pictures: Mapping[str, bytes]
) -> pd.DataFrame:
    """Return the images as rows of a table in the order given; `pictures` are PNG by key."""
    # Each word is looked up in the session: once a table and not once a row.
    columns: dict[str, list[Any]] = {
        _("Picture"): [
            data_uri(pictures[image.key]) if image.key in pictures else None for image in found
        ],
        _("Date"): [image.date for image in found],
        _("Overlap"): [100 * image.overlap for image in found],
        _("Pixel"): [image.resolution_m for image in found],
        _("Size"): [image.num_bytes / 1e6 if image.num_bytes else None for image in found],
        _("Other years"): years_texts(found),
        _("Here"): ["✓" if image.key in here else "" for image in found],
        _("Name"): [image.id for image in found],
        _("Licence"): [licence] * len(found),
    }
    if any(image.cloud is not None for image in found):
        clouds = [100 * image.cloud if image.cloud is not None else None for image in found]
        columns[_("Clouds")] = clouds
    return pd.DataFrame(columns)


def data_uri(picture: bytes) -> str:
    """Return a PNG as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")


def found_facts(image: Found, found: Sequence[Found], licence: str, catalogue: str) -> list[str]:
    """Return what is known of one image: names and texts, parted by a tab."""
    rows = {
        _("Date"): image.date,
        _("Name"): image.id,
        _("Source"): f"{catalogue}, {image.collection}",
        _("Covers of the study area"): share_text(image.overlap),
        _("Pixel"): resolution_text(image),
        _("Whole file"): size_text(image.num_bytes) if image.num_bytes else _("not told"),
        _("Bands"): ", ".join(image.bands) or _("not told"),
        _("Clouds"): share_text(image.cloud) if image.cloud is not None else "",
        _("Other years"): years_texts(found)[found.index(image)],
        _("Licence"): licence or _("not told"),
    }
    return [f"{name}\t{text}" for name, text in rows.items() if text]


def estimate_lines(estimate: Estimate) -> list[str]:
    """Say what a fetch would take."""
    if not estimate.num:
        return [_("All chosen images are here already.")]
    roughly = _("roughly") if estimate.is_rough else _("about")
    lines = [
        _("{count} to fetch, {there} here already").format(
            count=estimate.num, there=estimate.num_there
        ),
        _("Download: {roughly} {size}").format(
            roughly=roughly, size=size_text(estimate.download_bytes)
        ),
        _("Time: about {time} at {speed:g} Mbit/s").format(
            time=time_text(estimate.seconds), speed=estimate.mbit_s
        ),
        _("Disk: at most {size} of {free} free").format(
            size=size_text(estimate.disk_bytes), free=size_text(estimate.free_bytes)
        ),
    ]
    if not estimate.fits:
        lines.append(_("There is not enough room on the disk: choose fewer."))
    return lines


def time_text(seconds: float) -> str:
    """Write how long something takes: 20 s, 3 min, 2.5 h."""
    if seconds < 90:
        return _("{seconds:.0f} s").format(seconds=max(seconds, 1))
    if seconds < 5400:
        return _("{minutes:.0f} min").format(minutes=seconds / 60)
    return _("{hours:.1f} h").format(hours=seconds / 3600)


def covered_share(images: Sequence[Found], boundary: BaseGeometry) -> float:
    """Return the share of a study area that images cover together, 0 to 1."""
    if not images or boundary.area == 0:
        return 0.0
    whole = shapely.union_all([image.footprint for image in images])
    return float(min(1.0, shapely.intersection(whole, boundary).area / boundary.area))


def outlines(
    found: Sequence[Found], *, chosen: set[str], here: set[str], looked: str
) -> dict[str, Any]:
    """Return the footprints as GeoJSON, each with its `style`; the one looked at is on top."""
    features = []
    for image in found:
        kind = "older" if image.newer else "found"
        if image.key in chosen:
            kind = "chosen"
        if image.key in here:
            kind = "here"
        features.append(_feature(image.footprint, kind))
    order = list(STYLES)
    features.sort(key=lambda feature: order.index(feature["properties"]["kind"]))
    on_top = next((image for image in found if image.key == looked), None)
    if on_top is not None:
        features += [_feature(on_top.footprint, kind) for kind in ("halo", "looked")]
    return {"type": "FeatureCollection", "features": features}


def _feature(footprint: BaseGeometry, kind: str) -> dict[str, Any]:
    shape = shapely.geometry.mapping(footprint)
    return {"type": "Feature", "properties": {"kind": kind}, "geometry": shape}


def outlines_legend(found: Sequence[Found], *, has_chosen: bool, has_here: bool) -> str:
    """Return the legend of the outlines as HTML, of the kinds that are on the map."""
    rows = [("found", _("Found"))]
    if any(image.newer for image in found):
        rows.append(("older", _("Older image of a place")))
    if has_here:
        rows.append(("here", _("Here already")))
    if has_chosen:
        rows.append(("chosen", _("Chosen, to be fetched")))
    rows.append(("looked", _("Looked at")))
    body = "".join(
        f'<div class="row"><span class="box" style="background:{_fill(kind)};'
        f'border:2px {_line(kind)} {STYLES[kind]["color"]}"></span>'
        f"<span>{html.escape(text)}</span></div>"
        for kind, text in rows
    )
    title = html.escape(_("Images"))
    return f"<details open><summary>{title}</summary>{body}</details>"


def _fill(kind: str) -> str:
    return f"{ACCENT}24" if STYLES[kind]["fill"] else "transparent"


def _line(kind: str) -> str:
    return {"older": "dotted", "here": "dashed"}.get(kind, "solid")


def at_point(found: Sequence[Found], lat: float, lon: float, *, looked: str = "") -> Found | None:
    """Return the image at a place: the newest, or the next older one where that is looked at."""
    place = shapely.Point(lon, lat)
    there = [image for image in found if shapely.intersects(image.footprint, place)]
    there.sort(key=lambda image: (image.date, image.id), reverse=True)
    keys = [image.key for image in there]
    if not there:
        return None
    return there[(keys.index(looked) + 1) % len(there)] if looked in keys else there[0]


def shelf_table(images: Sequence[Image]) -> pd.DataFrame:
    """Return the images that are here as rows of a table."""
    return pd.DataFrame(
        [
            {
                _("Date"): image.date,
                _("Name"): image.title,
                _("Size"): image.num_bytes / 1e6,
                _("Pixel"): pixel_of(image),
                _("Bands"): str(image.facts["bands"]),
                _("Covers"): 100 * float(image.facts["cover"]),
                _("Source"): source_text(image.source),
                _("Licence"): str(image.source.get("licence", "")),
            }
            for image in images
        ]
    )


def pixel_of(image: Image) -> str:
    """Write the side of a pixel: in metres where the catalogue told, else in units of the CRS."""
    side = image.source.get("resolution_m")
    if side:
        return f"{float(side):.3g} m"
    return " × ".join(f"{abs(side):.4g}" for side in image.facts["pixel"])


def source_text(source: Mapping[str, Any]) -> str:
    """Return where an image comes from, in words."""
    return f"{source.get('catalogue_title', '')}, {source.get('collection', '')}".strip(", ")


def failure_table(failures: Sequence[Failure]) -> pd.DataFrame:
    """Return the images that could not be fetched, with the reason in words."""
    return pd.DataFrame(
        [
            {
                _("Date"): row.image.date,
                _("Name"): row.image.id,
                _("Why it could not be fetched"): row.message(_),
            }
            for row in failures
        ]
    )
