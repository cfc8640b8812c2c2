"""Two neighbouring images on a loopback server, and a town that meets both."""

import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from core import jobs
from core.connectors import door, imagery, items
from core.connectors.search import search
from core.connectors.signing import Catalogue
from core.prepare import boundary_lonlat
from tests.core.raster_files import new_area
from tests.core.stac_server import noise, stac_server, write_cog

SIDE = 700
PIXELS = {
    "quad-west": noise(4, SIDE, SIDE, seed=1),
    "quad-east": noise(4, SIDE, SIDE, seed=2),
}
BANDS = [{"name": name} for name in ("Red", "Green", "Blue", "NIR")]
PLACES = {"quad-west": (445_000, 4_635_000), "quad-east": (445_700, 4_635_000)}


Cogs = tuple[Path, dict]


def write_cogs(folder: Path) -> Cogs:
    """Make two neighbouring images of 700 m, about 2.5 MB each; return folder and bounds."""
    bounds = {
        name: write_cog(folder / f"{name}.tif", pixels, west=west, north=north)
        for (name, pixels), (west, north) in zip(PIXELS.items(), PLACES.values(), strict=True)
    }
    return folder, bounds


@contextmanager
def serving(cogs: Cogs, folder: Path, monkeypatch):
    """Serve copies of the images out of a folder, to a client that is not patient."""
    monkeypatch.setattr(door, "_FIRST_WAIT_S", 0.01)
    made, bounds = cogs
    folder.mkdir()
    for name in PIXELS:
        shutil.copy(made / f"{name}.tif", folder)
    with stac_server(folder) as found:
        for name in PIXELS:
            found.add(
                "naip", name, {"image": f"{name}.tif"}, bounds=bounds[name], date="2021-08-15",
                properties={"gsd": 1.0},
            )["assets"]["image"]["eo:bands"] = BANDS  # fmt: skip
        yield found


def new_space(folder: Path):
    """Make a workspace with a town that meets both images, 400 × 400 m."""
    return new_area(folder, bounds=(445_500, 4_634_400, 445_900, 4_634_800))


def loopback(server, **more):
    return Catalogue(url=server.url, title="Loopback", **more)


def find(server, space, **more):
    area = boundary_lonlat(space, "town")
    return search(area, catalogue=loopback(server), outside=True, **more).found


def fetch(server, space, found=None, **more):
    found = found or find(server, space)
    more.setdefault("catalogue", loopback(server))
    return imagery.fetch(space, "town", found, outside=True, **more)


def plan(server, space, found):
    return imagery.plan_fetch(space, "town", found, catalogue=server.url)


def only(server, space, name="quad-west"):
    return [image for image in find(server, space) if image.id == name]


def check_west(path):
    """The town lies in columns 500 to 699 and rows 200 to 599 of the western image."""
    with rasterio.open(path) as dataset:
        assert dataset.crs.to_epsg() == 32616
        assert dataset.transform == Affine(1, 0, 445_500, 0, -1, 4_634_800)
        assert np.array_equal(dataset.read(), PIXELS["quad-west"][:, 200:600, 500:700])


def start(server, space, found):
    config = {
        "workspace": str(space.root),
        "area": "town",
        "catalogue": server.url,
        "licence": "",
        "outside": True,
        "found": [items.to_row(image) for image in found],
    }
    return jobs.submit(space.root / "jobs", "fetch-imagery", config)
