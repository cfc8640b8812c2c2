"""The default study area: the real boundary of Chicago, filled by the simulated city."""

from collections.abc import Callable
from typing import cast

from core import prepare, store
from core.errors import InputError, StoppedError
from core.operations.making import run
from core.operations.mosaic import Mosaic
from core.simulate.city import City
from core.simulate.geography import chicago_boundary
from core.simulate.layers import LAYER_IDS, draw_layers
from core.text import N_
from core.workspace import Area, Season, Workspace

OnProgress = Callable[[float, str], None]
ShouldStop = Callable[[], bool]
DEM = "dem"
TITLE = N_("Chicago (simulated)")


def make_simulated_area(
    workspace: Workspace,
    area_id: str,
    *,
    seed: int = 0,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> Area:
    """Make the simulated area, or finish one whose making was broken off.

    The area is there from the start and each layer as soon as it is drawn. The same seed gives the
    same layers to the byte.

    Raises:
        InputError: There is an area of that id that is not simulated, or one of another seed.
        StoppedError: `should_stop` said so; an area begun by this call is removed again.
    """
    store.checked_id(area_id, what=N_("study area"))
    is_new = not workspace.stamp(area_id)
    if is_new:
        area = _begin(workspace, area_id, seed)
    else:
        area = workspace.area(area_id)
        if not area.is_simulated or area.boundary_source.get("seed") != seed:
            raise InputError(
                N_("There is a study area {name!r} already."),
                hint=N_("Choose another name or delete that one first."),
                name=area_id,
            )
    try:
        area = _fill(workspace, area, seed, on_progress, should_stop)
    except StoppedError:
        if is_new:
            workspace.delete(area_id)
        raise
    on_progress(1.0, N_("Done"))
    return area


def _begin(workspace: Workspace, area_id: str, seed: int) -> Area:
    source = {"kind": "simulated", "seed": seed, "name": "Chicago77, libpysal"}
    return workspace.create(
        area_id,
        title=TITLE,
        boundary=chicago_boundary(),
        boundary_source={**source, "layers": [*LAYER_IDS, DEM]},
        is_simulated=True,
    )


def _fill(
    workspace: Workspace, area: Area, seed: int, on_progress: OnProgress, should_stop: ShouldStop
) -> Area:
    have = {layer.id for layer in area.layers}
    for drawn in draw_layers(City(seed), on_progress=on_progress, should_stop=should_stop):
        if drawn.id in have:
            continue
        about = prepare.About(
            layer_id=drawn.id,
            title=drawn.title,
            kind=drawn.kind,
            role=drawn.role,
            season=cast(Season, drawn.season) if drawn.season else None,
            unit=drawn.unit,
            colormap=drawn.colormap or "viridis",
            legend=drawn.legend,
        )
        area = prepare.add_array(
            workspace,
            area.id,
            drawn.values,
            about,
            transform=drawn.transform,
            crs=drawn.crs.to_wkt(),
            nodata=drawn.nodata,
            origin={"name": area.title, "seed": seed},
            steps=drawn.steps,
            should_stop=should_stop,
        )
    if should_stop():
        raise StoppedError(N_("Stopped. {name} was not made."), name=area.title)
    if DEM in have:
        return area
    # As the document does with its two tiles.
    about = prepare.About(layer_id=DEM, title=N_("Elevation"), kind="values", unit="m")
    mosaic = Mosaic(sources=("dem_n42", "dem_n41"))
    return run(workspace, area.id, mosaic, about, should_stop=should_stop).area
