"""Files of numbers from outside: their headers are believed before anything is unpacked."""

import json
import os
import zipfile

import numpy as np
import pytest

from core.errors import InputError, RefusedFileError
from models import exports, latents
from models.progressive import size_of_depth
from tests.models.small import bounded_work
from tests.models.style import TINY


def header(path, descr, shape):
    with path.open("wb") as file:
        about = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, about)
    return path


@pytest.mark.parametrize(
    ("descr", "shape", "match"),
    [
        ("<f4", (10**12, 8), "1,000,000,000,000 latents; 1 to 1,024"),
        ("<f4", (1025, 8), "1,025 latents"),
        ("<f4", (0, 8), "holds 0 latents"),
        ("<f4", (-4, 8), "latents; 1 to"),
        ("<f4", (4, 10**12), r"takes \(n, 8\)"),
        ("<i8", (4, 8), r"takes \(n, 8\)"),
    ],
)
def test_row_25_a_file_that_says_to_be_enormous_is_refused_by_its_header(
    tmp_path, descr, shape, match
):
    """Row 25: nothing is read for it."""
    path = header(tmp_path / "z.npy", descr, shape)
    with bounded_work(), pytest.raises(InputError, match=match):
        latents.read_latents(path, 8)


def test_row_25_latents_that_unpack_to_much_more_are_refused_before(tmp_path):
    """Row 25: 100 KB that hold 30 MB."""
    about = np.array(json.dumps({"kind": latents.KIND, "version": 1, "settings": {}}))
    np.savez_compressed(tmp_path / "z.npz", about=about, latents=np.zeros((1 << 20, 8), "f4"))
    assert (tmp_path / "z.npz").stat().st_size < 200_000
    with bounded_work(), pytest.raises(InputError, match="1,048,576 latents"):
        latents.read_latents(tmp_path / "z.npz", 8)


@pytest.mark.parametrize(
    "about",
    [
        "[" * 200_000, "[]", "{}", "boom", "x" * (1 << 20), 5,
        json.dumps({"kind": latents.KIND, "version": 1e999, "settings": {}}),
        json.dumps({"kind": latents.KIND, "version": 1, "settings": [1]}),
    ],
)  # fmt: skip
def test_latents_with_hostile_settings_are_refused(tmp_path, about):
    np.savez_compressed(tmp_path / "z.npz", about=np.array(about), latents=np.zeros((1, 8), "f4"))
    with pytest.raises(RefusedFileError, match="no file of latents"):
        latents.read_latents(tmp_path / "z.npz", 8)


def test_files_that_are_cut_or_hold_objects_are_refused(tmp_path):
    path = tmp_path / "z.npz"
    latents.write_latents(path, np.random.default_rng(0).normal(size=(64, 8)).astype("f4"), {})
    whole = path.read_bytes()
    for body in (whole[:-40], whole[:200], b"", b"PK\x03\x04", whole[:900] + b"\xff" + whole[901:]):
        path.write_bytes(body)
        with pytest.raises(RefusedFileError, match="no file of latents"):
            latents.read_latents(path, 8)
    np.savez(path, about=np.array({"a": 1}, dtype=object), latents=np.zeros((1, 8), "f4"))
    with pytest.raises(RefusedFileError):
        latents.read_latents(path, 8)


def test_latents_beyond_float32_are_refused(tmp_path):
    np.save(tmp_path / "z.npy", np.full((1, 8), 1e300))
    with pytest.raises(InputError, match="no numbers"):
        latents.read_latents(tmp_path / "z.npy", 8)


def test_noise_is_read_by_its_layers_and_refused_by_their_headers(tmp_path):
    rng = np.random.default_rng(0)
    given = {str(at): rng.normal(size=(1, 1, *[size_of_depth(at // 2)] * 2)) for at in range(6)}
    np.savez(tmp_path / "n.npz", **given)
    found = exports.read_noises(tmp_path / "n.npz", TINY)
    assert [one.shape[-1] for one in found] == [4, 4, 8, 8, 16, 16]
    assert np.array_equal(found[5].numpy(), given["5"].astype(np.float32))
    for wrong in ({}, {"5": np.zeros((1, 1, 4000, 4000))}, {"5": np.full((1, 1, 16, 16), "a")}):
        np.savez_compressed(tmp_path / "n.npz", **{k: v for k, v in given.items() if k != "5"},
                            **wrong)  # fmt: skip
        with bounded_work(), pytest.raises(InputError, match="lacks the noise of layer 5"):
            exports.read_noises(tmp_path / "n.npz", TINY)
    (tmp_path / "n.npz").write_bytes(b"boom")
    with pytest.raises(RefusedFileError, match="no NPZ file of noise"):
        exports.read_noises(tmp_path / "n.npz", TINY)


@pytest.mark.parametrize("about", ["[" * 200_000, '{"version": 1e999}', "5", "[]"])
def test_a_png_with_hostile_settings_is_refused(tmp_path, about):
    from core import png

    path = tmp_path / "a.png"
    path.write_bytes(png.truecolour(np.zeros((4, 4), np.uint8), {exports.KEYWORD: about}))
    with pytest.raises(RefusedFileError, match="does not say"):
        exports.settings_in(path)


def test_of_a_large_png_the_settings_alone_are_read(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (2000, 2000, 3), dtype=np.uint8)
    exports.write_png(tmp_path / "a.png", image, {"command": "sample"})
    assert (tmp_path / "a.png").stat().st_size > 8 << 20
    with bounded_work():
        assert exports.settings_in(tmp_path / "a.png") == {"command": "sample"}


def test_row_25_so_many_kept_latents_stay_and_no_more(tmp_path, monkeypatch):
    """Row 25: the oldest goes first; what is opened again counts as new."""
    monkeypatch.setattr(latents, "_MOST_KEPT", 2)
    ids = []
    for number, seed in enumerate((1, 2, 1, 3)):
        np.save(tmp_path / "z.npy", latents.of_seeds([seed], 8))
        ids.append(latents.keep_latents(tmp_path, tmp_path / "z.npy", 8))
        os.utime(tmp_path / "latents" / f"{ids[-1]}.npz", (number, number))
    kept = {path.stem for path in (tmp_path / "latents").iterdir()}
    assert kept == {ids[0], ids[3]}


def test_a_zip_of_another_kind_is_no_file_of_latents(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(RefusedFileError, match="no file of latents"):
        latents.read_latents(tmp_path / "z.npz", 8)
