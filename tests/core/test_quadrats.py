import math
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import CrsError, InputError, TooLargeError
from core.quadrats import MOST_QUADRATS, cell_at, estimate_count, make_lattice, to_frame

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
CHICAGO = SHARED / "data" / "city" / "chicago"
CITY = SHARED / "fixtures" / "city"
UTM = "EPSG:32616"


def frame(*shapes, crs=UTM):
    return gpd.GeoDataFrame(geometry=list(shapes), crs=crs)


def box(width, height, west=430_000.0, south=4_600_000.0):
    return frame(shapely.box(west, south, west + width, south + height))


@pytest.mark.parametrize(
    ("width", "side", "document", "recommended"),
    [(600, 150, 9, 16), (610, 150, 16, 16), (750, 150, 16, 25), (450.5, 150, 9, 9)],
)
def test_the_document_loses_the_last_column_and_row(width, side, document, recommended):
    area = box(width, width)
    assert len(make_lattice(area, side_m=side, method="document")) == document
    assert len(make_lattice(area, side_m=side)) == recommended


def test_the_recommended_reading_covers_the_extent():
    lattice = make_lattice(box(610, 460), side_m=150, rule="touching")
    assert lattice.shape == (4, 5)
    assert len(lattice) == 20
    assert lattice.north >= 4_600_460


@pytest.mark.parametrize(("rule", "kept"), [("within", 4), ("centroid", 6), ("touching", 16)])
def test_each_rule_on_a_square_off_the_cells(rule, kept):
    # The far corner sets the origin. The square spans 1040 to 1340: cells 10 to 13 of 100 m each
    # way, of which 11 and 12 are whole and 10 (but not 13) has its centre inside, west to east.
    far, square = shapely.box(0, 0, 1, 1), shapely.box(1040, 1060, 1340, 1340)
    lattice = make_lattice(frame(far, square), side_m=100, rule=rule)
    assert (lattice.cols >= 10).sum() == kept


@pytest.mark.parametrize("rule", ["within", "centroid", "touching"])
@pytest.mark.parametrize("method", ["recommended", "document"])
def test_each_rule_equals_a_test_of_every_cell(rule, method):
    rng = np.random.default_rng(3)
    angle = np.sort(rng.uniform(0, 2 * math.pi, 60))
    radius = rng.uniform(800, 4000, 60)
    star = shapely.Polygon(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
    hole = shapely.box(-300, -200, 260, 240)
    area = star.difference(hole).union(shapely.box(5000, 0, 5333, 1000))
    lattice = make_lattice(frame(area), side_m=50, rule=rule, method=method)
    kept = set()
    ys, xs = lattice.lines()
    for row in range(lattice.shape[0]):
        for col in range(lattice.shape[1]):
            cell = shapely.box(xs[col], ys[row + 1], xs[col + 1], ys[row])
            fits = {
                "within": cell.within,
                "centroid": cell.centroid.within,
                "touching": lambda other, cell=cell: cell.intersection(other).area > 1e-9,
            }[rule]
            if fits(area):
                kept.add((row, col))
    assert set(zip(lattice.rows.tolist(), lattice.cols.tolist(), strict=True)) == kept


def test_document_order_goes_up_the_columns_from_the_west():
    lattice = make_lattice(box(310, 310), side_m=100, method="document")
    frame_ = to_frame(lattice)
    corner = frame_.bounds[["minx", "miny"]].to_numpy() - (430_000, 4_600_000)
    assert corner[:4].tolist() == [[0, 0], [0, 100], [0, 200], [100, 0]]
    ring = np.asarray(frame_.geometry.iloc[0].exterior.coords) - (430_000, 4_600_000)
    assert ring.tolist() == [[100, 0], [0, 0], [0, 100], [100, 100], [100, 0]]


def test_a_quadrat_keeps_its_id_whichever_rule_keeps_it():
    area = frame(shapely.Point(430_000, 4_600_000).buffer(900))
    few = make_lattice(area, side_m=100)
    many = make_lattice(area, side_m=100, rule="touching")
    assert set(few.ids) < set(many.ids)
    assert to_frame(few).geometry.equals(to_frame(many).geometry.loc[few.ids])
    assert np.array_equal(np.flatnonzero(few.kept), few.ids)


def test_pieces_count_as_one_area():
    halves = frame(shapely.box(0, 0, 450, 1000), shapely.box(450, 0, 1000, 1000))
    assert len(make_lattice(halves, side_m=100)) == 100


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(1.0, 900.0))
def test_every_point_inside_lies_in_exactly_one_quadrat(west, south, side):
    """Row 17: squares are half-open."""
    lattice = make_lattice(box(5 * side, 4 * side, west, south), side_m=side, rule="touching")
    ys, xs = lattice.lines()
    assert np.array_equal(cell_at(lattice, xs[:-1] + side / 2, ys[1] + side / 2) % 5, range(5))
    x, y = np.meshgrid(np.linspace(west, xs[5], 37)[:-1], np.linspace(south, ys[0], 31)[:-1])
    found = cell_at(lattice, x, y)
    assert ((found >= 0) & (found < len(lattice))).all()
    assert (cell_at(lattice, [west - side, xs[-1] + side], [south, south]) == -1).all()


def test_a_point_on_a_line_belongs_to_the_east_and_north():
    lattice = make_lattice(box(200, 200, 0, 0), side_m=100)
    assert cell_at(lattice, [100, 0, 200], [0, 100, 0]).tolist() == [3, 0, -1]


@pytest.mark.parametrize("side_m", [0.01, 0.3, 1e-300])
def test_a_side_that_makes_too_many_is_refused_at_once(side_m):
    """Row 28: 1 cm quadrats."""
    area = box(25_000, 25_000)
    start = time.perf_counter()
    with pytest.raises(TooLargeError, match=r"Choose a side of \d+ m or more"):
        make_lattice(area, side_m=side_m)
    assert time.perf_counter() - start < 0.1


def test_the_side_that_the_refusal_names_fits():
    area = box(25_000, 25_000)
    with pytest.raises(TooLargeError) as caught:
        estimate_count(area, side_m=0.5)
    assert estimate_count(area, side_m=caught.value.values["fitting"]) <= MOST_QUADRATS


def test_a_thin_slanting_area_is_refused_for_its_box():
    line = shapely.LineString([(0, 0), (300_000, 300_000)]).buffer(20)
    with pytest.raises(TooLargeError):
        make_lattice(frame(line), side_m=10)


@pytest.mark.parametrize("side_m", [0.0, -5.0, math.nan, math.inf])
def test_a_side_that_is_no_length_is_refused(side_m):
    with pytest.raises(InputError, match="cannot be used"):
        make_lattice(box(100, 100), side_m=side_m)


def test_degrees_are_refused():
    """Row 13: degrees for metres."""
    with pytest.raises(CrsError, match="not measured in metres"):
        make_lattice(frame(shapely.box(-88, 41, -87, 42), crs="EPSG:4326"), side_m=150)


def test_no_crs_is_refused():
    """Row 13: no CRS."""
    with pytest.raises(CrsError, match="no coordinate system"):
        make_lattice(frame(shapely.box(0, 0, 1, 1), crs=None), side_m=150)


def test_an_area_smaller_than_a_quadrat_is_told():
    with pytest.raises(InputError, match="smaller side"):
        make_lattice(box(100, 100), side_m=150)


def test_an_empty_boundary_is_refused():
    with pytest.raises(InputError, match="holds no area"):
        make_lattice(frame(shapely.Point(0, 0)), side_m=150)


@pytest.mark.skipif(not CHICAGO.exists(), reason="needs the shared data")
@pytest.mark.parametrize(
    ("file", "crs", "count"),
    [("chicago_boundary.geojson", None, 25_731), ("Chicago77.shp", 3435, 25_701)],
)
def test_chicago_has_the_document_s_number_of_quadrats(file, crs, count):
    area = gpd.read_file(CHICAGO / file)
    area = (area.set_crs(crs) if crs else area).to_crs(UTM)
    assert len(make_lattice(area, side_m=150, method="document")) == count


@pytest.mark.skipif(not CITY.exists(), reason="needs the shared fixtures")
def test_the_city_s_quadrats_come_in_the_reference_s_order():
    expected = np.loadtxt(
        CITY / "reference" / "quadrat_bounds_in_reference_order.csv",
        delimiter=",", skiprows=1, usecols=(1, 2, 3, 4),
    )  # fmt: skip
    area = gpd.read_file(CITY / "inputs" / "boundary.gpkg")
    lattice = make_lattice(area, side_m=150, method="document")
    assert np.array_equal(to_frame(lattice).bounds.to_numpy(), expected)
