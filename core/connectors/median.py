"""The median of a season's clear images, pixel by pixel, as it streams past."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from core.cog import Pixels
from core.errors import InputError
from core.georeference import Georeference
from core.operations.sources import Read, Source, on_grid, opened
from core.text import N_

_STACK_BYTES = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One image on disk, and the mask that tells where it is clear."""

    name: str
    values: Path
    mask: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a pixel's number means."""

    scale: float = 1.0
    offset: float = 0.0
    """Value = pixel · scale + offset."""
    bits: tuple[int, ...] = ()
    """Bits of the mask that must not be set."""
    above: float | None = None
    """Only pixels above this number are readings."""


@dataclass(slots=True)
class Seen:
    """How often pixels were seen clearly, counted while they stream past."""

    pixels: int = 0
    without: int = 0
    observations: int = 0
    of_scene: dict[str, int] = field(default_factory=dict)


def median(stack: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median along the first axis of the values that are not NaN; NaN where none is.

    Of an even number of values, the mean of the two in the middle.
    """
    ordered = np.sort(stack, axis=0)  # NaN comes last
    count = (~np.isnan(stack)).sum(axis=0)
    upper = np.maximum(count // 2, 0)
    lower = np.maximum((count - 1) // 2, 0)
    upper = np.minimum(upper, len(stack) - 1)
    low = np.take_along_axis(ordered, lower[None], axis=0)[0]
    high = np.take_along_axis(ordered, upper[None], axis=0)[0]
    return np.where(count > 0, low + (high - low) / 2, np.nan)


def is_clear(mask: NDArray[Any], bits: Sequence[int]) -> NDArray[np.bool_]:
    """Return where none of the bits is set."""
    wrong = sum(1 << bit for bit in bits)
    clear: NDArray[np.bool_] = (mask.astype(np.int64) & wrong) == 0
    return clear


@contextmanager
def median_pixels(
    scenes: Sequence[Scene], reading: Reading, boundary: shapely.Geometry, *, title: str
) -> Iterator[tuple[Pixels, Seen]]:
    """Open images and yield the raster of their medians, computed window by window.

    The grid is that of the first image, over the study area; images on the same lines are taken
    exactly, others from the nearest pixel.

    Args:
        scenes: At least one; the first gives the grid.
        reading: What the numbers mean.
        boundary: The study area in degrees.
        title: What to call the result in messages.

    Raises:
        InputError: There is no image.
        RefusedFileError, CrsError: One of them cannot be opened.
    """
    if not scenes:
        raise InputError(N_("There is no image to make {name} of."), name=title)
    with ExitStack() as stack:
        first = stack.enter_context(_opened(scenes[0].values, scenes[0].name))
        place = window_place(first.place, boundary)
        reads: list[tuple[str, Read, Read | None]] = []
        for scene in scenes:
            values = stack.enter_context(_opened(scene.values, scene.name))
            mask = None
            if scene.mask is not None:
                found = stack.enter_context(_opened(scene.mask, scene.name))
                mask = stack.enter_context(on_grid(found, place, "nearest"))
            reads.append((scene.name, stack.enter_context(on_grid(values, place, "nearest")), mask))
        seen = Seen(of_scene={scene.name: 0 for scene in scenes})
        pixels = Pixels(
            name=title,
            place=place,
            dtype=np.dtype("float32"),
            nodata=float("nan"),
            has_mask=False,
            read=lambda window: (_read(window, reads, reading, seen), None),
            tell=lambda: [_step(seen, len(scenes))],
        )
        yield pixels, seen


def window_place(place: Georeference, boundary: shapely.Geometry) -> Georeference:
    """Return the lines of a raster, continued or cut to hold a boundary in degrees."""
    left, top, right, bottom = place.in_pixels(boundary).bounds
    first = np.floor([left + 0.01, top + 0.01])
    last = np.maximum(np.ceil([right - 0.01, bottom - 0.01]), first + 1)
    width, height = (last - first).astype(int).tolist()
    shift = rasterio.Affine.translation(float(first[0]), float(first[1]))
    return Georeference(place.crs, place.transform @ shift, width, height)


def _opened(path: Path, name: str) -> Any:
    return opened(Source(name, path, None))


def _read(
    window: Window, reads: list[tuple[str, Read, Read | None]], reading: Reading, seen: Seen
) -> NDArray[np.float32]:
    height, width = int(window.height), int(window.width)
    out = np.empty((height, width), np.float32)
    rows = max(1, _STACK_BYTES // (8 * width * len(reads)))
    for top in range(0, height, rows):
        part = Window(window.col_off, window.row_off + top, width, min(rows, height - top))
        stack = np.stack([_values(part, *read, reading, seen) for read in reads])
        count = (~np.isnan(stack)).sum(axis=0)
        seen.pixels += count.size
        seen.without += int((count == 0).sum())
        seen.observations += int(count.sum())
        out[top : top + int(part.height)] = median(stack)
    return out


def _values(
    window: Window, name: str, values: Read, mask: Read | None, reading: Reading, seen: Seen
) -> NDArray[np.float64]:
    numbers, valid = values(window)
    if reading.above is not None:
        valid = valid & (numbers > reading.above)
    if mask is not None:
        bits, known = mask(window)
        valid = valid & known & is_clear(bits, reading.bits)
    seen.of_scene[name] += int(valid.sum())
    return np.where(valid, numbers * reading.scale + reading.offset, np.nan)


def _step(seen: Seen, scenes: int) -> dict[str, Any]:
    return {
        "step": "median",
        "scenes": scenes,
        "observations_mean": round(seen.observations / max(seen.pixels, 1), 3),
        "pixels_without": seen.without,
        "clear": {name: round(n / max(seen.pixels, 1), 4) for name, n in seen.of_scene.items()},
    }
