import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from core import png
from core.errors import InputError
from models import catalogue, checkpoint, estimate, runs
from models.__main__ import main
from models.foreign_style import mean_style
from models.style_presets import preset
from models.stylegan import StyleGenerator, style_networks
from models.worker import work
from tests.models.small import chips
from tests.models.style import TINY, lively, style_run
from tests.models.test_models_cli import refused, said


def run_of(tmp_path, workspace, **given):
    folder = runs.create(workspace / "runs", style_run(tmp_path, **given))
    work(folder)
    return folder


def losses(folder):
    return [
        {k: v for k, v in row.items() if k not in {"seconds", "memory_mb"}}
        for row in runs.rows(folder)
        if "critic" in row
    ]


def test_a_run_tells_depth_share_and_size_and_keeps_sheets_of_one_size(tmp_path, workspace):
    folder = run_of(tmp_path, workspace)
    assert runs.run(folder).state == "done"
    rows = runs.rows(folder)
    training = [row for row in rows if "critic" in row]
    assert [row["depth"] for row in training if row.get("ends_epoch")] == [0, 1, 2, 2]
    assert training[-1]["size_px"] == 16
    assert {row["alpha"] for row in training if row["depth"] == 0} == {1.0}
    assert training[-1]["alpha"] == 1.0
    measured = [row for row in rows if "diversity" in row]
    assert [(row["depth"], bool(row["swd"])) for row in measured] == [
        (0, False), (1, False), (2, True), (2, True)
    ]  # fmt: skip
    # 40 chips: 5 batches of 8, then 10 of 4; fits of 1, 1 and 2 epochs.
    plan = runs.plan_of(runs.run(folder))
    assert plan.ends() == [5, 10, 30]
    assert [plan.epochs_at(row["step"]) for row in training if row.get("ends_epoch")] == [
        1,
        2,
        3,
        4,
    ]
    sheets = {_size(path) for path in runs.samples(folder).values()}
    assert len(sheets) == 1  # the same latents at every depth, side by side


def _size(path):
    body = path.read_bytes()
    return int.from_bytes(body[16:20], "big"), int.from_bytes(body[20:24], "big")


@pytest.mark.parametrize("stop_at", [7, 20])
def test_a_run_that_goes_on_from_its_checkpoint_repeats_the_rest(tmp_path, workspace, stop_at):
    """Row 19: figures after a break equal those of the unbroken run."""
    whole = run_of(tmp_path, workspace, checkpoint_every=1)
    part = workspace / "runs" / "20260101t000000000-part"
    shutil.copytree(whole, part)
    for path in (part / "checkpoints").iterdir():
        if int(path.name) > stop_at:
            shutil.rmtree(path)
    (part / "result.json").unlink()
    if not any((part / "checkpoints").iterdir()):
        pytest.skip("no checkpoint so early")
    work(part)
    assert losses(part) == losses(whole)
    ends = [checkpoint.latest(folder / "checkpoints")[0] for folder in (whole, part)]
    for name, value in ends[0].weights.items():
        assert torch.equal(value, ends[1].weights[name]), name


def test_the_newest_checkpoint_joins_the_models_at_hand(tmp_path, workspace):
    folder = run_of(tmp_path, workspace)
    (found,) = [one for one in catalogue.entries(workspace) if one.kind == "run"]
    assert found.id == f"run/{folder.name}/30"
    assert (found.depth, found.networks, found.metres_per_px) == (2, TINY, None)
    assert catalogue.entry(workspace, f"run/{folder.name}") == found
    assert catalogue.steps_of(workspace, folder.name)[-1] == 30
    with pytest.raises(InputError, match="no such checkpoint"):
        catalogue.entry(workspace, f"run/{folder.name}/7")


def test_a_model_that_is_handed_on_makes_the_runs_pictures(
    capsys, tmp_path, workspace, monkeypatch
):
    folder = run_of(tmp_path, workspace)
    place = tmp_path / "shipped"
    argv = ["export", folder.name, "--title", "Squares", "--licence", "CC0-1.0"]
    card = said(capsys, *argv, "--out", str(place / "squares"))["card"]
    assert (card["steps"], card["depth"], card["figures"]["diversity"] > 0) == (30, 2, True)
    assert "exists already" in refused(capsys, *argv, "--out", str(place / "squares"))
    monkeypatch.setattr(catalogue, "SHIPPED", place)
    found = catalogue.entry(workspace, "shipped/squares")
    assert (found.title, found.kind, found.card["licence"]) == ("Squares", "shipped", "CC0-1.0")
    for number, name in enumerate((f"run/{folder.name}", "shipped/squares")):
        said(capsys, "sample", name, "--seeds", "1,2", "--out", str(tmp_path / "a.png"),
             "--raw", str(tmp_path / f"{number}.npy"))  # fmt: skip
    assert (tmp_path / "0.npy").read_bytes() == (tmp_path / "1.npy").read_bytes()


def test_an_imported_generator_joins_them_and_a_discriminator_does_not(tmp_path, workspace):
    generator, critic = lively(TINY)
    torch.save(generator.state_dict(), tmp_path / "GAN_GEN_1_3.pth")
    torch.save(critic.state_dict(), tmp_path / "GAN_DIS_1_3.pth")
    for name in ("GEN", "DIS"):
        out = workspace / "weights" / name.lower()
        assert main(["import", str(tmp_path / f"GAN_{name}_1_3.pth"), "--out", str(out)]) == 0
    (found,) = [one for one in catalogue.entries(workspace) if one.kind == "import"]
    assert (found.id, found.title, found.depth) == ("import/gen", "GAN_GEN_1_3.pth", 1)
    with pytest.raises(InputError, match="holds no StyleGAN generator"):
        catalogue.entry(workspace, "import/dis")


@pytest.mark.parametrize("name", ["", "run/../x", "shipped/..", "import/a b", "run/none", "x/y"])
def test_row_4_names_of_models_stay_inside(workspace, name):
    """Row 4: a hostile name reads nothing."""
    with pytest.raises(InputError):
        catalogue.entry(workspace, name)


def test_every_preset_says_how_large_its_pictures_may_be():
    for name, size in (("small", 32), ("64px", 64), ("document", 1024)):
        networks, _, training = preset(name, size_px=size, channels=3)
        assert len(training.fits) == networks.depths == len(training.batches)
    with pytest.raises(InputError, match="goes up to 32 px"):
        preset("small", size_px=64, channels=3)
    networks, adversary, training = preset("document", size_px=512, channels=3)
    assert training.fits == (40, 80, 80, 80, 80, 160, 160, 160)
    assert training.batches == (128, 128, 128, 64, 32, 16, 8, 4)
    assert (adversary.penalty, adversary.mixing, adversary.psi) == (10.0, 0.9, 0.7)


def test_work_and_weights_are_counted_from_the_layers(tmp_path):
    networks, _, _ = preset("document", size_px=64, channels=3)
    assert estimate.parameters(networks) == (25_137_935, 22_498_049)
    config = style_run(tmp_path)
    speed = estimate.Speed("x", "cpu", "stylegan", 1e9, 0.5)
    found = estimate.estimate(config, 40, speed)
    assert found.steps == 30
    assert found.seconds > 30 * 0 + 4 * 0.5


# The command line


@pytest.fixture
def pictures(tmp_path):
    np.save(tmp_path / "set.npy", chips(20, size=16))
    return str(tmp_path / "set.npy")


def test_a_stylegan_trains_from_the_command_line_and_says_what_it_corrected(
    capsys, pictures, tmp_path
):
    body = said(
        capsys, "train", "--model", "stylegan", "--data", pictures, "--out", "first",
        "--epochs", "1,1,1", "--batch", "9,6,4", "--precision", "float32",
        "--set", "networks.widths=[8,8,4]", "--set", "networks.critic_widths=[8,8,4]",
        "--set", "networks.critic_head=[8,8]", "--set", "adversary.turns=true",
    )  # fmt: skip
    (run,) = body["runs"]
    assert (run["state"], run["model"], run["preset"]) == ("done", "stylegan", "small")
    assert run["step"] == 20 // 8 + 20 // 4 + 20 // 4
    assert len(body["warnings"]) == 3
    assert "batches of 8 pictures, not 9" in body["warnings"][0]
    assert "shadows" in body["warnings"][2]
    out = tmp_path / "out.png"
    sampled = said(capsys, "sample", run["folder"], "--seeds", "0-3", "--out", str(out))
    assert sampled["settings"]["look"]["depth"] == 2


def test_larger_chips_are_brought_to_the_size_that_is_named(capsys, tmp_path):
    np.save(tmp_path / "large.npy", chips(12, size=64))
    train = ["train", "--model", "stylegan", "--data", str(tmp_path / "large.npy"), "--out", "a"]
    assert "go up to 32" in refused(capsys, *train)
    body = said(
        capsys, *train, "--size", "8", "--epochs", "1,1", "--batch", "4", "--precision", "float32"
    )
    assert body["runs"][0]["state"] == "done"


@pytest.fixture
def file(tmp_path):
    generator, _ = lively(TINY)
    torch.save(generator.state_dict(), tmp_path / "GAN_GEN_2_5.pth")
    return str(tmp_path / "GAN_GEN_2_5.pth")


def test_pictures_of_a_file_are_repeated_to_the_byte(capsys, file, tmp_path):
    bodies = []
    for number in (1, 2):
        out, raw = tmp_path / f"{number}.png", tmp_path / f"{number}.npy"
        body = said(capsys, "sample", file, "--seeds", "0-2,7", "--psi", "0.7", "--out", str(out),
                    "--raw", str(raw), "--noise-seed", "4")  # fmt: skip
        assert body["kind"] == "model-sample"
        assert body["outputs"] == [str(out), str(raw)]
        bodies.append(out.read_bytes() + raw.read_bytes())
        assert np.load(raw).shape == (4, 1, 16, 16)
    assert bodies[0] == bodies[1]
    told = json.loads(png.texts((tmp_path / "1.png").read_bytes())["urban-pattern"])
    assert told["seeds"] == [0, 1, 2, 7]
    assert told["look"]["noise_seed"] == 4
    assert len(told["model"]) == 64


def test_latents_and_noise_of_ones_own_give_the_plain_pictures(capsys, file, tmp_path):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((3, 8)).astype(np.float32)
    noise = [rng.standard_normal((1, 1, 4 << at // 2, 4 << at // 2)).astype(np.float32)
             for at in range(6)]  # fmt: skip
    np.save(tmp_path / "z.npy", z)
    np.savez(tmp_path / "noise.npz", **{str(at): one for at, one in enumerate(noise)})
    generator = StyleGenerator(TINY)
    generator.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        plain = generator(torch.from_numpy(z), [torch.from_numpy(one) for one in noise], depth=1,
                          alpha=0.5).numpy()  # fmt: skip
    for way in ("exact", "plain"):
        said(capsys, "sample", file, "--latents", str(tmp_path / "z.npy"), "--noise",
             str(tmp_path / "noise.npz"), "--depth", "1", "--alpha", "0.5", "--way", way,
             "--out", str(tmp_path / "a.png"), "--raw", str(tmp_path / "a.npy"))  # fmt: skip
        made = np.load(tmp_path / "a.npy")
        assert np.abs(made - plain).max() < 1e-5 * np.abs(plain).max()


def test_truncation_and_mixing_figures_of_a_file(capsys, file, tmp_path):
    out, raw = str(tmp_path / "t.png"), tmp_path / "t.npy"
    body = said(capsys, "truncation", file, "--seeds", "91,388", "--psis", "-1:1:0.2", "--out", out,
                "--raw", str(raw))  # fmt: skip
    assert body["settings"]["psis"] == [-1, -0.8, -0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6, 0.8, 1]
    assert np.load(raw).shape == (22, 1, 16, 16)
    assert _size(Path(out)) == (11 * 16, 2 * 16)
    body = said(
        capsys, "mixing", file, "--src", "730,904", "--dst", "387,190", "--src-psi", "-0.5",
        "--dst-psi", "0.7", "--layers", "0-2,3-5", "--out", out, "--raw", str(raw),
    )  # fmt: skip
    assert body["settings"]["layers"] == [[0, 1, 2], [3, 4, 5]]
    assert np.load(raw).shape == (4, 1, 16, 16)
    assert _size(Path(out)) == (48, 48)
    tuples = said(capsys, "mixing", file, "--src", "730", "--dst", "387", "--layers", "0-5",
                  "--reading", "tuples", "--out", out)  # fmt: skip
    assert tuples["settings"]["layers"] == [[0, 5]]


def test_scores_of_the_command_line_are_the_discriminators(capsys, tmp_path):
    _, critic = lively(TINY)
    torch.save(critic.state_dict(), tmp_path / "GAN_DIS_2_1.pth")
    pictures = chips(8, size=8)
    np.save(tmp_path / "pictures.npy", pictures)
    said(
        capsys, "score", str(tmp_path / "GAN_DIS_2_1.pth"), "--alpha", "0.5",
        "--images", str(tmp_path / "pictures.npy"), "--out", str(tmp_path / "s.npy"),
    )  # fmt: skip
    with torch.no_grad():
        shown = torch.from_numpy(pictures).float() / 127.5 - 1
        expected = critic(shown, depth=1, alpha=0.5).flatten().numpy()
    assert np.allclose(np.load(tmp_path / "s.npy"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["sample", "--seeds", "3-1"], "no list of seeds"),
        (["sample", "--seeds", "a"], "no list of seeds"),
        (["sample", "--seeds", "0-5000"], "no list of seeds"),
        (["sample", "--seeds", "0-1500"], "at most 1,024 pictures"),
        (["sample", "--seeds", "1", "--depth", "5"], "depths 0 to 2"),
        (["sample", "--seeds", "1", "--psi", "50"], "psi lies in"),
        (["sample", "--seeds", "1", "--noise", "none.npz"], "no NPZ file of noise"),
        (["sample", "--latents", "none.npy"], "no file of latents"),
        (["truncation", "--seeds", "1", "--psis", "0:1:0"], "no values of psi"),
        (["truncation", "--seeds", "1", "--psis", "0:1e9:1e-9"], "no values of psi"),
        (["mixing", "--src", "1", "--dst", "2", "--layers", "0-9"], "there is no 6, 7, 8, 9"),
        (["mixing", "--src", "1", "--dst", "2", "--layers", "x"], "are no layers"),
    ],
)
def test_mistakes_in_asking_for_pictures_are_one_sentence(capsys, file, tmp_path, more, match):
    command, *rest = more
    told = refused(capsys, command, file, *rest, "--out", str(tmp_path / "x.png"))
    assert match in told
    assert not (tmp_path / "x.png").exists()


def test_a_model_that_is_not_there_is_told(capsys, tmp_path):
    assert "no model" in refused(
        capsys, "sample", "shipped/none", "--seeds", "1", "--out", str(tmp_path / "x.png")
    )


def test_a_run_begins_with_an_imported_generator(capsys, pictures, file, tmp_path):
    assert main(["import", file, "--out", str(tmp_path / "begun")]) == 0
    capsys.readouterr()
    run = said(
        capsys, "train", "--model", "stylegan", "--data", pictures, "--out", "on", "--epochs", "1",
        "--batch", "4", "--start-from", str(tmp_path / "begun"), "--precision", "float32",
        "--lr", "1e-9", "--set", "adversary.structure=fixed",
    )["runs"][0]  # fmt: skip
    last = checkpoint.latest(Path(run["folder"]) / "checkpoints")[0]
    before = torch.load(file, weights_only=True)["g_synthesis.blocks.1.conv1.weight"]
    assert (last.weights["average.g_synthesis.blocks.1.conv1.weight"] - before).abs().max() < 1e-4
    assert last.facts["depth"] == 2


def test_the_mean_style_is_the_same_for_a_seed():
    generator, _ = style_networks(TINY, seed=0)
    assert torch.equal(mean_style(generator, num=1500), mean_style(generator, num=1500))
