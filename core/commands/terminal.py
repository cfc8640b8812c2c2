"""What commands share: the workspace they work in, and their progress on the terminal."""

import sys
from collections.abc import Callable

from core.settings import settings
from core.workspace import Workspace


def workspace() -> Workspace:
    """Return the workspace that the settings name."""
    return Workspace(settings().workspace)


def progress_line(*, quiet: bool) -> Callable[[float, str], None]:
    """Return a report of progress that rewrites one line of a terminal, if there is one."""

    def show(share: float, text: str) -> None:
        if not quiet and sys.stderr.isatty():
            sys.stderr.write(f"\r{share:4.0%} {text:60}")
            sys.stderr.flush()

    return show
