"""Map tiles, thumbnails and the map's own scripts, as routes on the app's port.

    /tiles/{area}/{layer}/{digest}/{z}/{x}/{y}.png   cmap, low, high, scale  or  v
    /grids/{area}/{digest}/{z}/{x}/{y}.png           a column of quadrats: the same, and only
    /thumbs/{area}/{layer}/{digest}.png              the same, and size
    /assets/{package}/{path}

An address names area and layer by their ids, never a file, and holds the first twelve digits of
the layer's digest, and of its legend as `v`: what it shows never changes, so a browser may keep it
for good. Anything else is answered 404, whatever is wrong with it; 503 where the system is out of
handles or memory.
"""

import json
import math
import mimetypes
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core import grids, rasters
from core.errors import AppError, InputError
from core.ranges import widened
from core.rendering import Levels, OpenRasters, Style, ValueStyle, render
from core.settings import settings
from core.text import N_
from core.workspace import Area, Layer, Workspace

DIGEST_DIGITS = 12
TILE_PX = 256
MAX_ZOOM = 24
CODE_VERSION = 1
"""Counted up when the same address gives another picture; part of every address."""

_FOREVER = "public, max-age=31536000, immutable"
_THUMB_PX = (32, 1024)
_THUMB_MARGIN = 0.05
_OWN_ROUTES = ("tiles", "grids", "thumbs")
_ASSETS = {"leaflet": "xstatic.pkg.leaflet", "jquery": "xstatic.pkg.jquery"}
_EARTH_M = 6378137.0
_MOST_LATITUDE = 85.0511287798066

WorkspaceGetter = Callable[[], Workspace]


def default_style(layer: Layer) -> Style:
    """Return the legend of a class layer, the 2nd to the 98th percentile of a layer of values."""
    if layer.kind == "classes":
        return layer.legend
    low, high = widened(layer.summary.low or 0.0, layer.summary.high or 0.0)
    return ValueStyle(colormap=layer.colormap, low=low, high=high)


def tile_url(area_id: str, layer: Layer, *, style: Style | None = None, base: str = "") -> str:
    """Return the address of a layer's tiles, with `{z}`, `{x}` and `{y}` for the map to fill."""
    place = f"{_prefix(base)}/tiles/{area_id}/{layer.id}/{layer.digest[:DIGEST_DIGITS]}"
    return f"{place}/{{z}}/{{x}}/{{y}}.png?{_query(style or default_style(layer))}"


def grid_url(area_id: str, grid: Layer, *, style: Style | None = None, base: str = "") -> str:
    """Return the address of the tiles of a column of quadrats, as `tile_url` does of a layer."""
    place = f"{_prefix(base)}/grids/{area_id}/{grid.digest}"
    return f"{place}/{{z}}/{{x}}/{{y}}.png?{_query(style or default_style(grid))}"


def thumb_url(
    area_id: str, layer: Layer, *, style: Style | None = None, size: int = 256, base: str = ""
) -> str:
    """Return the address of a picture of a layer around its area, at most `size` pixels a side."""
    place = f"{_prefix(base)}/thumbs/{area_id}/{layer.id}/{layer.digest[:DIGEST_DIGITS]}.png"
    return f"{place}?{_query(style or default_style(layer))}&size={size}"


def asset_url(path: str, *, base: str = "") -> str:
    """Return the address of a file of the map library, such as `leaflet/leaflet.js`."""
    return f"{_prefix(base)}/assets/{path}"


def _prefix(base: str) -> str:
    return f"/{base.strip('/')}" if base.strip("/") else ""


def _query(style: Style) -> str:
    if isinstance(style, ValueStyle):
        parts = {"cmap": style.colormap, "low": repr(style.low), "high": repr(style.high)}
        if style.only is not None:
            parts["only"] = "~".join(repr(value) for value in style.only)
        return urlencode({**parts, "scale": style.scale, "r": CODE_VERSION})
    return urlencode({"v": _legend_digest(style), "r": CODE_VERSION})


def _legend_digest(style: Style) -> str:
    if isinstance(style, ValueStyle):
        return ""
    body = json.dumps([(entry.code, entry.colour) for entry in style])
    return sha256(body.encode()).hexdigest()[:DIGEST_DIGITS]


def routes(
    workspace: WorkspaceGetter,
    *,
    base: str = "",
    outside: Callable[[], bool] = lambda: False,
    cache_mb: int | None = None,
) -> list[BaseRoute]:
    """Return the routes to mount on the app's server.

    Args:
        workspace: Returns the workspace to serve.
        base: The path below which the app is served, as in `server.baseUrlPath`.
        outside: Tells whether layers on the network may be read now.
        cache_mb: Memory for pictures already drawn; None for what the settings say.
    """
    cache_bytes = (settings().tile_cache_mb if cache_mb is None else cache_mb) << 20
    drawn = _Drawn(workspace, outside, ByteCache(cache_bytes))
    prefix = _prefix(base)
    return [
        Route(f"{prefix}/tiles/{{area}}/{{layer}}/{{digest}}/{{z}}/{{x}}/{{y}}.png", drawn.tile),
        Route(f"{prefix}/grids/{{area}}/{{digest}}/{{z}}/{{x}}/{{y}}.png", drawn.grid),
        Route(f"{prefix}/thumbs/{{area}}/{{layer}}/{{digest}}.png", drawn.thumb),
        Route(f"{prefix}/assets/{{path:path}}", _asset),
        *(Route(f"{prefix}/{name}/{{rest:path}}", _missing) for name in _OWN_ROUTES),
    ]


def _missing(_: Request) -> Response:
    return _not_found(N_("There is nothing at this address."))


def _not_found(message: str) -> Response:
    return _error(message, 404)


def _error(message: str, status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return JSONResponse({"error": message}, status_code=status, headers=headers)


class ByteCache:
    """The pictures used last, up to a number of bytes; for several threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._size = 0
        self._kept: OrderedDict[object, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: object, body: bytes) -> None:
        with self._lock:
            self._size += len(body) - len(self._kept.pop(key, b""))
            self._kept[key] = body
            while self._size > self._most:
                self._size -= len(self._kept.popitem(last=False)[1])

    @property
    def size(self) -> int:
        """Bytes kept now."""
        return self._size


class _Drawn:
    """Draws what the routes are asked for. Handlers are plain functions: they run in threads."""

    def __init__(
        self, workspace: WorkspaceGetter, outside: Callable[[], bool], pictures: ByteCache
    ) -> None:
        self._workspace = workspace
        self._outside = outside
        self._open = OpenRasters()
        # More at once would not be quicker, and each holds handles and memory of its own.
        self._drawing = threading.BoundedSemaphore(2 * (os.cpu_count() or 1))
        self._cache = pictures
        self._areas: dict[tuple[str, str], tuple[int, Area]] = {}
        self._grids: dict[tuple[str, str, str], Layer] = {}

    def tile(self, request: Request) -> Response:
        return self._or_error(self._tile, request)

    def grid(self, request: Request) -> Response:
        return self._or_error(self._grid, request)

    def thumb(self, request: Request) -> Response:
        return self._or_error(self._thumb, request)

    def _or_error(self, answer: Callable[[Request], Response], request: Request) -> Response:
        try:
            return answer(request)
        except AppError as err:
            return _not_found(err.message())
        except OSError:  # the system is out of handles or memory: the browser may ask again
            return _error(N_("The server is too busy to draw this now."), 503)

    def _tile(self, request: Request) -> Response:
        bounds = _asked_tile(request)
        area, layer = self._layer(request)
        return self._answer(request, area, layer, bounds, (TILE_PX, TILE_PX))

    def _grid(self, request: Request) -> Response:
        bounds = _asked_tile(request)
        area = self._area(request.path_params["area"])
        layer = self._grid_layer(area, request.path_params["digest"])
        return self._answer(request, area, layer, bounds, (TILE_PX, TILE_PX), {"only"})

    def _thumb(self, request: Request) -> Response:
        size = _whole_number(request.query_params.get("size", "256"))
        if not _THUMB_PX[0] <= size <= _THUMB_PX[1]:
            raise InputError(N_("There is no picture of this size."))
        area, layer = self._layer(request)
        bounds = _thumb_bounds(area)
        wide, high = bounds[2] - bounds[0], bounds[3] - bounds[1]
        rows, columns = (max(1, round(size * side / max(wide, high))) for side in (high, wide))
        return self._answer(request, area, layer, bounds, (rows, columns), {"size"})

    def _layer(self, request: Request) -> tuple[Area, Layer]:
        area = self._area(request.path_params["area"])
        layer = area.layer(request.path_params["layer"])
        if request.path_params["digest"] != layer.digest[:DIGEST_DIGITS] or not layer.digest:
            raise InputError(N_("The layer has changed."))
        return area, layer

    def _answer(
        self,
        request: Request,
        area: Area,
        layer: Layer,
        bounds: tuple[float, float, float, float],
        shape: tuple[int, int],
        others: frozenset[str] | set[str] = frozenset(),
    ) -> Response:
        style = _asked_style(layer, request.query_params, others)
        key = (layer.digest, style, bounds, shape)
        body = self._cache.get(key)
        if body is None:
            with self._drawing, self._levels(area, layer) as levels:
                body = render(levels, bounds, shape, style)
            self._cache.put(key, body)
        return Response(body, media_type="image/png", headers={"Cache-Control": _FOREVER})

    def _levels(self, area: Area, layer: Layer) -> AbstractContextManager[Levels]:
        if not layer.url:
            return self._open.taken(self._workspace().layer_path(area.id, layer), layer.digest)
        outside = self._outside()
        if not outside:  # asked each time, since the file may be open from when it was allowed
            rasters.checked_address(layer.url, outside=False)
        return self._open.taken(layer.url, layer.digest, outside=outside)

    def _grid_layer(self, area: Area, digest: str) -> Layer:
        """Return a column of quadrats; read once, since its file never changes."""
        workspace = self._workspace()
        key = (str(workspace.root), area.id, digest)
        kept = self._grids.get(key)
        if kept is None:
            kept = grids.grid_layer(workspace, area.id, digest)
            if len(self._grids) > 256:
                self._grids.clear()
            self._grids[key] = kept
        return kept

    def _area(self, area_id: str) -> Area:
        """Return an area, read again only after a change."""
        workspace = self._workspace()
        key = (str(workspace.root), area_id)
        stamp = workspace.stamp(area_id)
        kept = self._areas.get(key)
        if kept and stamp and kept[0] == stamp:
            return kept[1]
        area = workspace.area(area_id)
        if area.id != area_id:
            raise InputError(N_("There is no such study area."))
        if len(self._areas) > 64:
            self._areas.clear()
        self._areas[key] = (stamp, area)
        return area


def _asked_style(layer: Layer, query: QueryParams, others: frozenset[str] | set[str]) -> Style:
    """Read colours from an address; refuse anything unknown, missing or doubled."""
    wanted = {"v"} if layer.kind == "classes" else {"cmap", "low", "high", "scale"}
    names = [name for name, _ in query.multi_items()]
    if len(names) != len(set(names)) or set(names) - set(others) != wanted | {"r"}:
        raise InputError(N_("There is no such picture."))
    if query["r"] != str(CODE_VERSION):
        raise InputError(N_("The program has changed."))
    if layer.kind == "classes":
        if query["v"] != _legend_digest(layer.legend):
            raise InputError(N_("The legend has changed."))
        return layer.legend
    return ValueStyle(
        colormap=query["cmap"],
        low=_number(query["low"]),
        high=_number(query["high"]),
        scale=query["scale"],  # type: ignore[arg-type]  # checked by ValueStyle
        only=_asked_range(query.get("only")),
    )


def _asked_range(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    low, high = (_number(part) for part in text.partition("~")[::2])
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise InputError(N_("There is no such picture."))
    return low, high


def _asked_tile(request: Request) -> tuple[float, float, float, float]:
    z, x, y = (_whole_number(request.path_params[name]) for name in "zxy")
    if not (z <= MAX_ZOOM and x < 2**z and y < 2**z):
        raise InputError(N_("There is no such tile."))
    return _tile_bounds(z, x, y)


def _whole_number(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 9 and str(int(text)) == text:
        return int(text)
    raise InputError(N_("{text!r} is no whole number."), text=text[:40])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(N_("{text!r} is no number."), text=text[:40]) from None


def _tile_bounds(z: int, x: int, y: int) -> tuple[float, float, float, float]:
    # Half a second to import, so not at start-up.
    from morecantile import Tile
    from rio_tiler.constants import WEB_MERCATOR_TMS

    box = WEB_MERCATOR_TMS.xy_bounds(Tile(x, y, z))
    return box.left, box.bottom, box.right, box.top


def _thumb_bounds(area: Area) -> tuple[float, float, float, float]:
    """Return the area's surroundings in web-mercator metres."""
    west, south, east, north = area.bounds_lonlat
    radians = np.radians(np.clip([south, north], -_MOST_LATITUDE, _MOST_LATITUDE))
    bottom, top = (_EARTH_M * math.asinh(math.tan(angle)) for angle in radians)
    left, right = (_EARTH_M * math.radians(lon) for lon in (west, east))
    margin = _THUMB_MARGIN * max(right - left, top - bottom, 1.0)
    return left - margin, bottom - margin, right + margin, top + margin


def _asset(request: Request) -> Response:
    path = _asset_files().get(request.path_params["path"])
    if path is None:
        return _missing(request)
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(path.read_bytes(), media_type=kind, headers=headers)


@cache
def _asset_files() -> dict[str, Path]:
    """Return every file that may be asked for, listed once: no path is ever put together."""
    found: dict[str, Path] = {}
    for name, module in _ASSETS.items():
        folder = Path(import_module(module).BASE_DIR)
        for path in folder.rglob("*"):
            if path.is_file():
                found[f"{name}/{path.relative_to(folder).as_posix()}"] = path
    return found
