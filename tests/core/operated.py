"""Small rasters for operations, and an operation run on them."""

from rasterio.transform import from_origin

from core import rasters
from core.operations.making import run
from core.prepare import About
from tests.core.raster_files import NORTH_UP, new_area, write_tif

WEST, NORTH, SIDE = 445_000, 4_635_000, 10


def at(column, row, side=SIDE):
    """Return a north-up transform that begins at a column and row of the tests' grid."""
    return from_origin(WEST + column * SIDE, NORTH - row * SIDE, side, side)


def about(kind="values", layer_id="out"):
    return About(layer_id=layer_id, title="Out", kind=kind)


def made(workspace, operation, kind="values", **more):
    """Run an operation; return what it says, its values, where they are valid, the transform."""
    done = run(workspace, "town", operation, about(kind), **more)
    with rasters.open_raster(workspace.layer_path("town", done.layer)) as dataset:
        values, valid = rasters.read(dataset)
        return done, values, valid, dataset.transform


def town(tmp_path, **more):
    return new_area(tmp_path / "ws", **more)


def files(tmp_path, *arrays, places=None, **more):
    """Write rasters and return their paths as operations take them."""
    places = places or [NORTH_UP] * len(arrays)
    return tuple(
        str(write_tif(tmp_path / f"{n}.tif", values, transform=place, **more))
        for n, (values, place) in enumerate(zip(arrays, places, strict=True))
    )
