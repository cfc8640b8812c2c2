"""The synthetic city: both readings against what the document's own library made of it."""

from functools import partial
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio

from core.normalise import complete, fill_gaps, normalise
from core.quadrats import make_lattice, to_frame
from core.zonal.footprint import footprint
from core.zonal.pixels import RasterSource, opened
from core.zonal.statistics import STATISTICS
from core.zonal.table import zonal_statistics

CITY = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures" / "city"
VALUES = {
    "lst0226": "inputs/lst0226_30s_wgs84.tif",
    "lst0810": "inputs/lst0810_1km_sinusoidal.tif",
    "stories": "inputs/stories_10m_utm.tif",
    "dem": "reference/dem_mosaic.tif",
    "nightlight": "inputs/nightlight_15s_wgs84.tif",
}
CLASSES = {"landuse": "inputs/landuse_5m_utm.tif", "landcover": "inputs/landcover_3m_albers.tif"}
HOLE = "inputs/dem_hole_case.tif"

pytestmark = pytest.mark.skipif(not CITY.exists(), reason="needs the shared fixtures")


def source(key, file):
    return RasterSource(key=key, open=partial(rasterio.open, CITY / file))


def sources(files):
    return [source(key, file) for key, file in files.items()]


def reference(name):
    return pd.read_csv(CITY / "reference" / name, index_col=0)


@pytest.fixture(scope="module")
def lattice():
    boundary = gpd.read_file(CITY / "inputs" / "boundary.gpkg")
    return make_lattice(boundary, side_m=150, method="document")


def both_tables(lattice, method):
    """Return the layers of the city in one reading: means of values, frequencies of classes."""
    how = {"method": method, "upscale_mu": 2, "threads": 1}
    values = zonal_statistics(sources(VALUES), lattice, stats=["mean"], **how)
    classes = zonal_statistics(sources(CLASSES), lattice, stats=["frequency"], **how)
    notes = {note.key: note for note in (*values.notes, *classes.notes)}
    cover = pd.concat([values.cover, classes.cover], axis=1)
    return pd.concat([values.table, classes.table], axis=1), cover, notes


@pytest.fixture(scope="module")
def document(lattice):
    return both_tables(lattice, "document")


@pytest.fixture(scope="module")
def recommended(lattice):
    return both_tables(lattice, "recommended")


def test_zonal_table_equals_the_reference_s(document):
    expected = reference("zonal_stats.csv")
    found = document[0]
    assert list(found) == list(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_normalised_table_equals_the_reference_s(document, lattice):
    expected = reference("normalised_document.csv")
    filled = fill_gaps(document[0], lattice, method="document")
    found = normalise(filled.table, method="document").table
    assert list(found) == list(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_all_statistics_equal_the_reference_s(lattice):
    expected = reference("zonal_stats_dem_all_stats.csv")
    names = [name.removeprefix("dem_") for name in expected]
    dem = source("dem", VALUES["dem"])
    found = zonal_statistics(dem, lattice, stats=names, method="document", threads=1).table
    np.testing.assert_allclose(found[expected.columns], expected, rtol=0, atol=1e-9)


def test_enlarging_without_addition_equals_the_reference_s(lattice):
    expected = reference("zonal_stats_upscale_mu0.csv")
    layers = [source(key, VALUES[key]) for key in ("lst0226", "nightlight")]
    found = zonal_statistics(layers, lattice, stats=["mean"], method="document", threads=1)
    assert {note.key: note.enlarged for note in found.notes} == {"lst0226": 7, "nightlight": 4}
    np.testing.assert_allclose(found.table[expected.columns], expected, rtol=0, atol=1e-9)


def test_the_raster_s_own_nodata_is_ignored_as_printed_and_honoured_as_recommended(lattice):
    expected = reference("zonal_stats_nodata_case.csv")
    names = ("mean", "min", "count", "nodata")
    hole = source("dem", HOLE)
    for method, tag in (("document", "default_nodata_-9999"), ("recommended", "nodata_-32767")):
        found = zonal_statistics(hole, lattice, stats=names, method=method, threads=1).table
        columns = [f"dem_{name}_{tag}" for name in names]
        np.testing.assert_allclose(
            found[[f"dem_{name}" for name in names]], expected[columns], rtol=0, atol=1e-9
        )


@pytest.mark.parametrize("key", ["stories", "dem", "hole", "landuse", "landcover"])
def test_centre_equals_rasterstats_given_the_true_nodata(lattice, key):
    layer = source(key, {**VALUES, **CLASSES, "hole": HOLE}[key])
    stats = [*STATISTICS, "frequency"] if key in CLASSES else STATISTICS
    ours = zonal_statistics(layer, lattice, stats=stats, threads=1)
    part = slice(None, None, 7)
    theirs = zonal_statistics(layer, to_frame(lattice).iloc[part], stats=stats)
    assert theirs.notes[0].engine == "rasterstats"
    for name in theirs.table:
        mine = ours.table[name].iloc[part].fillna(0)
        np.testing.assert_allclose(mine, theirs.table[name].fillna(0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("key", [*VALUES, "hole", *CLASSES])
def test_exact_equals_exactextract(lattice, key):
    layer = source(key, {**VALUES, **CLASSES, "hole": HOLE}[key])
    stats = ["count", "frequency"] if key in CLASSES else ["count", "mean", "min", "max"]
    ours = zonal_statistics(layer, lattice, stats=stats, rule="exact", threads=1)
    part = slice(None, None, 7)
    theirs = zonal_statistics(layer, to_frame(lattice).iloc[part], stats=stats, rule="exact")
    for name in theirs.table:
        # Quadrats share lines with the 5 m pixels: the peer's slivers of 1e-9 touch other values.
        if key == "stories" and name.endswith(("min", "max")):
            continue
        mine = ours.table[name].iloc[part].fillna(0)
        expected = theirs.table[name].fillna(0)
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=2e-6, err_msg=name)


def cells_with_hidden_pixels(lattice, layer):
    """Return which quadrats meet a pixel that the raster itself calls empty, by the exact rule."""
    with opened(layer) as pixels:
        nodata = pixels.grid.nodata
        with_all = zonal_statistics(
            RasterSource(key="all", open=partial(_without_tag, layer)), lattice,
            stats=["count"], rule="exact", threads=1,
        ).table["all_count"]  # fmt: skip
    valid = zonal_statistics(layer, lattice, stats=["count"], rule="exact", threads=1).table
    assert nodata is not None
    return (with_all - valid.iloc[:, 0]).to_numpy() > 1e-9


class _without_tag:  # noqa: N801  (stands for a function)
    """Open a raster as if it had no nodata tag."""

    def __init__(self, layer):
        self.context = layer.open()

    def __enter__(self):
        dataset = self.context.__enter__()

        class Untagged:
            nodatavals = (None,)
            mask_flag_enums = ([rasterio.enums.MaskFlags.all_valid],)

            def __getattr__(self, name):
                return getattr(dataset, name)

        return Untagged()

    def __exit__(self, *error):
        return self.context.__exit__(*error)


def test_every_difference_between_the_readings_has_a_named_cause(lattice, document, recommended):
    """Each cell of the zonal table in which the readings differ, booked to a cause of METHODS.

    Causes: `class absent` (NaN as printed, 0 as recommended), `weighted by area` (a raster coarser
    than the quadrats, enlarged bilinearly as printed), `own nodata` (a quadrat that meets hidden
    pixels of the raster). Nothing is left over.
    """
    printed, _, printed_notes = document
    ours, cover, notes = recommended
    extra = {}
    for method in ("document", "recommended"):
        hole = zonal_statistics(source("hole", HOLE), lattice, method=method, threads=1)
        extra[method] = hole.table
    printed = pd.concat([printed, extra["document"]], axis=1)
    ours = pd.concat([ours, extra["recommended"]], axis=1)
    assert set(printed) == set(ours)
    booked = {"class absent": 0, "weighted by area": 0, "own nodata": 0}
    hidden = cells_with_hidden_pixels(lattice, source("hole", HOLE))
    for column in printed:
        key = column.split("_")[0]
        mine, theirs = ours[column].to_numpy(), printed[column].to_numpy()
        same = (np.abs(mine - theirs) <= 1e-9) | (np.isnan(mine) & np.isnan(theirs))
        left = ~same
        absent = left & np.isnan(theirs) & (mine == 0) if key in CLASSES else np.zeros_like(left)
        booked["class absent"] += int(absent.sum())
        left &= ~absent
        if key == "hole":
            booked["own nodata"] += int((left & hidden).sum())
            left &= ~hidden
        elif notes[key].is_coarse:
            assert printed_notes[key].enlarged > 1
            assert notes[key].rule == "exact"
            booked["weighted by area"] += int(left.sum())
            left[:] = False
        assert not left.any(), f"{left.sum()} cells of {column} differ without a cause"
    assert all(booked.values()), booked
    # Layers as fine as the quadrats and without nodata: not one cell differs in value.
    for key in ("stories", "dem", *CLASSES):
        assert not notes[key].is_coarse
        columns = [name for name in ours if name.startswith(f"{key}_")]
        np.testing.assert_allclose(
            ours[columns].fillna(0), printed[columns].fillna(0), rtol=0, atol=1e-9
        )
    assert cover[["stories", "landuse"]].min(axis=None) == 1.0


def test_every_difference_of_the_normalised_tables_follows_from_the_zonal_ones(
    lattice, document, recommended
):
    """Each cell: its zonal value differs, or its column's least or largest value does."""
    tables, zonal = {}, {"document": document[0], "recommended": recommended[0]}
    for method, table in zonal.items():
        filled = fill_gaps(table, lattice, method=method)
        zonal[method] = filled.table.fillna(0.0) if method == "document" else filled.table
        tables[method] = normalise(filled.table, method=method)
    printed, ours = tables["document"].table, tables["recommended"].table
    for column in printed:
        a, b = zonal["document"][column], zonal["recommended"][column]
        differs = ~np.isclose(printed[column], ours[column], rtol=0, atol=1e-9, equal_nan=True)
        follows = ~np.isclose(a, b, rtol=0, atol=1e-9)
        if "_fre_" not in column and not np.allclose(
            [a.min(), a.max()], [b.min(), b.max()], rtol=0, atol=1e-9
        ):
            follows[:] = True
        assert not (differs & ~follows).any(), column
    assert complete(tables["recommended"], ["dem_mean", "landuse_fre_3"]).notna().all(axis=None)


def test_recommended_gaps_are_filled_and_told(lattice, recommended):
    table, cover, notes = recommended
    empty = (cover["lst0226"] == 0).to_numpy()
    assert notes["lst0226"].empty == empty.sum() > 0
    assert table["lst0226_mean"].isna().to_numpy().tolist() == empty.tolist()
    assert table["lst0226_mean"].min() > 260  # no quadrat is diluted by zeros
    result = fill_gaps(table, lattice)
    assert result.filled["lst0226_mean"] + result.left.get("lst0226_mean", 0) == empty.sum()
    assert fill_gaps(table, lattice, farthest_m=1e5).left == {}


def test_no_quadrat_inside_the_cover_of_a_coarse_raster_is_empty(lattice):
    """Row 16."""
    layer = source("lst0810", VALUES["lst0810"])
    found = zonal_statistics(layer, lattice, stats=["mean"], threads=1)
    with opened(layer) as pixels:
        place = footprint(lattice, pixels.grid, key="x")
        inside = (place.low >= 0).all(axis=1) & (
            place.high <= (pixels.grid.width, pixels.grid.height)
        ).all(axis=1)
    assert inside.all()
    assert found.cover["lst0810"].notna().all()
    assert found.table["lst0810_mean"].isna().sum() == (found.cover["lst0810"] == 0).sum()
