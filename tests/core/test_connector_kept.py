"""Searches that are kept, and the small pictures of what they found."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from core import jobs
from core.connectors import door, kept, previews, shelf
from core.connectors.search import search
from core.connectors.signing import Catalogue
from core.errors import InputError, OutsideError, StoppedError
from core.prepare import boundary_lonlat
from tests.core.raster_files import new_area
from tests.core.stac_server import noise, stac_server, write_cog

HOSTILE = "<img src=x onerror=alert(1)>/../../etc"
PLACE = (-87.67, 41.85, -87.65, 41.87)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(door, "_FIRST_WAIT_S", 0.01)
    (tmp_path / "files").mkdir()
    with stac_server(tmp_path / "files") as found:
        yield found


@pytest.fixture
def space(tmp_path):
    return new_area(tmp_path / "ws")


def picture(side=400, colour=(200, 30, 40), kind="PNG"):
    out = io.BytesIO()
    Image.new("RGB", (side, side // 2), colour).save(out, kind)
    return out.getvalue()


def publish(server, name, body=None, *, href=None, year=2021):
    """Put an image with a small picture into the catalogue; its id need not be a file's name."""
    number = len(server.items.get("naip", ()))
    if body is not None:
        (server.folder / f"{number}.png").write_bytes(body)
    thumb = {"href": href or f"{server.url}/files/{number}.png", "type": "image/png"}
    item = server.add("naip", name, {"image": f"{number}.tif", "thumbnail": thumb}, bounds=PLACE,
                      date=f"{year}-08-15")  # fmt: skip
    item["links"] = []  # an address with this name in it would be refused


def query(server, **more):
    return kept.Query(catalogue=server.url, **more)


def find(server, space):
    catalogue = Catalogue(url=server.url, title="Loopback")
    return search(boundary_lonlat(space, "town"), catalogue=catalogue, outside=True)


def get(server, space, **more):
    catalogue = Catalogue(url=server.url, title="Loopback")
    found = find(server, space).found
    failed = previews.fetch_previews(
        space, "town", found, catalogue=catalogue, outside=True, **more
    )
    return found, failed


# --- searches -----------------------------------------------------------------------------------


def test_an_answer_is_kept_with_its_question_and_read_back_whole(server, space):
    publish(server, "a", year=2019)
    publish(server, "b", year=2021)
    publish(server, "c", href="file:///etc/passwd")
    server.add("naip", "d", {"image": {"href": "file:///etc/passwd"}}, bounds=PLACE,
               date="2020-01-01")  # fmt: skip
    results = find(server, space)
    asked = query(server, dates=("2019", ""))
    search_id = kept.keep(space, "town", asked, results)
    found = kept.kept_search(space, "town", search_id)
    assert found.results == results
    assert found.query == asked
    assert found.when.startswith("20")
    assert [entry.id for entry in found.results.refused] == ["d"]
    assert found.image(results.found[0].key) == results.found[0]
    assert found.image("nobody") is None
    assert kept.latest(space, "town") == search_id == asked.id


def test_the_same_question_replaces_its_answer_and_the_oldest_are_forgotten(server, space):
    publish(server, "a")
    results = find(server, space)
    first = kept.keep(space, "town", query(server), results)
    assert kept.keep(space, "town", query(server), results) == first
    for year in range(2000, 2012):
        kept.keep(space, "town", query(server, dates=(str(year), "")), results)
        time.sleep(0.002)
    folder = space.folder("town") / "imagery" / "_searches"
    assert len(list(folder.glob("*.json"))) == 12
    with pytest.raises(InputError, match="not kept any more"):
        kept.kept_search(space, "town", first)
    assert kept.latest(space, "town") == query(server, dates=("2011", "")).id
    assert shelf.fetched(space, "town") == ()  # none of these files is an image


@pytest.mark.parametrize("name", ["../area", "..", "a/b", "", "x\0"])
def test_row_4_no_name_of_a_search_leaves_its_folder(space, name):
    """row 4."""
    with pytest.raises(InputError):
        kept.kept_search(space, "town", name)


def test_a_damaged_answer_is_told_as_gone(server, space):
    publish(server, "a")
    search_id = kept.keep(space, "town", query(server), find(server, space))
    (space.folder("town") / "imagery" / "_searches" / f"{search_id}.json").write_text("{]")
    with pytest.raises(InputError, match="Search again"):
        kept.kept_search(space, "town", search_id)


# --- small pictures -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_small_picture_is_drawn_anew_and_asked_for_once(server, space, kind):
    publish(server, "a", picture(kind=kind))
    (image,), failed = get(server, space)
    assert failed == {}
    path = previews.preview_paths(space, "town", [image])[image.key]
    body = path.read_bytes()
    assert body.startswith(b"\x89PNG")
    with Image.open(path) as drawn:
        assert drawn.size == (240, 120)
        assert np.abs(np.array(drawn)[60, 60].astype(int) - (200, 30, 40)).max() <= 3
    asked = len(server.files())
    assert get(server, space)[1] == {}
    assert len(server.files()) == asked == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "cannot be"),
        (b"<html><script>alert(1)</script></html>", "cannot be taken as an image"),
        (picture(side=4200), "too many pixels"),
        (picture() + bytes(5 << 20), "more than the 4.2 MB"),
        (picture()[:-200], "cannot be taken as an image"),
        (None, "status 404"),
    ],
    ids=["svg", "html", "many pixels", "many bytes", "cut off", "gone"],
)
def test_row_5_a_picture_that_is_none_is_one_sentence_and_others_come(server, space, body, said):
    """row 5: bounded in bytes and pixels; nothing but a picture reaches the browser."""
    publish(server, "bad", body, year=2021)
    publish(server, "good", picture(), year=2019)
    (bad, good), failed = get(server, space)
    assert said in failed[bad.key].message()
    assert previews.preview_paths(space, "town", [bad, good]).keys() == {good.key}
    assert not list((space.folder("town") / ".scratch").glob("*"))


def test_row_4_a_picture_of_a_hostile_name_stays_in_its_folder(server, space, tmp_path):
    """row 4."""
    publish(server, HOSTILE, picture())
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    (image,), failed = get(server, space)
    assert failed == {}
    root = (space.folder("town") / "imagery" / "_previews").resolve()
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert [path for path in new if path.resolve().parent.parent != root] == []
    assert image.id == HOSTILE


def test_row_2_a_picture_that_leads_elsewhere_is_not_followed(server, space):
    """row 2: a redirection is refused; nothing is asked with outside access off."""
    publish(server, "a", href=f"{server.url}/moved/files/0.png")
    (image,), failed = get(server, space)
    assert "is not followed" in failed[image.key].message()
    assert server.files() == []
    asked = len(server.asked)
    with pytest.raises(OutsideError, match="switched off"):
        previews.fetch_previews(space, "town", [image], outside=False,
                                catalogue=Catalogue(url=server.url, title=""))  # fmt: skip
    assert len(server.asked) == asked


def test_a_slow_server_is_left_after_the_time_that_was_given(server, space):
    for name in ("a", "b"):
        publish(server, name, picture())
    server.delay_s = 3.0
    begun = time.monotonic()
    found, failed = get(server, space, most_s=0.4)
    assert time.monotonic() - begun < 2.5
    assert set(failed) == {image.key for image in found}
    assert "within 0.4 s" in failed[found[0].key].message()


def test_a_user_can_stop_in_mid_picture(server, space):
    publish(server, "a", picture())
    server.delay_s = 3.0
    end = time.monotonic() + 0.3
    with pytest.raises(StoppedError):
        get(server, space, should_stop=lambda: time.monotonic() > end)


# --- as jobs ------------------------------------------------------------------------------------


def test_the_job_searches_keeps_and_fetches_pictures(server, space):
    for name, year in (("a", 2019), ("b", 2021)):
        publish(server, name, picture(), year=year)
    config = {"workspace": str(space.root), "area": "town", "outside": True,
              "query": {"catalogue": server.url, "dates": ["2018", ""]}}  # fmt: skip
    job_id = jobs.submit(space.root / "jobs", "search-imagery", config)
    done = jobs.wait(space.root / "jobs", job_id, timeout_s=20)
    assert done.state == "done", done
    assert (done.result["found"], done.result["refused"]) == (2, 0)
    found = kept.kept_search(space, "town", done.result["search"])
    images = found.results.found
    assert len(previews.preview_paths(space, "town", images)) == len(images)


def test_a_band_of_a_fetched_image_becomes_a_layer_that_keeps_its_licence(server, space):
    from core.connectors.imagery import fetch

    values = noise(2, 60, 60)
    bounds = write_cog(server.folder / "q.tif", values, west=444_990, north=4_635_010, pixel=10)
    server.add("naip", "q", {"image": "q.tif"}, bounds=bounds, date="2021-08-15")
    catalogue = Catalogue(url=server.url, title="Loopback")
    done = fetch(space, "town", find(server, space).found, catalogue=catalogue,
                 licence="Public domain", outside=True)  # fmt: skip
    (image,) = done.images
    config = {
        "workspace": str(space.root), "area": "town", "collection": image.collection,
        "key": image.key, "band": 2, "layer_id": "near", "title": "Near infrared",
        "kind": "values", "role": "cause", "season": None, "unit": "", "colormap": "viridis",
        "legend": [],
    }  # fmt: skip
    job_id = jobs.submit(space.root / "jobs", "image-layer", config)
    made = jobs.wait(space.root / "jobs", job_id, timeout_s=20)
    assert made.result == {"area": "town", "layer": "near"}, made
    layer = space.area("town").layer("near")
    assert layer.source["licence"] == "Public domain"
    assert layer.source["id"] == "q"
    with pytest.raises(InputError, match="There is no image"):
        shelf.image_of(space, "town", "naip", "nobody")
