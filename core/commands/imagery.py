"""`imagery search | fetch | list`: aerial images of a study area, from a STAC catalogue."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.commands.terminal import lazily, progress_line, workspace
from core.errors import InputError
from core.text import N_, filled

if TYPE_CHECKING:
    from core.connectors.items import Found
    from core.connectors.search import Results


def register(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
) -> None:
    """Add the commands."""
    imagery = commands.add_parser("imagery", help="find and fetch images of an area")
    inner = imagery.add_subparsers(required=True, metavar="COMMAND")
    search = inner.add_parser("search", parents=[common], help="find images of an area")
    _search_arguments(search)
    search.set_defaults(handler=lazily(__name__, "search_command"))

    fetch = inner.add_parser("fetch", parents=[common], help="fetch images of an area")
    _search_arguments(fetch)
    which = fetch.add_mutually_exclusive_group()
    which.add_argument("--ids", metavar="ID,…", help="these; default: the newest of each place")
    which.add_argument("--all", action="store_true", help="older images of a place too")
    which.add_argument("--failed", action="store_true", help="those that failed the last time")
    fetch.add_argument("--plan", action="store_true", help="only say what it would take")
    fetch.add_argument("--mbit", type=float, default=20.0, help="speed that --plan reckons with")
    fetch.set_defaults(handler=lazily(__name__, "fetch_command"))

    listing = inner.add_parser("list", parents=[common], help="list the images that are there")
    listing.add_argument("name", metavar="NAME")
    listing.set_defaults(handler=lazily(__name__, "list_command"))


def _search_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME")
    command.add_argument("--catalogue", metavar="URL", default="", help="a STAC API")
    command.add_argument("--collection", default="naip")
    command.add_argument("--asset", default="", help="file of each image; default: its GeoTIFF")
    command.add_argument("--from", dest="first", default="", metavar="DATE")
    command.add_argument("--to", dest="last", default="", metavar="DATE")
    command.add_argument("--most", type=int, default=200)
    command.add_argument("--outside", action="store_true", help="let the internet be asked")


def search_command(args: argparse.Namespace) -> dict[str, Any]:
    """Find images and list them."""
    from core.record import record

    area = workspace().area(args.name)
    results = _results(args)
    lines = [_line(image) for image in results.found]
    lines += [refused.message() for refused in results.refused]
    return record(
        "imagery-search",
        area=area,
        collection=args.collection,
        licence=results.licence,
        is_cut=results.is_cut,
        images=[_facts(image) for image in results.found],
        warnings=[refused.message() for refused in results.refused],
        text="\n".join(lines) or "There are no such images of this area.",
    )


def fetch_command(args: argparse.Namespace) -> dict[str, Any]:
    """Fetch images, or say what that would take."""
    from core.connectors import addresses, imagery
    from core.record import record

    space = workspace()
    area = space.area(args.name)
    addresses.require_outside(args.outside)
    found, catalogue, licence = _chosen(args)
    if args.plan:
        plan = imagery.plan_fetch(space, area.id, found, catalogue=catalogue.url, mbit_s=args.mbit)
        text = (
            f"{plan.num} images ({plan.num_there} are there): about"
            f" {plan.download_bytes / 1e6:.0f} MB to download in {plan.seconds / 60:.0f} min at"
            f" {plan.mbit_s:g} Mbit/s, {plan.disk_bytes / 1e6:.0f} MB on the disk of which"
            f" {plan.free_bytes / 1e6:.0f} MB are free."
        )
        return record("imagery-plan", area=area, plan=asdict(plan), text=text)
    line = progress_line(quiet=args.json)
    done = imagery.fetch(
        space,
        area.id,
        found,
        catalogue=catalogue,
        licence=licence,
        outside=args.outside,
        on_progress=lambda share, text, /, **values: line(share, filled(text, values)),
    )
    failed = [f"{failure.image.id}: {failure.message()}" for failure in done.failures]
    text = f"{len(done.images)} images are there, {len(failed)} failed."
    body = record(
        "imagery-fetch",
        area=area,
        outputs=[str(image.path) for image in done.images],
        received=done.received,
        warnings=failed,
        text="\n".join([text, *failed]),
    )
    if failed and not done.images:
        body["status"] = 2
    return body


def list_command(args: argparse.Namespace) -> dict[str, Any]:
    """List the images that were fetched."""
    from core.connectors import shelf
    from core.record import record

    space = workspace()
    area = space.area(args.name)
    images = shelf.fetched(space, area.id)
    failed = [f"{row.image.id}: {row.message()}" for row in shelf.failures(space, area.id)]
    lines = [
        f"{image.date} {image.num_bytes / 1e6:8.1f} MB {image.facts['bands']} bands  {image.path}"
        for image in images
    ]
    return record(
        "imagery-list",
        area=area,
        images=[{**asdict(image), "path": str(image.path)} for image in images],
        warnings=failed,
        text="\n".join([*lines, *failed]) or "No images were fetched yet.",
    )


def _results(args: argparse.Namespace) -> "Results":
    from core.connectors.search import search
    from core.connectors.signing import PLANETARY_COMPUTER, catalogue_of
    from core.prepare import boundary_lonlat

    return search(
        boundary_lonlat(workspace(), args.name),
        catalogue=catalogue_of(args.catalogue or PLANETARY_COMPUTER.url),
        collection=args.collection,
        asset=args.asset,
        dates=(args.first, args.last),
        most=args.most,
        outside=args.outside,
    )


def _chosen(args: argparse.Namespace) -> "tuple[list[Found], Any, str]":
    """Return the images to fetch, their catalogue and its licence."""
    from core.connectors import items, shelf
    from core.connectors.signing import PLANETARY_COMPUTER, catalogue_of
    from core.prepare import boundary_lonlat

    if args.failed:
        failed = shelf.failures(workspace(), args.name)
        if not failed:
            raise InputError(N_("No image of {name} failed the last time."), name=args.name)
        first = failed[0].catalogue
        rows = [row.image for row in failed if row.catalogue == first]
        return rows, catalogue_of(first), failed[0].licence
    results = _results(args)
    catalogue = catalogue_of(args.catalogue or PLANETARY_COMPUTER.url)
    found = list(results.found)
    if args.ids:
        wanted = [name.strip() for name in args.ids.split(",")]
        known = {image.id: image for image in found}
        for name in wanted:
            if name not in known:
                raise InputError(
                    N_("There is no image {name!r} of this study area."),
                    hint=N_("There are: {known}."),
                    name=name[:80],
                    known=", ".join(list(known)[:20]) or "-",
                )
        found = [known[name] for name in wanted]
    elif not args.all:
        found = list(items.suggested(results.found, boundary_lonlat(workspace(), args.name)))
    if not found:
        raise InputError(
            N_("There are no images of {collection} of this study area."),
            hint=N_("Try another collection or other dates."),
            collection=args.collection,
        )
    return found, catalogue, results.licence


def _line(image: "Found") -> str:
    size = f"{image.num_bytes / 1e6:7.0f} MB" if image.num_bytes else "       ?   "
    pixel = f"{image.resolution_m:6.2f} m" if image.resolution_m else "     ?  "
    newer = f"  (newer: {image.newer})" if image.newer else ""
    return f"{image.date} {image.overlap:6.1%} {pixel} {size}  {image.id}{newer}"


def _facts(image: "Found") -> dict[str, Any]:
    from core.connectors.items import to_row

    return {**to_row(image), "year": image.year}
