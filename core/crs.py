"""Coordinate systems that a user or a file names."""

import re

from pyproj import CRS
from pyproj.exceptions import CRSError

from core.errors import CrsError
from core.text import N_

_LONGEST = 20_000
# PROJ opens the files that a definition names as grids.
_NAMES_FILES = re.compile(r"grids\s*=(?!\s*@null)|PARAMETERFILE|init\s*=|file\s*=", re.IGNORECASE)


def parse_crs(text: str) -> CRS:
    """Return the coordinate system that `text` names: `EPSG:32616`, `32616`, WKT or PROJ text.

    Raises:
        CrsError: There is no such system, it has no place on earth, or it names files.
    """
    wanted = text.strip()
    try:
        if not wanted or len(wanted) > _LONGEST or _NAMES_FILES.search(wanted):
            raise CRSError("not let in")
        crs = CRS.from_user_input(int(wanted) if wanted.isdecimal() else wanted)
    except (CRSError, ValueError, OverflowError) as err:
        raise CrsError(
            N_("{text!r} is no coordinate system that is known here."),
            hint=N_("Write its EPSG code, EPSG:4326 for longitude and latitude."),
            text=wanted[:60],
        ) from err
    if not (crs.is_geographic or crs.is_projected):
        raise CrsError(
            N_("{crs} does not say where on earth it is."),
            hint=N_("Choose a geographic or projected coordinate system."),
            crs=crs.name[:80],
        )
    return crs
