"""What the ground is made of, the land cover it counts as, and how it looks from above.

Colours are red, green, blue and near infrared as shares of full scale in sunlight, after the look
of orthophotos of the Midwest in summer: leaves bright in the infrared, water dark.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from core.simulate.legend import Cover
from core.simulate.plan import Form
from core.simulate.scene import kernels
from core.simulate.sketch import Way

Colour = tuple[float, float, float, float]


class Stuff(IntEnum):
    """A material; `VOID` where no block is drawn."""

    VOID = kernels.VOID
    ASPHALT = 1
    CONCRETE_ROAD = 2
    BALLAST = 3
    SIDEWALK = 4
    ALLEY = 5
    LOT = 6
    WORKS_YARD = 7
    PLAZA = 8
    COURT = 9
    PATH = 10
    RUNWAY = 11
    APRON = 12
    LAWN = 13
    PARK = 14
    MEADOW = 15
    WOOD_FLOOR = 16
    AIRFIELD = 17
    FIELD = 18
    SOIL = 19
    GRAVEL = 20
    SAND = 21
    LAKE = kernels.LAKE
    RIVER = 23
    POND = 24
    CROWN = kernels.CROWN
    ROOF = kernels.ROOF


@dataclass(frozen=True, slots=True)
class _Look:
    """Two colours that a material goes between, and how: noise of 45 m, 9 m, 2.5 m and pixels."""

    cover: Cover
    one: Colour
    other: Colour
    broad: float = 0.6
    middle: float = 0.6
    fine: float = 0.4
    grain: float = 0.05


_LOOKS: dict[Stuff, _Look] = {
    Stuff.VOID: _Look(Cover.BACKGROUND, (0, 0, 0, 0), (0, 0, 0, 0)),
    Stuff.ASPHALT: _Look(
        Cover.ROAD, (0.45, 0.45, 0.45, 0.40), (0.56, 0.55, 0.54, 0.49), 0.9, 0.6, 0.3, 0.04
    ),
    Stuff.CONCRETE_ROAD: _Look(
        Cover.ROAD, (0.60, 0.59, 0.56, 0.57), (0.69, 0.67, 0.63, 0.64), 0.7, 0.6, 0.3, 0.03
    ),
    Stuff.BALLAST: _Look(
        Cover.ROAD, (0.43, 0.40, 0.37, 0.42), (0.54, 0.50, 0.46, 0.51), 0.6, 0.7, 0.5, 0.08
    ),
    Stuff.SIDEWALK: _Look(
        Cover.PAVED, (0.66, 0.65, 0.61, 0.62), (0.76, 0.74, 0.70, 0.70), 0.5, 0.7, 0.6, 0.04
    ),
    Stuff.ALLEY: _Look(
        Cover.PAVED, (0.52, 0.51, 0.49, 0.49), (0.66, 0.64, 0.61, 0.60), 0.9, 0.9, 0.4, 0.05
    ),
    Stuff.LOT: _Look(
        Cover.PAVED, (0.42, 0.42, 0.43, 0.38), (0.55, 0.54, 0.53, 0.48), 1.0, 0.7, 0.3, 0.04
    ),
    Stuff.WORKS_YARD: _Look(
        Cover.PAVED, (0.47, 0.46, 0.44, 0.45), (0.66, 0.63, 0.58, 0.60), 1.0, 0.9, 0.4, 0.05
    ),
    Stuff.PLAZA: _Look(
        Cover.PAVED, (0.54, 0.53, 0.51, 0.50), (0.68, 0.66, 0.63, 0.62), 0.8, 0.8, 0.4, 0.04
    ),
    Stuff.COURT: _Look(
        Cover.PAVED, (0.43, 0.43, 0.44, 0.40), (0.52, 0.51, 0.50, 0.46), 0.7, 0.6, 0.3, 0.03
    ),
    Stuff.PATH: _Look(
        Cover.PAVED, (0.66, 0.63, 0.57, 0.60), (0.76, 0.73, 0.66, 0.69), 0.4, 0.6, 0.5, 0.04
    ),
    Stuff.RUNWAY: _Look(
        Cover.PAVED, (0.40, 0.40, 0.41, 0.37), (0.50, 0.49, 0.48, 0.45), 0.8, 0.6, 0.3, 0.03
    ),
    Stuff.APRON: _Look(
        Cover.PAVED, (0.60, 0.59, 0.57, 0.56), (0.70, 0.69, 0.66, 0.65), 0.7, 0.6, 0.3, 0.03
    ),
    Stuff.LAWN: _Look(
        Cover.GRASS, (0.31, 0.41, 0.24, 0.74), (0.50, 0.52, 0.34, 0.63), 0.6, 1.0, 0.7, 0.08
    ),
    Stuff.PARK: _Look(
        Cover.GRASS, (0.33, 0.45, 0.25, 0.77), (0.47, 0.53, 0.33, 0.68), 0.9, 0.7, 0.4, 0.06
    ),
    Stuff.MEADOW: _Look(
        Cover.GRASS, (0.36, 0.42, 0.26, 0.66), (0.57, 0.54, 0.38, 0.56), 0.9, 1.0, 0.8, 0.11
    ),
    Stuff.WOOD_FLOOR: _Look(
        Cover.GRASS, (0.27, 0.33, 0.20, 0.58), (0.40, 0.41, 0.28, 0.56), 0.7, 0.9, 0.7, 0.10
    ),
    Stuff.AIRFIELD: _Look(
        Cover.GRASS, (0.40, 0.46, 0.28, 0.68), (0.54, 0.54, 0.36, 0.60), 1.1, 0.5, 0.4, 0.05
    ),
    Stuff.FIELD: _Look(
        Cover.GRASS, (0.34, 0.49, 0.26, 0.80), (0.42, 0.53, 0.30, 0.73), 0.7, 0.6, 0.4, 0.05
    ),
    Stuff.SOIL: _Look(
        Cover.BARE, (0.52, 0.46, 0.37, 0.55), (0.71, 0.64, 0.53, 0.69), 0.9, 1.0, 0.6, 0.07
    ),
    Stuff.GRAVEL: _Look(
        Cover.BARE, (0.50, 0.46, 0.41, 0.50), (0.64, 0.59, 0.53, 0.60), 0.9, 0.9, 0.5, 0.07
    ),
    Stuff.SAND: _Look(
        Cover.BARE, (0.77, 0.71, 0.58, 0.74), (0.87, 0.82, 0.69, 0.82), 0.6, 0.7, 0.5, 0.03
    ),
    Stuff.LAKE: _Look(
        Cover.WATER, (0.13, 0.30, 0.36, 0.05), (0.27, 0.45, 0.45, 0.08), 0.5, 0.3, 0.2, 0.02
    ),
    Stuff.RIVER: _Look(
        Cover.WATER, (0.20, 0.27, 0.23, 0.07), (0.25, 0.32, 0.26, 0.09), 0.7, 0.5, 0.4, 0.03
    ),
    Stuff.POND: _Look(
        Cover.WATER, (0.15, 0.24, 0.22, 0.06), (0.21, 0.30, 0.26, 0.08), 0.7, 0.5, 0.3, 0.03
    ),
    Stuff.CROWN: _Look(Cover.TREE, (0, 0, 0, 0), (0, 0, 0, 0)),
    Stuff.ROOF: _Look(Cover.BUILDING, (0, 0, 0, 0), (0, 0, 0, 0)),
}

COVER_OF: NDArray[np.uint8] = np.array([_LOOKS[stuff].cover for stuff in Stuff], np.uint8)
"""Land cover of each material."""

LOOK: NDArray[np.float64] = np.array(
    [(*k.one, *k.other, k.broad, k.middle, k.fine, k.grain) for k in map(_LOOKS.get, Stuff) if k]
)
"""(materials, 12): one colour, the other, and four amplitudes."""

_GRASS = {
    Form.PARK: Stuff.PARK, Form.CEMETERY: Stuff.PARK, Form.WOOD: Stuff.WOOD_FLOOR,
    Form.OPEN: Stuff.MEADOW, Form.VACANT: Stuff.MEADOW, Form.INDUSTRY: Stuff.MEADOW,
    Form.YARD: Stuff.MEADOW, Form.AIRPORT: Stuff.AIRFIELD, Form.SCHOOL: Stuff.FIELD,
}  # fmt: skip
_PAVED = {
    Form.CENTRE: Stuff.PLAZA, Form.INDUSTRY: Stuff.WORKS_YARD, Form.SCHOOL: Stuff.COURT,
    Form.CAMPUS: Stuff.COURT, Form.CEMETERY: Stuff.PATH, Form.PARK: Stuff.PATH,
    Form.TERMINAL: Stuff.APRON,
}  # fmt: skip
_BARE = {Form.YARD: Stuff.GRAVEL}


def _material(cover: Cover, form: Form) -> Stuff:
    match cover:
        case Cover.GRASS:
            return _GRASS.get(form, Stuff.LAWN)
        case Cover.PAVED:
            return _PAVED.get(form, Stuff.LOT)
        case Cover.BARE:
            return _BARE.get(form, Stuff.SOIL)
        case Cover.ROAD:
            return Stuff.BALLAST if form is Form.YARD else Stuff.ASPHALT
        case Cover.WATER:
            return Stuff.LAKE
    return Stuff.VOID


GROUND_OF: NDArray[np.int16] = np.array(
    [[_material(cover, form) for form in Form] for cover in Cover], np.int16
)
"""(land cover, form of the block): what a piece of ground is made of."""

WAY_STUFF: dict[Way, Stuff] = {
    Way.BEACH: Stuff.SAND, Way.BANK: Stuff.MEADOW, Way.RIVER: Stuff.RIVER,
    Way.STREET: Stuff.ASPHALT, Way.RUNWAY: Stuff.RUNWAY, Way.RAIL_VERGE: Stuff.MEADOW,
    Way.RAIL: Stuff.BALLAST, Way.EXPRESSWAY_VERGE: Stuff.LAWN,
    Way.EXPRESSWAY: Stuff.CONCRETE_ROAD, Way.BRIDGE: Stuff.ASPHALT,
}  # fmt: skip


def any_of(*stuffs: Stuff) -> int:
    """Return the set of some materials as the bits of one number."""
    return sum(1 << stuff for stuff in stuffs)
