"""The study area that is there at once: its id, and whether somebody deleted it."""

from contextlib import suppress
from pathlib import Path

DEFAULT_AREA = "chicago-simulated"
_MARK = "default-area-deleted"


def leave_out(root: Path) -> None:
    """Remember in the workspace at `root` that it was deleted: no start of a server draws it."""
    with suppress(OSError):  # then it is drawn again, which does no harm
        (root / _MARK).touch()


def take_in(root: Path) -> None:
    """Forget that it was deleted."""
    with suppress(OSError):
        (root / _MARK).unlink(missing_ok=True)


def is_left_out(root: Path) -> bool:
    """Tell whether it was deleted and not asked for since."""
    return (root / _MARK).exists()
