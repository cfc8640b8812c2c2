"""A set as it is asked for: what a page, a job and the command line have in common."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core import prepare
from core.chips.cut import check_room, cut_set
from core.chips.material import FileKind, Material, file_material, layer_material
from core.chips.options import CutOptions
from core.chips.sets import ChipSets, SetInfo
from core.chips.simulated import simulated_material, with_truth
from core.chips.under import Surroundings, area_clusters, cover_layer
from core.cog import OnProgress, ShouldStop
from core.errors import InputError
from core.prepare import never, no_progress
from core.text import N_
from core.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is cut, and under which name it is kept."""

    out: str
    """Name of the set."""
    options: CutOptions = field(default_factory=CutOptions)
    area: str = ""
    """Its boundary, land cover and clusters are used; empty: none."""
    layers: tuple[str, ...] = ()
    """Layers of the area, on the grid of the first."""
    files: tuple[str, ...] = ()
    """Raster files in place of layers."""
    simulated: int | None = None
    """Seed of the simulated city, whose aerial imagery is cut in place of layers or files."""
    kind: FileKind | None = None
    """Of files."""
    bands: tuple[int, ...] = ()
    """Of files, counted from 1; empty: all."""
    dates: tuple[str, ...] = ()
    """One a file; empty: read from their names."""
    value_range: tuple[float, float] | None = None
    cover: str = ""
    """Layer of land cover to take shares from; empty: the area's first layer of classes."""
    replace: bool = False


def run(
    workspace: Workspace,
    request: Request,
    *,
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never,
) -> SetInfo:
    """Cut a set as asked; see `cut.cut_set`.

    Raises:
        InputError: Neither layers nor files, both, or layers without an area.
        AppError: What `cut_set`, `layer_material` and `file_material` raise.
    """
    # All that can be refused at once, before a file is opened.
    ChipSets(workspace.root).check_free(request.out, is_replaced=request.replace)
    check_request(request)
    check_room(workspace.root, request.options, 1, 1)
    around = surroundings(workspace, request)
    material = None
    try:
        material = material_of(workspace, request)
        if not request.cover:
            around = with_truth(around, material)
        return cut_set(
            workspace,
            request.out,
            material,
            request.options,
            around=around,
            is_replaced=request.replace,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    finally:
        around.close()
        if material is not None:
            material.close()


def material_of(workspace: Workspace, request: Request, *, is_rough: bool = False) -> Material:
    """Open the layers, files or drawn imagery of a request.

    With `is_rough`, for a look beforehand, large files are not read through.
    """
    if request.simulated is not None:
        return simulated_material(request.simulated)
    if request.files:
        return file_material(
            [Path(name) for name in request.files],
            kind=request.kind,
            bands=request.bands or None,
            dates=request.dates or None,
            value_range=request.value_range,
            is_rough=is_rough,
        )
    return layer_material(
        workspace,
        workspace.area(request.area),
        request.layers,
        value_range=request.value_range,
        is_rough=is_rough,
    )


def surroundings(workspace: Workspace, request: Request) -> Surroundings:
    """Return boundary, land cover and clusters of the request's area, as far as there are any."""
    if not request.area:
        if request.simulated is not None:
            return Surroundings()
        if request.cover:
            raise InputError(
                N_("Land cover is a layer of a study area."), hint=N_("Name the study area.")
            )
        return Surroundings()
    area = workspace.area(request.area)
    if request.simulated is not None and area.boundary_source.get("seed") != request.simulated:
        raise InputError(
            N_("{area} is not the simulated city of the seed {seed}."),
            hint=N_("Name the area that was simulated with that seed, or none."),
            area=area.title,
            seed=request.simulated,
        )
    return Surroundings(
        area=area,
        boundary=prepare.boundary_lonlat(workspace, area.id),
        cover=cover_layer(workspace, area, request.cover),
        clusters=area_clusters(workspace, area),
    )


def check_request(request: Request) -> None:
    """Refuse a request that names no source, or several.

    Raises:
        InputError: See `run`.
    """
    given = (bool(request.layers), bool(request.files), request.simulated is not None)
    if sum(given) != 1:
        raise InputError(
            N_(
                "Chips are cut from layers of a study area, from files, or from the simulated city."
            ),
            hint=N_("Name one of the three."),
        )
    if request.layers and not request.area:
        raise InputError(N_("Layers belong to a study area."), hint=N_("Name the study area."))
    _check_range(request.value_range)


def _check_range(value_range: Sequence[float] | None) -> None:
    if value_range is not None and not value_range[0] < value_range[1]:
        raise InputError(
            N_("A range goes from a smaller to a larger value, not from {low:g} to {high:g}."),
            low=value_range[0],
            high=value_range[1],
        )
