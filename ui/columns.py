"""What columns of the quadrat table are called: `landcover_fre_1` is Land cover: Tree canopy."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from core.normalise import layer_of_column
from core.text import N_
from core.workspace import Area, Layer
from ui.language import _
from ui.layer_words import class_name, layer_title

STATISTICS = {
    "mean": N_("mean"),
    "median": N_("median"),
    "min": N_("minimum"),
    "max": N_("maximum"),
    "range": N_("range"),
    "std": N_("standard deviation"),
    "sum": N_("sum"),
    "count": N_("valid pixels"),
    "majority": N_("most frequent value"),
    "minority": N_("rarest value"),
    "unique": N_("number of different values"),
    "nodata": N_("missing pixels"),
    "nan": N_("pixels that are not a number"),
}
# Counted, not measured: the layer's unit does not apply.
_COUNTED = {"count", "unique", "nodata", "nan"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its layer, and the statistic or the class that it holds."""

    name: str
    layer: Layer
    statistic: str
    """A key of `STATISTICS`, or `""` for a class."""
    code: int | None = None

    @property
    def is_class(self) -> bool:
        """Whether it counts the pixels of one class."""
        return self.code is not None


def columns_of(area: Area, table: pd.DataFrame) -> list[Column]:
    """Return what each column of a quadrat table is."""
    layers = {layer.id: layer for layer in area.layers}
    found = []
    for name in table.columns:
        layer_id = layer_of_column(name, layers)
        if layer_id is None:
            continue
        layer = layers[layer_id]
        rest = name[len(layer.id) + 1 :]
        if rest.startswith("fre_"):
            found.append(Column(name, layer, "", int(float(rest[4:]))))
        else:
            found.append(Column(name, layer, rest))
    return found


def column_title(column: Column) -> str:
    """Return the whole name of a column: layer and what of it."""
    return f"{layer_title(column.layer)}: {column_part(column)}"


def column_part(column: Column) -> str:
    """Return what a column holds of its layer."""
    if column.code is not None:
        return class_name(column.layer, column.code)
    return _(STATISTICS.get(column.statistic, column.statistic))


def column_unit(column: Column, *, is_normalised: bool) -> str:
    """Return the unit of a column's values."""
    if is_normalised:
        return _("share") if column.is_class else _("0–1")
    if column.is_class or column.statistic in _COUNTED:
        return _("pixels")
    return column.layer.unit


def short_titles(columns: Sequence[Column]) -> dict[str, str]:
    """Return short names for charts: what a column holds; with its layer where two are alike."""
    parts = {
        column.name: column_part(column) if column.is_class else layer_title(column.layer)
        for column in columns
    }
    count = Counter(parts.values())
    return {
        column.name: parts[column.name]
        if count[parts[column.name]] == 1
        else f"{parts[column.name]} ({layer_title(column.layer)})"
        for column in columns
    }
