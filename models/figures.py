"""Figures of generated pictures, picture by picture: what a page draws while something moves.

A figure is its styles and where their pictures lie. Pictures that were made before are taken from
those kept, so a figure that changes in part is drawn anew in that part alone, and one that was
broken off goes on where it stood. The bytes are those of `generate`.
"""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from core.chips.channels import Channel
from core.errors import InputError, TooLargeError
from core.settings import settings
from core.text import N_
from models import exports, generate
from models.generate import Look, Styles
from models.latents import Latents
from models.loaded import Loaded
from models.progressive import size_of_depth
from models.synthesis import Colours

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Figure:
    """Pictures to be made, laid out in rows and columns."""

    styles: Styles
    """(n, L, S)."""
    depths: tuple[int, ...]
    """Of each picture."""
    cells: tuple[tuple[int | None, ...], ...]
    """Rows of numbers of pictures; None: an empty place."""
    look: Look
    colours: Colours | None = None
    """Of a preview."""

    def __len__(self) -> int:
        return len(self.styles)

    @property
    def size_px(self) -> int:
        """Side of the largest picture."""
        return max(size_of_depth(depth) for depth in self.depths)


class Finished:
    """Finished pictures, at most so many bytes of them; the oldest is forgotten first.

    By default an eighth of the memory that the settings allow.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.limit_bytes = (settings().memory_mb << 17) if limit_bytes is None else limit_bytes
        self.num_bytes = 0
        self._found: OrderedDict[bytes, Picture] = OrderedDict()
        self._pace: OrderedDict[tuple[str, int, bool], float] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: bytes) -> Picture | None:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def put(self, key: bytes, picture: Picture) -> None:
        with self._lock:
            if key in self._found or picture.nbytes > self.limit_bytes:
                return
            self._found[key] = picture
            self.num_bytes += picture.nbytes
            while self.num_bytes > self.limit_bytes:
                self.num_bytes -= self._found.popitem(last=False)[1].nbytes

    def took(self, model: Loaded, depth: int, seconds: float, *, is_preview: bool = False) -> None:
        """Remember how long a picture took, smoothed."""
        with self._lock:
            name = model.digest, depth, is_preview
            before = self._pace.pop(name, seconds)
            self._pace[name] = 0.8 * before + 0.2 * seconds
            if len(self._pace) > 256:
                self._pace.popitem(last=False)

    def seconds(self, model: Loaded, depth: int, *, is_preview: bool = False) -> float | None:
        """Return how long a picture takes; None where none was made yet."""
        return self._pace.get((model.digest, depth, is_preview))


def columns_for(count: int, columns: int) -> int:
    """Return the columns of a grid: those asked for, else a broad one with few empty places."""
    if columns:
        return min(columns, count)
    least, most = math.ceil(math.sqrt(count)), math.ceil(math.sqrt(2.4 * count))
    return min(range(least, most + 1), key=lambda one: (-count % one, -one))


def grid(model: Loaded, latents: Latents, look: Look, *, columns: int) -> Figure:
    """Return the figure of latents (n, Z) in rows of so many columns; 0: see `columns_for`.

    Raises:
        InputError, TooLargeError: See `generate.grid`.
    """
    look = _checked(model, look, len(latents))
    columns = columns_for(len(latents), columns)
    places: list[int | None] = list(range(len(latents)))
    places += [None] * (-len(latents) % columns)
    rows = [tuple(places[at : at + columns]) for at in range(0, len(places), columns)]
    return _figure(generate.styles_of(model, latents, look), rows, look)


def truncation(model: Loaded, latents: Latents, psis: Sequence[float], look: Look) -> Figure:
    """Return the figure of a row a latent and a column a psi.

    Raises:
        InputError, TooLargeError: See `generate.truncation`.
    """
    look = _checked(model, look, len(latents) * len(psis))
    styles = generate.truncated_styles(model, latents, psis, look)
    rows = np.arange(len(latents) * len(psis)).reshape(len(latents), len(psis))
    return _figure(styles.reshape(-1, *styles.shape[2:]), rows.tolist(), look)


def mixing(
    model: Loaded,
    sources: Latents,
    destinations: Latents,
    layers: Sequence[Sequence[int]],
    look: Look,
    *,
    source_psis: Sequence[float] | None = None,
    destination_psis: Sequence[float] | None = None,
) -> Figure:
    """Return the figure of sources above, destinations on the left, and each pair mixed.

    Raises:
        InputError, TooLargeError: See `generate.mixing`.
    """
    look = _checked(model, look, (len(sources) + 1) * (len(destinations) + 1))
    above, left, mixed = generate.mixed_styles(
        model, sources, destinations, layers, look, source_psis=source_psis,
        destination_psis=destination_psis,
    )  # fmt: skip
    columns, first = len(above), len(above) + len(left)
    rows: list[list[int | None]] = [[None, *range(columns)]]
    for row in range(len(left)):
        begin = first + row * columns
        rows.append([columns + row, *range(begin, begin + columns)])
    styles = np.concatenate([above, left, mixed.reshape(-1, *mixed.shape[2:])])
    return _figure(styles, rows, look)


def walk(model: Loaded, latents: Latents, look: Look, *, frames: int) -> Figure:
    """Return the figure of a walk, a row from each latent to the next.

    Raises:
        InputError, TooLargeError: See `generate.walk_styles`.
    """
    look = _checked(model, look, frames * len(latents))
    styles = generate.walk_styles(model, latents, look, frames=frames)
    rows = np.arange(len(styles)).reshape(-1, frames)
    return _figure(styles, rows.tolist(), look)


def combined(model: Loaded, latents: Latents, weights: Sequence[float], look: Look) -> Figure:
    """Return the figure of a sum in one row: its terms, then what comes out.

    Raises:
        InputError, TooLargeError: See `generate.sum_styles`.
    """
    look = _checked(model, look, len(latents) + 1)
    terms = generate.styles_of(model, latents, look)
    out = generate.sum_styles(model, latents, weights, look)
    return _figure(np.concatenate([terms, out]), [list(range(len(latents) + 1))], look)


def depths(model: Loaded, latent: Latents, look: Look) -> Figure:
    """Return the figure of one latent (Z,) at every depth that was trained, up to the look's, in
    one row.
    """
    top = model.depth if look.depth is None else min(look.depth, model.depth)
    look = _checked(model, replace(look, depth=top), model.networks.depths)
    known = [at for at in trained_depths(model) if at <= top] or [top]
    styles = np.repeat(generate.styles_of(model, latent[None], look), len(known), axis=0)
    return Figure(styles, tuple(known), (tuple(range(len(known))),), look)


def trained_depths(model: Loaded) -> list[int]:
    """Return the depths whose colours were learnt, ascending: a bias that training never moved
    is zero to the last digit, as in models of one size alone.
    """
    colours = model.plain.g_synthesis.to_rgb
    return [at for at in range(model.depth + 1) if bool(colours[at].bias.any())] or [model.depth]


def check_room(model: Loaded, figure: Figure, finished: Finished) -> None:
    """Refuse a figure that cannot be kept as a whole: it would be made anew at every look.

    Raises:
        TooLargeError: Its size.
    """
    pixels = sum(size_of_depth(depth) ** 2 for depth in figure.depths)
    needed, limit = pixels * model.networks.channels, finished.limit_bytes
    if needed > limit:
        raise TooLargeError(
            N_("{count:,} pictures of {size} px take {needed:.0f} MB; a figure can take"
               " {limit:.0f} MB."),
            hint=N_("Make fewer, or choose a smaller depth."),
            count=len(figure), size=figure.size_px, needed=needed / 1e6, limit=limit / 1e6,
        )  # fmt: skip


def missing(model: Loaded, figure: Figure, finished: Finished) -> list[int]:
    """Return the numbers of the pictures that have to be made."""
    keys = (picture_key(model, figure, at) for at in range(len(figure)))
    return [at for at, key in enumerate(keys) if finished.get(key) is None]


def drawn(
    model: Loaded, figure: Figure, finished: Finished, *, only: Collection[int] | None = None
) -> Iterator[tuple[int, Picture]]:
    """Yield each picture's number and the picture (C, H, W): those kept first, then new ones.

    Args:
        model: The generator.
        figure: What to draw.
        finished: Where pictures are taken from and kept.
        only: Numbers of pictures; None: all.
    """
    wanted = []
    for at in range(len(figure)) if only is None else only:
        found = finished.get(picture_key(model, figure, at))
        if found is None:
            wanted.append(at)
        else:
            yield at, found
    is_preview = figure.look.way == "preview"
    for at in wanted:
        depth = figure.depths[at]
        began = time.perf_counter()
        look = replace(figure.look, depth=depth, alpha=_alpha(figure, depth))
        one = figure.styles[at : at + 1]
        made = generate.as_bytes(generate.pictures(model, one, look, colours=figure.colours))[0]
        finished.took(model, depth, time.perf_counter() - began, is_preview=is_preview)
        if not is_preview:
            finished.put(picture_key(model, figure, at), made)
        yield at, made


def picture_key(model: Loaded, figure: Figure, at: int) -> bytes:
    """Return what one picture follows from, as a digest."""
    look, depth = figure.look, figure.depths[at]
    told = f"{model.digest}/{look.way}/{look.noise_seed}/{depth}/{_alpha(figure, depth)!r}/"
    body = np.ascontiguousarray(figure.styles[at, : 2 * depth + 2]).tobytes()
    return hashlib.blake2b(told.encode() + body, digest_size=20).digest()


def _alpha(figure: Figure, depth: int) -> float | None:
    """Return the share of a picture's newest depth: smaller ones are there as a whole."""
    return figure.look.alpha if depth == figure.look.depth else 1.0


def sheet(
    figure: Figure, pictures: Sequence[Picture], channels: Sequence[Channel] = ()
) -> exports.Image:
    """Lay finished pictures out side by side (H, W, 1 or 3); empty places are white.

    Pictures of a smaller depth are enlarged, pixel by pixel.
    """
    size = figure.size_px
    shown = [enlarged(as_shown(one, channels), size) for one in pictures]
    empty = np.full_like(shown[0], 255)
    rows = [[empty if at is None else shown[at] for at in row] for row in figure.cells]
    return exports.tiled(np.array(rows))


def as_shown(picture: Picture, channels: Sequence[Channel] = ()) -> exports.Image:
    """Return a picture (C, H, W) as (H, W, 3 or 1), as `exports.coloured` does."""
    return exports.coloured(picture, channels)


def enlarged(image: exports.Image, size_px: int) -> exports.Image:
    """Repeat every pixel of an image (h, h, k) until it has a side of `size_px`."""
    times = max(1, size_px // len(image))
    return image.repeat(times, axis=0).repeat(times, axis=1)


def _checked(model: Loaded, look: Look, count: int) -> Look:
    look = generate.checked(model, look)
    if not count:
        raise InputError(N_("A figure needs a seed at least."))
    generate.bounded(model, look, count)
    return look


def _figure(styles: Styles, rows: Sequence[Sequence[int | None]], look: Look) -> Figure:
    assert look.depth is not None
    return Figure(styles, (look.depth,) * len(styles), tuple(map(tuple, rows)), look)
