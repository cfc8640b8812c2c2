import io
import struct
import time
import zipfile
from pathlib import Path

import pyogrio
import pytest

from core import shapefile
from core.errors import InputError, RefusedFileError, TooLargeError
from core.vectors import read_vector
from tests.core.test_vectors import FRAME, no_scratch_left, written

__all__ = ["no_scratch_left"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    pyogrio.write_dataframe(FRAME, folder / "zones.shp")
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


def archive(path, entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def named(stem, parts):
    return [(f"{stem}{suffix}", content) for suffix, content in parts.items()]


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def refused(tmp_path, entries, error=RefusedFileError, match="", **options):
    """Try an archive in an own folder and look whether anything around it changed."""
    path = archive(tmp_path / "in" / "a.zip", entries, **options)
    before = snapshot(tmp_path)
    start = time.monotonic()
    with pytest.raises(error, match=match):
        read_vector(path)
    assert time.monotonic() - start < 5
    assert snapshot(tmp_path) == before


@pytest.fixture(autouse=True)
def inner_folder(tmp_path):
    (tmp_path / "in").mkdir()


@pytest.mark.parametrize(
    "stem", ["../zones", "../../../../tmp/zones", "/tmp/zones", "C:/zones", "a\\..\\..\\zones"]
)
def test_names_that_leave_the_archive_are_refused(tmp_path, parts, stem, no_scratch_left):
    """Row 6: zip slip."""
    refused(tmp_path, named(stem, parts), match="points outside")


@pytest.mark.parametrize("lies", [False, True], ids=["honest", "header-lies"])
def test_a_bomb_is_stopped_while_it_unpacks(tmp_path, parts, lies, no_scratch_left, monkeypatch):
    """Row 6: what comes out is counted, whatever the header says."""
    monkeypatch.setattr(shapefile, "_MOST_UNPACKED_BYTES", 8 << 20)
    bomb = parts[".shp"] + bytes(100 << 20)
    if not lies:
        refused(tmp_path, named("zones", {**parts, ".shp": bomb}), TooLargeError, "more than 8 MB")
        return
    path = archive(tmp_path / "a.zip", named("zones", {**parts, ".shp": bomb}))
    content = path.read_bytes().replace(struct.pack("<L", len(bomb)), struct.pack("<L", 1000))
    path.write_bytes(content)
    with pytest.raises(RefusedFileError, match="cannot be read"):
        read_vector(path)


def test_links_are_refused(tmp_path, parts, no_scratch_left):
    """Row 6: a link in place of a part."""
    link = zipfile.ZipInfo("zones.dbf")
    link.create_system = 3
    link.external_attr = 0o120777 << 16
    entries = [*named("zones", {k: v for k, v in parts.items() if k != ".dbf"})]
    refused(tmp_path, [*entries, (link, "/etc/passwd")], match="is a link")


def test_a_hundred_thousand_entries_are_refused_before_they_are_listed(tmp_path, no_scratch_left):
    """Row 6."""
    entries = ((f"{i}.txt", b"") for i in range(100_000))
    refused(tmp_path, entries, match="more than 1000 files", method=zipfile.ZIP_STORED)


def test_an_archive_inside_an_archive_is_not_opened(tmp_path, parts, no_scratch_left):
    """Row 6."""
    inner = io.BytesIO()
    archive(inner, named("zones", parts))
    refused(tmp_path, [("inner.zip", inner.getvalue())], match="holds no shapefile")


def test_unusual_packing_is_refused(tmp_path, parts, no_scratch_left):
    refused(tmp_path, named("zones", parts), match="packed in a way", method=zipfile.ZIP_LZMA)


def test_a_password_is_named(tmp_path, parts, no_scratch_left):
    path = archive(tmp_path / "a.zip", named("zones", parts))
    content = bytearray(path.read_bytes())
    for sign, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(sign)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(sign, at + 1)
    path.write_bytes(content)
    with pytest.raises(RefusedFileError, match="protected by a password"):
        read_vector(path)


def test_a_missing_part_is_named(tmp_path, parts, no_scratch_left):
    rest = {suffix: content for suffix, content in parts.items() if suffix != ".shx"}
    refused(tmp_path, named("zones", rest), match=r"\.shx beside the \.shp is missing")


def test_several_shapefiles_are_named_and_one_is_chosen(tmp_path, parts, no_scratch_left):
    entries = [*named("a/one", parts), *named("b/two", parts), ("readme.txt", b"hello")]
    path = archive(tmp_path / "a.zip", entries)
    with pytest.raises(InputError, match=r"several layers.*a/one, b/two"):
        read_vector(path)
    assert len(read_vector(path, layer="b/two")) == 2


def test_the_shadow_files_of_macos_do_not_count(tmp_path, parts, no_scratch_left):
    entries = [*named("zones", parts), *named("__MACOSX/._zones", parts), ("._x.shp", b"x")]
    assert len(read_vector(archive(tmp_path / "a.zip", entries))) == 2


def test_suffixes_in_capitals_are_read(tmp_path, parts, no_scratch_left):
    entries = [(name.upper(), content) for name, content in named("zones", parts)]
    assert len(read_vector(archive(tmp_path / "a.zip", entries))) == 2


def test_a_plain_shapefile_takes_only_its_own_parts(tmp_path, no_scratch_left):
    path = written(FRAME, tmp_path / "zones.shp")
    written(FRAME.iloc[:1], tmp_path / "zones2.shp")
    assert len(read_vector(path)) == 2
    Path(tmp_path / "zones.shx").unlink()
    with pytest.raises(RefusedFileError, match="missing"):
        read_vector(path)
