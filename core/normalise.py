"""From zonal statistics to the table that clustering reads: gaps filled, everything in 0 to 1.

Columns belong together by the name before their last part: `landuse_fre_31` is class 31 of the
layer landuse, `lst0226_mean` a value of the layer lst0226.

Reference: METHODS, rows "Gaps in temperature" and "Normalise".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from core.errors import InputError
from core.quadrats import Lattice
from core.ranges import is_one_value
from core.text import N_
from core.workspace import Method, Role

_CLASS = re.compile(r"(?P<layer>.+)_fre_(?P<code>-?[0-9.]+)")
_NEIGHBOURS = 8
_SHOWN = 6


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """A table whose gaps were filled as far as they could be."""

    table: pd.DataFrame
    filled: dict[str, int]
    """Column to the number of quadrats that got a value from their neighbours."""
    left: dict[str, int]
    """Column to the number of quadrats that are still missing."""


@dataclass(frozen=True, slots=True, eq=False)
class Normalised:
    """Every column in 0 to 1, and what a method that needs whole columns must know."""

    table: pd.DataFrame
    constant: tuple[str, ...]
    """Columns that hold one value only: 0 everywhere here, NaN in the document's reading."""
    missing: dict[str, int]
    """Column to the number of quadrats without a value."""
    without_class: dict[str, int]
    """Layer of classes to the number of quadrats where none of them occurs."""


def class_columns(columns: Iterable[str]) -> dict[str, list[str]]:
    """Return the class columns of each layer, in order."""
    layers: dict[str, list[str]] = {}
    for column in columns:
        if match := _CLASS.fullmatch(column):
            layers.setdefault(match["layer"], []).append(column)
    return layers


def layer_of_column(column: str, layers: Iterable[str]) -> str | None:
    """Return the layer whose statistic a column is: `dem_fine_mean` is of `dem_fine`, not `dem`."""
    # The longer name is the more exact one.
    return max((name for name in layers if column.startswith(f"{name}_")), key=len, default=None)


def columns_of_role(columns: Iterable[str], roles: Mapping[str, Role], role: Role) -> list[str]:
    """Return the columns of the layers that have a role.

    Args:
        columns: Names such as `landuse_fre_31`.
        roles: Layer to role.
        role: `cause` or `effect`.

    Raises:
        InputError: A column belongs to no layer that has a role.
    """
    chosen = []
    for column in columns:
        layer = layer_of_column(column, roles)
        if layer is None:
            raise InputError(
                N_("The column {column} belongs to no layer."),
                hint=N_("There are: {known}."),
                column=column,
                known=", ".join(roles) or "-",
            )
        if roles[layer] == role:
            chosen.append(column)
    return chosen


def fill_gaps(
    table: pd.DataFrame,
    lattice: Lattice,
    *,
    columns: Iterable[str] | None = None,
    farthest_m: float | None = None,
    method: Method = "recommended",
) -> Filled:
    """Fill missing values of continuous columns from the nearest quadrats that have one.

    Recommended reading: the mean of the 8 nearest quadrats with a value, no farther than
    `farthest_m` from centre to centre, weighted by 1 / distance². Class columns are never filled.

    Document reading: nothing. What is written there as an order-5 polynomial leaves the column as
    it is, and zeros stay zeros.

    Args:
        table: Statistics, a row a quadrat in the lattice's order.
        lattice: Where the quadrats lie.
        columns: Which to fill; None takes all that are no class columns.
        farthest_m: None means five sides of a quadrat.
        method: Which reading.

    Raises:
        InputError: The table has another number of rows than the lattice has quadrats, a column is
            unknown or of classes, or the distance is not positive.
    """
    if len(table) != len(lattice):
        raise InputError(
            N_("The table has {rows:,} rows for {quadrats:,} quadrats."),
            rows=len(table),
            quadrats=len(lattice),
        )
    classes = {name for names in class_columns(table.columns).values() for name in names}
    chosen = [c for c in table.columns if c not in classes] if columns is None else list(columns)
    wrong = [name for name in chosen if name not in table.columns or name in classes]
    reach = 5 * lattice.side_m if farthest_m is None else farthest_m
    if wrong or not reach > 0:
        raise InputError(
            N_("These columns cannot be filled within {reach} m: {names}."),
            hint=N_("Name continuous columns and a distance above 0 m; classes are never filled."),
            reach=reach,
            names=_listed(wrong) or "-",
        )
    result = table.copy()
    filled: dict[str, int] = {}
    if method == "recommended":
        yx = np.column_stack([lattice.rows, lattice.cols]).astype(np.float64)
        for name in chosen:
            values = table[name].to_numpy(np.float64)
            new = _from_neighbours(values, yx, reach / lattice.side_m)
            filled[name] = int((np.isfinite(new) & ~np.isfinite(values)).sum())
            result[name] = new
    return Filled(result, _positive(filled), _missing(result[chosen]))


def normalise(table: pd.DataFrame, *, method: Method = "recommended") -> Normalised:
    """Scale every column to 0 to 1.

    A class column becomes its share of all class pixels of its layer in that quadrat, a continuous
    column (x - min) / (max - min) over all quadrats.

    Recommended reading: missing values stay missing, a quadrat without any class of a layer is
    missing in that layer, a constant column is 0; all three are named in the result, and
    `complete` refuses them.

    Document reading: missing values count as 0 first; 0 / 0 is NaN.

    Raises:
        InputError: The table is empty or a column is not of numbers.
    """
    words = [c for c in table.columns if not pd.api.types.is_numeric_dtype(table[c])]
    if table.empty or words:
        raise InputError(
            N_("There are no numbers to normalise in: {names}."), names=_listed(words) or "-"
        )
    source = table.astype(np.float64)
    source = source.where(np.isfinite(source))
    if method == "document":
        source = source.fillna(0.0)
    classes = class_columns(table.columns)
    of_layer = {name: layer for layer, names in classes.items() for name in names}
    totals = {layer: source[names].sum(axis=1) for layer, names in classes.items()}
    columns: dict[str, pd.Series] = {}
    constant = []
    for name in source:
        column = source[name]
        if name in of_layer:
            total = totals[of_layer[name]]
            # A layer that is there but lacks this class has 0 of it, not a missing value.
            columns[name] = column.fillna(0.0) / total.where(total > 0)
            continue
        low, high = column.min(), column.max()
        # Rounding noise is not stretched to 0 to 1; the document's reading did not know of it.
        if low == high or (method == "recommended" and is_one_value(low, high)):
            constant.append(name)
            spread = column * np.nan if method == "document" else column * 0.0
        else:
            spread = (column - low) / (high - low)
        columns[name] = spread
    values = pd.DataFrame(columns, index=table.index)
    without = {layer: int((total == 0).sum()) for layer, total in totals.items()}
    return Normalised(values, tuple(constant), _missing(values), _positive(without))


def complete(normalised: Normalised, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """Return some columns for a method that can take neither missing nor constant ones.

    Raises:
        InputError: A column is constant, has missing values or is unknown; the message names it.
    """
    chosen = list(normalised.table.columns) if columns is None else list(columns)
    unknown = [name for name in chosen if name not in normalised.table.columns]
    if unknown or not chosen:
        raise InputError(N_("There is no column {names}."), names=_listed(unknown) or "-")
    without = [layer for layer in normalised.without_class if layer in class_columns(chosen)]
    if without:
        raise InputError(
            N_("{count:,} quadrats hold no class of {names}."),
            hint=N_("Leave the layer out, fill it, or choose quadrats inside its cover."),
            count=max(normalised.without_class[layer] for layer in without),
            names=_listed(without),
        )
    missing = [name for name in chosen if name in normalised.missing]
    if missing:
        raise InputError(
            N_("Up to {count:,} quadrats have no value in: {names}."),
            hint=N_("Fill the gaps, leave the columns out, or choose quadrats inside the cover."),
            count=max(normalised.missing[name] for name in missing),
            names=_listed(missing),
        )
    constant = [name for name in chosen if name in normalised.constant]
    if constant:
        raise InputError(
            N_("These columns have the same value everywhere: {names}."),
            hint=N_("They cannot tell quadrats apart; leave them out."),
            names=_listed(constant),
        )
    return normalised.table[chosen]


def _from_neighbours(
    values: NDArray[np.float64], yx: NDArray[np.float64], reach: float
) -> NDArray[np.float64]:
    known = np.isfinite(values)
    filled = np.where(known, values, np.nan)
    if known.all() or not known.any():
        return filled
    nearest = min(_NEIGHBOURS, int(known.sum()))
    tree = cKDTree(yx[known])
    distance, at = tree.query(
        yx[~known], k=np.arange(1, nearest + 1), distance_upper_bound=np.nextafter(reach, np.inf)
    )
    found = np.isfinite(distance)
    weight = np.where(found, 1.0 / np.square(distance), 0.0)
    near = np.where(found, values[known][np.where(found, at, 0)], 0.0)
    total = weight.sum(axis=1)
    with np.errstate(invalid="ignore"):
        filled[~known] = (weight * near).sum(axis=1) / np.where(total > 0, total, np.nan)
    return filled


def _missing(table: pd.DataFrame) -> dict[str, int]:
    return _positive({str(name): int(n) for name, n in table.isna().sum().items()})


def _positive(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
