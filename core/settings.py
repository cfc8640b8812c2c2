"""What the surroundings decide: folders, limits, threads. Read once from the environment.

Every field has an environment variable named after it: `URBAN_PATTERN_<FIELD>`.
"""

import os
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from core.errors import InputError
from core.text import N_

PREFIX = "URBAN_PATTERN_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One instance a process; `settings()` returns it."""

    workspace: Path = Path("workspace")
    """Folder of study areas, runs and jobs. Nothing is written outside it."""

    data: Path = Path("data")
    """Folder on the server whose files can be brought in by path, without an upload."""

    threads: int = os.cpu_count() or 1
    """Threads that one piece of work may use."""

    gdal_cache_mb: int = 64
    """GDAL's block cache; its own default is 5 % of the memory."""

    tile_cache_mb: int = 64
    """Rendered map tiles kept in memory."""

    upload_mb: int = 2048
    """Largest file that can be brought in by upload."""

    raster_mb: int = 262_144
    """Largest raster, unpacked, that can be brought in as a layer."""

    memory_mb: int = 2048
    """Largest array that one call may ask for as a whole."""

    default_area: bool = True
    """Whether the server makes the simulated default area when it is not there."""

    outside: bool = True
    """Whether a user may switch on outside access. False removes the switch."""


@cache
def settings() -> Settings:
    """Return the settings of this process.

    Raises:
        InputError: A variable is no number where a number is needed.
    """
    found: dict[str, Path | int | bool] = {}
    for field in fields(Settings):
        text = os.environ.get(PREFIX + field.name.upper(), "").strip()
        if text:
            found[field.name] = _parsed(field.name, text)
    return Settings(**found)  # type: ignore[arg-type]  # _parsed returns the field's own type


def bound_threads(threads: int) -> None:
    """Let this process, and those that it starts, use no more than `threads`."""
    os.environ[PREFIX + "THREADS"] = str(threads)
    settings.cache_clear()


def _parsed(name: str, text: str) -> Path | int | bool:
    default = getattr(Settings(), name)
    if isinstance(default, Path):
        return Path(text).expanduser()
    if isinstance(default, bool):
        return text.lower() not in {"0", "no", "off", "false"}
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise InputError(
            N_("{variable} must be a whole number above 0, not '{text}'."),
            variable=PREFIX + name.upper(),
            text=text,
        )
    return number
