"""The file of chips and the set around it: round trip, damage, hostile names, two writers, kill."""

import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from core import store
from core.chips.pack import PackWriter, damaged_member, open_pack
from core.chips.pyramid import pyramid, pyramid_sizes
from core.chips.sets import ChipSets
from core.errors import AppError, BusyError, InputError, StoreError, TooLargeError
from tests.core.chip_sources import Drawn, cut

ROOT = Path(__file__).parents[2]


def packed(path, chips):
    writer = PackWriter(path.parent, pyramid_sizes(chips.shape[-1]))
    for part in np.array_split(chips, min(3, len(chips))):
        writer.add(pyramid(part))
    writer.pack(path)
    return path


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    num=st.integers(1, 9),
    channels=st.integers(1, 5),
    size=st.sampled_from([4, 8, 28, 32]),
    dtype=st.sampled_from(["u1", "<u2"]),
    seed=st.integers(0, 1000),
)
def test_what_is_packed_is_read_again_at_every_size(tmp_path, num, channels, size, dtype, seed):
    shape = (num, channels, size, size)
    chips = np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)
    path = packed(tmp_path / "pixels.npz", chips)
    found = open_pack(path)
    expected = pyramid(chips)
    assert list(found) == sorted(expected)
    plain = np.load(path)  # without any code of ours
    for each, array in found.items():
        assert_array_equal(array, expected[each])
        assert_array_equal(plain[f"px_{each}"], expected[each])
        assert array.dtype == np.dtype(dtype) and not array.flags.writeable
    plain.close()


def test_arrays_lie_at_multiples_of_64_bytes_and_are_mapped(tmp_path):
    path = packed(tmp_path / "pixels.npz", np.ones((3, 3, 16, 16), np.uint8))
    for array in open_pack(path).values():
        assert isinstance(array, np.memmap) and array.offset % 64 == 0


def test_the_same_chips_make_the_same_bytes(tmp_path):
    chips = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 1, 8, 8)
    one = packed(tmp_path / "a.npz", chips).read_bytes()
    assert packed(tmp_path / "b.npz", chips).read_bytes() == one


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_row_10_a_pack_that_is_cut_off_is_refused_by_name(tmp_path, share):
    """Row 10."""
    path = packed(tmp_path / "pixels.npz", np.ones((5, 3, 32, 32), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StoreError, match=r"pixels\.npz"):
        open_pack(path)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_pack_with_damaged_heads_is_refused_or_read_but_never_runs_away(tmp_path, data):
    path = packed(tmp_path / "pixels.npz", np.ones((2, 1, 8, 8), np.uint8))
    body = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=6)):
        body[at] = data.draw(st.integers(0, 255))
    path.write_bytes(body)
    try:
        found = open_pack(path)
        assert sum(array.nbytes for array in found.values()) <= len(body)
        damaged_member(path)
    except StoreError:
        pass


def test_row_5_a_pack_that_declares_terabytes_is_refused(tmp_path):
    """Row 5: the shape in the head is compared with the file before anything is mapped."""
    path = tmp_path / "pixels.npz"
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 9, 512, 512), }"
    head = head.ljust(117) + b"\n"
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("px_512.npy", body)
    with pytest.raises(StoreError, match="shorter or longer than it says"):
        open_pack(path)


def test_row_7_objects_in_a_pack_are_never_unpickled(tmp_path):
    """Row 7."""
    path = tmp_path / "pixels.npz"
    array = np.empty((1, 1, 4, 4), object)
    with zipfile.ZipFile(path, "w") as archive, archive.open("px_4.npy", "w") as member:
        np.lib.format.write_array(member, array, allow_pickle=True)
    with pytest.raises(StoreError):
        open_pack(path)


@pytest.mark.parametrize("name", ["../px_4.npy", "px_4.txt", "px_0.npy", "x/px_4.npy"])
def test_other_members_do_not_belong_in_a_pack(tmp_path, name):
    path = tmp_path / "pixels.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(StoreError, match="does not belong"):
        open_pack(path)


def test_row_11_rotted_bytes_are_found_on_demand(tmp_path):
    """Row 11."""
    chips = cut(tmp_path)
    sets = ChipSets(tmp_path)
    sets.verify("set")
    path = tmp_path / "chips" / "set" / chips.info.pixels
    at = int(chips.pixels(16).offset) + 5
    with path.open("rb+") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x40]))
    assert damaged_member(path) == "px_16.npy"
    with pytest.raises(StoreError, match=r"have changed since they were written: px_16\.npy"):
        sets.verify("set")


def test_batches_come_in_the_order_asked_for_and_at_every_size(tmp_path):
    chips = cut(tmp_path)
    batch = chips.read([7, 2, 7])
    assert batch.shape == (3, 3, 16, 16)
    assert_array_equal(batch[0], batch[2])
    assert_array_equal(batch[1], chips.pixels(16)[2])
    assert chips.read(np.array([0]), 4).shape == (1, 3, 4, 4)
    batch[:] = 0  # a copy: the set is as it was
    assert chips.read(7).any()
    with pytest.raises(InputError, match="has chips 0 to 39"):
        chips.read([40])
    with pytest.raises(InputError, match=r"no chips of 32 px. It has: 4, 8, 16"):
        chips.read([0], 32)


def test_row_23_sixteen_threads_read_what_one_reads(tmp_path):
    """Row 23."""
    chips = cut(tmp_path)
    wanted = [np.random.default_rng(n).integers(0, len(chips), 8) for n in range(500)]
    alone = [chips.read(index, 8) for index in wanted]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda index: chips.read(index, 8), wanted))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_set_travels_to_another_process_without_its_pixels(tmp_path):
    chips = cut(tmp_path)
    body = pickle.dumps(chips)
    assert len(body) < 10_000
    assert_array_equal(pickle.loads(body).read([3], 8), chips.read([3], 8))


def test_splits_are_read_from_the_table(tmp_path):
    chips = cut(tmp_path)
    train, test = chips.indices("train"), chips.indices("test")
    assert len(train) == chips.info.splits["train"] and len(test) == chips.info.splits["test"]
    assert_array_equal(np.sort(np.concatenate([train, test])), chips.indices())
    with pytest.raises(InputError, match="has no chips for val"):
        chips.indices("val")


HOSTILE = st.one_of(
    st.sampled_from(
        ["..", "../x", "a/b", "/etc", "con", "a\0b", "", "A", "x" * 65, "-a", "a.", "ä"]
    ),
    st.text(max_size=20),
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(HOSTILE)
def test_row_4_names_never_leave_the_folder(tmp_path, name):
    """Row 4."""
    sets = ChipSets(tmp_path / "space")
    for call in (sets.info, sets.open, sets.delete, sets.verify):
        with pytest.raises(InputError):
            call(name)
    assert not any(tmp_path.iterdir())


def test_row_4_a_linked_set_is_not_followed_out_of_the_workspace(tmp_path):
    """Row 4."""
    cut(tmp_path / "other", name="secret")
    (tmp_path / "space" / "chips").mkdir(parents=True)
    (tmp_path / "space" / "chips" / "secret").symlink_to(tmp_path / "other" / "chips" / "secret")
    with pytest.raises(InputError, match="not inside"):
        ChipSets(tmp_path / "space").open("secret")


def change(tmp_path, **fields):
    path = tmp_path / "chips" / "set" / "set.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, **fields}))


@pytest.mark.parametrize(
    "fields",
    [
        {"pixels": "../../secret.npz"},
        {"table": ""},
        {"sizes": [16, 8, 4]},
        {"sizes": []},
        {"count": 0},
        {"channels": [{"name": "x", "kind": "image", "evil": 1}]},
        {"channels": 5},
        {"side_m": "wide"},
        {"dtype": "object"},
        {"splits": {"train": 1}},
        {"version": 99},
        {"kind": "other"},
        {"notes": [1]},
    ],
    ids=lambda fields: next(iter(fields)) + str(next(iter(fields.values())))[:12],
)
def test_a_damaged_description_is_named_and_the_other_sets_work(tmp_path, fields):
    cut(tmp_path)
    cut(tmp_path, name="other")
    change(tmp_path, **fields)
    sets = ChipSets(tmp_path)
    with pytest.raises(StoreError):
        sets.open("set")
    assert [info.id for info in sets.sets()] == ["other"]
    assert list(sets.broken()) == ["set"]


def test_a_description_of_other_pixels_is_refused(tmp_path):
    cut(tmp_path)
    change(tmp_path, count=39, splits={"train": 39})
    with pytest.raises(StoreError, match="not those that its description names"):
        ChipSets(tmp_path).open("set")


def test_a_set_is_replaced_only_when_asked_and_readers_keep_the_old_one(tmp_path):
    old = cut(tmp_path, seed=1)
    before = old.read(np.arange(40))
    with pytest.raises(InputError, match="There is a chip set 'set' already"):
        cut(tmp_path, seed=2)
    from core.chips.cut import cut_set
    from core.chips.options import CutOptions
    from core.workspace import Workspace
    from tests.core.chip_sources import drawn_material

    options = CutOptions(size_px=16, count=30, seed=2)
    material = drawn_material(Drawn(200, 240))
    cut_set(Workspace(tmp_path), "set", material, options, is_replaced=True)
    assert_array_equal(old.read(np.arange(40)), before)
    assert len(ChipSets(tmp_path).open("set")) == 30
    names = {path.name for path in (tmp_path / "chips" / "set").iterdir()}
    assert len(names) == 3


def test_a_deleted_set_is_gone_and_nothing_else(tmp_path):
    cut(tmp_path)
    cut(tmp_path, name="other")
    ChipSets(tmp_path).delete("set")
    assert ChipSets(tmp_path).ids() == ["other"]
    assert not list((tmp_path / ".scratch").iterdir())
    with pytest.raises(InputError, match="There are: other"):
        ChipSets(tmp_path).info("set")


def test_row_18_one_writer_at_a_time(tmp_path, monkeypatch):
    """Row 18."""
    import filelock

    from core.chips import sets as module

    monkeypatch.setattr(module, "_LOCK_SECONDS", 0.1)
    cut(tmp_path, name="other")
    (tmp_path / "locks").mkdir(exist_ok=True)
    with (
        filelock.FileLock(tmp_path / "locks" / "chips-set.lock"),
        pytest.raises(BusyError, match="being changed by somebody else"),
    ):
        cut(tmp_path)
    assert ChipSets(tmp_path).ids() == ["other"]


_CUT_AGAIN = """
import sys
from pathlib import Path
from core.chips.cut import cut_set
from core.chips.options import CutOptions
from core.workspace import Workspace
from tests.core.chip_sources import Drawn, drawn_material
material = drawn_material(Drawn(200, 240))
print("ready", flush=True)
for seed in range(2, 1000):
    options = CutOptions(size_px=16, count=200, seed=seed)
    cut_set(Workspace(Path(sys.argv[1])), "set", material, options, is_replaced=True)
"""


def test_row_18_a_kill_at_any_moment_leaves_a_whole_set(tmp_path):
    """Row 18: a set that is replaced over and over, its process killed at random moments."""
    cut(tmp_path, seed=1)
    rng = np.random.default_rng(3)
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", _CUT_AGAIN, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(float(rng.uniform(0.0, 0.25)))
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        chips = ChipSets(tmp_path).open("set")
        ChipSets(tmp_path).verify("set")
        assert len(chips.table) == len(chips) > 0


def test_row_20_a_full_disk_leaves_the_old_set(tmp_path, monkeypatch):
    """Row 20: refused before the start where the estimate says so."""
    cut(tmp_path)
    usage = store.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(TooLargeError, match=r"needs about .* GB, but"):
        cut(tmp_path, name="second")
    with pytest.raises(TooLargeError, match="needs about"):
        cut(tmp_path, name="second", grid=True, count=None)
    assert ChipSets(tmp_path).ids() == ["set"]


_NO_ROOM = """
import resource, sys
from pathlib import Path
from core.errors import TooLargeError
from tests.core.chip_sources import Drawn, cut
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    cut(Path(sys.argv[1]), name="second")
except TooLargeError as err:
    print("told:", err)
"""


@pytest.mark.skipif(os.name != "posix", reason="RLIMIT_FSIZE")
def test_row_20_a_disk_that_fills_up_while_chips_are_cut_is_told(tmp_path):
    """Row 20: RLIMIT_FSIZE stands for a full disk."""
    cut(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _NO_ROOM, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "told:" in done.stdout
    ChipSets(tmp_path).verify("set")
    assert ChipSets(tmp_path).ids() == ["set"]
    assert not list((tmp_path / ".scratch").iterdir())


def test_a_stop_changes_nothing_and_comes_within_a_second(tmp_path):
    from core.chips.cut import cut_set
    from core.chips.options import CutOptions
    from core.errors import StoppedError
    from core.workspace import Workspace
    from tests.core.chip_sources import drawn_material

    class Slow(Drawn):
        def read(self, window):
            time.sleep(0.02)
            return super().read(window)

    material = drawn_material(Slow(2000, 2000))
    asked = threading.Event()
    threading.Timer(0.3, asked.set).start()
    begun = time.perf_counter()
    with pytest.raises(StoppedError):
        cut_set(
            Workspace(tmp_path), "set", material,
            CutOptions(size_px=16, count=5000), should_stop=asked.is_set,
        )  # fmt: skip
    assert time.perf_counter() - begun < 0.3 + 1.0 + 0.7  # the machine may be busy
    assert ChipSets(tmp_path).ids() == [] and not list((tmp_path / ".scratch").iterdir())


def test_every_refusal_here_is_an_error_of_ours(tmp_path):
    with pytest.raises(AppError):
        ChipSets(tmp_path).open("nothing")
