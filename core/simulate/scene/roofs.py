"""Roofs: what they are covered with, how they slope, and what stands on them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.simulate import noise
from core.simulate.legend import Build
from core.simulate.noise import Floats, Keys
from core.simulate.scene import kernels
from core.simulate.scene.decals import Decals, decals
from core.simulate.scene.kernels import FLAT, GABLE, HIP
from core.simulate.scene.materials import Stuff, any_of
from core.simulate.scene.picture import Picture
from core.simulate.shapes import Rects, each, shifted

STOREY_M = 3.0
# Metres added to the storeys of a building; the slope and the share of pitched roofs.
_EXTRA_M = {Build.MALL: 3.0, Build.SHED: 4.0, Build.TERMINAL: 3.0, Build.GARAGE: -0.4}
_PITCHED = {
    Build.HOUSE: (0.74, 0.60), Build.GARAGE: (0.66, 0.45), Build.FLATS: (0.08, 0.55),
    Build.SHOP: (0.03, 0.5), Build.SHED: (0.45, 0.06), Build.SCHOOL: (0.10, 0.4),
    Build.HALL: (0.32, 0.5), Build.PAVILION: (0.8, 0.5),
}  # fmt: skip
_EXTRA_OF = np.array([_EXTRA_M.get(kind, 0.0) for kind in Build])
_PITCHED_OF = np.array([_PITCHED.get(kind, (0.0, 0.0)) for kind in Build])

_SHINGLES = np.array([
    (0.47, 0.46, 0.45, 0.49), (0.37, 0.37, 0.38, 0.41), (0.46, 0.41, 0.36, 0.50),
    (0.49, 0.39, 0.34, 0.52), (0.56, 0.52, 0.46, 0.58), (0.40, 0.43, 0.39, 0.46),
    (0.43, 0.45, 0.48, 0.46), (0.60, 0.59, 0.57, 0.61), (0.32, 0.31, 0.31, 0.35),
    (0.52, 0.47, 0.42, 0.54),
])  # fmt: skip
_MEMBRANES = np.array([
    (0.90, 0.90, 0.88, 0.88), (0.76, 0.76, 0.75, 0.73), (0.57, 0.56, 0.54, 0.56),
    (0.65, 0.61, 0.54, 0.64), (0.33, 0.33, 0.34, 0.32), (0.45, 0.45, 0.45, 0.44),
    (0.83, 0.82, 0.79, 0.80), (0.51, 0.50, 0.49, 0.50), (0.61, 0.61, 0.60, 0.59),
    (0.40, 0.39, 0.38, 0.39),
])  # fmt: skip
_METALS = np.array([
    (0.82, 0.83, 0.83, 0.79), (0.70, 0.72, 0.74, 0.68), (0.62, 0.54, 0.46, 0.60),
    (0.54, 0.60, 0.65, 0.56), (0.58, 0.63, 0.56, 0.57), (0.88, 0.88, 0.86, 0.86),
    (0.52, 0.51, 0.50, 0.50), (0.75, 0.73, 0.69, 0.73), (0.64, 0.65, 0.66, 0.63),
    (0.47, 0.47, 0.48, 0.46),
])  # fmt: skip
_ON_ROOF = any_of(Stuff.ROOF)


@dataclass(frozen=True, slots=True)
class Roofs:
    """Roofs of buildings, columns of shape (N,) but `colour` (N, 4).

    `eave` is in metres above ground, `slope` metres a metre, `ribs` how strongly seams show.
    """

    body: Rects
    kind: NDArray[np.int16]
    key: Keys
    shape: NDArray[np.int64]
    slope: Floats
    eave: Floats
    colour: Floats


def height_m(kind: NDArray[np.int16], storeys: NDArray[np.int16]) -> Floats:
    """Return the height of the eaves in metres."""
    height: Floats = storeys * STOREY_M + _EXTRA_OF[kind]
    return height


def roofs(buildings: Rects, kind: NDArray[np.int16], keys: Keys) -> Roofs:
    """Choose the roof of each building."""
    share, slope = _PITCHED_OF[kind].T
    # From the fourth storey on roofs are flat.
    is_pitched = (noise.uniform(keys, 1) < share) & (buildings.code < 4)
    is_hip = (noise.uniform(keys, 2) < 0.38) & (kind != Build.SHED)
    shape = np.where(is_pitched, np.where(is_hip, HIP, GABLE), FLAT).astype(np.int64)
    pick = noise.uniform(keys, 3)
    number = np.floor(pick * pick * 0.6 * 10 + pick * 0.4 * 10).astype(np.int64)
    even = np.floor(pick * 10).astype(np.int64)
    colour = np.where(is_pitched[:, None], _SHINGLES[even], _MEMBRANES[number])
    # Homes have darker flat roofs than large halls.
    small = np.isin(kind, (Build.HOUSE, Build.GARAGE)) & ~is_pitched
    colour = np.where(small[:, None], _MEMBRANES[even], colour)
    colour = np.where((kind == Build.SHED)[:, None], _METALS[number], colour)
    colour = colour * noise.uniform(keys, 4, 0.92, 1.06)[:, None]
    colour = colour + (noise.uniform(keys, 5) - 0.5)[:, None] * np.array([0.03, 0.0, -0.03, 0.0])
    return Roofs(
        buildings, kind, keys, shape, np.where(is_pitched, slope, 0.0),
        height_m(kind, buildings.code), np.clip(colour, 0.05, 0.97),
    )  # fmt: skip


def draw_roofs(picture: Picture, table: Roofs, sun: tuple[float, float]) -> None:
    """Draw roofs over all that is there; `sun` is metres east and north towards it a metre up."""
    b = table.body
    body = np.stack([b.x, b.y, b.half_u, b.half_v, b.ux, b.uy], axis=1)
    look = np.column_stack([table.eave, table.slope, table.colour])
    kernels.draw_roofs(picture, body, look, table.shape, table.kind == Build.SHED, table.key, sun)


_UNIT_GRID_M = 7.5
_UNIT_SHARE = {
    Build.FLATS: 0.16, Build.SHOP: 0.42, Build.TOWER: 0.30, Build.MALL: 0.42, Build.SHED: 0.14,
    Build.SCHOOL: 0.26, Build.HALL: 0.28, Build.TERMINAL: 0.35,
}  # fmt: skip
_UNIT_SHARE_OF = np.array([_UNIT_SHARE.get(kind, 0.0) for kind in Build])
_UNIT_COLOURS = np.array([
    (0.80, 0.80, 0.79, 0.76), (0.66, 0.67, 0.67, 0.63), (0.52, 0.52, 0.52, 0.50),
    (0.88, 0.88, 0.87, 0.85), (0.40, 0.40, 0.40, 0.38),
])  # fmt: skip


def roof_units(table: Roofs) -> Decals:
    """Return machines, skylights, stair heads and the set-back tops of towers."""
    return Decals.join([_tops(table), _machines(table), _skylights(table), _chimneys(table)])


def _tops(table: Roofs) -> Decals:
    """Return set-back storeys and machine rooms of high buildings."""
    b, key = table.body, table.key
    is_high = (table.shape == FLAT) & (b.code >= 5) & (np.minimum(b.half_u, b.half_v) > 6.0)
    at = np.flatnonzero(is_high & (noise.uniform(key, 30) < 0.75))
    some, key, b = table.eave[at], key[at], b.take(at)
    fill_u, fill_v = noise.uniform(key, 31, 0.18, 0.66), noise.uniform(key, 35, 0.18, 0.66)
    du = noise.uniform(key, 32, -0.25, 0.25) * b.half_u
    dv = noise.uniform(key, 33, -0.25, 0.25) * b.half_v
    rise = 3.5 + np.floor(noise.uniform(key, 34) * 3) * 2.0 + 0.03 * some
    body = shifted(b, du, dv, fill_u * b.half_u, fill_v * b.half_v)
    colour = _MEMBRANES[np.floor(noise.uniform(key, 36) * len(_MEMBRANES)).astype(np.int64)]
    return decals(body, colour, _ON_ROOF, top=some + rise)


def _machines(table: Roofs) -> Decals:
    """Return air conditioners and vents in a loose grid on flat roofs."""
    b = table.body
    share = _UNIT_SHARE_OF[table.kind]
    at = np.flatnonzero((table.slope < 0.2) & (share > 0))
    room_u, room_v = (np.maximum(v[at] - 2.0, 0.0) for v in (b.half_u, b.half_v))
    across = np.maximum(np.floor(2 * room_u / _UNIT_GRID_M), 1).astype(np.int64)
    along = np.maximum(np.floor(2 * room_v / _UNIT_GRID_M), 1).astype(np.int64)
    count = across * along
    n, k = each(count)
    key = noise.key(noise.key(table.key[at], 41)[n], k)
    kept = noise.uniform(key, 1) < share[at][n]
    n, k, key = n[kept], k[kept], key[kept]
    du = ((k % across[n] + noise.uniform(key, 2, 0.3, 0.7)) / across[n] - 0.5) * 2 * room_u[n]
    dv = ((k // across[n] + noise.uniform(key, 3, 0.3, 0.7)) / along[n] - 0.5) * 2 * room_v[n]
    body = shifted(
        b.take(at[n]), du, dv, noise.uniform(key, 4, 0.6, 1.7), noise.uniform(key, 5, 0.6, 1.7)
    )
    colour = _UNIT_COLOURS[np.floor(noise.uniform(key, 6) * 5).astype(np.int64)]
    top = table.eave[at[n]] + noise.uniform(key, 7, 1.0, 2.4)
    return decals(body, colour, _ON_ROOF, top=top)


def _skylights(table: Roofs) -> Decals:
    """Return rows of skylights on half of the sheds."""
    b = table.body
    at = np.flatnonzero((table.kind == Build.SHED) & (noise.uniform(table.key, 51) < 0.5))
    at = at[np.minimum(b.half_u[at], b.half_v[at]) > 8]
    long_u = b.half_u[at] >= b.half_v[at]
    half = np.where(long_u, b.half_u[at], b.half_v[at])
    count = np.maximum(np.floor(2 * half / 9.0) - 1, 1).astype(np.int64)
    n, k = each(2 * count)
    step = ((k // 2 + 1.0) / (count[n] + 1) - 0.5) * 2 * half[n]
    short = np.where(long_u, b.half_v[at], b.half_u[at])[n]
    off = (k % 2 - 0.5) * short
    flip = long_u[n]
    body = shifted(
        b.take(at[n]), np.where(flip, step, off), np.where(flip, off, step),
        np.where(flip, 0.7, 2.2), np.where(flip, 2.2, 0.7),
    )  # fmt: skip
    return decals(body, (0.86, 0.89, 0.90, 0.70), _ON_ROOF, alpha=0.6)


def _chimneys(table: Roofs) -> Decals:
    """Return chimneys and vents on houses."""
    at = np.flatnonzero(np.isin(table.kind, (Build.HOUSE, Build.FLATS)))
    b, key = table.body.take(at), table.key[at]
    du, dv = (
        noise.uniform(key, 61, -0.6, 0.6) * b.half_u,
        noise.uniform(key, 62, -0.6, 0.6) * b.half_v,
    )
    body = shifted(b, du, dv, np.full(len(at), 0.45), np.full(len(at), 0.45))
    rise = 1.0 + table.slope[at] * np.minimum(b.half_u, b.half_v) * 0.8
    return decals(body, (0.45, 0.34, 0.30, 0.40), _ON_ROOF, top=table.eave[at] + rise)
