import numpy as np
import pytest
from rasterio.transform import from_origin

from core import prepare
from core.legends import LegendClass
from core.prepare import About
from core.problems import layer_problems
from tests.core.raster_files import NORTH_UP, checkers, new_area, rotated

LEGEND = tuple(LegendClass(code, str(code), "#FF0000") for code in range(1, 8))


def problems(tmp_path, values, *, transform=NORTH_UP, crs="EPSG:32616", nodata=None, legend=LEGEND):
    kind = "classes" if values.dtype == np.uint8 else "values"
    workspace = new_area(tmp_path / "ws")
    about = About(layer_id="a", title="A", kind=kind, legend=legend if kind == "classes" else ())
    area = prepare.add_array(
        workspace, "town", values, about, transform=transform, crs=crs, nodata=nodata, origin={}
    )
    found = layer_problems(workspace, area, area.layer("a"))
    return [(problem.severity, problem.message()) for problem in found]


def test_a_sound_layer_has_none(tmp_path):
    assert problems(tmp_path, checkers()) == []


def test_share_missing_inside_the_boundary_by_hand_row_12(tmp_path):
    """Row 12: 6 of 40 rows."""
    values = checkers(dtype="float32")
    values[:6] = np.nan
    assert problems(tmp_path, values) == [
        ("warning", "About 15.0% of its pixels inside the study area are missing.")
    ]


def test_missing_pixels_outside_the_boundary_do_not_count(tmp_path):
    values = np.full((60, 50), np.nan, "float32")
    values[:40] = checkers()
    assert problems(tmp_path, values) == []


def test_share_of_cover_by_hand_row_14(tmp_path):
    """Row 14: the raster begins 100 m east of the boundary's 500 m."""
    found = problems(tmp_path, checkers(), transform=from_origin(445_100, 4_635_000, 10, 10))
    assert found == [("warning", "It covers 80.0% of the study area.")]


def test_codes_outside_the_legend_are_named_row_11(tmp_path):
    """Row 11: rot that changes pixels shows up as codes that nobody named."""
    values = checkers()
    values[0, :20] = 99
    values[1, :20] = 200
    assert problems(tmp_path, values) == [
        ("warning", "2.00% of the pixels have codes that the legend does not name: 99, 200.")
    ]


def test_one_value_only_and_none_at_all_row_12(tmp_path):
    """Row 12."""
    assert problems(tmp_path / "1", np.full((40, 50), 2.5, "float32")) == [
        ("warning", "Every pixel has the value 2.5.")
    ]
    empty = problems(tmp_path / "2", np.full((40, 50), np.nan, "float32"))
    assert empty[0] == ("warning", "Every pixel is missing.")


def test_pixels_coarser_than_quadrats_are_said_row_16(tmp_path):
    """Row 16."""
    found = problems(tmp_path, checkers(3, 3), transform=from_origin(444_900, 4_635_100, 300, 300))
    assert [severity for severity, _ in found] == ["note"]
    assert "about 300 m, are coarser than the quadrats of 150 m" in found[0][1]


@pytest.mark.parametrize(
    ("transform", "crs", "said"),
    [
        pytest.param(rotated((444_700, 4_635_000), 30), "EPSG:32616", "west to east", id="rotated"),
        pytest.param(from_origin(-87.8, 42, 0.001, 0.001), "EPSG:4326", "degrees", id="degrees"),
    ],
)
def test_odd_grids_are_noted_row_13(tmp_path, transform, crs, said):
    """Row 13."""
    values = np.kron(checkers(), np.ones((4, 8), "uint8"))
    found = problems(tmp_path, values, transform=transform, crs=crs)
    assert any(said in text and severity == "note" for severity, text in found)


def test_a_file_that_cannot_be_read_is_a_finding_row_10(tmp_path):
    """Row 10."""
    workspace = new_area(tmp_path / "ws")
    area = prepare.add_array(
        workspace, "town", checkers(), About(layer_id="a", title="A", kind="classes"),
        transform=NORTH_UP, crs="EPSG:32616", origin={},
    )  # fmt: skip
    path = workspace.layer_path("town", area.layer("a"))
    path.write_bytes(path.read_bytes()[:200])
    found = layer_problems(workspace, area, area.layer("a"))
    assert "a.tif" in found[0].message()


@pytest.mark.parametrize("value", [-9999, -32768, float(np.finfo("float32").min), 3.4e38])
def test_an_undeclared_sign_for_missing_is_named(tmp_path, value):
    values = checkers(dtype="float32")
    values[:6] = value
    ((severity, text),) = problems(tmp_path, values)
    assert severity == "warning"
    assert text.startswith(f"The value {value:g} lies far from all others")


def test_a_plausible_minimum_is_no_sign_for_missing(tmp_path):
    values = np.linspace(-9999, 9000, 2000).reshape(40, 50).astype("float32")
    assert problems(tmp_path, values) == []
