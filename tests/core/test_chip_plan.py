"""Where chips are cut: split by place, spacing, grid, balance, and what is refused."""

import time
from itertools import combinations

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pyproj import CRS

from core.chips.blocks import NEITHER, TEST, TRAIN, Blocks, boxes_of
from core.chips.options import CutOptions
from core.chips.plan import Plan, window_shape
from core.chips.sources import ground_px, move, outline
from core.chips.spacing import in_turns
from core.errors import AppError, ExtentError, InputError, TooLargeError
from core.georeference import Georeference
from core.store import require_space
from tests.core.chip_sources import Drawn, cut, place, shifted

BLOCKS = Blocks(
    reference=place(40, 40),
    left=0,
    top=0,
    width_px=10,
    height_px=10,
    gap_px=(0.0, 0.0),
    is_test=np.eye(4, dtype=bool),
)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param([0, 0, 10, 10], TEST, id="a-whole-test-block"),
        pytest.param([10, 0, 20, 10], TRAIN, id="an-edge-on-the-line-is-not-across-it"),
        pytest.param([9, 0, 19, 10], NEITHER, id="across-the-line"),
        pytest.param([20, 0, 40, 10], TRAIN, id="two-blocks-of-one-split"),
        pytest.param([5, 5, 15, 15], NEITHER, id="over-a-corner"),
        pytest.param([12, 12, 16, 16], TEST, id="inside"),
        pytest.param([9.9999999, 0, 20, 10], TRAIN, id="rounding-is-no-overlap"),
        pytest.param([30, 0, 40.5, 10], TRAIN, id="past-the-edge-of-all"),
    ],
)
def test_a_box_is_of_the_split_of_all_blocks_it_touches(box, expected):
    assert BLOCKS.split_of(np.array([box], float)) == [expected]


def test_a_gap_widens_what_a_box_touches():
    wide = Blocks(
        reference=BLOCKS.reference, left=0, top=0, width_px=10, height_px=10,
        gap_px=(2.0, 2.0), is_test=BLOCKS.is_test,
    )  # fmt: skip
    boxes = np.array([[22, 2, 28, 8], [11, 2, 18, 8], [12, 2, 18, 8]], float)
    assert_array_equal(wide.split_of(boxes), [TRAIN, NEITHER, TRAIN])


def pixels_of(windows, shapes, split, size):
    """Burn the windows of one split, on the reference grid."""
    burnt = np.zeros(size, bool)
    for row, col, its in zip(windows.row, windows.col, windows.split, strict=True):
        if its == split:
            burnt[row : row + shapes[0], col : col + shapes[1]] = True
    return burnt


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.integers(40, 160),
    cols=st.integers(40, 160),
    size=st.sampled_from([4, 8, 16]),
    seed=st.integers(0, 2**32),
    block=st.one_of(st.none(), st.integers(16, 60)),
    share=st.floats(0.05, 0.6),
    grid=st.booleans(),
)
def test_train_and_test_never_share_a_pixel(rows, cols, size, seed, block, share, grid):
    options = CutOptions(
        size_px=size, count=60, seed=seed, block_m=block, test_share=share, grid=grid
    )
    try:
        plan = Plan([place(rows, cols)], options)
    except InputError:
        assume(False)
    windows = plan.take(plan.wanted())
    train = pixels_of(windows, plan.shapes[0], TRAIN, (rows, cols))
    test = pixels_of(windows, plan.shapes[0], TEST, (rows, cols))
    assert not (train & test).any()
    assert len(windows) <= 60
    places = set(zip(windows.row.tolist(), windows.col.tolist(), strict=True))
    assert len(places) == len(windows)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    dx=st.floats(-3, 3),
    dy=st.floats(-3, 3),
    gap=st.sampled_from([0.0, 12.5]),
)
def test_dates_of_one_place_share_no_ground_between_train_and_test(seed, dx, dy, gap):
    """Other dates are shifted by parts of a pixel, and one is in another CRS."""
    first = place(200, 240)
    second = Georeference(first.crs, shifted(first.transform, dx, dy), 240, 200)
    other = _in_albers(first)
    plan = Plan(
        [first, second, other], CutOptions(size_px=16, count=80, seed=seed, gap_m=gap, block_m=60)
    )
    windows = plan.take(plan.wanted())
    shapes = {TRAIN: [], TEST: []}
    for number, row, col, split in zip(
        windows.source, windows.row, windows.col, windows.split, strict=True
    ):
        high, wide = plan.shapes[number]
        of = plan.places[number]
        shapes[split].append(outline(of, _window(row, col, high, wide), first.crs))
    train, test = (shapely.union_all(shapes[split]) for split in (TRAIN, TEST))
    assert shapely.area(shapely.intersection(train, test)) < 1e-6
    if gap and shapes[TEST] and shapes[TRAIN]:
        assert shapely.distance(train, test) >= gap - 1e-6


def _in_albers(of):
    from rasterio.transform import from_origin

    albers = CRS(5070)
    probe = Georeference(albers, from_origin(0, 0, 1, 1), 1, 1)
    x, y = move(np.array([20.0]), np.array([20.0]), of, probe)
    return Georeference(albers, from_origin(x[0], -y[0], 1, 1), 150, 150)


def _window(row, col, high, wide):
    from rasterio.windows import Window

    return Window(int(col), int(row), wide, high)


def test_the_test_share_is_that_of_the_chips():
    plan = Plan([place(400, 400)], CutOptions(size_px=16, count=200, test_share=0.25))
    windows = plan.take(plan.wanted())
    assert (windows.split == TEST).sum() == 50
    assert (windows.split == TRAIN).sum() == 150


def test_blocks_come_near_the_test_share_of_the_ground():
    plan = Plan([place(512, 512)], CutOptions(size_px=16, block_m=32, test_share=0.3))
    assert plan.blocks.is_test.shape == (16, 16)
    assert plan.blocks.is_test.mean() == pytest.approx(0.3, abs=1 / 256)


@given(st.integers(0, 2**40), st.integers(1, 200))
@settings(max_examples=15, deadline=None)
def test_the_same_seed_hands_out_the_same_windows_however_they_are_asked_for(seed, first):
    def taken(*counts):
        plan = Plan([place(200, 200)], CutOptions(size_px=8, count=400, seed=seed))
        parts = [plan.take({TRAIN: count, TEST: 0}) for count in counts]
        return np.concatenate([np.column_stack([part.row, part.col]) for part in parts])

    assert_array_equal(taken(300), taken(first, 300 - first))


def test_a_grid_covers_everything_once():
    plan = Plan([place(64, 96)], CutOptions(size_px=16, count=None, grid=True, split="none"))
    windows = plan.take(plan.wanted())
    found = sorted(zip(windows.row.tolist(), windows.col.tolist(), strict=True))
    assert found == [(row, col) for row in range(0, 64, 16) for col in range(0, 96, 16)]


def test_a_grid_with_overlap_steps_by_what_is_left():
    options = CutOptions(size_px=16, count=None, grid=True, overlap=0.5, split="none")
    windows = (plan := Plan([place(32, 32)], options)).take(plan.wanted())
    assert set(windows.row.tolist()) == {0, 8, 16}


def test_neighbouring_files_share_one_grid():
    first, second = place(64, 64), place(64, 64, west=445_000 + 70)
    options = CutOptions(size_px=16, count=None, grid=True, block_m=32)
    plan = Plan([first, second], options)
    windows = plan.take(plan.wanted())
    boxes = boxes_of(
        first, second, windows.row[windows.source == 1], windows.col[windows.source == 1], (16, 16)
    )
    assert len(boxes)
    assert (boxes[:, 0] % 16 == 0).all()


def test_chips_keep_their_distance():
    options = CutOptions(size_px=8, count=200, min_distance_m=20, split="none")
    plan = Plan([place(200, 200)], options)
    windows = plan.take(plan.wanted())
    apart = [
        np.hypot(windows.row[i] - windows.row[j], windows.col[i] - windows.col[j])
        for i, j in combinations(range(len(windows)), 2)
    ]
    assert len(windows) > 40 and min(apart) >= 20


def test_chips_share_no_more_than_they_may():
    plan = Plan([place(100, 100)], CutOptions(size_px=16, count=300, overlap=0.25, split="none"))
    windows = plan.take(plan.wanted())
    shares = [
        max(0, 16 - abs(int(windows.row[i] - windows.row[j])))
        * max(0, 16 - abs(int(windows.col[i] - windows.col[j])))
        / 256
        for i, j in combinations(range(len(windows)), 2)
    ]
    assert len(windows) > 30
    assert 0 < max(shares) <= 0.25


def test_centres_lie_inside_the_boundary():
    where = place(200, 200)
    ring = shapely.Polygon([(50, 50), (150, 40), (100, 160)])
    lonlat = shapely.transform(ring, lambda xy: _lonlat(where, xy))
    plan = Plan([where], CutOptions(size_px=16, count=100, split="none"), boundary=lonlat)
    windows = plan.take(plan.wanted())
    inside = shapely.contains_xy(ring.buffer(0.5), windows.col + 8, windows.row + 8)
    assert len(windows) == 100 and inside.all()


def _lonlat(where, xy):
    from core.georeference import transformer

    x, y = where.transform @ (xy[:, 0], xy[:, 1])
    return np.column_stack(transformer(where.crs, "lonlat").transform(x, y))


def test_kinds_take_turns_and_the_unknown_are_left_out():
    assert_array_equal(in_turns(np.array([5, 5, 5, 2, -1, 2, 7])), [3, 0, 6, 5, 1, 2])
    assert len(in_turns(np.array([-1, -1]))) == 0


def test_a_balanced_plan_takes_as_many_of_each_kind():
    def left_or_right(windows):
        return (windows.col > 20).astype(np.int64)

    options = CutOptions(size_px=8, count=60, split="none", balance="cover")
    plan = Plan([place(100, 200)], options, stratum_of=left_or_right)
    windows = plan.take(plan.wanted())
    assert ((windows.col > 20).sum(), len(windows)) == (30, 60)


def test_pixels_in_degrees_make_chips_that_are_square_on_the_ground():
    from rasterio.transform import from_origin

    step = 1 / 3600 / 3  # about 10 m
    where = Georeference(CRS(4326), from_origin(-87.7, 42.0, step, step), 600, 600)
    down, across = ground_px(where)
    assert down == pytest.approx(10.28, abs=0.02) and across == pytest.approx(7.67, abs=0.03)
    rows, cols = window_shape(where, CutOptions(size_px=64))
    assert rows == 64
    assert cols * across == pytest.approx(rows * down, rel=0.01)


def test_metres_choose_how_many_pixels_a_chip_takes():
    where = place(400, 400, pixel=5.0)
    assert window_shape(where, CutOptions(size_px=64, metres=640)) == (128, 128)
    with pytest.raises(InputError, match=r"300 m has 60 pixels here, fewer than 64"):
        window_shape(where, CutOptions(size_px=64, metres=300))


def test_web_mercator_is_measured_on_the_ground():
    from rasterio.transform import from_origin

    where = Georeference(CRS(3857), from_origin(-9_754_000, 5_130_000, 10, 10), 100, 100)
    assert ground_px(where)[0] == pytest.approx(7.5, abs=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"size_px": 2},
        {"size_px": 5000},
        {"metres": float("nan")},
        {"metres": -1.0},
        {"count": 0},
        {"count": None},
        {"overlap": 1.5},
        {"grid": True, "overlap": 1.0},
        {"min_valid": 1.2},
        {"test_share": 0.0},
        {"block_m": 0.0},
        {"gap_m": float("inf")},
        {"seed": -1},
        {"min_distance_m": -3},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(options):
    with pytest.raises(InputError):
        CutOptions(**options)


@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(-10, 10**6),
    count=st.integers(-5, 10**12),
    block=st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
    distance=st.floats(allow_nan=True, allow_infinity=True),
    gap=st.floats(allow_nan=True),
)
def test_row_28_silly_parameters_are_refused_at_once(size, count, block, distance, gap):
    """Row 28: in less than 100 ms, and always by an error of ours."""
    begun = time.process_time()  # the machine may be busy with other work
    try:
        options = CutOptions(
            size_px=size, count=count, block_m=block, min_distance_m=distance, gap_m=gap
        )
        Plan([place(100_000, 100_000)], options)
    except AppError:
        assert time.process_time() - begun < 0.1


def test_row_28_two_million_chips_of_1024_px_are_refused_with_the_estimate(tmp_path):
    """Row 28."""
    from core.chips.cut import check_room

    begun = time.process_time()
    with pytest.raises(TooLargeError, match=r"needs about \d+\.\d GB"):
        check_room(tmp_path, CutOptions(size_px=1024, count=2_000_000), 4, 2)
    with pytest.raises(TooLargeError, match="too many"):
        CutOptions(count=10**9)
    assert time.process_time() - begun < 0.1
    require_space(tmp_path, 1, what="a byte")


def test_a_place_of_one_block_cannot_be_split(tmp_path):
    with pytest.raises(InputError, match="too small to keep train and test apart"):
        cut(tmp_path, Drawn(20, 20))


def test_blocks_smaller_than_a_chip_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"Blocks of 10 m are smaller than a chip of 16 m"):
        cut(tmp_path, block_m=10.0)


def test_a_source_smaller_than_a_chip_is_refused(tmp_path):
    with pytest.raises(ExtentError, match=r"takes 16 × 16 pixels; the source has 10 × 240"):
        cut(tmp_path, Drawn(10, 240))


def test_a_boundary_elsewhere_is_refused():
    with pytest.raises(ExtentError, match="inside the study area"):
        Plan([place(100, 100)], CutOptions(size_px=16), boundary=shapely.box(10, 50, 11, 51))


def test_what_cannot_be_found_ends_in_time():
    """A distance that leaves room for four chips: four come, and the search ends."""
    begun = time.perf_counter()
    options = CutOptions(size_px=16, count=5000, min_distance_m=900, split="none")
    plan = Plan([place(1000, 1000)], options)
    assert 1 <= len(plan.take(plan.wanted())) <= 4
    assert time.perf_counter() - begun < 10
