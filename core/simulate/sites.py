"""Blocks of a few large buildings, and the paths and tracks of those without any."""

from dataclasses import dataclass

import numpy as np

from core.simulate import noise
from core.simulate.blocks import Blocks, Parts, rects
from core.simulate.legend import Build, Cover
from core.simulate.noise import Floats
from core.simulate.plan import BLOCK_E_M, BLOCK_N_M, Form
from core.simulate.shapes import codes_of


@dataclass(frozen=True, slots=True)
class _Layout:
    """How large buildings share a block: a grid of sites, how many are built, how full."""

    across: int
    along: int
    built: float
    fill: tuple[float, float]
    storeys: tuple[int, int]


_LAYOUTS = (
    (Form.CENTRE, 0, _Layout(2, 4, 0.9, (0.74, 0.97), (4, 12))),
    (Form.CENTRE, 1, _Layout(1, 2, 0.95, (0.6, 0.95), (8, 16))),
    (Form.CENTRE, 2, _Layout(2, 2, 0.92, (0.66, 0.97), (5, 14))),
    (Form.CENTRE, 3, _Layout(3, 6, 0.88, (0.82, 0.99), (3, 8))),
    (Form.MALL, 0, _Layout(1, 3, 0.62, (0.45, 0.8), (1, 2))),
    (Form.INDUSTRY, 0, _Layout(2, 3, 0.66, (0.5, 0.96), (1, 2))),
    (Form.INDUSTRY, 1, _Layout(1, 2, 0.75, (0.6, 0.97), (1, 2))),
    (Form.INDUSTRY, 2, _Layout(1, 1, 0.8, (0.55, 0.95), (1, 1))),
    (Form.SCHOOL, 0, _Layout(1, 3, 0.5, (0.5, 0.8), (2, 4))),
    (Form.CAMPUS, 0, _Layout(2, 4, 0.62, (0.38, 0.78), (2, 8))),
    (Form.AIRPORT, 0, _Layout(2, 4, 0.003, (0.5, 0.9), (1, 2))),
    (Form.TERMINAL, 0, _Layout(1, 2, 0.7, (0.5, 0.95), (2, 4))),
    (Form.PARK, 0, _Layout(3, 6, 0.006, (0.3, 0.6), (1, 1))),
    (Form.CEMETERY, 0, _Layout(3, 6, 0.004, (0.3, 0.5), (1, 1))),
)

_KIND = {
    Form.CENTRE: Build.TOWER, Form.MALL: Build.MALL, Form.INDUSTRY: Build.SHED,
    Form.SCHOOL: Build.SCHOOL, Form.CAMPUS: Build.HALL, Form.AIRPORT: Build.TERMINAL,
    Form.TERMINAL: Build.TERMINAL, Form.PARK: Build.PAVILION, Form.CEMETERY: Build.PAVILION,
}  # fmt: skip


def large_buildings(b: Blocks, parts: Parts) -> None:
    """Fill blocks that are not rows of lots: a few large buildings, yards, parking, paths."""
    for form, number, layout in _LAYOUTS:
        at = np.flatnonzero(b.form == form)
        kinds = sum(other is form for other, _, _ in _LAYOUTS)
        at = at[np.floor(noise.uniform(b.key[at], 69) * kinds) == number]
        sites = layout.across * layout.along
        n = np.repeat(at, sites)
        k = np.tile(np.arange(sites), len(at))
        key = noise.key(noise.key(b.key[n], 70), k)
        wide = (b.east[n] - b.west[n]) / layout.across
        deep = (b.north[n] - b.south[n]) / layout.along
        middle_e = b.west[n] + (k % layout.across + 0.5) * wide
        middle_n = b.south[n] + (k // layout.across + 0.5) * deep
        half_e = 0.5 * wide * noise.uniform(key, 1, *layout.fill)
        half_n = 0.5 * deep * noise.uniform(key, 2, *layout.fill)
        built = noise.uniform(key, 3) < layout.built
        middle_e += noise.uniform(key, 4, -1, 1) * (0.5 * wide - half_e)
        middle_n += noise.uniform(key, 5, -1, 1) * (0.5 * deep - half_n)
        low, high = layout.storeys
        storeys = low + np.floor(noise.uniform(key, 6) * (high - low + 1))
        if form is Form.CENTRE:
            storeys = _tower_storeys(storeys, noise.uniform(key, 7), b.attribute("to_loop")[n])
        box = (middle_e - half_e, middle_e + half_e, middle_n - half_n, middle_n + half_n)
        kept = np.flatnonzero(built)
        buildings = rects(b, n, box, storeys.astype(np.int16)).take(kept)
        parts.buildings.append(buildings)
        parts.building_block.append(n[kept])
        parts.building_kind.append(codes_of(len(kept), _KIND[form]))
        if form in (Form.SCHOOL, Form.CAMPUS):
            yard = np.flatnonzero(~built & (noise.uniform(key, 8) < 0.45))
            parts.ground.append(rects(b, n, box, Cover.PAVED).take(yard))
        if form is Form.INDUSTRY:
            strip = np.flatnonzero(~built & (noise.uniform(key, 8) < 0.4))
            parts.ground.append(rects(b, n, box, Cover.GRASS).take(strip))
    _paths(b, parts)


def _tower_storeys(low: Floats, u: Floats, to_loop: Floats) -> Floats:
    """Return storeys that rise towards the Loop; a few towers in a hundred stand out."""
    near = 1 / (1 + (to_loop / 750.0) ** 2)
    return np.minimum(low * (0.6 + 0.9 * near) + np.floor(near * (u * u) * 62), 108)


def _paths(b: Blocks, parts: Parts) -> None:
    """Lay paths through parks and cemeteries, tracks and sheds' yards through rail yards."""
    for form, share, half, code in (
        (Form.PARK, 0.30, 2.6, Cover.PAVED),
        (Form.CEMETERY, 0.9, 2.6, Cover.PAVED),
        (Form.OPEN, 0.10, 2.6, Cover.BARE),
    ):
        at = np.flatnonzero(b.form == form)
        for salt, is_across in ((81, False), (82, True)):
            some = at[noise.uniform(b.key[at], salt) < share]
            # The same place in all blocks of a column or a row, so that paths go on.
            number = b.j[some] if is_across else b.i[some]
            where = noise.uniform(noise.key(noise.root(b.plan.seed, salt), number), 0, 0.2, 0.8)
            if is_across:
                mid = where * BLOCK_N_M
                box = (b.west[some], b.east[some], mid - half, mid + half)
            else:
                mid = where * BLOCK_E_M
                box = (mid - half, mid + half, b.south[some], b.north[some])
            parts.ground.append(rects(b, some, box, code))
    at = np.flatnonzero(b.form == Form.YARD)
    for track in range(5):
        track_e = np.full(len(at), (track + 0.5) * BLOCK_E_M / 5)
        box = (track_e - 6.0, track_e + 6.0, b.south[at], b.north[at])
        parts.ground.append(rects(b, at, box, Cover.ROAD))
