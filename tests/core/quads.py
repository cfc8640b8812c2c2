"""Images of a town on a loopback catalogue."""

import shapely

from core.connectors.search import search
from core.connectors.signing import Catalogue

TOWN = shapely.box(-87.70, 41.80, -87.60, 41.90)
WEST = (-87.75, 41.75, -87.65, 41.95)
EAST = (-87.65, 41.75, -87.55, 41.95)
CORNER = (-87.61, 41.89, -87.50, 42.0)
AWAY = (-80, 30, -79, 31)


def add_quad(server, name, bounds, year, **more):
    return server.add(
        "naip", name, {"image": f"{name}.tif"}, bounds=bounds, date=f"{year}-08-15",
        properties={"gsd": 0.6}, **more,
    )  # fmt: skip


def add_quads(server):
    """Add five images, four of which meet the town, and return the server."""
    add_quad(server, "west-2017", WEST, 2017)
    add_quad(server, "west-2021", WEST, 2021)
    add_quad(server, "east-2021", EAST, 2021)
    add_quad(server, "corner-2019", CORNER, 2019)
    add_quad(server, "away-2021", AWAY, 2021)
    return server


def catalogue(server, **more):
    return Catalogue(url=server.url, title="Loopback", **more)


def find(server, **more):
    return search(TOWN, catalogue=catalogue(server), outside=True, **more)


def names(results):
    return [image.id for image in results.found]
