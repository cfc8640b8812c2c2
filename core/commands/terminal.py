"""What commands share: the workspace they work in, and their progress on the terminal."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from core.settings import settings

if TYPE_CHECKING:
    from core.workspace import Workspace

Handler = Callable[[argparse.Namespace], dict[str, Any]]


def lazily(module: str, name: str) -> Handler:
    """Return a handler that is imported when it is called: arguments alone are quick to read."""

    def handle(args: argparse.Namespace) -> dict[str, Any]:
        found: dict[str, Any] = getattr(import_module(module), name)(args)
        return found

    return handle


def workspace() -> "Workspace":
    """Return the workspace that the settings name."""
    from core.workspace import Workspace

    return Workspace(settings().workspace)


def progress_line(*, quiet: bool) -> Callable[[float, str], None]:
    """Return a report of progress that rewrites one line of a terminal, if there is one."""

    def show(share: float, text: str) -> None:
        if not quiet and sys.stderr.isatty():
            sys.stderr.write(f"\r{share:4.0%} {text:60}")
            sys.stderr.flush()

    return show
