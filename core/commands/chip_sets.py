"""What the commands of `chips` do."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from core.chips import quality
from core.chips.export import export_set
from core.chips.imports import import_set
from core.chips.options import CutOptions
from core.chips.requests import Request, run
from core.chips.sets import ChipSet, ChipSets, SetInfo
from core.chips.tables import chip_facts
from core.commands.running import names_of
from core.commands.terminal import progress_line, workspace
from core.errors import InputError
from core.record import record
from core.text import N_, filled

_COUNT = 2000
_Number = TypeVar("_Number", int, float)


def make_command(args: argparse.Namespace) -> dict[str, Any]:
    """Cut a set and return its record."""
    space = workspace()
    options = CutOptions(
        size_px=args.size,
        metres=args.metres,
        count=args.count if args.count is not None or args.grid else _COUNT,
        grid=args.grid,
        overlap=args.overlap,
        min_distance_m=args.min_distance,
        min_valid=args.min_valid,
        split=args.split,
        test_share=args.test_share,
        block_m=args.block,
        gap_m=args.gap,
        balance=args.balance,
        seed=args.seed,
    )
    request = Request(
        out=args.out,
        options=options,
        area=args.name,
        layers=tuple(args.layers),
        files=tuple(args.files),
        simulated=args.simulated,
        kind=args.kind,
        bands=tuple(_numbers(args.bands, int)),
        dates=tuple(names_of(args.dates) or ()),
        value_range=_range(args.range),
        cover=args.cover,
        replace=args.replace,
    )
    info = run(space, request, on_progress=progress_line(quiet=args.json))
    area = space.area(info.area) if info.area else None
    return record("chips-made", area=area, seed=options.seed, **_set_facts(info, "Cut"))


def import_command(args: argparse.Namespace) -> dict[str, Any]:
    """Take in a set and return its record."""
    info = import_set(
        workspace(),
        args.out,
        Path(args.source),
        size_px=args.size,
        labels=Path(args.labels) if args.labels else None,
        is_replaced=args.replace,
        on_progress=progress_line(quiet=args.json),
    )
    return record("chips-made", **_set_facts(info, "Took in"))


def show_command(args: argparse.Namespace) -> dict[str, Any]:
    """Say what a set holds, chip by chip."""
    chips = _sets().open(args.set)
    info = chips.info
    warnings = [filled(text, values) for text, values in info.notes]
    if args.quality:
        found = quality.look(chips).notes()
        warnings += [filled(text, values) for text, values in found]
    rows = chip_facts(chips.table)
    lines = [_summary(info), *warnings, *map(_line, rows)]
    return record(
        "chips", set=set_facts(info), chips=rows, warnings=warnings, text="\n".join(lines)
    )


def export_command(args: argparse.Namespace) -> dict[str, Any]:
    """Write image files and return what was written."""
    chips: ChipSet = _sets().open(args.set)
    done = export_set(
        chips,
        Path(args.folder),
        form=args.format,
        quality=args.quality,
        sizes=_numbers(args.sizes, int),
        split=args.split,
        bands=names_of(args.bands),
        on_progress=progress_line(quiet=args.json),
    )
    warnings = [filled(text, values) for text, values in done.notes]
    outputs = [str(path) for path in done.outputs]
    text = [f"Wrote {done.num_files:,} images.", *outputs, *warnings]
    return record("chips-exported", outputs=outputs, warnings=warnings, text="\n".join(text))


def list_command(_args: argparse.Namespace) -> dict[str, Any]:
    """List the sets."""
    sets = _sets()
    found = sets.sets()
    broken = {name: str(err) for name, err in sets.broken().items()}
    lines = [_summary(info) for info in found]
    lines += [f"{name}: unreadable: {reason}" for name, reason in broken.items()]
    return record(
        "chips-list",
        sets=[set_facts(info) for info in found],
        warnings=list(broken.values()),
        text="\n".join(lines) or "There are no chip sets yet.",
    )


def delete_command(args: argparse.Namespace) -> dict[str, Any]:
    """Delete a set."""
    _sets().delete(args.set)
    return record("chips-deleted", text=f"Deleted {args.set}.")


def verify_command(args: argparse.Namespace) -> dict[str, Any]:
    """Compare a set with what was written; damage is an error."""
    _sets().verify(args.set)
    return record("chips-verified", text=f"{args.set} is as it was written.")


def set_facts(info: SetInfo) -> dict[str, Any]:
    """Return what a record says of a set."""
    facts = asdict(info)
    facts["metres_per_pixel"] = {size: info.metres_per_pixel(size) for size in info.sizes}
    facts["notes"] = [filled(text, values) for text, values in info.notes]
    return facts


def _set_facts(info: SetInfo, verb: str) -> dict[str, Any]:
    warnings = [filled(text, values) for text, values in info.notes]
    folder = workspace().root / "chips" / info.id
    return {
        "set": set_facts(info),
        "outputs": [str(folder / info.pixels), str(folder / info.table)],
        "warnings": warnings,
        "text": "\n".join([f"{verb} {_summary(info)}", *warnings]),
    }


def _summary(info: SetInfo) -> str:
    splits = ", ".join(f"{count:,} {name}" for name, count in info.splits.items())
    side = "" if info.side_m is None else f" ({info.side_m:g} m)"
    channels = ", ".join(channel.name for channel in info.channels)
    return f"{info.id}: {splits}; {info.size_px} px{side}; {channels}"


def _line(row: dict[str, Any]) -> str:
    parts = [f"{row['chip']:6}", f"{row['split']:5}"]
    if row["bounds"] is not None:
        parts += [str(row["crs"])[:20], " ".join(f"{value:.12g}" for value in row["bounds"])]
    parts += [str(row[name]) for name in ("date", "label") if row[name]]
    shares = sorted(row["shares"].items(), key=lambda item: -item[1])
    parts += [f"{code}:{share:.0%}" for code, share in shares if share >= 0.005]
    if row["cluster"] is not None:
        parts.append(f"cluster {row['cluster']}")
    return "  ".join(parts)


def _sets() -> ChipSets:
    return ChipSets(workspace().root)


def _range(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    numbers = _numbers(text, float)
    if len(numbers) != 2:
        raise InputError(N_("{text!r} is no range."), hint=N_("Write it as 0,100."), text=text[:40])
    return numbers[0], numbers[1]


def _numbers(text: str | None, kind: type[_Number]) -> list[_Number]:
    try:
        return [kind(part) for part in names_of(text) or ()]
    except ValueError:
        raise InputError(
            N_("{text!r} is no list of numbers."),
            hint=N_("Write it as 1,2,3."),
            text=str(text)[:40],
        ) from None
