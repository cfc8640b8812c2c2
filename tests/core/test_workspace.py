import contextlib
import dataclasses
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import filelock
import geopandas as gpd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings

from core import workspace as module
from core.errors import AppError, BusyError, CrsError, InputError, StoreError
from core.legends import CHICAGO_LAND_COVER
from core.workspace import Layer, Summary, Workspace
from tests.core.test_store import HOSTILE

ROOT = Path(__file__).resolve().parents[2]
SQUARE = shapely.box(446_000, 4_630_000, 447_000, 4_631_000)
BOUNDARY = gpd.GeoDataFrame(geometry=[SQUARE], crs=32616)
COVER = Layer(
    id="cover",
    title="Land cover",
    kind="classes",
    legend=CHICAGO_LAND_COVER,
    digest="0" * 64,
    summary=Summary(valid_share=1.0, counts=((1, 20), (5, 3)), histogram=(1, 2)),
    source={"file": "a.tif"},
    steps=({"step": "reproject", "crs": "EPSG:32616"},),
)


@pytest.fixture
def space(tmp_path):
    found = Workspace(tmp_path / "workspace")
    make(found)
    return found


def make(space, area_id="city", **options):
    options = {"title": "City", "boundary": BOUNDARY, "boundary_source": {"file": "b"}, **options}
    return space.create(area_id, **options)


def put(space, layer=COVER, content=b"old", area_id="city"):
    file = space.scratch(area_id) / "x.tif"
    file.write_bytes(content)
    return space.put_layer(area_id, layer, file)


def json_of(space, area_id="city"):
    return space.root / "areas" / area_id / "area.json"


def snapshot(folder):
    return {
        path: path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if ".scratch" not in path.parts
    }


# -- what is kept ---------------------------------------------------------------------------------


def test_an_area_comes_back_as_it_was_made(space):
    put(space)
    area = space.area("city")
    layer = dataclasses.replace(COVER, file="layers/cover.tif")
    assert area.layers == (layer,)
    assert area.layer("cover") == layer
    assert (area.title, area.crs, area.quadrat_m) == ("City", "EPSG:32616", 150.0)
    west, south, east, north = area.bounds_lonlat
    assert west < east
    assert south < north
    assert space.boundary("city").geometry.iloc[0].equals(SQUARE)
    assert space.boundary("city").crs.to_epsg() == 32616
    assert space.layer_path("city", layer).read_bytes() == b"old"
    assert space.areas() == [area]
    assert space.broken() == {}


def test_pieces_of_a_boundary_are_united(tmp_path):
    halves = gpd.GeoDataFrame(
        geometry=[shapely.box(0, 0, 600, 1000), shapely.box(400, 0, 1000, 1000)], crs=32616
    )
    space = Workspace(tmp_path)
    make(space, boundary=halves)
    assert space.boundary("city").area.tolist() == [1e6]


def test_renaming_keeps_the_id_and_the_layers(space):
    put(space)
    area = space.rename("city", "  Ćity \t of  glass ")
    assert (area.id, area.title, len(area.layers)) == ("city", "Ćity of glass", 1)
    assert space.area("city") == area


def test_deleting_leaves_nothing_of_the_area(space):
    put(space)
    make(space, "other")
    space.delete("city")
    assert space.area_ids() == ["other"]
    assert not list(space.root.glob("**/*cover*"))
    with pytest.raises(InputError, match=r"no study area 'city'.*other"):
        space.delete("city")


def test_what_is_said_of_a_layer_can_change_and_the_layer_can_go(space):
    put(space)
    area = space.change_layer("city", "cover", lambda old: dataclasses.replace(old, title="New"))
    assert area.layer("cover").title == "New"
    path = space.layer_path("city", area.layer("cover"))
    assert space.remove_layer("city", "cover").layers == ()
    assert not path.exists()
    with pytest.raises(InputError, match="has no layer 'cover'"):
        space.remove_layer("city", "cover")


def test_an_area_is_whole_without_a_layer_that_was_taken_out(space):
    made = {"seed": 0, "layers": ["cover", "heat"]}
    make(space, "drawn", boundary_source=made)
    put(space, area_id="drawn")
    assert not space.area("drawn").is_whole  # the other one is still to come
    put(space, dataclasses.replace(COVER, id="heat"), area_id="drawn")
    assert space.area("drawn").is_whole
    assert space.remove_layer("drawn", "cover").is_whole
    assert space.area("drawn").boundary_source == {"seed": 0, "layers": ["heat"]}


def test_a_remote_layer_has_no_file(space):
    remote = dataclasses.replace(COVER, id="remote", url="https://example.org/a.tif")
    area = space.put_layer("city", remote, None)
    assert area.layer("remote").file == ""
    with pytest.raises(InputError):
        space.layer_path("city", area.layer("remote"))


def test_the_stamp_changes_with_every_write(space):
    stamps = {space.stamp("city")}
    for n in range(20):
        space.rename("city", f"City {n}")
        stamps.add(space.stamp("city"))
    assert len(stamps) == 21
    assert space.stamp("none") == space.stamp("../..") == 0


# -- replacing and leftovers ----------------------------------------------------------------------


def test_a_replaced_layers_old_file_stays_until_the_area_names_the_new(space, monkeypatch):
    """Row 18."""
    put(space)
    old = space.area("city")

    def killed(area):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(space, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            put(space, content=b"new")
    assert space.area("city") == old
    assert space.layer_path("city", old.layer("cover")).read_bytes() == b"old"

    area = put(space, content=b"newer")
    assert space.layer_path("city", area.layer("cover")).read_bytes() == b"newer"
    assert [p.read_bytes() for p in (space.root / "areas/city/layers").iterdir()] == [b"newer"]


def test_replacing_many_times_never_writes_over_another_layer(space):
    put(space)
    for n in range(4):
        area = put(space, content=b"%d" % n)
        assert space.layer_path("city", area.layer("cover")).read_bytes() == b"%d" % n
    assert len(list((space.root / "areas/city/layers").iterdir())) == 1


def test_leftovers_of_a_crash_are_swept_once_they_are_old(space):
    layers = space.root / "areas/city/layers"
    (layers / "left.tif").write_bytes(b"x")
    fresh, old = space.scratch("city"), space.scratch()
    (old / "half.tif").write_bytes(b"x")
    part = json_of(space).with_name(".tmp-0123.json")
    part.write_bytes(b"x")
    long_ago = time.time() - 10 * 86_400
    os.utime(old, (long_ago, long_ago))
    os.utime(part, (long_ago, long_ago))
    space.rename("city", "New")
    assert not (layers / "left.tif").exists()
    assert not old.exists()
    assert not part.exists()
    assert fresh.exists()


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"boundary": BOUNDARY.set_crs(None, allow_override=True)}, CrsError, "no coordinate"),
        ({"boundary": BOUNDARY.to_crs(4326)}, CrsError, "not measured in metres"),
        ({"boundary": BOUNDARY.to_crs(3435)}, CrsError, "not measured in metres"),
        ({"boundary": BOUNDARY.iloc[:0]}, InputError, "holds no area"),
        ({"quadrat_m": 0.5}, InputError, "quadrat of 0.5 m"),
        ({"quadrat_m": float("nan")}, InputError, "quadrat of nan m"),
        ({"title": " "}, InputError, "1 to 80 printable"),
        ({"title": "a" * 81}, InputError, "1 to 80 printable"),
        ({"title": "a\u202eb"}, InputError, "1 to 80 printable"),
    ],
)
def test_an_area_that_cannot_be_is_refused_and_leaves_nothing(tmp_path, options, error, match):
    """Row 13."""
    space = Workspace(tmp_path)
    with pytest.raises(error, match=match):
        make(space, **options)
    assert space.area_ids() == []


def test_an_id_is_given_once(space):
    with pytest.raises(InputError, match="study area 'city' already"):
        make(space)


def test_a_newer_area_is_refused_and_the_others_are_shown(space):
    make(space, "newer")
    body = json.loads(json_of(space, "newer").read_text())
    json_of(space, "newer").write_text(json.dumps({**body, "version": 2}))
    with pytest.raises(StoreError, match="version 2; this program reads up to 1"):
        space.area("newer")
    assert [area.id for area in space.areas()] == ["city"]
    assert list(space.broken()) == ["newer"]
    with pytest.raises(StoreError):
        space.rename("newer", "Mine")
    assert json.loads(json_of(space, "newer").read_text())["version"] == 2
    space.delete("newer")
    assert space.area_ids() == ["city"]


def damage_text(text):
    return text[: len(text) // 2]


def without(key):
    return lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != key})


def with_value(key, value):
    return lambda text: json.dumps({**json.loads(text), key: value})


@pytest.mark.parametrize(
    "damage",
    [
        damage_text,
        lambda text: "",
        lambda text: "[" * 100_000,
        without("layers"),
        without("title"),
        with_value("title", 5),
        with_value("layers", None),
        with_value("layers", [{}]),
        with_value("layers", ["x"]),
        with_value("layers", [{"id": "a", "summary": None}]),
        with_value("bounds_lonlat", [1, 2, 3]),
        with_value("bounds_lonlat", "abcd"),
        with_value("unheard_of", 1),
        with_value("quadrat_m", "abc"),
        with_value("quadrat_m", 0),
        with_value("rule", "inside"),
        with_value("method", ["recommended"]),
        with_value("is_simulated", "no"),
        with_value("boundary_source", None),
        with_value("boundary_source", {"layers": 3}),
        with_value("bounds_lonlat", [1, 2, 3, float("nan")]),
        with_value("kind", "another"),
    ],
)
def test_a_damaged_description_is_one_sentence_and_can_be_deleted(space, damage):
    path = json_of(space)
    path.write_text(damage(path.read_text()))
    with pytest.raises(StoreError):
        space.area("city")
    assert list(space.broken()) == ["city"]
    assert space.areas() == []
    space.delete("city")
    assert space.area_ids() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "words"), ("role", None), ("season", "spring"), ("title", 5), ("file", None),
        ("colormap", []), ("source", "x"), ("digest", 1),
    ],
)  # fmt: skip
def test_a_layer_with_a_damaged_field_is_one_sentence(space, field, value):
    put(space)
    body = json.loads(json_of(space).read_text())
    body["layers"][0][field] = value
    json_of(space).write_text(json.dumps(body))
    with pytest.raises(StoreError, match=f"damaged: {field} cannot be"):
        space.area("city")


def test_an_area_whose_file_is_in_use_is_not_deleted_in_part(space, monkeypatch):
    put(space)
    before = snapshot(space.root / "areas")

    def busy(path, target):
        raise PermissionError(13, "in use")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", busy)
        with pytest.raises(BusyError, match="city is in use"):
            space.delete("city")
    assert snapshot(space.root / "areas") == before
    space.delete("city")


def test_a_deleted_areas_folder_does_not_come_back_by_a_scratch_folder(space):
    space.delete("city")
    with pytest.raises(InputError, match="no study area 'city'"):
        space.scratch("city")
    assert not (space.root / "areas" / "city").exists()


def test_a_whole_number_for_the_side_is_read_as_a_length(space):
    json_of(space).write_text(with_value("quadrat_m", 60)(json_of(space).read_text()))
    assert isinstance(space.area("city").quadrat_m, float)


def test_a_damaged_boundary_is_one_sentence(space):
    (space.root / "areas/city/boundary.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="boundary of city cannot be read"):
        space.boundary("city")
    (space.root / "areas/city/boundary.parquet").unlink()
    with pytest.raises(StoreError, match="boundary of city cannot be read"):
        space.boundary("city")


def test_a_folder_copied_by_hand_is_an_area_of_its_own(space):
    original = json_of(space).read_bytes()
    copied = json_of(space, "copy")
    copied.parent.mkdir()
    copied.write_bytes(original)
    assert space.rename("copy", "Copy").id == "copy"
    assert json_of(space).read_bytes() == original


# -- hostile names --------------------------------------------------------------------------------


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=HOSTILE)
def test_hostile_names_change_nothing_outside_the_workspace(tmp_path, name):
    """Row 4."""
    space = Workspace(tmp_path / "inner" / "workspace")
    if not space.root.exists():
        (tmp_path / "inner" / "beside").mkdir(parents=True)
        (tmp_path / "area.json").write_text("{}")
        make(space)
    locks = space.root / "locks"
    before = {p: c for p, c in snapshot(tmp_path).items() if locks not in p.parents}
    known = {"city"} if name == "city" else set()
    for attempt in (
        lambda: space.area(name),
        lambda: space.rename(name, "x"),
        lambda: space.delete(name),
        lambda: space.change_layer(name, name, lambda old: old),
        lambda: space.remove_layer(name, name),
        lambda: space.put_layer(name, COVER, None),
        lambda: space.boundary(name),
        lambda: space.remove_layer("city", name),
    ):
        if not known:
            with pytest.raises(AppError):
                attempt()
    assert space.stamp(name) == 0 or known
    with contextlib.suppress(InputError):
        path = space.layer_path("city", dataclasses.replace(COVER, file=name))
        assert (space.root / "areas" / "city").resolve() in path.parents
    after = {p: c for p, c in snapshot(tmp_path).items() if locks not in p.parents}
    assert after == before


# -- more than one writer -------------------------------------------------------------------------


def test_a_second_writer_is_told_to_wait(space, monkeypatch):
    """Row 18."""
    monkeypatch.setattr(module, "_LOCK_SECONDS", 0.05)
    before = json_of(space).read_bytes()
    with filelock.FileLock(space.root / "locks" / "city.lock"):
        with pytest.raises(BusyError, match="changed by somebody else"):
            space.rename("city", "Mine")
        assert space.area("city").title == "City"
    assert json_of(space).read_bytes() == before


def _write_for_ever(root, mark):
    space = Workspace(Path(root))
    for n in range(100_000):
        put(space, dataclasses.replace(COVER, title=f"{mark} {n}"), f"{mark} {n}".encode() * 5000)


def test_the_last_whole_version_is_readable_whenever_a_writer_dies(space):
    """Row 18: two writers of one area, killed at random moments."""
    put(space, content=b"City" * 5000)
    rng = random.Random(5)
    context = multiprocessing.get_context("fork")
    seen = set()
    for turn in range(12):
        writers = [
            context.Process(target=_write_for_ever, args=(str(space.root), f"{turn}{mark}"))
            for mark in "ab"
        ]
        for writer in writers:
            writer.start()
        until = time.monotonic() + rng.uniform(0.02, 0.2)
        while time.monotonic() < until:
            seen.add(space.area("city").layer("cover").title)
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
        layer = space.area("city").layer("cover")
        text = space.layer_path("city", layer).read_bytes()
        assert len(set(zip(*[iter(text)] * (len(text) // 5000), strict=True))) == 1
        assert text.startswith(layer.title.encode()) or layer.title == "Land cover"
    assert len(seen) > 12
    assert space.rename("city", "After").title == "After"
    assert len(list((space.root / "areas/city/layers").iterdir())) == 1


def test_a_full_disk_leaves_the_area_as_it_was(space):
    """Row 20."""
    put(space)
    before = snapshot(space.root)
    code = f"""
        import resource
        from pathlib import Path
        import geopandas as gpd, shapely
        from core.errors import TooLargeError
        from core.workspace import Workspace
        from dataclasses import replace
        space = Workspace(Path({str(space.root)!r}))
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))
        circles = shapely.points([[5e5, 5e6]]).tolist()[0].buffer(1000, quad_segs=500)
        frame = gpd.GeoDataFrame(geometry=[circles], crs=32616)
        for attempt in (
            lambda: space.change_layer("city", "cover", lambda old: replace(old, unit="x" * 9000)),
            lambda: space.create("big", title="B", boundary=frame, boundary_source={{}}),
        ):
            try:
                attempt()
            except TooLargeError as err:
                print(err)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True
    )
    assert "no room to write area.json" in done.stdout, done.stderr
    assert "no room to write boundary.parquet" in done.stdout, done.stderr
    after = {path: content for path, content in snapshot(space.root).items() if path.is_file()}
    kept = {path: content for path, content in before.items() if path.is_file()}
    assert {p: c for p, c in after.items() if p.suffix != ".lock"} == {
        p: c for p, c in kept.items() if p.suffix != ".lock"
    }
    assert space.area_ids() == ["city"]
