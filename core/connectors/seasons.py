"""Periods of a season, the images of it worth fetching, and addresses that follow a pattern."""

import calendar
import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import shapely
from pyproj import Transformer

from core.connectors.items import Found
from core.connectors.recipes import Recipe
from core.errors import InputError
from core.text import N_
from core.workspace import Season

_FIRST_YEAR = 1984
_WINTER_MONTH = 12
_LEAST_OVERLAP = 0.05
_MOST_CLOUD = 0.7
# The squares of GHS-BUILT-H in world Mollweide, metres. Their rows begin at the pole.
_TILE_M = 1_000_000.0
_TILES_WEST, _TILES_NORTH = -18_041_000.0, 9_020_047.85
_MOLLWEIDE = "ESRI:54009"
_TILE_SLACK_M = 25_000.0


def checked_years(years: tuple[int, int] | None, *, today: datetime | None = None) -> range:
    """Return years from the first to the last; None for the last three that are over.

    Raises:
        InputError: They are in the wrong order, too many, or not those of the satellites.
    """
    now = today or datetime.now(UTC)
    first, last = years or (now.year - 3, now.year - 1)
    if not (_FIRST_YEAR <= first <= last <= now.year and last - first < 20):
        raise InputError(
            N_("The years {first} to {last} cannot be used."),
            hint=N_("Give at most 20 years, from {least} on."),
            first=first,
            last=last,
            least=_FIRST_YEAR,
        )
    return range(first, last + 1)


def periods(season: Season, years: range, *, latitude: float) -> list[tuple[str, str]]:
    """Return the first and last month of a season for each year, December counted to the next.

    Summer is June to August north of the equator and December to February south of it.
    """
    starts_in_june = (season == "summer") == (latitude >= 0)
    if starts_in_june:
        return [(f"{year}-06", f"{year}-08") for year in years]
    return [(f"{year - 1}-{_WINTER_MONTH}", f"{year}-02") for year in years]


def best_scenes(found: Sequence[Found], most: int) -> list[Found]:
    """Return the images that show most of the area most clearly, at most `most`.

    Ranked by overlap times the clear share of the image. Where the catalogue tells of no clouds,
    those that are spread evenly over the time.
    """
    usable = [
        image
        for image in found
        if image.overlap >= _LEAST_OVERLAP and (image.cloud or 0.0) <= _MOST_CLOUD
    ]
    if all(image.cloud is None for image in usable):
        in_time = sorted(usable, key=lambda image: (image.date, image.id))
        rows = np.linspace(0, len(in_time) - 1, min(most, len(in_time))).round().astype(int)
        return [in_time[row] for row in rows]

    def worth(image: Found) -> tuple[float, str]:
        return -image.overlap * (1.0 - (image.cloud or 0.0)), image.id

    return sorted(usable, key=worth)[:most]


def month_urls(recipe: Recipe, year: int) -> list[tuple[str, str]]:
    """Return (month, address) of a year's monthly rasters."""
    return [
        (
            f"{year}-{month:02}",
            recipe.url.format(year=year, month=month, days=calendar.monthrange(year, month)[1]),
        )
        for month in range(1, 13)
    ]


def tile_urls(recipe: Recipe, boundary: shapely.Geometry) -> list[tuple[str, str]]:
    """Return (name, address) of the squares of 1000 km that a study area may lie in.

    A square whose edge is near is named too: it is passed over where it does not meet the area.
    """
    west, south, east, north = boundary.bounds
    to_metres = Transformer.from_crs(4326, _MOLLWEIDE, always_xy=True)
    lon, lat = np.meshgrid(np.linspace(west, east, 9), np.linspace(south, north, 9))
    x, y = (np.asarray(values) for values in to_metres.transform(lon, lat))
    columns, rows = (
        range(math.floor(low / _TILE_M) + 1, math.floor(high / _TILE_M) + 2)
        for low, high in (
            (x.min() - _TILES_WEST, x.max() - _TILES_WEST),
            (_TILES_NORTH - y.max() - _TILE_SLACK_M, _TILES_NORTH - y.min() + _TILE_SLACK_M),
        )
    )
    return [
        (f"r{row}-c{column}", recipe.url.format(row=row, column=column))
        for row in rows
        for column in columns
    ]
