"""Layers of any place, made of what others publish: fetched, put together, brought in.

    areas/<area>/fetched/<recipe>/    files that a layer is being made of; gone once it is there

Each layer stands for itself: one that fails is told of, with the reason, and the others go on. A
break loses nothing: the next try takes up the files that came, and leaves finished layers alone.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import shapely

from core import prepare, rasters, store
from core.cog import Pixels
from core.connectors import addresses, gathering, signing
from core.connectors.door import Door
from core.connectors.gathering import Gathered, Site
from core.connectors.imagery import one_at_a_time
from core.connectors.median import Reading, Scene, median_pixels
from core.connectors.recipes import Recipe, recipe
from core.connectors.seasons import checked_years
from core.connectors.signing import PLANETARY_COMPUTER, Catalogue, Signer
from core.errors import AppError, InputError, StoppedError
from core.jobs import Report
from core.operations.mosaic import Mosaic
from core.prepare import About, boundary_lonlat, never
from core.text import N_, as_json, sentences
from core.workspace import Area, Workspace

_FETCHING = 0.8
"""Share of a layer's progress that is fetching; the rest is making the layer."""
_REPORT_S = 0.5
_MOST_KM2 = 200_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A layer that is wanted."""

    recipe: str
    layer_id: str = ""
    """`""` for the recipe's own, or one like it where a layer of another origin has that."""
    title: str = ""
    years: tuple[int, int] | None = None
    """First and last; None for the last three that are over, or the newest there is."""
    again: bool = False
    """Make it anew where it is there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A layer that could not be made."""

    recipe: str
    problem: str
    """A template as in `AppError`."""
    hint: str
    values: dict[str, Any]

    def message(self, translate: Callable[[str], str] = str) -> str:
        """Return the reason in words."""
        return sentences(self.problem, self.hint, self.values, translate)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayersFetched:
    """What came of it."""

    area: Area
    made: tuple[str, ...]
    """Ids of the layers that were made now."""
    there: tuple[str, ...]
    """Ids of those that were there already."""
    missed: tuple[Missed, ...]
    notes: tuple[tuple[str, dict[str, Any]], ...] = field(default_factory=tuple)
    """Templates and values: images that were passed over."""
    received: int = 0
    """Bytes that came over the network."""
    seconds: float = 0.0


def fetch_layers(
    workspace: Workspace,
    area_id: str,
    wishes: Sequence[Wish],
    *,
    catalogue: Catalogue = PLANETARY_COMPUTER,
    outside: bool,
    on_progress: Report | None = None,
    should_stop: Callable[[], bool] = never,
) -> LayersFetched:
    """Fetch layers for a study area and bring them in, with their legend, source and licence.

    Args:
        workspace: Where the area is.
        area_id: The area.
        wishes: Which layers.
        catalogue: The STAC API to ask; some recipes have their own address.
        outside: Whether the user has switched outside access on.
        on_progress: Called with a share from 0 to 1, a template and its values.
        should_stop: Asked often; what has come by then is kept.

    Raises:
        InputError: There is no such area or recipe, the same layer is wished twice, or the short
            name that is wished for is that of a layer of another origin.
        TooLargeError: The area is larger than a country.
        OutsideError: Outside access is off. Failures of single layers are returned.
        BusyError: Something is being fetched for this area already.
        StoppedError: `should_stop` said so.
    """
    addresses.require_outside(outside)
    chosen = [(wish, recipe(wish.recipe)) for wish in wishes]
    _check(workspace.area(area_id), chosen)
    boundary = boundary_lonlat(workspace, area_id)
    gathering.refuse_large(boundary, most_km2=_MOST_KM2)
    tell = on_progress or _no_report
    begun = time.monotonic()
    made: list[str] = []
    there: list[str] = []
    missed: list[Missed] = []
    notes: list[tuple[str, dict[str, Any]]] = []
    received = 0
    with one_at_a_time(workspace, area_id):
        for number, (wish, known) in enumerate(chosen):
            area = workspace.area(area_id)
            layer_id = wish.layer_id or own_id(area, known)
            if not wish.again and is_layer_there(area, layer_id, known.id):
                there.append(layer_id)
                # Left behind where the last try was killed just after the layer was there.
                shutil.rmtree(_folder(workspace, area_id, known), ignore_errors=True)
                continue
            report = _part(tell, number, len(chosen), known, received)
            try:
                layer_id, gathered = _make(
                    workspace, area_id, wish, known, boundary, catalogue, report, should_stop
                )
            except StoppedError:
                raise
            except AppError as err:
                why = as_json(err.values)
                missed.append(
                    Missed(recipe=known.id, problem=err.problem, hint=err.hint, values=why)
                )
                continue
            made.append(layer_id)
            notes += gathered.notes
            received += gathered.received
    tell(1.0, N_("Done"))
    return LayersFetched(
        area=workspace.area(area_id),
        made=tuple(made),
        there=tuple(there),
        missed=tuple(missed),
        notes=tuple(notes),
        received=received,
        seconds=time.monotonic() - begun,
    )


def _check(area: Area, chosen: Sequence[tuple[Wish, Recipe]]) -> None:
    """Refuse names that are none or taken, a layer that is wished twice, and impossible years."""
    ids = [wish.layer_id or own_id(area, known) for wish, known in chosen]
    for (wish, known), name in zip(chosen, ids, strict=True):
        checked_years(wish.years)
        store.checked_id(name, what=N_("layer"))
        if name in _others(area, known):
            raise InputError(
                N_("{area} has a layer {name} of another origin."),
                hint=N_("Nothing was changed. Give the new layer another short name."),
                area=area.title,
                name=name,
            )
        if ids.count(name) > 1:
            raise InputError(N_("Layer {name} is wished twice."), name=name)


def _make(
    workspace: Workspace,
    area_id: str,
    wish: Wish,
    known: Recipe,
    boundary: shapely.Geometry,
    catalogue: Catalogue,
    report: Callable[[float, int], None],
    should_stop: Callable[[], bool],
) -> tuple[str, Gathered]:
    """Fetch and bring in one layer; return its id and what it was made of."""
    area_folder = workspace.folder(area_id)
    folder = _folder(workspace, area_id, known)
    folder.mkdir(parents=True, exist_ok=True)
    home = known.url or catalogue.url
    with Door(home, outside=True, should_stop=should_stop) as door:
        site = Site(
            area=area_folder,
            folder=folder,
            boundary=boundary,
            catalogue=catalogue,
            door=door,
            signer=Signer(catalogue, door),
            on_share=lambda share: report(_FETCHING * share, door.num_bytes),
        )
        gathered = gathering.gather(known, site, checked_years(wish.years), wish.years)
    # After minutes of fetching: somebody may have brought in a layer of that name meanwhile.
    layer_id = wish.layer_id or own_id(workspace.area(area_id), known)
    about = About(
        layer_id=layer_id,
        title=wish.title or known.title,
        kind=known.kind,
        role=known.role,
        season=known.season,
        unit=known.unit,
        colormap=known.colormap,
        legend=known.legend,
        replaces=known.id,
    )
    with _pixels(workspace, area_id, known, gathered.scenes, boundary) as pixels:
        pixels.steps[:0] = _steps(known)
        prepare.add_made(
            workspace,
            area_id,
            pixels,
            about,
            origin=_origin(known, gathered, catalogue),
            on_progress=lambda share, _: report(
                _FETCHING + (1 - _FETCHING) * share, gathered.received
            ),
            should_stop=should_stop,
        )
    shutil.rmtree(folder, ignore_errors=True)
    return layer_id, gathered


@contextmanager
def _pixels(
    workspace: Workspace,
    area_id: str,
    known: Recipe,
    scenes: Sequence[Scene],
    boundary: shapely.Geometry,
) -> Iterator[Pixels]:
    """Open the files that came, and yield the layer's raster."""
    if known.how in ("median", "months"):
        reading = Reading(
            scale=known.scale, offset=known.offset, bits=known.mask_bits, above=known.above
        )
        with median_pixels(scenes, reading, boundary, title=known.title) as (pixels, _):
            yield pixels
    elif len(scenes) == 1:
        with rasters.open_raster(scenes[0].values) as dataset:
            yield prepare.from_dataset(dataset, 1, name=known.title)
    else:
        paths = tuple(str(scene.values) for scene in scenes)
        mosaic = Mosaic(sources=paths, reproject=True)
        with mosaic.making(workspace, area_id, known.kind) as making:
            yield replace(making.pixels, name=known.title)


def _steps(known: Recipe) -> list[dict[str, Any]]:
    """Return what is done to every pixel before anything is put together."""
    steps: list[dict[str, Any]] = []
    if known.mask_bits:
        steps.append({"step": "clear", "mask": known.mask_asset, "bits": list(known.mask_bits)})
    if known.above is not None:
        steps.append({"step": "readings", "above": known.above})
    if (known.scale, known.offset) != (1.0, 0.0):
        steps.append({"step": "scale", "factor": known.scale, "offset": round(known.offset, 6)})
    return steps


def _origin(known: Recipe, gathered: Gathered, catalogue: Catalogue) -> dict[str, Any]:
    """Return the layer's source: where it comes from and under which licence."""
    whence = {"homepage": known.homepage} if known.url else signing.facts(catalogue)
    return {
        "name": f"{known.provider}: {known.collection}",
        "recipe": known.id,
        **whence,
        "homepage": known.homepage,
        "collection": known.collection,
        "provider": known.provider,
        "licence": known.licence,
        "licence_told": gathered.licence,
        "items": gathered.items,
    }


def _part(
    tell: Report, number: int, count: int, known: Recipe, before: int
) -> Callable[[float, int], None]:
    """Return what reports a layer as a part of the whole, twice a second at most."""
    last = -1.0

    def report(share: float, num_bytes: int) -> None:
        nonlocal last
        if time.monotonic() - last > _REPORT_S:
            last = time.monotonic()
            tell(
                (number + share) / count,
                N_("Layer {number} of {count}: {name}, {megabytes:.1f} MB received"),
                number=number + 1,
                count=count,
                name=known.id,
                megabytes=(before + num_bytes) / 1e6,
            )

    return report


def _folder(workspace: Workspace, area_id: str, known: Recipe) -> Path:
    """Return where the files of a layer lie while it is made."""
    return store.inside(workspace.folder(area_id), "fetched", known.id)


def is_layer_there(area: Area, layer_id: str, recipe_id: str) -> bool:
    """Tell whether an area has a layer that was made by a recipe."""
    return any(
        layer.id == layer_id and layer.source.get("recipe") == recipe_id for layer in area.layers
    )


def own_id(area: Area, known: Recipe) -> str:
    """Return a short name for the layer of a recipe that no layer of another origin has."""
    others = _others(area, known)
    numbered = (f"{known.layer_id}-fetched-{number}" for number in count(2))
    names = chain((known.layer_id, f"{known.layer_id}-fetched"), numbered)
    return next(name for name in names if name not in others)


def _others(area: Area, known: Recipe) -> set[str]:
    return {layer.id for layer in area.layers if layer.source.get("recipe") != known.id}


def _no_report(share: float, text: str, /, **values: object) -> None:
    """Report nothing."""
