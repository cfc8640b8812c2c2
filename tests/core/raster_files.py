"""Small raster files and listeners for the tests of everything that reads rasters."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.transform import from_origin

from core.workspace import Workspace

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
ALBERS = "+proj=aea +lat_1=29.5 +lat_2=45.5 +lat_0=40 +lon_0=-96 +datum=NAD83 +units=m +no_defs"
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
NORTH_UP = from_origin(445_000, 4_635_000, 10, 10)


def write_tif(path, values, *, crs="EPSG:32616", transform=NORTH_UP, mask=None, **profile):
    """Write (rows, columns) or (bands, rows, columns) as a GeoTIFF and return its path."""
    bands = values if values.ndim == 3 else values[None]
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            "w",
            driver=profile.pop("driver", "GTiff"),
            width=bands.shape[2],
            height=bands.shape[1],
            count=len(bands),
            dtype=bands.dtype,
            crs=crs,
            transform=transform,
            **profile,
        ) as dataset,
    ):
        dataset.write(bands)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def rotated(origin=(445_000, 4_635_000), pixel=10, degrees=30):
    """Return a transform turned clockwise about its first corner."""
    return Affine.translation(*origin) @ Affine.rotation(-degrees) @ Affine.scale(pixel, -pixel)


@contextmanager
def canary():
    """Listen on a loopback port; yield its address and the list of paths asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 (the base class looks it up by this name)

        def log_message(self, *args):
            pass

    with _serving(Handler) as url:
        yield url, asked


@contextmanager
def redirecting(target):
    """Answer everything with a redirection to `target`; yield the server's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 (the base class looks it up by this name)

        def log_message(self, *args):
            pass

    with _serving(Handler) as url:
        yield url


@contextmanager
def file_server(folder):
    """Serve a folder over HTTP with byte ranges; yield its address."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def do_GET(self):
            path = Path(self.translate_path(self.path))
            wanted = self.headers.get("Range")
            if not wanted or not path.is_file():
                return super().do_GET()
            body = path.read_bytes()
            first, last = wanted.removeprefix("bytes=").split("-")
            end = min(int(last or len(body) - 1), len(body) - 1)
            part = body[int(first) : end + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{end}/{len(body)}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)
            return None

        def log_message(self, *args):
            pass

    with _serving(Handler) as url:
        yield url


@contextmanager
def _serving(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def checkers(rows=40, columns=50, dtype="uint8"):
    """Return values 1 to 7 that differ from each neighbour."""
    row, column = np.mgrid[:rows, :columns]
    return ((row * 3 + column * 5) % 7 + 1).astype(dtype)


def new_area(root, *, bounds=(445_000, 4_634_600, 445_500, 4_635_000), crs="EPSG:32616"):
    """Make a workspace with the area `town`, whose boundary is a rectangle."""
    workspace = Workspace(root)
    frame = gpd.GeoDataFrame(geometry=[shapely.box(*bounds)], crs=crs)
    workspace.create("town", title="Town", boundary=frame, boundary_source={})
    return workspace
