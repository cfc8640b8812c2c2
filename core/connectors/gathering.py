"""The files that a layer is made of: chosen from a catalogue or by their addresses, and fetched."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import shapely

from core import archives, store
from core.connectors import addresses, assets, download, imagery, items, search, seasons
from core.connectors.assets import fetch_file
from core.connectors.door import Door
from core.connectors.items import Found
from core.connectors.median import Scene
from core.connectors.ranges import head_of
from core.connectors.recipes import Recipe
from core.connectors.reckoning import box_m
from core.connectors.signing import Catalogue, Link, Signer
from core.errors import (
    AppError,
    ExtentError,
    InputError,
    OutsideError,
    RefusedFileError,
    StoppedError,
    TooLargeError,
)
from core.settings import settings
from core.text import N_, as_json

_MOST_FILES = 64
_FINER = 1.5
Notes = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a layer is gathered, for which area, and through which door."""

    area: Path
    """The area's folder."""
    folder: Path
    """Of the files that are fetched."""
    boundary: shapely.Geometry
    """In degrees."""
    catalogue: Catalogue
    door: Door
    signer: Signer
    on_share: Callable[[float], None]

    def check(self) -> None:
        """Raise to end the work, if the user wants that or the area is gone."""
        self.door.stop_if()
        if not (self.area / "area.json").is_file():
            raise StoppedError(N_("Stopped: the study area was deleted."))


@dataclass(slots=True)
class Gathered:
    """What came."""

    scenes: list[Scene] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    """Of each: `id`, `date`, `href`, `sha256`."""
    licence: str = ""
    """As the catalogue tells it."""
    notes: Notes = field(default_factory=list)
    received: int = 0


def refuse_large(boundary: shapely.Geometry, *, most_km2: float) -> None:
    """Refuse an area whose layers nobody would wait for.

    Raises:
        TooLargeError: Its box is larger than `most_km2`.
    """
    size = math.prod(box_m(boundary)) / 1e6
    if size > most_km2:
        raise TooLargeError(
            N_("The box around the study area has {size:,.0f} km²; {most:,.0f} can be fetched."),
            hint=N_("Choose a smaller area, or cut layers of your own to it."),
            size=size,
            most=most_km2,
        )


def gather(recipe: Recipe, site: Site, years: range, asked: tuple[int, int] | None) -> Gathered:
    """Fetch what a layer is made of; files that are there are not asked for.

    Args:
        recipe: The layer.
        site: Where and for what.
        years: Of a season's images.
        asked: The years that the user named, for data of which the newest is taken otherwise.

    Raises:
        OutsideError: Nothing came, because nothing answers.
        InputError: Nothing is there for this area or these years.
        StoppedError: The user stopped the work.
    """
    gathered = Gathered()
    before = site.door.num_bytes
    if recipe.how == "newest":
        _newest(recipe, site, asked, gathered)
    elif recipe.how == "median":
        _season(recipe, site, years, gathered)
    elif recipe.how == "months":
        _months(recipe, site, asked[1] if asked else recipe.year or years[-1], gathered)
    else:
        _tiles(recipe, site, gathered)
        if asked and recipe.year not in range(asked[0], asked[1] + 1):
            text = N_("{name} is of {year}; there is no other year.")
            gathered.notes.append((text, {"name": recipe.id, "year": recipe.year}))
    if not gathered.scenes:
        raise InputError(
            N_("There is nothing of {collection} for this study area and these years."),
            hint=N_("Choose other years, or bring in a file of your own."),
            collection=recipe.collection,
        )
    gathered.received = site.door.num_bytes - before
    return gathered


def _newest(recipe: Recipe, site: Site, asked: tuple[int, int] | None, out: Gathered) -> None:
    dates = (str(asked[0]), str(asked[1])) if asked else ("", "")
    found = _searched(recipe, site, dates, out)
    sharpest = min((image.resolution_m or math.inf for image in found), default=math.inf)
    found = [image for image in found if (image.resolution_m or 0) <= _FINER * sharpest]
    chosen = items.suggested(tuple(items.mark_older(found)), site.boundary)
    if len(chosen) > _MOST_FILES:
        raise TooLargeError(
            N_("The study area needs {count} files of {collection}; at most {most} are fetched."),
            hint=N_("Choose a smaller area."),
            count=len(chosen),
            collection=recipe.collection,
            most=_MOST_FILES,
        )
    _each(chosen, site, out, lambda image, share: _one(recipe, site, image, out, share))
    if len(out.scenes) < len(chosen):  # a hole in a map would be worse than no map
        text, values = out.notes[-1]
        raise OutsideError(text, **values)


def _season(recipe: Recipe, site: Site, years: range, out: Gathered) -> None:
    assert recipe.season is not None
    latitude = shapely.centroid(site.boundary).y
    found: list[Found] = []
    for dates in seasons.periods(recipe.season, years, latitude=latitude):
        found += _searched(recipe, site, dates, out)
    chosen = seasons.best_scenes(found, recipe.most_scenes)
    _each(chosen, site, out, lambda image, share: _one(recipe, site, image, out, share))
    if 2 * len(out.scenes) < len(chosen):  # too few to speak for the season; try again later
        text, values = out.notes[-1]
        raise OutsideError(text, **values)


def _searched(
    recipe: Recipe, site: Site, dates: tuple[str, str], out: Gathered
) -> tuple[Found, ...] | list[Found]:
    results = search.search_through(
        site.door,
        site.boundary,
        catalogue=site.catalogue,
        collection=recipe.collection,
        asset=recipe.asset,
        also=recipe.mask_asset,
        dates=dates,
    )
    out.licence = results.licence
    out.notes += [(entry.problem, entry.values) for entry in results.refused]
    return results.found


def _each(
    chosen: Sequence[Found],
    site: Site,
    out: Gathered,
    fetch: Callable[[Found, Callable[[float], None]], None],
) -> None:
    """Fetch one after the other; one that fails is told of and the next is tried."""
    for number, image in enumerate(chosen):

        def share(done: float, number: int = number) -> None:
            site.on_share((number + done) / len(chosen))

        share(0.0)
        try:
            fetch(image, share)
        except StoppedError:
            raise
        except AppError as err:
            out.notes.append((err.problem, as_json(err.values)))
            if isinstance(err, TooLargeError):
                raise


def _one(
    recipe: Recipe, site: Site, image: Found, out: Gathered, share: Callable[[float], None]
) -> None:
    """Fetch an image, and its mask where the recipe has one."""
    link = imagery.link_of(image, site.door, site.signer)
    split = 0.5 if recipe.mask_asset else 1.0
    values = _file(site, image.key, image.id, link, recipe.nodata, lambda s: share(split * s))
    mask = None
    if recipe.mask_asset:
        other = imagery.link_of(image.other(recipe.mask_asset), site.door, site.signer)
        key = image.other(recipe.mask_asset).key
        found = _file(site, key, image.id, other, None, lambda s: share(split + split * s))
        mask = found.path
    out.scenes.append(Scene(name=image.id, values=values.path, mask=mask))
    out.items.append(
        {
            "id": image.id,
            "date": image.date,
            "href": addresses.shown(image.href),
            "sha256": values.digest,
        }
    )


def _file(
    site: Site,
    key: str,
    title: str,
    link: Link,
    nodata: float | None,
    share: Callable[[float], None],
) -> assets.File:
    wish = assets.Wish(key=key, title=title[:80], source={}, nodata=nodata, for_layer=True)
    return fetch_file(
        link, site.door, site.folder, wish, site.boundary, on_share=share, check=site.check
    )


def _months(recipe: Recipe, site: Site, year: int, out: Gathered) -> None:
    """Fetch a year's monthly rasters; months that are not published are passed over."""
    urls = seasons.month_urls(recipe, year)
    for number, (month, url) in enumerate(urls):
        site.on_share(number / len(urls))
        link = Link(url, site.signer)
        try:
            found = _file(site, f"m{month}", month, link, recipe.nodata, lambda _: None)
        except OutsideError as err:
            if err.values.get("status") not in (403, 404):
                raise
            out.notes.append((N_("{month} is not published."), {"month": month}))
            continue
        except RefusedFileError as err:
            out.notes.append((err.problem, as_json(err.values)))
            continue
        out.scenes.append(Scene(name=month, values=found.path))
        out.items.append({"id": month, "date": month, "href": url, "sha256": found.digest})


def _tiles(recipe: Recipe, site: Site, out: Gathered) -> None:
    """Fetch archives of fixed squares, and take the part in the study area out of each."""
    urls = seasons.tile_urls(recipe, site.boundary)
    for number, (name, url) in enumerate(urls):

        def share(done: float, number: int = number) -> None:
            site.on_share((number + done) / len(urls))

        try:
            found = _tile(recipe, site, name, url, share)
        except ExtentError:  # a square whose edge is near
            continue
        except OutsideError as err:
            if err.values.get("status") not in (403, 404):
                raise
            continue  # there are no squares of open sea
        out.scenes.append(Scene(name=name, values=found.path))
        out.items.append(
            {"id": name, "date": str(recipe.year or ""), "href": url, "sha256": found.digest}
        )


def _tile(
    recipe: Recipe, site: Site, name: str, url: str, share: Callable[[float], None]
) -> assets.File:
    found = assets.have(site.folder, name)
    if found is not None:
        return found
    link = Link(url, site.signer)
    head = head_of(link, site.door)
    part, whole = site.folder / f"{name}.zip.part", site.folder / f"{name}.whole.tif"
    store.require_space(site.folder, 4 * (head.size or 0), what=name)
    download.download(
        link,
        site.door,
        head,
        part,
        on_bytes=lambda done: share(0.9 * done / head.size if head.size else 0.5),
        check=site.check,
    )
    download.refuse_unless_size(part, head)
    try:
        archives.unpack_geotiff(part, whole, label=name, most_bytes=settings().raster_mb << 20)
    except InputError:
        download.forget(part)
        raise
    wish = assets.Wish(key=name, title=name, source={}, nodata=recipe.nodata, for_layer=True)
    made = assets.keep_cut(whole, site.folder, wish, site.boundary, check=site.check)
    whole.unlink()
    download.forget(part)
    return made
