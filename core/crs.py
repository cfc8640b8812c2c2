"""Coordinate systems that a user or a file names."""

import re

from pyproj import CRS
from pyproj.exceptions import CRSError

from core.errors import CrsError
from core.text import N_

_LONGEST = 20_000
# PROJ would also take a name, and match it loosely: that is a guess.
_FORMS = re.compile(
    r"(urn:ogc:def:crs:)?[A-Za-z]+:[^:/]*:?[A-Za-z0-9]+|\+proj=.*|[A-Z0-9_]+\[.*", re.DOTALL
)
# PROJ opens the files that a definition names as grids.
_NAMES_FILES = re.compile(r"grids\s*=(?!\s*@null)|PARAMETERFILE|init\s*=|file\s*=", re.IGNORECASE)


def parse_crs(text: str) -> CRS:
    """Return the coordinate system that `text` names: `EPSG:32616`, `32616`, WKT or PROJ text.

    Raises:
        CrsError: There is no such system, it has no place on earth, or it names files.
    """
    wanted = text.strip()
    try:
        if wanted.isdecimal():
            wanted = f"EPSG:{int(wanted)}"
        if len(wanted) > _LONGEST or _NAMES_FILES.search(wanted) or not _FORMS.fullmatch(wanted):
            raise CRSError("not let in")
        crs = CRS.from_user_input(wanted)
    except (CRSError, ValueError, OverflowError) as err:
        raise CrsError(
            N_("{text!r} is no coordinate system that is known here."),
            hint=N_("Write its EPSG code, EPSG:4326 for longitude and latitude."),
            text=wanted[:60],
        ) from err
    if not is_on_earth(crs):
        raise CrsError(
            N_("{crs} does not say where on earth it is."),
            hint=N_("Choose a geographic or projected coordinate system."),
            crs=crs.name[:80],
        )
    return crs


def is_on_earth(crs: CRS) -> bool:
    """Say whether `crs` can be turned into longitude and latitude without opening other files."""
    return (crs.is_geographic or crs.is_projected) and not _NAMES_FILES.search(crs.to_wkt())
