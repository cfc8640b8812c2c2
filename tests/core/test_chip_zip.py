"""Images in a zip: taken in with their classes; hostile archives refused; sets as one zip."""

import contextlib
import io
import stat
import struct
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core import archives, works
from core.archives import unpack_images
from core.chips import export
from core.chips.export import export_zip, zips_of
from core.chips.imports import import_set
from core.chips.pictures import SUFFIXES
from core.chips.sets import ChipSets
from core.errors import AppError, InputError, RefusedFileError, StoppedError, TooLargeError
from core.workspace import Workspace
from tests.core.chip_sources import cut


def picture(shade=100, side=16):
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 0, shade // 2)).save(stream, "PNG")
    return stream.getvalue()


def packed(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in entries:
            archive.writestr(name, body)
    return path


def everything_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def refused(tmp_path, path, error=RefusedFileError, match=None):
    """Try to take an archive in; nothing of it may stay anywhere."""
    space = Workspace(tmp_path / "space")
    before = everything_below(tmp_path)
    begun = time.monotonic()
    with pytest.raises(error, match=match):
        import_set(space, "bad", path)
    assert time.monotonic() - begun < 10
    left = [p for p in everything_below(tmp_path) if p not in before]
    assert set(left) <= {"space", "space/.scratch"}


@pytest.mark.parametrize(
    ("names", "labels", "splits"),
    [
        pytest.param(["a.png", "b.png"], ["", ""], ["train"] * 2, id="plain"),
        pytest.param(["cats/a.png", "dogs/b.PNG"], ["cats", "dogs"], ["train"] * 2, id="classes"),
        pytest.param(
            ["all/cats/a.png", "all/dogs/b.png"], ["cats", "dogs"], ["train"] * 2, id="wrapped"
        ),
        pytest.param(
            ["x/train/cats/a.png", "x/test/cats/b.png"], ["cats"] * 2, ["train", "test"],
            id="split",
        ),
        pytest.param(["one/a.png", "one/b.png"], ["", ""], ["train"] * 2, id="one-folder"),
        pytest.param(["test/a.png", "__MACOSX/._a.png", ".DS_Store"], [""], ["test"], id="mac"),
        pytest.param(["林地/a.png", "农田/b.png"], ["农田", "林地"], ["train"] * 2, id="chinese"),
    ],
)  # fmt: skip
def test_folders_of_a_zip_tell_class_and_split(tmp_path, names, labels, splits):
    path = packed(tmp_path / "set.zip", [(n, picture(40 + 9 * i)) for i, n in enumerate(names)])
    info = import_set(Workspace(tmp_path), "taken", path)
    table = ChipSets(tmp_path).open("taken").table
    found = table["label"].tolist() if "label" in table else [""] * len(table)
    assert sorted(found) == sorted(labels)
    assert sorted(table["split"]) == sorted(splits)
    assert info.size_px == 16
    assert not (tmp_path / ".scratch").exists() or not list((tmp_path / ".scratch").iterdir())


def test_pixels_are_those_of_the_images_and_names_stay_known(tmp_path):
    path = packed(tmp_path / "set.zip", [("b/x y.png", picture(9)), ("a/z.png", picture(200))])
    import_set(Workspace(tmp_path), "taken", path)
    chips = ChipSets(tmp_path).open("taken")
    assert chips.read([0, 1])[:, 0, 0, 0].tolist() == [200, 9]  # in the order of the names
    assert chips.table["source"].tolist() == ["a/z.png", "b/x y.png"]


def test_an_image_that_cannot_be_read_is_told_by_its_own_name_and_no_path(tmp_path):
    bad = [(f"b/{number}.png", b"no image") for number in range(4)]
    for count, names in ((1, "b/0.png"), (4, "b/0.png; b/1.png; b/2.png; …")):
        path = packed(tmp_path / "set.zip", [("a.png", picture()), *bad[:count]])
        info = import_set(Workspace(tmp_path), f"taken-{count}", path)
        said = " ".join(text.format(**values) for text, values in info.notes)
        assert said == f"Images left out: {count} (it is no whole PNG or JPEG): {names}"
        assert info.options["left_out"] == count


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "C:/a.png", "a/../../b.png",
                                  "..\\..\\a.png"])  # fmt: skip
def test_names_that_lead_out_are_refused(tmp_path, name):
    """Row 6: zip slip."""
    refused(tmp_path, packed(tmp_path / "a.zip", [(name, picture())]), match="points outside")


def test_a_link_a_bomb_and_too_many_are_refused(tmp_path, monkeypatch):
    """Row 6: links, bombs, counts."""
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("a.png")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    refused(tmp_path, path, match="is a link")
    bomb = packed(tmp_path / "bomb.zip", [("a.png", bytes(40 << 20))])
    assert bomb.stat().st_size < 100_000
    (tmp_path / "out").mkdir()
    with pytest.raises(TooLargeError, match="unpacks to more than 5 MB"):
        unpack_images(bomb, tmp_path / "out", label="bomb", suffixes=SUFFIXES, most_bytes=5_000_000)
    monkeypatch.setattr(archives, "MOST_IMAGES", 3)
    many = packed(tmp_path / "many.zip", [(f"{n}.png", b"") for n in range(5)])
    refused(tmp_path, many)
    deep = packed(tmp_path / "deep.zip", [("/".join("abcdefgh") + ".png", picture())])
    refused(tmp_path, deep, match="folders in folders")


def test_a_hundred_thousand_entries_are_refused_before_they_are_read(tmp_path):
    """Row 6: the count stands at the archive's end."""
    path = packed(tmp_path / "a.zip", [("a.png", picture())])
    body = bytearray(path.read_bytes())
    at = body.rfind(b"PK\x05\x06")
    struct.pack_into("<HH", body, at + 8, 65_000, 65_000)
    path.write_bytes(body)
    refused(tmp_path, path, match="holds more than 60000 files")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"PK\x03\x04 and nothing", id="no-end"),
        pytest.param(b"x" * 5000, id="no-zip"),
    ],
)
def test_what_is_no_zip_is_refused_by_name(tmp_path, body):
    """Row 10."""
    path = tmp_path / "set.zip"
    path.write_bytes(body)
    refused(tmp_path, path, AppError, match=r"set\.zip")


def test_a_zip_without_images_and_a_damaged_one_are_refused(tmp_path):
    refused(tmp_path, packed(tmp_path / "a.zip", [("a.txt", b"x")]), match="holds no image")
    path = packed(tmp_path / "b.zip", [("a.png", picture(side=200) * 3)])
    body = bytearray(path.read_bytes())
    body[200:260] = bytes(60)
    path.write_bytes(body)
    refused(tmp_path, path, AppError)
    inner = packed(tmp_path / "inner.zip", [("a.png", picture())]).read_bytes()
    refused(tmp_path, packed(tmp_path / "c.zip", [("in.zip", inner)]), match="holds no image")


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=25, deadline=None)
def test_no_name_writes_outside_the_folder(tmp_path_factory, folder, name):
    """Row 4: whatever an entry is called, it lies below the folder, or is refused."""
    root = tmp_path_factory.mktemp("zip")
    path = root / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{folder}/{name}.png"), b"x")
    (root / "out").mkdir()
    with contextlib.suppress(AppError):
        unpack_images(path, root / "out", label="a", suffixes=SUFFIXES, most_bytes=1000)
    files = [p for p in root.rglob("*") if p.is_file() and p != path]
    assert all((root / "out") in p.parents for p in files)
    assert sorted(p.name for p in root.iterdir()) == ["a.zip", "out"]


def test_a_stopped_import_leaves_nothing(tmp_path):
    path = packed(tmp_path / "a.zip", [(f"{n}.png", picture(n)) for n in range(20)])
    with pytest.raises(StoppedError):
        import_set(Workspace(tmp_path), "taken", path, should_stop=lambda: True)
    assert not ChipSets(tmp_path).ids()
    assert not list((tmp_path / ".scratch").iterdir())


def test_a_set_becomes_one_zip_that_can_be_taken_in_again(tmp_path):
    chips = cut(tmp_path)
    done = export_zip(chips, tmp_path, sizes=[16])
    assert done.num_files == len(chips)
    assert [path.name for path in (tmp_path / "exports").iterdir()] == [done.outputs[0].name]
    assert zips_of(tmp_path, "set") == list(done.outputs)
    assert zips_of(tmp_path, "se") == []
    with zipfile.ZipFile(done.outputs[0]) as archive:
        assert archive.testzip() is None
        assert "chips.csv" in archive.namelist()
    back = import_set(Workspace(tmp_path), "back", done.outputs[0])
    assert back.splits == chips.info.splits
    again = ChipSets(tmp_path).open("back")
    for split in ("train", "test"):
        ours, theirs = chips.read(chips.indices(split)), again.read(again.indices(split))
        np.testing.assert_array_equal(ours, theirs)


def test_only_the_newest_zips_are_kept_and_a_stopped_one_leaves_nothing(tmp_path, monkeypatch):
    chips = cut(tmp_path)
    monkeypatch.setattr(export, "_KEPT_ZIPS", 1)
    export_zip(chips, tmp_path, sizes=[4])
    with pytest.raises(StoppedError):
        export_zip(chips, tmp_path, sizes=[4], should_stop=lambda: True)
    with pytest.raises(InputError):
        export_zip(chips, tmp_path, sizes=[5])
    assert len(everything_below(tmp_path / "exports")) == 1


def test_the_job_tells_where_the_zip_lies(tmp_path):
    cut(tmp_path)
    config = {"workspace": str(tmp_path), "set": "set", "options": {"form": "jpeg", "sizes": [16]}}
    told = works.export_chips(config, lambda *_, **__: None, lambda: False)
    assert told["archive"] == str(zips_of(tmp_path, "set")[0])
    assert told["files"] == 40
    assert "FID" in told["notes"][0][0]
    folder = {**config, "folder": str(tmp_path / "out")}
    told = works.export_chips(folder, lambda *_, **__: None, lambda: False)
    assert (tmp_path / "out" / "patches_16").is_dir()
    assert "archive" not in told
