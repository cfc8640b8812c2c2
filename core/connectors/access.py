"""Whether the internet can be asked at all, told at once, and what works without it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from core.connectors import addresses
from core.connectors.door import Door
from core.connectors.signing import PLANETARY_COMPUTER, Catalogue
from core.errors import AppError, OutsideError
from core.text import N_

WAYS = (
    N_("Take the simulated city, which needs no internet."),
    N_("Bring in files of your own: a boundary and rasters as GeoTIFF."),
    N_("Put files into the server's data folder and bring them in from there."),
    N_("Fetch on a machine that has internet, and copy the folder of the study area here."),
)
"""What works without the internet."""


@dataclass(frozen=True, slots=True)
class Access:
    """Whether a catalogue can be asked; if not, why, and what works instead."""

    error: AppError | None

    @property
    def is_open(self) -> bool:
        return self.error is None

    @property
    def ways(self) -> tuple[str, ...]:
        return () if self.is_open else WAYS

    def message(self, translate: Callable[[str], str] = str) -> str:
        """Return why not, in one sentence and a hint; `""` where all is well."""
        return self.error.message(translate) if self.error else ""


def access(
    catalogue: Catalogue = PLANETARY_COMPUTER, *, outside: bool, wait_s: float = 4.0
) -> Access:
    """Say whether a catalogue answers, within `wait_s` whatever the network does.

    Args:
        catalogue: Which one.
        outside: Whether the user has switched outside access on. Without it no socket is opened.
        wait_s: After so long it counts as silent.
    """
    try:
        addresses.require_outside(outside)
    except OutsideError as err:
        return Access(err)
    found: list[AppError | None] = []

    def ask() -> None:
        try:
            with Door(catalogue.url, outside=outside) as door:
                door.text(catalogue.url)
        except AppError as err:
            found.append(err)
        else:
            found.append(None)

    # A look-up of a name cannot be given a time limit; a thread can be left behind.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(wait_s)
    if found:
        return Access(found[0])
    return Access(
        OutsideError(
            N_("{catalogue} does not answer within {seconds:g} s: there may be no internet here."),
            hint=N_("Bring in files of your own, or take the simulated city."),
            catalogue=catalogue.title,
            seconds=wait_s,
        )
    )
