"""A boundary as a small picture, without a map: enough to see that it is the right one."""

import math
from collections.abc import Iterator

import geopandas as gpd
import shapely

from ui.theme import ACCENT

_WIDTH, _HEIGHT, _MARGIN = 360, 220, 8


def outline_svg(frame: gpd.GeoDataFrame) -> str:
    """Return the polygons of `frame` as SVG, north up, with the proportions of their middle."""
    lonlat = frame.to_crs(4326)
    west, south, east, north = (float(value) for value in lonlat.total_bounds)
    squeeze = math.cos(math.radians((south + north) / 2))
    wide, high = max((east - west) * squeeze, 1e-9), max(north - south, 1e-9)
    scale = min((_WIDTH - 2 * _MARGIN) / wide, (_HEIGHT - 2 * _MARGIN) / high)
    left, top = (_WIDTH - wide * scale) / 2, (_HEIGHT - high * scale) / 2

    def path(ring: shapely.LinearRing) -> str:
        points = (
            f"{left + (x - west) * squeeze * scale:.1f},{top + (north - y) * scale:.1f}"
            for x, y in ring.coords
        )
        return "M" + "L".join(points) + "Z"

    # Half a pixel of the picture, in degrees.
    shape = shapely.simplify(lonlat.geometry.union_all(), 0.5 / scale)
    data = "".join(path(ring) for ring in _rings(shape))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" style="width:100%;max-width:{_WIDTH}px">'
        f'<path d="{data}" fill="{ACCENT}" fill-opacity="0.15" fill-rule="evenodd"'
        f' stroke="{ACCENT}" stroke-width="1.5"/></svg>'
    )


def _rings(shape: shapely.Geometry) -> Iterator[shapely.LinearRing]:
    for part in shapely.get_parts(shape):
        if isinstance(part, shapely.Polygon) and not part.is_empty:
            yield part.exterior
            yield from part.interiors
