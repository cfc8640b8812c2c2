import pytest

from core.errors import InputError
from models.old_runs import old_style_run, read_style_log

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
