"""Fields that several forms of the Train page share: a number written as text, the device."""

import math
from typing import Any

from core.errors import InputError
from core.text import N_
from models import estimate
from ui.choice import choice
from ui.train_words import setting_words, value_words


def read_number(text: str) -> float:
    """Read a number written as 0.0002, 0,0002 or 2e-4.

    Raises:
        InputError: It is none.
    """
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InputError(
            N_("{text!r} is no number."), hint=N_("Write one as 0.0002 or 2e-4."), text=text[:40]
        )
    return found


def device_names() -> dict[str, str]:
    """Return the devices that a run can be asked to compute on, and what people call them."""
    names = {"auto": value_words("auto"), "cpu": value_words("cpu")}
    return names | {f"cuda:{at}": f"{name} ({at})" for at, name in enumerate(estimate.gpus())}


def device_choice(*, place: Any, key: str, value: str = "auto") -> str:
    """Draw the choice of a device; one that this machine has not becomes `auto`."""
    return choice(setting_words("device"), device_names(), value=value, place=place, key=key)
