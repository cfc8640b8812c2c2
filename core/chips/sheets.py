"""Many chips as one picture, drawn when a browser asks for it, on the app's port.

    /sheets/{set}/{digest}.png   chips=3,17,…  size=64  columns=12  bands=0,1,2  r=1

An address names a set by its id and the first digits of the digest of its pixels, so what it shows
never changes and a browser may keep it for good. Anything else is answered 404.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core import png
from core.chips.channels import MOST_CHANNELS
from core.chips.display import mosaic, to_pictures
from core.chips.options import LARGEST_PX, MOST_CHIPS
from core.chips.sets import ChipSet, ChipSets
from core.errors import AppError, InputError
from core.text import N_
from core.tiles import ByteCache
from core.workspace import Workspace

CODE_VERSION = 1
"""Counted up when the same address gives another picture; part of every address."""
DIGEST_DIGITS = 12
MOST_ON_SHEET = 128
_MOST_PX = 6_000_000
_KEPT_SETS = 8
_KEPT_BYTES = 32 << 20
_FOREVER = "public, max-age=31536000, immutable"
_NAMES = {"chips", "size", "columns", "bands", "r"}


def sheet_url(
    set_id: str,
    digest: str,
    chips: Sequence[int],
    *,
    size_px: int,
    columns: int,
    bands: Sequence[int] | None = None,
    base: str = "",
) -> str:
    """Return the address of a sheet: chips side by side, row by row, one size, no gaps.

    Args:
        set_id: The set.
        digest: Of its pixels.
        chips: Their numbers, at most `MOST_ON_SHEET`.
        size_px: One of the set's sizes.
        columns: How many stand side by side.
        bands: Numbers of one channel or three; None: see `display.shown_channels`.
        base: The path below which the app is served, such as `/studio`.
    """
    query = {
        "chips": ",".join(map(str, chips)),
        "size": str(size_px),
        "columns": str(columns),
        "bands": ",".join(map(str, bands or ())),
        "r": str(CODE_VERSION),
    }
    return f"{base}/sheets/{set_id}/{digest[:DIGEST_DIGITS]}.png?{urlencode(query)}"


def sheet(
    chips: ChipSet,
    index: Sequence[int] | NDArray[np.int64],
    *,
    size_px: int,
    columns: int,
    bands: Sequence[int] | None = None,
) -> bytes:
    """Draw a sheet as PNG; its last row is filled up with white.

    Raises:
        InputError: No such chip, size or channel, or too many chips for one picture.
    """
    if not 1 <= len(index) <= MOST_ON_SHEET or not 1 <= columns <= MOST_ON_SHEET:
        raise InputError(N_("A sheet holds from 1 to {most} chips."), most=MOST_ON_SHEET)
    rows = -(-len(index) // columns)
    if rows * columns * size_px**2 > _MOST_PX:
        raise InputError(N_("The sheet would have too many pixels."))
    pictures = to_pictures(chips.read(index, size_px), chips.info.channels, bands)
    return png.truecolour(mosaic(pictures, columns, gap_px=0))


def most_on_sheet(size_px: int) -> int:
    """Return how many chips of a size may stand on one sheet."""
    return max(1, min(MOST_ON_SHEET, _MOST_PX // size_px**2))


def routes(workspace: Callable[[], Workspace], *, base: str = "") -> list[BaseRoute]:
    """Return the routes to mount on the app's server.

    Args:
        workspace: Returns the workspace to serve.
        base: The path below which the app is served, such as `/studio`.
    """
    drawn = _Drawn(workspace)
    return [
        Route(f"{base}/sheets/{{set}}/{{digest}}.png", drawn.sheet),
        Route(f"{base}/sheets/{{rest:path}}", _missing),
    ]


def _missing(_: Request) -> Response:
    return _not_found(N_("There is nothing at this address."))


def _not_found(message: str) -> Response:
    headers = {"Cache-Control": "no-store"}
    return JSONResponse({"error": message}, status_code=404, headers=headers)


class _Drawn:
    """Draws what the route is asked for. The handler is a plain function: it runs in threads."""

    def __init__(self, workspace: Callable[[], Workspace]) -> None:
        self._workspace = workspace
        self._pictures = ByteCache(_KEPT_BYTES)
        self._open: OrderedDict[tuple[str, str, str], ChipSet] = OrderedDict()
        self._lock = threading.Lock()

    def sheet(self, request: Request) -> Response:
        try:
            return self._sheet(request)
        except AppError as err:
            return _not_found(err.message())

    def _sheet(self, request: Request) -> Response:
        query = request.query_params
        names = [name for name, _ in query.multi_items()]
        if sorted(names) != sorted(_NAMES) or query["r"] != str(CODE_VERSION):
            raise InputError(N_("There is no such picture."))
        chips = self._chips(request.path_params["set"], request.path_params["digest"])
        index = [_whole(text, MOST_CHIPS) for text in query["chips"].split(",", MOST_ON_SHEET)]
        size = _whole(query["size"], LARGEST_PX)
        columns = _whole(query["columns"], MOST_ON_SHEET)
        bands = [_whole(text, MOST_CHANNELS) for text in query["bands"].split(",", 3) if text]
        key = (chips.info.digest, tuple(index), size, columns, tuple(bands))
        body = self._pictures.get(key)
        if body is None:
            body = sheet(chips, index, size_px=size, columns=columns, bands=bands or None)
            self._pictures.put(key, body)
        return Response(body, media_type="image/png", headers={"Cache-Control": _FOREVER})

    def _chips(self, set_id: str, digest: str) -> ChipSet:
        """Return a set, opened once while it stays the same."""
        root = self._workspace().root
        key = (str(root), set_id, digest)
        with self._lock:
            if key in self._open:
                self._open.move_to_end(key)
                return self._open[key]
        found = ChipSets(root).open(set_id)
        if found.info.digest[:DIGEST_DIGITS] != digest or found.info.id != set_id:
            raise InputError(N_("The set has changed."))
        with self._lock:
            self._open[key] = found
            while len(self._open) > _KEPT_SETS:
                self._open.popitem(last=False)
        return found


def _whole(text: str, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= most:
        return int(text)
    raise InputError(N_("{text!r} is no whole number."), text=text[:40])
