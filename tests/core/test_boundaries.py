import json
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from core.boundaries import (
    Boundary,
    boundary_of,
    from_bounds,
    in_metres,
    propose_crs,
    read_boundary,
)
from core.errors import AppError, CrsError, ExtentError, InputError, TooLargeError
from core.workspace import Workspace
from core.zones import named_zone_sets, zone_boundary, zones

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
CHICAGO = (-87.70, 41.80, -87.60, 41.90)
BOW_TIE = shapely.Polygon([(0, 0), (2000, 2000), (2000, 0), (0, 2000)])


def of(*shapes, crs=32616):
    frame = gpd.GeoDataFrame(geometry=list(shapes), crs=crs)
    return boundary_of(frame, source={}, label="city")


def at(shape, east=446_000, north=4_630_000):
    return shapely.transform(shape, lambda xy: xy + np.array([east, north]))


# -- by hand --------------------------------------------------------------------------------------


def test_a_kilometre_square_in_utm_is_a_square_kilometre():
    # 54 km west of the central meridian the scale is 0.9996 (1 + (54/6380)² / 2)² = 0.99927.
    found = of(at(shapely.box(0, 0, 1000, 1000)))
    assert found.area_km2 == pytest.approx(1 / 0.99927, rel=2e-5)
    assert found.source == {"crs": "EPSG:32616", "features": 1, "repaired": 0, "dropped": 0}
    assert found.notes == ()


def test_overlapping_polygons_count_once_in_the_area():
    one = of(at(shapely.box(0, 0, 1000, 1000)))
    two = of(at(shapely.box(0, 0, 1000, 1000)), at(shapely.box(0, 0, 500, 500)))
    assert two.area_km2 == pytest.approx(one.area_km2)


def test_a_ring_that_crosses_itself_is_repaired_and_counted():
    found = of(at(BOW_TIE))
    # Two triangles of 1 km² each.
    assert shapely.is_valid(found.frame.geometry.to_numpy()).all()
    assert found.frame.area.sum() == pytest.approx(2e6)
    assert found.source["repaired"] == 1
    assert [text.format(**values) for text, values in found.notes] == [
        "1 polygons crossed themselves and were repaired."
    ]


def test_features_without_area_are_dropped_and_counted():
    flat = shapely.Polygon([(0, 0), (1000, 0), (500, 0)])
    found = of(at(shapely.box(0, 0, 100, 100)), None, shapely.Polygon(), at(flat))
    assert (found.source["features"], found.source["dropped"]) == (1, 3)
    assert len(found.notes) == 2


def test_a_view_becomes_a_boundary():
    found = from_bounds(*CHICAGO)
    assert found.bounds_lonlat == CHICAGO
    assert found.area_km2 == pytest.approx(92.24, abs=0.01)
    assert found.source["format"] == "view"


@pytest.mark.parametrize(
    ("lon", "lat", "code"),
    [
        pytest.param(-87.65, 41.85, "EPSG:32616", id="Chicago"),
        pytest.param(7.63, 51.96, "EPSG:32632", id="Muenster"),
        pytest.param(151.2, -33.9, "EPSG:32756", id="Sydney"),
        pytest.param(-78.5, -0.2, "EPSG:32717", id="Quito"),
        pytest.param(179.5, -16.5, "EPSG:32760", id="last-zone"),
        pytest.param(-179.5, 51.8, "EPSG:32601", id="first-zone"),
        pytest.param(0.05, 51.5, "EPSG:32631", id="just-east-of-Greenwich"),
    ],
)
def test_the_utm_zone_of_a_place_is_proposed(lon, lat, code):
    frame = from_bounds(lon - 0.01, lat - 0.01, lon + 0.01, lat + 0.01).frame
    assert propose_crs(frame).code == code
    assert propose_crs(frame).name.startswith("WGS 84 / UTM zone")


@settings(max_examples=25, deadline=None)
@given(st.floats(-179, 179), st.floats(-79, 83))
def test_the_proposal_equals_that_of_geopandas_and_measures_true(lon, lat):
    found = from_bounds(lon, lat, lon + 0.02, lat + 0.02)
    proposed = propose_crs(found.frame)
    # geopandas knows the exceptions of Norway and Svalbard through PROJ's areas of use
    if lat < 55 and abs((lon + 0.01) % 6) > 0.02 and abs(lat) > 0.02:
        assert proposed.code == f"EPSG:{found.frame.estimate_utm_crs().to_epsg()}"
    moved = in_metres(found.frame)
    assert moved.area.sum() / 1e6 == pytest.approx(found.area_km2, rel=0.003)


def test_the_proposal_can_become_a_study_area(tmp_path):
    found = from_bounds(*CHICAGO)
    area = Workspace(tmp_path).create(
        "chicago", title="C", boundary=in_metres(found.frame), boundary_source=found.source
    )
    assert area.crs == "EPSG:32616"
    assert area.bounds_lonlat == pytest.approx(CHICAGO, abs=1e-3)


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "crs", ["EPSG:4326", "EPSG:3435", "EPSG:3857", "EPSG:32633", "EPSG:27700", "EPSG:32661"]
)
def test_degrees_feet_and_stretched_metres_are_refused_with_the_proposal(crs):
    """Row 13."""
    with pytest.raises(CrsError, match="EPSG:32616"):
        in_metres(from_bounds(*CHICAGO).frame, crs)


@pytest.mark.parametrize("crs", ["EPSG:26916", "EPSG:5070", "EPSG:6454", None])
def test_other_systems_in_metres_that_fit_the_place_are_taken(crs):
    moved = in_metres(from_bounds(*CHICAGO).frame, crs)
    assert moved.area.sum() / 1e6 == pytest.approx(92.24, rel=0.01)


@pytest.mark.parametrize(
    ("shapes", "kinds"),
    [
        ([shapely.Point(446_000, 4_630_000)], "Point"),
        ([shapely.LineString([(0, 0), (1, 1)]), shapely.Point(1, 1)], "LineString, Point"),
    ],
)
def test_points_and_lines_are_refused_by_name(shapes, kinds):
    with pytest.raises(InputError, match=f"holds {kinds}; a boundary is made of polygons"):
        of(*shapes)


@pytest.mark.parametrize("shapes", [[], [None], [shapely.Polygon()]])
def test_nothing_is_no_boundary(shapes):
    with pytest.raises(InputError, match="holds no polygon"):
        of(*shapes)


def test_no_crs_is_asked_for():
    """Row 13."""
    with pytest.raises(CrsError, match="does not say"):
        of(at(BOW_TIE), crs=None)


def test_coordinates_that_do_not_fit_the_crs_are_refused():
    with pytest.raises(AppError, match=r"do not fit|pole|across|meridian"):
        of(shapely.box(1e9, 1e9, 1e9 + 1000, 1e9 + 1000))


def over_180_in_utm():
    return of(shapely.box(600_000, 8_170_000, 900_000, 8_200_000), crs=32760)


def over_180_split():
    return of(shapely.box(179.9, -17, 180, -16), shapely.box(-180, -17, -179.9, -16), crs=4326)


def over_180_wrapped():
    return of(shapely.box(-179.9, -17, 179.9, -16), crs=4326)


@pytest.mark.parametrize("make", [over_180_in_utm, over_180_split, over_180_wrapped])
def test_a_boundary_across_the_180th_meridian_is_refused_and_never_a_band(make):
    """Row 15."""
    with pytest.raises(ExtentError, match="both sides of the 180° meridian"):
        make()


def test_a_boundary_that_ends_at_the_180th_meridian_is_taken():
    """Row 15: 179.9° is a place like another."""
    found = of(shapely.box(179.9, -17, 180, -16.9), crs=4326)
    assert found.bounds_lonlat == pytest.approx((179.9, -17, 180, -16.9))
    moved = in_metres(found.frame)
    assert moved.crs.to_epsg() == 32760
    assert moved.area.sum() / 1e6 == pytest.approx(found.area_km2, rel=0.002)


@pytest.mark.parametrize(("crs", "north"), [(3413, 0), (3031, 0), (32661, 2e6)])
def test_poles_are_refused(crs, north):
    """Row 15."""
    with pytest.raises(ExtentError, match="too near a pole"):
        of(shapely.box(north - 1000, north - 1000, north + 1000, north + 1000), crs=crs)


def test_a_country_is_refused():
    with pytest.raises(ExtentError, match="km across"):
        of(shapely.box(6, 47, 15, 55), crs=4326)


@pytest.mark.parametrize(
    "edges",
    [
        (-87, 41, -88, 42),
        (-88, 42, -87, 41),
        (-88, 41, -88, 42),
        (-181, 41, -180, 42),
        (-88, 41, -87, 91),
        (float("nan"), 41, -87, 42),
        (-88, float("-inf"), -87, 42),
        (-88, 41, -87.999999999, 41.000000001),
        (-180, -80, 180, 80),
        (0, 84, 1, 85),
        (-120, 30, -80, 45),
    ],
)
def test_views_that_are_no_study_area_are_refused(edges):
    with pytest.raises(ExtentError):
        from_bounds(*edges)


def test_a_ring_too_tangled_to_repair_is_refused_quickly():
    """Row 3: time is bounded; a star of n points crosses itself about n²/2 times."""
    n = 20_001
    turn = np.arange(n) * (n // 2) * 2 * np.pi / n
    star = shapely.Polygon(np.column_stack([np.cos(turn), np.sin(turn)]) * 5000)
    start = time.process_time()  # not of the clock: the machine may be busy
    with pytest.raises(TooLargeError, match="crosses itself too often"):
        of(at(star))
    assert time.process_time() - start < 5


def test_a_file_says_where_it_came_from(tmp_path):
    path = tmp_path / "upload-17"
    body = shapely.geometry.mapping(shapely.box(*CHICAGO))
    path.write_text(json.dumps(body))
    found = read_boundary(path, name="My city.geojson")
    assert isinstance(found, Boundary)
    assert len(found.source.pop("digest")) == 64
    assert found.source == {
        "file": "My city.geojson",
        "format": "GeoJSON",
        "layer": "",
        "crs": "EPSG:4326",
        "features": 1,
        "repaired": 0,
        "dropped": 0,
    }
    json.dumps(found.source)


# -- zones ----------------------------------------------------------------------------------------


def test_chicagos_zones_are_named_and_lie_in_chicago():
    frame = zones("chicago77")
    assert len(frame) == frame["name"].nunique() == 77
    assert {"Loop", "Near North Side", "O'Hare", "McKinley Park"} <= set(frame["name"])
    loop = frame[frame["name"] == "Loop"].to_crs(4326).geometry.iloc[0]
    assert loop.contains(shapely.Point(-87.6278, 41.8819))  # State and Madison, the city's origin


def test_all_zones_united_are_the_city_with_its_known_area():
    found = zone_boundary("chicago77")
    # 231.1 square miles with the part of the lake inside the limits, after the city's own figures.
    assert found.area_km2 == pytest.approx(231.1 * 2.589988, rel=0.01)
    assert found.source["set"] == "chicago77"
    assert len(found.frame) == 1
    assert len(found.source["digest"]) == 64


def test_chosen_zones_are_united_in_any_case():
    found = zone_boundary("chicago77", ["loop", " NEAR NORTH SIDE"])
    assert found.source["names"] == ["Loop", "Near North Side"]
    assert found.area_km2 == pytest.approx(
        zone_boundary("chicago77", ["Loop"]).area_km2
        + zone_boundary("chicago77", ["Near North Side"]).area_km2,
        rel=1e-4,
    )


@pytest.mark.parametrize("names", [[], ["Atlantis"], ["Loop", "<script>"]])
def test_unknown_zones_are_named(names):
    with pytest.raises(InputError, match="There is no zone"):
        zone_boundary("chicago77", names)


def test_an_unknown_set_names_those_that_there_are():
    with pytest.raises(InputError, match="There are: chicago77"):
        zones("../etc")
    assert [entry.id for entry in named_zone_sets()] == ["chicago77"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
@pytest.mark.parametrize(
    ("file", "crs", "code"),
    [
        ("data/city/muenster/Project-Area.shp", None, "EPSG:32632"),
        ("data/city/chicago/Chicago77.shp", "EPSG:3435", "EPSG:32616"),
        ("data/city/chicago/chicago_boundary.geojson", None, "EPSG:32616"),
        ("data/city/gothenburg_umep/GBG_torgg_3006.zip", None, "EPSG:32632"),
        ("fixtures/city/inputs/boundary.gpkg", None, "EPSG:32616"),
    ],
)
def test_real_boundaries_become_study_areas(tmp_path, file, crs, code):
    found = read_boundary(SHARED / file, crs=crs)
    moved = in_metres(found.frame)
    area = Workspace(tmp_path).create(
        "city", title="City", boundary=moved, boundary_source=found.source
    )
    assert area.crs == code
    kept = Workspace(tmp_path).boundary("city")
    assert kept.area.sum() / 1e6 == pytest.approx(found.area_km2, rel=0.002)
