"""Finding images of a study area in a STAC API.

pystac-client speaks the protocol; every request it makes goes through our door, and what comes
back is bounded in bytes, pages and entries.
"""

import json
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import shapely
from shapely.geometry import mapping

from core.connectors import addresses, items
from core.connectors.door import Door, ShouldStop
from core.connectors.items import Found, Refused
from core.connectors.signing import PLANETARY_COMPUTER, Catalogue
from core.errors import AppError, ExtentError, InputError, OutsideError, RefusedFileError
from core.text import N_

if TYPE_CHECKING:
    from pystac_client import Client

MOST_FOUND = 500
_PAGE = 100
_MOST_PAGES = 50
_MOST_REFUSED = 100
_MOST_HOSTS = 20
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_SEGMENT_DEG = 170.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a search found, best first: most overlap, then newest."""

    found: tuple[Found, ...]
    refused: tuple[Refused, ...]
    """Entries that are passed over, each with its reason."""
    is_cut: bool
    """Whether the catalogue has more than was asked for."""
    licence: str
    title: str
    """Of the collection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What a catalogue says of one collection."""

    id: str
    title: str
    licence: str
    provider: str


def search(
    boundary: shapely.Geometry,
    *,
    catalogue: Catalogue = PLANETARY_COMPUTER,
    collection: str = "naip",
    asset: str = "",
    dates: tuple[str, str] = ("", ""),
    most: int = MOST_FOUND,
    outside: bool,
    should_stop: ShouldStop | None = None,
) -> Results:
    """Find the images of a collection that meet a study area.

    Args:
        boundary: The study area in degrees.
        catalogue: Which STAC API to ask.
        collection: Id of a collection.
        asset: Name of the file wanted of each image; `""` for its first GeoTIFF.
        dates: First and last day, month or year (`2019`, `2019-06`, `2019-06-10`), `""` for open.
        most: Stop after so many images, at most 500.
        outside: Whether the user has switched outside access on.
        should_stop: Asked between requests.

    Raises:
        InputError: A date or number makes no sense, or the catalogue has no such collection.
        ExtentError: The study area spans half the earth.
        OutsideError: Outside access is off, or the catalogue does not answer as a STAC API.
        RefusedFileError: The catalogue's own address may not be asked.
        StoppedError: `should_stop` said so.
    """
    with Door(catalogue.url, outside=outside, should_stop=should_stop) as door:
        return search_through(
            door,
            boundary,
            catalogue=catalogue,
            collection=collection,
            asset=asset,
            dates=dates,
            most=most,
        )


def search_through(
    door: Door,
    boundary: shapely.Geometry,
    *,
    catalogue: Catalogue,
    collection: str,
    asset: str = "",
    also: str = "",
    dates: tuple[str, str] = ("", ""),
    most: int = MOST_FOUND,
) -> Results:
    """Do what `search` does, through a door that is open already.

    `also` names a second file that each image has to have.
    """
    if not 1 <= most <= MOST_FOUND:
        raise InputError(N_("A search brings 1 to {most} images."), most=MOST_FOUND)
    period = checked_dates(dates)
    links = _Links(door)
    boundary = shapely.make_valid(boundary)
    with speaking_stac(catalogue):
        client = open_catalogue(catalogue, door)
        about = _collection(client, collection, catalogue)

        def read(item: Any) -> Found:
            return items.read_item(
                item, boundary, asset=asset, also=also, base=f"{catalogue.url}/", check=links
            )

        entries = items_of(client, boundary, collection, period)
        found, refused, is_cut = _images(entries, read, collection, most, door)
    marked = items.mark_older(found)
    marked.sort(key=lambda image: (-round(image.overlap, 3), _backwards(image.date), image.id))
    return Results(
        found=tuple(marked),
        refused=tuple(refused),
        is_cut=is_cut,
        licence=about.licence,
        title=about.title,
    )


def checked_dates(dates: tuple[str, str]) -> str | None:
    """Return a period as STAC writes it, None for all times.

    Raises:
        InputError: One of them is no date, or they are in the wrong order.
    """
    first, last = (text.strip() for text in dates)
    for text in (first, last):
        if text and not _DATE.fullmatch(text):
            raise InputError(
                N_("{text!r} is no date."),
                hint=N_("Write 2019, 2019-06 or 2019-06-10."),
                text=text[:40],
            )
    if first and last and last < first[: len(last)]:
        raise InputError(
            N_("The period ends on {last}, before it begins on {first}."), first=first, last=last
        )
    return f"{first or '..'}/{last or '..'}" if first or last else None


def open_catalogue(catalogue: Catalogue, door: Door) -> "Client":
    """Return pystac-client's client, all of whose requests go through `door`."""
    from pystac_client import Client  # a second: not for what only lists

    from core.connectors.stac_io import CheckedIO

    return Client.open(catalogue.url, stac_io=CheckedIO(door, catalogue.url))


@contextmanager
def speaking_stac(catalogue: Catalogue) -> Iterator[None]:
    """Turn whatever a library makes of an answer that is no STAC into one clear error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a catalogue says it conforms to
            yield
    except (AppError, OSError):
        raise
    except Exception as err:  # foreign JSON in a foreign library raises anything
        raise OutsideError(
            N_("{url} answers, but not as a STAC API: {reason}."),
            hint=N_("Give the address of its landing page."),
            url=addresses.shown(catalogue.url),
            reason=f"{type(err).__name__} {err}".strip()[:120],
        ) from err


def items_of(
    client: "Client",
    boundary: shapely.Geometry,
    collection: str,
    period: str | None,
    query: dict[str, Any] | None = None,
) -> Iterator[tuple[dict[str, Any] | Any, bool]]:
    """Yield entries of a search, each once, and whether the catalogue was cut short at it."""
    hull = shapely.convex_hull(boundary)
    west, _, east, _ = hull.bounds
    if east - west > _SEGMENT_DEG:
        raise ExtentError(
            N_("The study area spans {degrees:.0f}° of longitude."),
            hint=N_("Search for its parts on each side of the 180th meridian."),
            degrees=east - west,
        )
    simple = shapely.simplify(shapely.buffer(hull, 1e-4), 1e-4)
    links = [link for link in client.links if link.rel == "search"]
    is_posted = any(str(link.extra_fields.get("method", "GET")).upper() == "POST" for link in links)
    asked = client.search(
        method="POST" if is_posted else "GET",
        collections=[collection],
        intersects=mapping(simple),
        datetime=period,
        limit=_PAGE,
        query=query,
    )
    seen: set[str] = set()
    for number, page in enumerate(asked.pages_as_dicts(), start=1):
        entries = page.get("features")
        new = 0
        for item in entries if isinstance(entries, list) else ():
            name = str(item.get("id")) if isinstance(item, dict) else ""
            if not name or name not in seen:
                seen.add(name)
                new += 1
                yield item, False
        # Some catalogues never say that a page is the last.
        if not new:
            return
        if number == _MOST_PAGES:
            yield None, True
            return


class _Links:
    """Checks the links of a catalogue's answer; asks the name service about few hosts, once each.

    A look-up takes seconds where nobody answers, and a catalogue may name another host with each
    entry.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._problems: dict[str, AppError | None] = {}

    def __call__(self, url: str) -> str:
        """Return a link that may be asked.

        Raises:
            RefusedFileError, OutsideError: See `addresses.checked_link`; or its host is one of too
                many.
            StoppedError: The user stopped the work.
        """
        host = addresses.parsed(url).hostname or ""
        if host not in self._problems:
            self._door.stop_if()
            if len(self._problems) == _MOST_HOSTS:
                raise RefusedFileError(
                    N_("{host} is one of too many machines that the catalogue points to."),
                    hint=N_("Nothing was asked of it."),
                    host=host[:80],
                )
            try:
                addresses.checked_link(url, home=self._door.home)
                self._problems[host] = None
            except AppError as err:
                self._problems[host] = err
        problem = self._problems[host]
        if problem is not None:
            raise problem.with_traceback(None)
        return url


def _images(
    entries: Iterator[tuple[Any, bool]],
    read: Callable[[Any], Found],
    collection: str,
    most: int,
    door: Door,
) -> tuple[list[Found], list[Refused], bool]:
    found: list[Found] = []
    refused: list[Refused] = []
    for item, is_end in entries:
        door.stop_if()
        if is_end:
            return found, refused, True
        try:
            image = read(item)
        except (InputError, OutsideError) as err:
            refused.append(items.refusal(item, err))
            if len(refused) == _MOST_REFUSED:
                return found, refused, True
            continue
        if image.overlap > 0 and image.collection == collection:
            found.append(image)
        if len(found) == most:
            return found, refused, True
    return found, refused, False


def _collection(client: "Client", name: str, catalogue: Catalogue) -> Collection:
    if not name or not re.fullmatch(r"[A-Za-z0-9_.:-]{1,100}", name):
        raise InputError(N_("{name!r} is no name of a collection."), name=name[:80])
    io = client._stac_io
    assert io is not None
    try:
        text = io.read_text(urljoin(f"{catalogue.url}/", f"collections/{name}"))
    except OutsideError as err:
        if err.values.get("status") != 404:
            raise
        raise InputError(
            N_("{catalogue} has no collection {name!r}."),
            hint=N_("Its page on the web lists those that it has."),
            catalogue=catalogue.title,
            name=name,
        ) from err
    return collection_from(json.loads(text), name)


def collection_from(body: Any, name: str) -> Collection:
    """Read what a collection says of itself."""
    body = body if isinstance(body, dict) else {}
    links = [link for link in body.get("links") or () if isinstance(link, dict)]
    licence = str(body.get("license") or "")
    for link in links:
        if link.get("rel") == "license":
            said = (licence, str(link.get("title") or ""), str(link.get("href") or ""))
            licence = ", ".join(part for part in said if part and part != "proprietary")
            break
    providers = [entry for entry in body.get("providers") or () if isinstance(entry, dict)]
    names = (str(entry.get("name") or "") for entry in providers)
    return Collection(
        id=name,
        title=str(body.get("title") or name)[:120],
        licence=licence[:300],
        provider=", ".join(part for part in names if part)[:200],
    )


def _backwards(date: str) -> tuple[int, ...]:
    return tuple(-ord(letter) for letter in date)
