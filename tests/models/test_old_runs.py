import pytest

from core.errors import InputError
from models import history
from models.old_runs import by_depth, old_style_run, read_style_log, style_folders

LOG = """2021-12-18 10:00:00 INFO Currently working on depth: 1
2021-12-18 10:00:00 INFO Current resolution: 4 x 4
2021-12-18 10:00:01 INFO Epoch: [1]
2021-12-18 10:00:02 INFO Elapsed: [0:00:01] Step: 1  Batch: 1  D_Loss: 714.250000  G_Loss: 0.693147
Elapsed: [0:01:07.123]  Step: 6  Batch: 6  D_Loss: 1.386  G_Loss: nan
2021-12-18 11:00:00 INFO Currently working on depth: 3
2021-12-18 11:00:01 INFO Epoch: [12]
Elapsed: [1 day, 2:03:04] Step: 900  Batch: 8  D_Loss: 1e-3  G_Loss: -2.5
"""


def test_lines_of_an_old_log_are_rows_with_the_true_depth():
    assert read_style_log(LOG) == [
        {"step": 1, "batch": 1, "depth": 0, "epoch": 0, "seconds": 1, "critic": 714.25,
         "generator": 0.693147},
        {"step": 6, "batch": 6, "depth": 0, "epoch": 0, "seconds": 67, "critic": 1.386},
        {"step": 900, "batch": 8, "depth": 2, "epoch": 11, "seconds": 93_784, "critic": 0.001,
         "generator": -2.5},
    ]  # fmt: skip


def test_a_text_without_such_lines_is_refused():
    with pytest.raises(InputError, match="no line of a StyleGAN"):
        read_style_log("0\t1.0\t2.0\t3.0\t00:17\n")


@pytest.mark.parametrize("digits", ["9" * 5000, "1e999"])
def test_numbers_that_no_log_holds_are_left_out(digits):
    """Python refuses to read 5,000 digits as one whole number."""
    line = "Elapsed: [0:00:01] Step: {step} Batch: 1 D_Loss: {loss} G_Loss: 1.5"
    hostile = line.format(step=digits, loss=digits)
    (row,) = read_style_log(f"Epoch: {digits}\nworking on depth: 0\n{hostile}\n" + LOG)[:1]
    assert row["step"] == 1
    (row,) = read_style_log(line.format(step=2, loss="1e999"))
    assert "critic" not in row


def test_a_pasted_log_is_kept_as_one(tmp_path):
    found = history.old_run(tmp_path, history.keep(tmp_path, "MapGAN", LOG))
    assert found.is_style
    assert list(found.rows) == read_style_log(LOG)
    table = history.keep(tmp_path, "NAIP", "0\t-0.01\t0.02\t-0.03\t00:17\n")
    assert not history.old_run(tmp_path, table).is_style


def test_folders_of_runs_are_found_below_the_data_folder(tmp_path):
    for name in ("a/samples/gen_0_1_1.png", "b/deep/models/GAN_GEN_0_4.pth", "c/gen_1_1_1.png",
                 ".hidden/gen_1_1_1.png", "d/photo.png"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    assert style_folders(tmp_path) == ["a", "b/deep", "c"]


def test_sheets_stand_by_depth_and_quarter(tmp_path):
    """Depth 0 has two epochs of two sheets, depth 1 four of one, the third of which is gone."""
    names = [
        "gen_0_1_1",
        "gen_0_1_9",
        "gen_0_2_1",
        "gen_0_2_9",
        *(f"gen_1_{at}_1" for at in (1, 2, 4)),
    ]
    for name in names:
        (tmp_path / f"{name}.png").write_bytes(b"x")
    found = by_depth(old_style_run(tmp_path).samples)
    assert {
        depth: [one and one.path.stem for one in row] for depth, row in found.items()
    } == {
        0: [None, "gen_0_1_9", None, "gen_0_2_9"],
        1: ["gen_1_1_1", "gen_1_2_1", None, "gen_1_4_1"],
    }  # fmt: skip


def test_a_folder_is_read_in_order_of_depth_and_epoch(tmp_path):
    for name in ("samples/gen_2_10_4.png", "samples/gen_2_9_11.png", "samples/gen_0_1_1.png",
                 "models/GAN_GEN_SHADOW_2_10.pth", "models/GAN_GEN_0_4.pth",
                 "models/GAN_DIS_OPTIM_2_10.pth", "models/other.pth"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "run.log").write_text(LOG)
    found = old_style_run(tmp_path)
    assert [(one.depth, one.epoch, one.batch) for one in found.samples] == [
        (0, 1, 1), (2, 9, 11), (2, 10, 4)
    ]  # fmt: skip
    assert [(one.part, one.depth) for one in found.weights] == [("GEN", 0), ("GEN_SHADOW", 2)]
    assert len(found.rows) == 3


def test_row_4_links_out_of_the_folder_are_passed_over(tmp_path):
    """Row 4: what a link leads to elsewhere is not taken for the run's own."""
    inside, outside = tmp_path / "run", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "gen_0_1_1.png").write_bytes(b"x")
    (inside / "gen_1_1_1.png").write_bytes(b"x")
    (inside / "gen_0_1_1.png").symlink_to(outside / "gen_0_1_1.png")
    assert [one.depth for one in old_style_run(inside).samples] == [1]


def test_a_folder_without_any_of_it_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no samples"):
        old_style_run(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        old_style_run(tmp_path / "none")
