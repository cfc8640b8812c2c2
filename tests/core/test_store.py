import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import store
from core.errors import InputError, StoreError, TooLargeError

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = st.one_of(
    st.text(),
    st.sampled_from(
        ["..", ".", "", "/", "a/b", "a\\b", "../x", "a\0b", "CON", "con", "nul", "a.", "-a", "a\n",
         "~", "C:", "%2e%2e", "a" * 65, "a" * 5000, "ａ", "é", "com1", ".hidden", "a..b"]
    ),
)  # fmt: skip


@given(HOSTILE)
def test_an_id_is_a_plain_file_name_or_refused(text):
    """Row 4."""
    try:
        found = store.checked_id(text)
    except InputError:
        return
    assert found == text
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert 1 <= len(found) <= 64
    assert found.upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT1"}


@given(HOSTILE)
def test_every_title_makes_an_id(title):
    assert store.checked_id(store.slug(title, fallback="area"))
    assert store.slug(title, fallback="area") == store.slug(title, fallback="area")


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Münster (west)", "munster-west"),
        ("Chicago (simulated)", "chicago-simulated"),
        ("  A  ", "a"),
        ("a" * 100, "a" * 48),
    ],
)
def test_slugs_by_hand(title, expected):
    assert store.slug(title, fallback="area") == expected


@pytest.mark.parametrize("title", ["上海", "Con", "!!!", ""])
def test_titles_without_a_usable_letter_get_a_name_of_their_own(title):
    assert re.fullmatch("area-[0-9a-f]{6}", store.slug(title, fallback="area"))


@given(st.lists(HOSTILE, max_size=4))
def test_a_joined_path_lies_inside_or_is_refused(parts):
    """Row 4."""
    try:
        path = store.inside(ROOT / "core", *parts)
    except InputError:
        return
    assert (ROOT / "core").resolve() in path.parents


def test_a_link_that_leads_out_is_refused(tmp_path):
    """Row 4."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    (tmp_path / "root" / "loop").symlink_to("loop")
    for name in ("link", "loop/x", "link/root"):
        with pytest.raises(InputError):
            store.inside(tmp_path / "root", name)


# -- files seen whole -----------------------------------------------------------------------------


def test_json_comes_back_as_it_was_written(tmp_path):
    body = {"title": "上海", "n": 1, "list": [1, 2.5, None]}
    store.write_json(tmp_path / "a.json", body, kind="thing", version=3)
    assert store.read_json(tmp_path / "a.json", kind="thing", version=3) == body
    assert store.read_json(tmp_path / "a.json", kind="thing", version=4) == body
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "Cannot read"),
        (b'{"kind": "thing"', "Cannot read"),
        (b"\xff\xfe", "Cannot read"),
        (b"[" * 100_000, "Cannot read"),
        (b"[]", "not a file of kind thing"),
        (b"null", "not a file of kind thing"),
        (b'{"kind": "other", "version": 1}', "not a file of kind thing"),
        (b'{"kind": "thing", "version": 4}', "has version 4; this program reads up to 3"),
        (b'{"kind": "thing", "version": "x"}', "has version x"),
        (b'{"kind": "thing", "version": null}', "has version None"),
    ],
    ids=lambda value: repr(value[:14]),
)
def test_json_that_is_damaged_foreign_or_newer_is_refused(tmp_path, content, match):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(StoreError, match=match):
        store.read_json(tmp_path / "a.json", kind="thing", version=3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"Cannot read a\.json"):
        store.read_json(tmp_path / "a.json", kind="thing", version=3)


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), store.atomic_path(path) as tmp:
        tmp.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_read_just_now_is_replaced_a_moment_later(tmp_path, monkeypatch):
    """As on Windows, where an open file cannot be replaced."""
    replace, refused = Path.replace, []

    def busy(path, target):
        if len(refused) < 3:
            refused.append(path)
            raise PermissionError(13, "in use")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", busy)
    monkeypatch.setattr(store, "_MOVE_WAIT_S", 0.0)
    with store.atomic_path(tmp_path / "a.txt") as tmp:
        tmp.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    monkeypatch.setattr(store, "_MOVES", 2)
    refused.clear()
    with (
        pytest.raises(StoreError, match="cannot be written: in use"),
        store.atomic_path(tmp_path / "a.txt") as tmp,
    ):
        tmp.write_text("newer")
    assert (tmp_path / "a.txt").read_text() == "new"


def test_the_temporary_name_keeps_the_suffix(tmp_path):
    with store.atomic_path(tmp_path / "new" / "a.tif") as tmp:
        assert tmp.suffix == ".tif"
        assert tmp.parent == tmp_path / "new"
        tmp.write_bytes(b"x")


def test_a_full_disk_is_told_and_the_old_file_stays(tmp_path):
    """Row 20: a limit on file size stands for a full disk, in a process of its own."""
    path = tmp_path / "a.json"
    store.write_json(path, {"n": 1}, kind="thing", version=1)
    code = f"""
        import resource, sys
        from pathlib import Path
        from core import store
        from core.errors import TooLargeError
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            store.write_json(Path({str(path)!r}), {{"n": "x" * 20_000}}, kind="thing", version=1)
        except TooLargeError as err:
            print(err)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True
    )
    assert "There is no room to write a.json: File too large." in done.stdout, done.stderr
    assert store.read_json(path, kind="thing", version=1) == {"n": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        store.write_json(tmp_path / "a.json", {}, kind="thing", version=1)


def test_a_denied_write_is_told_and_not_a_traceback(tmp_path):
    denied = pytest.raises(StoreError, match=r"a\.json cannot be written: denied")
    with denied, store.atomic_path(tmp_path / "a.json"):
        raise PermissionError(13, "denied")


def test_work_that_would_not_fit_is_refused_before_it_starts(tmp_path):
    """Row 20."""
    store.require_space(tmp_path / "not" / "yet", 1, what="A layer")
    with pytest.raises(TooLargeError, match=r"A layer needs about 1000000000.0 GB"):
        store.require_space(tmp_path, 10**18, what="A layer")


def test_the_digest_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert store.file_digest(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    def fail(folder):
        with store.atomic_folder(folder) as tmp:
            (tmp / "a").write_text("half")
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        fail(tmp_path / "one")
    assert not list(tmp_path.iterdir())
    with store.atomic_folder(tmp_path / "one") as tmp:
        (tmp / "a").write_text("whole")
        assert not (tmp_path / "one").exists()
    assert (tmp_path / "one/a").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize(
    ("code", "kind"), [(28, TooLargeError), (27, TooLargeError), (30, StoreError)]
)
def test_a_refused_folder_is_told_in_words(tmp_path, code, kind):
    def fail():
        with store.atomic_folder(tmp_path / "one"):
            raise OSError(code, "because")

    with pytest.raises(kind, match=r"one.*because"):
        fail()
    assert not list(tmp_path.iterdir())
