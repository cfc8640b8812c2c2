"""A STAC API and a file server with byte ranges on a loopback port, which can also misbehave."""

import json
import re
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
import rasterio
import rasterio.shutil
import shapely
from pyproj import Transformer
from rasterio.transform import from_origin
from shapely.geometry import mapping, shape

CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
]
COG = "image/tiff; application=geotiff; profile=cloud-optimized"


@dataclass
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    query: str
    range: str
    status: int = 0
    sent: int = 0


@dataclass
class StacServer:
    """What the server holds and how it behaves; change it while it runs."""

    folder: Path
    url: str = ""
    items: dict = field(default_factory=dict)
    """Collection id to a list of items."""
    licences: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    faults: dict = field(default_factory=dict)
    """Path of a file to [what to do, how often]: cut, error, denied, slow, drip, wrong, longer."""
    has_ranges: bool = True
    has_head: bool = True
    has_etag: bool = True
    posts: bool = True
    """Whether searches are posted."""
    page: int = 2
    is_signed: bool = False
    signature: int = 1
    delay_s: float = 0.0
    """Before each answer to a request for a file."""
    gates: dict = field(default_factory=dict)
    """Path of a file to an event that its answers wait for."""
    declared: dict = field(default_factory=dict)
    """Sizes that are announced in place of the true ones."""
    slow_s: float = 0.05
    """Before each 32 KB of a slow answer."""
    next_page: object = None
    """A function of the page's number that gives a wrong link to the next one."""

    def files(self, ending=""):
        """Return the requests for files."""
        return [one for one in self.asked if one.path.startswith("/files/" + ending)]

    def bytes_of(self, name):
        """Count how often each byte of a file was sent."""
        size = (self.folder / name).stat().st_size
        count = np.zeros(size + 1, int)
        for one in self.asked:
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", one.range)
            if one.path == f"/files/{name}" and one.method == "GET" and one.sent:
                first = int(found[1]) if found else 0
                count[first] += 1
                count[first + one.sent] -= 1
        return np.cumsum(count)[:-1]

    def add(self, collection, item_id, assets, *, bounds, date, properties=(), links=(), **more):
        """Add an item whose assets are name -> file name, or a whole asset."""
        box = shapely.box(*bounds)
        item = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "stac_extensions": [],
            "id": item_id,
            "collection": collection,
            "geometry": mapping(box),
            "bbox": list(bounds),
            "properties": {"datetime": f"{date}T16:00:00Z", **dict(properties)},
            "assets": {
                name: asset
                if isinstance(asset, dict)
                else {"href": f"{self.url}/files/{asset}", "type": COG, "roles": ["data"]}
                for name, asset in assets.items()
            },
            "links": [
                {"rel": "self", "href": f"{self.url}/collections/{collection}/items/{item_id}"},
                {"rel": "collection", "href": f"{self.url}/collections/{collection}"},
                *links,
            ],
            **more,
        }
        self.items.setdefault(collection, []).append(item)
        return item

    def landing(self):
        search = {"rel": "search", "type": "application/geo+json", "href": f"{self.url}/search"}
        posted = [{**search, "method": "POST"}] if self.posts else []
        return {
            "type": "Catalog",
            "id": "loopback",
            "stac_version": "1.0.0",
            "description": "For tests",
            "conformsTo": CONFORMS,
            "links": [
                {"rel": "self", "href": self.url},
                {"rel": "root", "href": self.url},
                {"rel": "data", "href": f"{self.url}/collections"},
                {"rel": "conformance", "href": f"{self.url}/conformance"},
                {**search, "method": "GET"},
                *posted,
            ],
        }

    def collection(self, name):
        return {
            "type": "Collection",
            "id": name,
            "stac_version": "1.0.0",
            "title": f"Title of {name}",
            "description": "For tests",
            "license": "proprietary",
            "providers": [{"name": "Nobody"}],
            "extent": {
                "spatial": {"bbox": [[-180, -90, 180, 90]]},
                "temporal": {"interval": [["2010-01-01T00:00:00Z", None]]},
            },
            "links": [
                {"rel": "license", "href": f"{self.url}/licence", "title": "Public domain"},
                {"rel": "self", "href": f"{self.url}/collections/{name}"},
            ],
        }

    def search(self, asked, method):
        """Return a page of items; `asked` holds the parameters as JSON."""
        found = [
            item
            for name in asked.get("collections") or self.items
            for item in self.items.get(name, ())
            if _matches(item, asked)
        ]
        start, limit = int(asked.get("token") or 0), min(int(asked.get("limit") or 10), self.page)
        page = {
            "type": "FeatureCollection",
            "features": found[start : start + limit],
            "links": [],
            "numberMatched": len(found),
        }
        token = str(start + limit)
        if self.next_page is not None:
            page["links"].append(self.next_page(start // limit + 1))
        elif start + limit < len(found) and method == "POST":
            page["links"].append(
                {
                    "rel": "next",
                    "href": f"{self.url}/search",
                    "method": "POST",
                    "merge": True,
                    "body": {"token": token},
                }
            )
        elif start + limit < len(found):
            again = {**asked, "token": token, "collections": ",".join(asked["collections"])}
            query = urlencode(
                {k: json.dumps(v) if isinstance(v, dict) else v for k, v in again.items()}
            )
            page["links"].append({"rel": "next", "href": f"{self.url}/search?{query}"})
        return page


def _matches(item, asked):
    if asked.get("ids") and item["id"] not in asked["ids"]:
        return False
    if item["id"] in (None, "bad") or len(item["id"]) > 100:  # wrong on purpose
        return True
    place = shape(item["geometry"])
    if asked.get("bbox") and not place.intersects(shapely.box(*map(float, asked["bbox"]))):
        return False
    if asked.get("intersects") and not place.intersects(shape(asked["intersects"])):
        return False
    when = item["properties"].get("datetime")
    if asked.get("datetime") and when:
        first, _, last = asked["datetime"].partition("/")
        if first not in ("", "..") and when < first:
            return False
        if last not in ("", "..") and when > last:
            return False
    return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing: clients that go away are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

    @property
    def state(self):
        return self.server.state

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self._answer("HEAD")

    def do_GET(self):
        self._answer("GET")

    def do_POST(self):
        self._answer("POST")

    def _answer(self, method):
        parts = urlsplit(self.path)
        self.one = Asked(method, parts.path, parts.query, self.headers.get("Range", ""))
        self.state.asked.append(self.one)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._route(method, parts, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _route(self, method, parts, body):
        state, path = self.state, parts.path.rstrip("/")
        words = path.strip("/").split("/")
        if words[0] == "moved":  # one address that leads to another
            return self._send(307, b"", {"Location": "/" + parts.path.removeprefix("/moved/")})
        if words[0] == "files":
            return self._file(method, path.removeprefix("/files/"), parts)
        if words[0] == "token":
            expiry = datetime.now(UTC) + timedelta(hours=1)
            token = {"msft:expiry": expiry.isoformat(), "token": f"sig={state.signature}"}
            return self._json(token)
        if path == "":
            return self._json(state.landing())
        if path == "/conformance":
            return self._json({"conformsTo": CONFORMS})
        if path == "/collections":
            return self._json({"collections": [state.collection(name) for name in state.items]})
        if words[0] == "collections" and words[1] in state.items:
            return self._collection(words)
        if path == "/search":
            return self._json(state.search(_parameters(method, parts.query, body), method))
        return self._send(404, b'{"code": "NotFound"}')

    def _collection(self, words):
        state = self.state
        if len(words) == 2:
            return self._json(state.collection(words[1]))
        items = state.items[words[1]]
        if len(words) == 3:
            return self._json({"type": "FeatureCollection", "features": items, "links": []})
        for item in items:
            if item["id"] == words[3]:
                return self._json(item)
        return self._send(404, b"{}")

    def _json(self, body):
        self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _send(self, status, body, headers=()):
        self.one.status = status
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.one.sent = len(body)

    def _file(self, method, name, parts):
        state = self.state
        time.sleep(state.delay_s)
        if name in state.gates:
            state.gates[name].wait(60)
        if state.is_signed and parse_qs(parts.query).get("sig") != [str(state.signature)]:
            return self._send(403, b"expired")
        if method == "HEAD" and not state.has_head:
            return self._send(405, b"")
        path = state.folder / name
        if not path.is_file():
            return self._send(404, b"")
        fault = self._fault(name)
        if fault == "error":
            return self._send(503, b"busy")
        if fault == "denied":
            return self._send(403, b"no")
        return self._bytes(name, path, fault)

    def _fault(self, name):
        fault = self.state.faults.get(name)
        if fault is None or self.headers.get("Range") == "bytes=0-0":
            return ""
        if fault[1] <= 0:
            return ""
        fault[1] -= 1
        return fault[0]

    def _bytes(self, name, path, fault):
        state, found = self.state, path.stat()
        size = found.st_size
        first, end, status = 0, size, 200
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        etag = f'"{size}-{found.st_mtime_ns}"'
        condition = self.headers.get("If-Range")
        if wanted and state.has_ranges and (condition in (None, etag)):
            first, status = int(wanted[1]), 206
            end = min(int(wanted[2] or size - 1) + 1, size)
        with path.open("rb") as file:
            file.seek(first)
            part = _spoilt(file.read(end - first), fault)
        size = state.declared.get(name, size)
        length = size if status == 200 and name in state.declared else len(part)
        self.one.status = status
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{size}")
        if state.has_ranges:
            self.send_header("Accept-Ranges", "bytes")
        if state.has_etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        self._send_slowly(part[: max(1, len(part) // 2)] if fault == "cut" else part, fault)

    def _send_slowly(self, part, fault):
        self.close_connection = fault == "cut"
        step = 10 if fault == "drip" else 1 << 15
        for start in range(0, len(part), step):
            if fault in ("slow", "drip"):
                time.sleep(self.state.slow_s)
            piece = part[start : start + step]
            self.wfile.write(piece)
            self.one.sent += len(piece)


def _spoilt(part, fault):
    if fault == "wrong":
        return bytes(len(part))
    return part + bytes(100_000) if fault == "longer" else part


def _parameters(method, query, body):
    if method == "POST":
        return json.loads(body)
    found = {key: values[0] for key, values in parse_qs(query).items()}
    for key in ("collections", "ids", "bbox"):
        if key in found:
            found[key] = found[key].split(",")
    if "intersects" in found:
        found["intersects"] = json.loads(found["intersects"])
    return found


@contextmanager
def stac_server(folder):
    """Serve the files of a folder, and a STAC API that is still empty."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = StacServer(folder, url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_cog(path, values, *, west, north, pixel=1.0, crs="EPSG:32616", nodata=None, block=128):
    """Write (bands, rows, columns) as a Cloud-Optimized GeoTIFF; return its bounds in degrees."""
    raw = path.with_name(f"raw-{path.name}")
    bands, rows, columns = values.shape
    with rasterio.open(
        raw, "w", driver="GTiff", width=columns, height=rows, count=bands, dtype=values.dtype,
        crs=crs, transform=from_origin(west, north, pixel, pixel), nodata=nodata,
    ) as dataset:  # fmt: skip
        dataset.write(values)
    rasterio.shutil.copy(raw, path, driver="COG", COMPRESS="DEFLATE", BLOCKSIZE=str(block))
    raw.unlink()
    outer = (west, north - rows * pixel, west + columns * pixel, north)
    return Transformer.from_crs(crs, 4326, always_xy=True).transform_bounds(*outer)


def noise(bands, rows, columns, seed=0, dtype="uint8"):
    """Return values that do not pack well, none of them 0."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 255, (bands, rows, columns)).astype(dtype)


def times(server, name):
    """Count the requests for a file by their range."""
    return Counter(one.range for one in server.files(name) if one.status in (200, 206))
