"""`area fetch`: layers of any place, from those who publish them."""

import argparse
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.commands.terminal import lazily, progress_line, workspace
from core.errors import InputError
from core.text import N_, filled

if TYPE_CHECKING:
    from core.connectors.layers import Wish
    from core.workspace import Area, Workspace


def register(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
) -> None:
    """Add the command to those of `area`."""
    fetch = commands.add_parser("fetch", parents=[common], help="fetch layers from the internet")
    fetch.add_argument("name", metavar="NAME")
    fetch.add_argument(
        "--layers",
        metavar="LAYER,…",
        help="landcover, landcover-esa, dem, dem-us, lst-summer, lst-winter, lst-modis-summer,"
        " lst-modis-winter, nightlights, height, height-us; default: those that an analysis needs",
    )
    fetch.add_argument("--years", metavar="FIRST-LAST", help="default: the last three, or newest")
    fetch.add_argument("--catalogue", metavar="URL", default="", help="a STAC API")
    fetch.add_argument("--again", action="store_true", help="also those that are there already")
    fetch.add_argument("--plan", action="store_true", help="only say what it would take")
    fetch.add_argument("--mbit", type=float, default=20.0, help="speed that --plan reckons with")
    fetch.add_argument("--outside", action="store_true", help="let the internet be asked")
    fetch.set_defaults(handler=lazily(__name__, "fetch_command"))


def fetch_command(args: argparse.Namespace) -> dict[str, Any]:
    """Fetch layers and bring them in."""
    from core.commands.running import names_of
    from core.connectors import recipes
    from core.connectors.layers import Wish, fetch_layers
    from core.connectors.signing import PLANETARY_COMPUTER, catalogue_of
    from core.record import record

    space = workspace()
    area = space.area(args.name)
    years = years_of(args.years)
    names = names_of(args.layers) or list(recipes.USUAL)
    wishes = [Wish(recipe=name, years=years, again=args.again) for name in names]
    if args.plan:
        return _plan(space, area, wishes, args.mbit)
    line = progress_line(quiet=args.json)
    done = fetch_layers(
        space,
        area.id,
        wishes,
        catalogue=catalogue_of(args.catalogue or PLANETARY_COMPUTER.url),
        outside=args.outside,
        on_progress=lambda share, text, /, **values: line(share, filled(text, values)),
    )
    missed = [f"{row.recipe}: {row.message()}" for row in done.missed]
    notes = [filled(text, values) for text, values in done.notes]
    made = ", ".join(done.made) or "none"
    body = record(
        "layers-fetched",
        area=done.area,
        made=list(done.made),
        there=list(done.there),
        missed=missed,
        received=done.received,
        outputs=[done.area.layer(name).file for name in done.made],
        warnings=[*missed, *notes],
        text="\n".join([f"Made: {made}.", *missed, *notes]),
    )
    if missed and not (done.made or done.there):
        body["status"] = 2
    return body


def _plan(space: "Workspace", area: "Area", wishes: "list[Wish]", mbit_s: float) -> dict[str, Any]:
    """Say what fetching would take; nothing is asked."""
    from core.connectors.planning import plan_layers
    from core.record import record

    plan = plan_layers(space, area.id, wishes, mbit_s=mbit_s)
    lines = [
        f"{row.recipe:18} "
        + (
            "is there"
            if row.is_there
            else f"{row.num_files:3} files, at most {row.download_bytes / 1e6:6.1f} MB to download"
            f" in {row.seconds / 60:4.1f} min at {mbit_s:g} Mbit/s,"
            f" {row.disk_bytes / 1e6:6.1f} MB on the disk"
        )
        for row in plan
    ]
    return record(
        "layers-plan", area=area, plan=[asdict(row) for row in plan], text="\n".join(lines)
    )


def years_of(text: str | None) -> tuple[int, int] | None:
    """Return the years of `2022-2024` or `2023`.

    Raises:
        InputError: It is neither.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", text.strip())
    if not found:
        raise InputError(
            N_("{text!r} are no years."), hint=N_("Write 2022-2024, or 2023."), text=text[:40]
        )
    return int(found[1]), int(found[2] or found[1])
