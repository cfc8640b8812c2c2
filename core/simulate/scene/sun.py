"""Where the sun stands."""

import math
from dataclasses import dataclass

from core.errors import InputError
from core.text import N_

_LEAST_ELEVATION_DEG, _MOST_ELEVATION_DEG = 20.0, 85.0
_DECIMALS = 9  # sines differ in their last bit from one processor to the next


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the sun stands: degrees clockwise from grid north, degrees above the horizon.

    Raises:
        InputError: It stands lower than 20 or higher than 85 degrees, or a number is none.
    """

    azimuth_deg: float = 146.0
    elevation_deg: float = 55.0

    def __post_init__(self) -> None:
        low, high = _LEAST_ELEVATION_DEG, _MOST_ELEVATION_DEG
        if not (low <= self.elevation_deg <= high and math.isfinite(self.azimuth_deg)):
            raise InputError(
                N_("A sun at azimuth {azimuth}°, elevation {elevation}° casts no usable shadows."),
                hint=N_("Give an elevation from {low:.0f} to {high:.0f} degrees."),
                azimuth=self.azimuth_deg,
                elevation=self.elevation_deg,
                low=low,
                high=high,
            )

    @property
    def towards(self) -> tuple[float, float]:
        """Unit vector east, north towards the sun."""
        turn = math.radians(self.azimuth_deg)
        return round(math.sin(turn), _DECIMALS), round(math.cos(turn), _DECIMALS)

    @property
    def slant(self) -> tuple[float, float]:
        """Metres east and north towards the sun for each metre up."""
        return self.towards[0] * self.cot, self.towards[1] * self.cot

    @property
    def cot(self) -> float:
        """Length of the shadow of one metre."""
        return round(1.0 / math.tan(math.radians(self.elevation_deg)), _DECIMALS)
