import os
import resource
import signal

import pytest
import torch

from core.errors import StoreError, TooLargeError
from models import checkpoint
from models.checkpoint import latest, place, prune, read_checkpoint, steps, write_checkpoint

WEIGHTS = {"generator.0.weight": torch.arange(6.0).reshape(2, 3), "critic.n": torch.tensor(7)}
STATE = {"draws": torch.arange(4, dtype=torch.uint8)}


def write(root, step, value=0.0):
    weights = {**WEIGHTS, "generator.0.weight": WEIGHTS["generator.0.weight"] + value}
    write_checkpoint(place(root, step), {"step": step}, weights, STATE)


def test_what_was_written_is_read(tmp_path):
    write(tmp_path, 12)
    found = read_checkpoint(place(tmp_path, 12))
    assert (found.step, found.facts["step"]) == (12, 12)
    assert all(torch.equal(found.weights[k], v) for k, v in WEIGHTS.items())
    assert found.state["draws"].dtype == torch.uint8
    assert read_checkpoint(place(tmp_path, 12), with_state=False).state == {}


def test_tensors_in_any_layout_are_kept(tmp_path):
    kernel = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    write_checkpoint(place(tmp_path, 1), {"step": 1}, {"k": kernel}, {})
    assert torch.equal(read_checkpoint(place(tmp_path, 1)).weights["k"], kernel)


@pytest.mark.parametrize("name", ["weights.safetensors", "state.safetensors"])
def test_a_changed_byte_is_noticed_and_the_checkpoint_before_it_is_used(tmp_path, name):
    write(tmp_path, 1)
    write(tmp_path, 2)
    path = place(tmp_path, 2) / name
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(bytes(body))
    with pytest.raises(StoreError, match="bytes have changed"):
        read_checkpoint(place(tmp_path, 2))
    found, refused = latest(tmp_path)
    assert found.step == 1
    assert len(refused) == 1


@pytest.mark.parametrize("left", [0, 10, 50])
def test_a_cut_file_is_noticed(tmp_path, left):
    write(tmp_path, 1)
    path = place(tmp_path, 1) / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(StoreError):
        read_checkpoint(place(tmp_path, 1))
    assert latest(tmp_path)[0] is None


def test_a_damaged_checkpoint_is_replaced_when_the_run_comes_by_again(tmp_path):
    write(tmp_path, 1)
    (place(tmp_path, 1) / "weights.safetensors").write_bytes(b"")
    write(tmp_path, 1, value=5)
    assert float(read_checkpoint(place(tmp_path, 1)).weights["generator.0.weight"][0, 0]) == 5


def test_the_newest_two_and_the_named_ones_stay(tmp_path):
    for step in range(1, 8):
        write(tmp_path, step)
    (tmp_path / ".tmp-left-behind").mkdir()
    prune(tmp_path, keep={2, 4})
    assert steps(tmp_path) == [2, 4, 6, 7]
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_full_disk_leaves_the_old_checkpoint_and_no_rest(tmp_path):
    """Row 20: the write is refused in a sentence; what was there is still whole."""
    write(tmp_path, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
        with pytest.raises(TooLargeError, match="no room to write 00000002"):
            write(tmp_path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert latest(tmp_path)[0].step == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000001"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        write(tmp_path, 1)


def test_a_read_only_place_is_told_even_to_root(tmp_path, monkeypatch):
    def refuses(*_given, **_how):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(checkpoint.store, "write_json", refuses)
    with pytest.raises(StoreError, match="Read-only file system"):
        write(tmp_path, 1)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_a_later_version_is_refused(tmp_path):
    write(tmp_path, 1)
    path = place(tmp_path, 1) / "checkpoint.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(StoreError, match="Update the program"):
        read_checkpoint(place(tmp_path, 1))


def test_no_pickle_is_written(tmp_path):
    write(tmp_path, 1)
    assert {path.suffix for path in place(tmp_path, 1).iterdir()} == {".safetensors", ".json"}
