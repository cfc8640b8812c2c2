"""Study areas on disk: the only module that reads or writes `areas/`.

    areas/<area>/area.json          all that is known of the area; its rename commits a change
                 boundary.parquet   one geometry, in the area's CRS
                 layers/<id>.tif    Cloud-Optimized GeoTIFF

A reader sees the old or the new area, never half of one: files get a name of their own first and
count only once `area.json` names them. One writer at a time, held by a lock file.
"""

import math
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import filelock
from pyproj import CRS

from core import store
from core.errors import AppError, BusyError, CrsError, InputError, StoreError
from core.legends import Legend, LegendClass
from core.text import N_

if TYPE_CHECKING:
    import geopandas as gpd

Kind = Literal["classes", "values"]
Role = Literal["cause", "effect"]
Season = Literal["summer", "winter"]
Rule = Literal["within", "centroid", "touching"]
Method = Literal["recommended", "document"]

AREA_KIND, AREA_VERSION = "urban-pattern-area", 1
_LOCK_SECONDS = 5.0
_SCRATCH_SECONDS = 2 * 86_400.0  # longer than any job works on one folder
_LONGEST_TITLE = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What was counted once when a layer was written, so that no page has to count again.

    Counted are the pixels whose centre lies inside the area's boundary; all of them where none
    does. `valid_share` is the share of those that are not missing.
    `low` and `high` are the 2nd and 98th percentile, `counts` pairs of class code and pixels,
    `histogram` counts of 64 equal bins from `minimum` to `maximum`, of one where all values are the
    same or nearly. Numbers are None where the
    layer holds no valid pixel. Every figure but `exact` covers valid pixels only.
    """

    valid_share: float
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    counts: tuple[tuple[int, int], ...] = ()
    histogram: tuple[int, ...] = ()
    exact: bool = True
    """False where the figures come from an overview of a very large raster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One raster layer. `file` is relative to the area's folder; a remote layer has `url`."""

    id: str
    title: str
    kind: Kind
    file: str = ""
    url: str = ""
    role: Role = "cause"
    season: Season | None = None
    unit: str = ""
    colormap: str = "viridis"
    legend: Legend = ()
    digest: str = ""
    """SHA-256 of the file; of the address and its validators for a remote layer."""
    summary: Summary
    source: dict[str, Any] = field(default_factory=dict)
    """What it was made from: file name, size, digest, CRS, when it was brought in."""
    steps: tuple[dict[str, Any], ...] = ()
    """What was done to it, in order: `{"step": name, ...parameters}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A study area. `crs` is measured in metres; lengths are in metres."""

    id: str
    title: str
    crs: str
    """`EPSG:…` where there is such a code, else WKT."""
    created: str
    is_simulated: bool = False
    quadrat_m: float = 150.0
    rule: Rule = "within"
    method: Method = "recommended"
    boundary_source: dict[str, Any] = field(default_factory=dict)
    bounds_lonlat: tuple[float, float, float, float]
    """West, south, east, north of the boundary in degrees."""
    layers: tuple[Layer, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every layer is there that the area's making set out to bring."""
        have = {layer.id for layer in self.layers}
        return have.issuperset(self.boundary_source.get("layers", ()))

    def layer(self, layer_id: str) -> Layer:
        """Return one layer.

        Raises:
            InputError: The area has no such layer; the message names those that it has.
        """
        for layer in self.layers:
            if layer.id == layer_id:
                return layer
        raise InputError(
            N_("{area} has no layer {layer!r}."),
            hint=N_("It has: {known}."),
            area=self.title,
            layer=layer_id[:80],
            known=", ".join(layer.id for layer in self.layers) or "-",
        )


class Workspace:
    """The study areas below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._areas = root / "areas"

    def area_ids(self) -> list[str]:
        """Return the ids of all areas, readable or not, in order."""
        return sorted(path.parent.name for path in self._areas.glob("[a-z0-9]*/area.json"))

    def areas(self) -> list[Area]:
        """Return every readable area, oldest first; `broken` tells of the others."""
        found = []
        for area_id in self.area_ids():
            try:
                found.append(self.area(area_id))
            except AppError:
                continue
        return sorted(found, key=lambda area: (area.created, area.id))

    def broken(self) -> dict[str, AppError]:
        """Return the areas that cannot be read, each with the reason."""
        reasons = {}
        for area_id in self.area_ids():
            try:
                self.area(area_id)
            except AppError as err:
                reasons[area_id] = err
        return reasons

    def area(self, area_id: str) -> Area:
        """Read one area by its id.

        Raises:
            InputError: There is no such area.
            StoreError: Its files are damaged or newer than this program.
        """
        folder = self._folder(area_id)
        if not (folder / "area.json").is_file():
            raise InputError(
                N_("There is no study area {name!r}."),
                hint=N_("There are: {known}."),
                name=area_id[:80],
                known=", ".join(self.area_ids()) or "-",
            )
        return _area_from(
            store.read_json(folder / "area.json", kind=AREA_KIND, version=AREA_VERSION), area_id
        )

    def stamp(self, area_id: str) -> int:
        """Return a number that changes whenever the area does (0: no such area)."""
        try:
            found = (self._folder(area_id) / "area.json").stat()
        except (OSError, InputError):
            return 0
        # The clock of a file system ticks every few milliseconds; a new file has a new inode.
        return hash((found.st_mtime_ns, found.st_ino, found.st_size))

    def boundary(self, area_id: str) -> "gpd.GeoDataFrame":
        """Return the boundary as one row in the area's CRS.

        Raises:
            StoreError: The file is missing or damaged.
        """
        import geopandas as gpd  # half a second: not for what asks no boundary

        path = self._folder(area_id) / "boundary.parquet"
        try:
            return gpd.read_parquet(path)
        except (OSError, ValueError) as err:
            raise StoreError(
                N_("The boundary of {area} cannot be read: {reason}."),
                hint=N_("Delete the area and make it again."),
                area=area_id,
                reason=str(err)[:200],
            ) from err

    def boundary_digest(self, area_id: str) -> str:
        """Return the SHA-256 of the boundary's file."""
        return store.file_digest(self._folder(area_id) / "boundary.parquet")

    def folder(self, area_id: str) -> Path:
        """Return the folder of an area that exists.

        Raises:
            InputError: There is no such area.
        """
        self.area(area_id)
        return self._folder(area_id)

    def layer_path(self, area_id: str, layer: Layer) -> Path:
        """Return where a layer's file lies; never outside the area's own folder."""
        return store.inside(self._folder(area_id), *Path(layer.file).parts)

    def scratch(self, area_id: str | None = None) -> Path:
        """Return a new empty folder of this workspace for files that are being made.

        Inside the area's folder where an area is given, so that a finished file can be renamed
        into place.

        Raises:
            InputError: There is no such area; a deleted one does not come back by this.
        """
        base = self._folder(area_id) if area_id else self.root
        folder = base / ".scratch" / uuid.uuid4().hex[:12]
        if area_id is None:
            base.mkdir(parents=True, exist_ok=True)
        try:
            folder.parent.mkdir(exist_ok=True)
            folder.mkdir()
        except FileNotFoundError:
            self.folder(area_id or "")  # says what there is
            raise
        return folder

    def create(
        self,
        area_id: str,
        *,
        title: str,
        boundary: "gpd.GeoDataFrame",
        boundary_source: dict[str, Any],
        quadrat_m: float = 150.0,
        rule: Rule = "within",
        method: Method = "recommended",
        is_simulated: bool = False,
    ) -> Area:
        """Make an area from a boundary whose CRS is in metres; the pieces are united.

        Raises:
            InputError: The id is taken or cannot be used, the boundary is empty, or a number is
                out of range.
            CrsError: The boundary has no CRS, or one that is not in metres.
        """
        import geopandas as gpd

        store.checked_id(area_id, what=N_("study area"))
        crs = metre_crs(boundary)
        _check_quadrat(quadrat_m)
        united = boundary.geometry.union_all()
        if united.is_empty or united.area == 0:
            raise InputError(N_("The boundary holds no area."), hint=N_("Give it polygons."))
        frame = gpd.GeoDataFrame(geometry=[united], crs=boundary.crs)
        west, south, east, north = (float(v) for v in frame.to_crs(4326).total_bounds)
        area = Area(
            id=area_id,
            title=checked_title(title),
            crs=crs,
            created=now(),
            is_simulated=is_simulated,
            quadrat_m=quadrat_m,
            rule=rule,
            method=method,
            boundary_source=boundary_source,
            bounds_lonlat=(west, south, east, north),
        )
        folder = self._folder(area_id)
        with self._writing(area_id):
            if (folder / "area.json").exists():
                raise InputError(
                    N_("There is a study area {name!r} already."),
                    hint=N_("Choose another name or delete that one first."),
                    name=area_id,
                )
            (folder / "layers").mkdir(parents=True, exist_ok=True)
            with store.atomic_path(folder / "boundary.parquet") as tmp:
                frame.to_parquet(tmp)
            self._write(area)
        return area

    def rename(self, area_id: str, title: str) -> Area:
        """Give an area another title; its id, and so its links, stay."""
        return self._change(area_id, lambda area: replace(area, title=checked_title(title)))

    def set_quadrats(self, area_id: str, *, side_m: float, rule: Rule, method: Method) -> Area:
        """Choose other quadrats; results of the old ones stay where they are.

        Raises:
            InputError: The side is out of range.
        """
        _check_quadrat(side_m)

        def changed(area: Area) -> Area:
            return replace(area, quadrat_m=side_m, rule=rule, method=method)

        return self._change(area_id, changed)

    def delete(self, area_id: str) -> None:
        """Delete an area with all its files, also one that cannot be read.

        Raises:
            BusyError: A file of it is in use, on Windows; nothing is deleted.
        """
        store.checked_id(area_id, what=N_("study area"))
        folder = self._folder(area_id)
        if not folder.is_dir():
            self.area(area_id)  # says what there is
        with self._writing(area_id):
            # Moved first: whoever reads meanwhile sees the whole area or none.
            gone = self.scratch() / area_id
            try:
                folder.replace(gone)
            except PermissionError as err:
                gone.parent.rmdir()
                raise BusyError(
                    N_("A file of the study area {name} is in use: {reason}."),
                    hint=N_("Nothing was deleted. Try again in a moment."),
                    name=area_id,
                    reason=err.strerror or str(err),
                ) from err
        shutil.rmtree(gone.parent, ignore_errors=True)

    def put_layer(
        self, area_id: str, layer: Layer, file: Path | None, *, replaces: str | None = None
    ) -> Area:
        """Add a layer, or replace the one of the same id; `file` is moved into the area.

        `file` must come from `scratch(area_id)`; None for a remote layer. For `replaces` see
        `prepare.About`.

        Raises:
            InputError: A layer of the same id is there that it may not replace.
        """
        store.checked_id(layer.id, what=N_("layer"))
        folder = self._folder(area_id)
        with self._writing(area_id):
            area = self.area(area_id)
            old = next((old for old in area.layers if old.id == layer.id), None)
            may_replace = replaces is None or (old and old.source.get("recipe") == replaces)
            if old and not may_replace:
                raise InputError(
                    N_("{area} has a layer {name} of another origin."),
                    hint=N_("Nothing was changed. Give the new layer another short name."),
                    area=area.title,
                    name=layer.id,
                )
            if file is not None:
                name = f"{layer.id}.tif"
                while (folder / "layers" / name).exists():
                    # The old file must stay whole until area.json names the new one.
                    name = f"{layer.id}-{uuid.uuid4().hex[:12]}.tif"
                file.replace(folder / "layers" / name)
                layer = replace(layer, file=f"layers/{name}")
            kept = [layer if old.id == layer.id else old for old in area.layers]
            if old is None:
                kept.append(layer)
            area = replace(area, layers=tuple(kept))
            self._write(area)
            self._sweep(area)
        return area

    def change_layer(self, area_id: str, layer_id: str, change: Callable[[Layer], Layer]) -> Area:
        """Change what is said of a layer (title, role, legend …), not its file."""

        def changed(area: Area) -> Area:
            new = change(area.layer(layer_id))
            return replace(
                area, layers=tuple(new if old.id == layer_id else old for old in area.layers)
            )

        return self._change(area_id, changed)

    def remove_layer(self, area_id: str, layer_id: str) -> Area:
        """Take a layer out of an area and delete its file; the area is whole without it."""

        def without(area: Area) -> Area:
            area.layer(layer_id)
            source = dict(area.boundary_source)
            if "layers" in source:
                source["layers"] = [name for name in source["layers"] if name != layer_id]
            kept = tuple(old for old in area.layers if old.id != layer_id)
            return replace(area, layers=kept, boundary_source=source)

        return self._change(area_id, without)

    def _change(self, area_id: str, change: Callable[[Area], Area]) -> Area:
        with self._writing(area_id):
            area = change(self.area(area_id))
            self._write(area)
            self._sweep(area)
        return area

    def _folder(self, area_id: str) -> Path:
        return store.inside(self._areas, store.checked_id(area_id, what=N_("study area")))

    @contextmanager
    def _writing(self, area_id: str) -> Iterator[None]:
        name = store.checked_id(area_id, what=N_("study area"))
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(locks / f"{name}.lock", timeout=_LOCK_SECONDS):
                yield
        except filelock.Timeout as err:
            raise BusyError(
                N_("The study area {name} is being changed by somebody else."),
                hint=N_("Nothing was changed. Try again in a moment."),
                name=area_id,
            ) from err

    def _write(self, area: Area) -> None:
        body = asdict(area)
        store.write_json(
            self._folder(area.id) / "area.json", body, kind=AREA_KIND, version=AREA_VERSION
        )

    def _sweep(self, area: Area) -> None:
        """Delete what the area does not name: replaced layers, leftovers of a crash."""
        folder = self._folder(area.id)
        named = {layer.file for layer in area.layers}
        for path in (folder / "layers").glob("*.tif"):
            if f"layers/{path.name}" not in named:
                with suppress(PermissionError):  # Windows: a tile still reads it; the next one
                    path.unlink(missing_ok=True)
        sweep_scratch(folder)
        sweep_scratch(self.root)


def sweep_scratch(base: Path) -> None:
    """Delete scratch folders and temporary files that nobody can be at work on any more."""
    oldest = time.time() - _SCRATCH_SECONDS
    for path in (*base.glob(".scratch/*"), *base.glob(".tmp-*")):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def checked_title(title: str) -> str:
    """Return a title without outer or doubled blanks.

    Raises:
        InputError: It is empty, longer than 80 characters or holds control characters.
    """
    text = " ".join(title.split())
    if not text or len(text) > _LONGEST_TITLE or not text.isprintable():
        raise InputError(N_("A name needs 1 to {most} printable characters."), most=_LONGEST_TITLE)
    return text


def crs_name(crs: CRS) -> str:
    """Return `EPSG:…` where there is such a code, else WKT."""
    # The default confidence takes an unnamed projection for the most similar one of the list.
    code = crs.to_epsg(min_confidence=100)
    return f"EPSG:{code}" if code else crs.to_wkt()


def metre_crs(boundary: "gpd.GeoDataFrame") -> str:
    """Return the name of the boundary's CRS.

    Raises:
        CrsError: It has none, or one that is not in metres.
    """
    if boundary.crs is None:
        raise CrsError(
            N_("The boundary has no coordinate system."),
            hint=N_("Say which one it is in, EPSG:4326 for longitude and latitude."),
        )
    crs = CRS(boundary.crs)
    if not crs.is_projected or any(axis.unit_conversion_factor != 1 for axis in crs.axis_info[:2]):
        raise CrsError(
            N_("{crs} is not measured in metres."),
            hint=N_("Choose a coordinate system in metres, such as a UTM zone."),
            crs=crs.name,
        )
    return crs_name(crs)


def _check_quadrat(quadrat_m: float) -> None:
    if not 1 <= quadrat_m <= 100_000:
        raise InputError(
            N_("A quadrat of {side} m cannot be used."),
            hint=N_("Give a side between 1 m and 100 km."),
            side=quadrat_m,
        )


def _area_from(body: dict[str, Any], area_id: str) -> Area:
    try:
        layers = tuple(layer_from(dict(row)) for row in body.pop("layers"))
        west, south, east, north = (float(value) for value in body.pop("bounds_lonlat"))
        body["id"] = area_id  # the folder counts: a copied one must not write to its original
        body["quadrat_m"] = float(body.get("quadrat_m", 150.0))
        area = Area(**body, layers=layers, bounds_lonlat=(west, south, east, north))
        _check_area(area)
    except (KeyError, TypeError, ValueError, InputError) as err:
        raise StoreError(
            N_("The description of {area} is damaged: {reason}."),
            hint=N_("Its layers are in the folder layers; make the area again and add them."),
            area=area_id,
            reason=str(err)[:200],
        ) from err
    return area


def _check_area(area: Area) -> None:
    """Refuse values of another kind than their fields: a page would fail over them later."""
    _check_fields(area, {"title": str, "crs": str, "created": str, "is_simulated": bool})
    _check_fields(area, {"rule": Rule, "method": Method, "boundary_source": dict})
    _check_quadrat(area.quadrat_m)
    if not all(math.isfinite(value) for value in area.bounds_lonlat):
        raise ValueError("bounds_lonlat must be finite")
    wanted = area.boundary_source.get("layers", [])
    if not isinstance(wanted, list | tuple) or not all(isinstance(name, str) for name in wanted):
        raise TypeError("layers of boundary_source must be names")


def _check_fields(thing: Any, kinds: dict[str, Any]) -> None:
    for name, kind in kinds.items():
        value, choices = getattr(thing, name), get_args(kind)
        if value not in choices if choices else not isinstance(value, kind):
            raise TypeError(f"{name} cannot be {value!r}")


def layer_from(row: dict[str, Any]) -> Layer:
    """Return the layer that `asdict` of one describes.

    Raises:
        KeyError, TypeError, ValueError: The description is damaged.
    """
    summary = dict(row.pop("summary"))
    counts = tuple((int(code), int(count)) for code, count in summary.pop("counts"))
    histogram = tuple(int(count) for count in summary.pop("histogram"))
    layer = Layer(
        summary=Summary(**summary, counts=counts, histogram=histogram),
        legend=tuple(LegendClass(**entry) for entry in row.pop("legend")),
        steps=tuple(row.pop("steps")),
        **row,
    )
    texts = ("id", "title", "file", "url", "unit", "colormap", "digest")
    _check_fields(layer, {**dict.fromkeys(texts, str), "kind": Kind, "role": Role, "source": dict})
    if layer.season is not None:
        _check_fields(layer, {"season": Season})
    for name in ("valid_share", "minimum", "maximum", "mean", "low", "high"):
        value = getattr(layer.summary, name)
        if value is not None and not isinstance(value, int | float):
            raise TypeError(f"{name} cannot be {value!r}")
    return layer
