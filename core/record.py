"""What a run says of itself: one JSON object, the same shape for every command."""

import hashlib
import platform
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.settings import settings
from core.workspace import Area, Layer

RECORD_VERSION = 1
VERSION = "0.1.0"
_NAMED = ("numpy", "rasterio", "geopandas", "shapely", "pyproj", "scikit-learn", "esda", "libpysal",
          "torch", "safetensors")  # fmt: skip


@cache
def code_version(package: str = "core") -> str:
    """Return the program's version and a digest of the source of a package: `0.1.0+3f9a2c41`.

    Results are stored under it, so that changed code never serves an old result.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent / package
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return f"{VERSION}+{digest.hexdigest()[:8]}"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that make the numbers."""
    found = {"python": platform.python_version()}
    for name in _NAMED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def peak_rss_mb() -> float | None:
    """Return the largest resident memory of this process so far; None where unknown (Windows)."""
    # getrusage would also count what the parent held before this process was forked.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def record(kind: str, *, area: Area | None = None, **more: Any) -> dict[str, Any]:
    """Return the record of a command; `more` adds to it or replaces its empty parts."""
    body: dict[str, Any] = {
        "kind": kind,
        "version": RECORD_VERSION,
        "code": code_version(),
        "method": area.method if area else None,
        "seed": None,
        "threads": settings().threads,
        "versions": versions(),
        "quadrats": None,
        "layers": [layer_facts(layer) for layer in area.layers] if area else [],
        "steps": [],
        "outputs": [],
        "warnings": [],
    }
    if area:
        body["area"] = area_facts(area)
    body.update(more)
    body["peak_rss_mb"] = peak_rss_mb()
    return body


def area_facts(area: Area) -> dict[str, Any]:
    """Return what a list of areas says of one."""
    return {
        "id": area.id,
        "title": area.title,
        "crs": area.crs,
        "quadrat_m": area.quadrat_m,
        "rule": area.rule,
        "method": area.method,
        "is_simulated": area.is_simulated,
        "created": area.created,
        "bounds_lonlat": list(area.bounds_lonlat),
        "layers": [layer.id for layer in area.layers],
    }


def layer_facts(layer: Layer) -> dict[str, Any]:
    """Return what a record says of one layer."""
    named = {entry.code for entry in layer.legend}
    unknown = [code for code, _ in layer.summary.counts if code not in named]
    return {
        "id": layer.id,
        "title": layer.title,
        "kind": layer.kind,
        "role": layer.role,
        "season": layer.season,
        "unit": layer.unit,
        "file": layer.file,
        "digest": layer.digest,
        "coverage": layer.summary.valid_share,
        "unknown_codes": unknown if layer.kind == "classes" else [],
        "filled": sum(int(step.get("filled", 0)) for step in layer.steps),
    }
