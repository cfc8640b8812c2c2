"""Chips of the simulated city: its aerial imagery as material, its land cover as truth."""

from dataclasses import replace
from functools import lru_cache

from core.chips.channels import Channel
from core.chips.drawn import DrawnCover, DrawnSource
from core.chips.material import Material
from core.chips.under import Cover, Surroundings
from core.legends import CHICAGO_LAND_COVER
from core.simulate.aerial import AerialSource
from core.simulate.city import City
from core.text import N_
from core.workspace import crs_name

NAME = N_("Aerial image (simulated), 1 m")
_CHANNELS = ("red", "green", "blue", "nir")


def simulated_material(seed: int) -> Material:
    """Return the aerial imagery of the city of a seed, 1 m, red, green, blue and near infrared.

    Raises:
        InputError: The seed is out of range.
    """
    imagery = _imagery(seed)
    source = DrawnSource(imagery, name=NAME)
    facts = {
        "name": NAME,
        "date": "",
        "crs": crs_name(imagery.crs),
        "is_simulated": True,
        "steps": imagery.steps(),
    }
    channels = tuple(
        Channel(name=name, kind="image", band=band) for band, name in enumerate(_CHANNELS)
    )
    return Material(sources=(source,), channels=channels, facts=(facts,))


@lru_cache(maxsize=1)
def _imagery(seed: int) -> AerialSource:
    """Return the imagery of a city, whose plan takes a second to draw; read by several threads."""
    return AerialSource(City(seed))


def with_truth(around: Surroundings, material: Material) -> Surroundings:
    """Return the surroundings with the land cover of drawn pixels, where chips are drawn."""
    source = material.sources[0]
    if not isinstance(source, DrawnSource):
        return around
    around.close()
    return replace(around, cover=Cover(DrawnCover(source), source.name, CHICAGO_LAND_COVER))
