"""Named zones that come with the program: pick some, and they make a boundary."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import geopandas as gpd

from core.boundaries import Boundary, boundary_of
from core.errors import InputError, StoreError
from core.store import file_digest
from core.text import N_
from core.vectors import read_vector


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneSet:
    """A file of zones and how to read it. A new set is a new entry in `_SETS`."""

    id: str
    title: str
    find: Callable[[], Path]
    crs: str | None
    """The coordinate system, where the file does not hold it."""
    name_column: str
    spelled: dict[str, str] = field(default_factory=dict)
    """Names that title case gets wrong."""
    source: str
    """Who made it, for provenance."""


def _libpysal_example(*parts: str) -> Callable[[], Path]:
    def find() -> Path:
        spec = find_spec("libpysal")  # found, not imported: importing takes a second
        if spec is None or spec.origin is None:
            raise StoreError(N_("The package {name} is not installed."), name="libpysal")
        return Path(spec.origin).parent.joinpath("examples", *parts)

    return find


_SETS = (
    ZoneSet(
        id="chicago77",
        title=N_("Chicago, 77 community areas"),
        find=_libpysal_example("chicago", "Chicago77.shp"),
        crs="EPSG:3435",  # Illinois East, US survey feet; the file has no .prj
        name_column="COMMUNITY",
        spelled={"Mckinley Park": "McKinley Park", "Ohare": "O'Hare"},
        source="City of Chicago, by way of libpysal's examples",
    ),
)


def named_zone_sets() -> tuple[ZoneSet, ...]:
    """Return every set of zones there is."""
    return _SETS


def zones(set_id: str) -> gpd.GeoDataFrame:
    """Return the zones of a set: columns `name` (as written, title case) and `geometry`, by name.

    Raises:
        InputError: There is no such set; the message names those that there are.
    """
    chosen = _zone_set(set_id)
    frame = read_vector(chosen.find(), crs=chosen.crs)
    titles = frame[chosen.name_column].str.title()
    frame["name"] = [chosen.spelled.get(title, title) for title in titles]
    return frame[["name", "geometry"]].sort_values("name", ignore_index=True)


def zone_boundary(set_id: str, names: Collection[str] | None = None) -> Boundary:
    """Unite zones into one boundary; None takes all of them. Names count in any case.

    Raises:
        InputError: There is no such set or no such zone, or nothing was chosen.
    """
    chosen = _zone_set(set_id)
    frame = zones(set_id)
    if names is not None:
        wanted = {name.strip().casefold() for name in names}
        known = frame["name"].str.casefold()
        missing = sorted(wanted - set(known))
        if missing or not wanted:
            raise InputError(
                N_("There is no zone {missing!r} in {title}."),
                hint=N_("Choose from its {count} names, {first} to {last}."),
                missing=", ".join(missing)[:120],
                title=chosen.title,
                count=len(frame),
                first=frame["name"].iloc[0],
                last=frame["name"].iloc[-1],
            )
        frame = frame[known.isin(wanted)]
    path = chosen.find()
    source = {
        "file": path.name,
        "format": "zones",
        "set": chosen.id,
        "names": [] if names is None else frame["name"].tolist(),
        "maker": chosen.source,
        "digest": file_digest(path),
    }
    united = gpd.GeoDataFrame(geometry=[frame.geometry.union_all()], crs=frame.crs)
    return boundary_of(united, source=source, label=chosen.title)


def _zone_set(set_id: str) -> ZoneSet:
    for chosen in _SETS:
        if chosen.id == set_id:
            return chosen
    raise InputError(
        N_("There is no set of zones {name!r}."),
        hint=N_("There are: {known}."),
        name=set_id[:80],
        known=", ".join(chosen.id for chosen in _SETS),
    )
