import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import intake, store
from core import settings as core_settings
from core.errors import InputError, RefusedFileError, TooLargeError


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("URBAN_PATTERN_DATA", str(folder))
    monkeypatch.setenv("URBAN_PATTERN_UPLOAD_MB", "1")
    core_settings.settings.cache_clear()
    yield folder
    core_settings.settings.cache_clear()


def test_an_upload_keeps_its_bytes_and_a_harmless_name(data, tmp_path):
    path = intake.save_upload(tmp_path, "../../Münster (1).TIF", io.BytesIO(b"abc"))
    assert path.read_bytes() == b"abc"
    assert path.name == "M_nster_1.tif"
    assert path.parent.parent == tmp_path / "uploads"


@pytest.mark.parametrize("name", ["con.tif", "LPT1.tif", "nul", "aux.tar.tif"])
def test_no_upload_is_called_like_a_device_of_windows(tmp_path, name):
    path = intake.save_upload(tmp_path, name, io.BytesIO(b"x"))
    assert not store.is_device(path.name)
    assert path.read_bytes() == b"x"


def test_a_full_disk_leaves_no_empty_folder(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(TooLargeError, match="no room to write"):
        intake.save_upload(tmp_path, "a.tif", io.BytesIO(b"x"))
    assert list((tmp_path / "uploads").iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=60))
def test_no_name_of_an_upload_leaves_the_uploads_folder(tmp_path_factory, name):
    """Row 4."""
    root = tmp_path_factory.mktemp("space")
    path = intake.save_upload(root, name, io.BytesIO(b"x"))
    assert path.resolve().parent.parent == (root / "uploads").resolve()
    assert sorted(p.name for p in root.iterdir()) == ["uploads"]


def test_an_upload_over_the_limit_is_refused_and_leaves_nothing(data, tmp_path):
    """Row 24."""
    with pytest.raises(RefusedFileError, match="larger than the 1 MB"):
        intake.save_upload(tmp_path, "big.tif", io.BytesIO(bytes((1 << 20) + 1)))
    assert not list((tmp_path / "uploads").glob("*/*"))


def test_an_empty_upload_is_refused(data, tmp_path):
    with pytest.raises(RefusedFileError, match=r"a\.tif is empty"):
        intake.save_upload(tmp_path, "a.tif", io.BytesIO())


def test_uploads_of_yesterday_are_deleted_and_todays_stay(data, tmp_path):
    old = intake.save_upload(tmp_path, "old.tif", io.BytesIO(b"x"))
    os.utime(old.parent, (0, 0))
    new = intake.save_upload(tmp_path, "new.tif", io.BytesIO(b"x"))
    assert (old.exists(), new.exists()) == (False, True)


def test_uploads_are_listed_by_name_while_they_are_there(data, tmp_path):
    assert intake.uploads(tmp_path, (".tif",)) == []
    b, a, _ = (
        intake.save_upload(tmp_path, n, io.BytesIO(b"x")) for n in ("b.tif", "a.tif", "c.zip")
    )
    assert intake.uploads(tmp_path, (".tif",)) == [a, b]
    intake.discard_upload(tmp_path, a)
    assert intake.uploads(tmp_path, (".tif",)) == [b]


def test_only_uploads_are_discarded(data, tmp_path):
    kept = data / "a.tif"
    kept.write_bytes(b"x")
    upload = intake.save_upload(tmp_path, "b.tif", io.BytesIO(b"x"))
    intake.discard_upload(tmp_path, kept)
    intake.discard_upload(tmp_path, upload)
    assert (kept.exists(), upload.parent.exists()) == (True, False)


def test_the_data_folder_is_listed_by_suffix_and_without_hidden_files(data):
    for name in ("b.tif", "sub/a.TIF", "notes.txt", ".hidden.tif", ".git/c.tif"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(b"x")
    assert intake.data_files((".tif",)) == ["b.tif", "sub/a.TIF"]


@pytest.mark.parametrize("name", ["../secret.tif", "/etc/passwd", "link.tif", "a\x00b", "."])
def test_no_path_leaves_the_data_folder(data, name):
    """Row 4: not by '..', an absolute path, a link or a NUL."""
    (data.parent / "secret.tif").write_bytes(b"secret")
    (data / "link.tif").symlink_to(data.parent / "secret.tif")
    with pytest.raises(InputError):
        intake.data_file(name)


def test_a_missing_file_of_the_data_folder_is_named(data):
    with pytest.raises(InputError, match=r"no file 'x\.tif'"):
        intake.data_file("x.tif")


def test_the_stamp_changes_with_the_content(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    before = intake.stamp(path)
    path.write_bytes(b"22")
    assert intake.stamp(path) != before
