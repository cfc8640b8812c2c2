"""Legends: what the codes of a class raster mean and how they are drawn."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import InputError
from core.text import N_

_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_MOST_CLASSES = 256


@dataclass(frozen=True, slots=True)
class LegendClass:
    """One class: its code in the raster, its name, its colour `#RRGGBB`; `""` is transparent."""

    code: int
    name: str
    colour: str

    def __post_init__(self) -> None:
        if self.colour and not _COLOUR.fullmatch(self.colour):
            raise InputError(
                N_("{colour!r} is no colour."),
                hint=N_("Write it as #RRGGBB."),
                colour=self.colour[:40],
            )


Legend = tuple[LegendClass, ...]


def _legend(*rows: tuple[int, str, str]) -> Legend:
    return tuple(LegendClass(*row) for row in rows)


# Fixed by meaning: trees are the same green in map, chart and report. Any two differ by 22 or more
# in CIELAB, also as seen with each of the three kinds of colour blindness (held by a test).
CHICAGO_LAND_COVER = _legend(
    (0, N_("Background"), ""),
    (1, N_("Tree canopy"), "#2A7C49"),
    (2, N_("Grass and shrub"), "#A6E8AC"),
    (3, N_("Bare soil"), "#E3BC63"),
    (4, N_("Water"), "#3AA0D8"),
    (5, N_("Buildings"), "#9F0819"),
    (6, N_("Roads and rail"), "#484848"),
    (7, N_("Other paved"), "#BCBCBC"),
)
# The next two are their makers' own colours, which are known and expected but not colour-blind
# safe: with protanopia, ESA's tree cover and built-up look alike.
ESA_WORLDCOVER = _legend(
    (10, N_("Tree cover"), "#006400"),
    (20, N_("Shrubland"), "#FFBB22"),
    (30, N_("Grassland"), "#FFFF4C"),
    (40, N_("Cropland"), "#F096FF"),
    (50, N_("Built-up"), "#FA0000"),
    (60, N_("Bare or sparse vegetation"), "#B4B4B4"),
    (70, N_("Snow and ice"), "#F0F0F0"),
    (80, N_("Permanent water"), "#0064C8"),
    (90, N_("Herbaceous wetland"), "#0096A0"),
    (95, N_("Mangroves"), "#00CF75"),
    (100, N_("Moss and lichen"), "#FAE6A0"),
)
IO_LULC = _legend(
    (0, N_("No data"), ""),
    (1, N_("Water"), "#419BDF"),
    (2, N_("Trees"), "#397D49"),
    (4, N_("Flooded vegetation"), "#7A87C6"),
    (5, N_("Crops"), "#E49635"),
    (7, N_("Built area"), "#C4281B"),
    (8, N_("Bare ground"), "#A59B8F"),
    (9, N_("Snow and ice"), "#A8EBFF"),
    (10, N_("Clouds"), "#616161"),
    (11, N_("Rangeland"), "#E3E2C3"),
)
PRESETS: dict[str, tuple[str, Legend]] = {
    "chicago-land-cover": (N_("Chicago land cover, 8 classes"), CHICAGO_LAND_COVER),
    "esa-worldcover": (N_("ESA WorldCover, 11 classes"), ESA_WORLDCOVER),
    "io-lulc": (N_("Esri / Impact Observatory land use and cover, 9 classes"), IO_LULC),
}

# Paul Tol's muted set and three that stay clear of it (15 or more apart in CIELAB, as above), then
# lightness steps: classes that nobody has named yet.
_FREE_COLOURS = (
    "#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77",
    "#CC6677", "#882255", "#AA4499", "#DDDDDD", "#202020", "#2020E0",
)  # fmt: skip


def numbered_legend(codes: Iterable[int]) -> Legend:
    """Give every code a colour of its own and its number as a name."""
    ordered = sorted(set(codes))[:_MOST_CLASSES]
    return tuple(
        LegendClass(code, str(code), _free_colour(rank)) for rank, code in enumerate(ordered)
    )


def _free_colour(rank: int) -> str:
    base = _FREE_COLOURS[rank % len(_FREE_COLOURS)]
    lighter = min(0.75, 0.22 * (rank // len(_FREE_COLOURS)))
    channels = (int(base[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(c + (255 - c) * lighter):02X}" for c in channels)


def fitting_preset(codes: Iterable[int]) -> str | None:
    """Return the id of the preset that names all `codes`, the one with fewest spare classes."""
    wanted = set(codes)
    fits = [
        (len(legend), name)
        for name, (_, legend) in PRESETS.items()
        if wanted and wanted <= {entry.code for entry in legend}
    ]
    return min(fits)[1] if fits else None


def read_legend_csv(text: str) -> Legend:
    """Read a legend from CSV with the columns code, name, colour (or color), in any order.

    Columns are parted by comma, semicolon or tab, whichever the first line has most of. A missing
    colour column gives colours that differ; an empty colour is transparent.

    Raises:
        InputError: A column is missing, a code is no whole number or comes twice, a colour is no
            `#RRGGBB`, or there are more than 256 classes.
    """
    plain = text.lstrip("\ufeff")
    parting = max(",;\t", key=plain.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(plain, newline=""), delimiter=parting)
    try:
        return _legend_of(reader)
    except csv.Error as err:
        raise InputError(
            N_("Line {line} of the legend cannot be read: {reason}."),
            hint=N_("Save it as plain CSV."),
            line=reader.line_num + 1,
            reason=str(err)[:100],
        ) from err


def _legend_of(reader: "csv.DictReader[str]") -> Legend:
    columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    colour_column = columns.get("colour") or columns.get("color")
    if "code" not in columns or "name" not in columns:
        raise InputError(
            N_("The legend has no column named code or no column named name."),
            hint=N_("Its first line should read: code,name,colour"),
        )
    rows: dict[int, LegendClass] = {}
    for line, row in enumerate(reader, start=2):
        code = _code((row[columns["code"]] or "").strip(), line)
        if code in rows:
            raise InputError(N_("Line {line}: code {code} comes twice."), line=line, code=code)
        colour = (row[colour_column] or "").strip() if colour_column else _free_colour(len(rows))
        rows[code] = LegendClass(code, (row[columns["name"]] or "").strip() or str(code), colour)
    if not 0 < len(rows) <= _MOST_CLASSES:
        raise InputError(
            N_("A legend needs 1 to {most} classes, this one has {found}."),
            most=_MOST_CLASSES,
            found=len(rows),
        )
    return tuple(rows[code] for code in sorted(rows))


def _code(text: str, line: int) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(
            N_("Line {line}: {text!r} is no whole number."), line=line, text=text[:40]
        ) from None
