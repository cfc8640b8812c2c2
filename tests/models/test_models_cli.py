import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from models import checkpoint
from models.__main__ import main
from models.wgan import networks
from tests.models.small import NETWORKS, chips

QUICK = ["--preset", "quick", "--epochs", "1", "--batch", "8", "--precision", "float32"]


@pytest.fixture
def pictures(tmp_path):
    np.save(tmp_path / "set.npy", chips(20))
    return str(tmp_path / "set.npy")


def said(capsys, *argv):
    """Run a command that must work and return its JSON."""
    assert main([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *argv):
    """Run a command that must be refused and return its one sentence."""
    assert main(list(argv)) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("model", ["dcgan", "wgan", "wgan-gp"])
def test_every_model_trains_from_the_command_line(capsys, pictures, model):
    body = said(capsys, "train", "--model", model, "--data", pictures, "--out", "first", *QUICK)
    (run,) = body["runs"]
    assert (body["kind"], run["state"], run["step"], run["model"]) == ("run", "done", 2, model)
    assert body["versions"]["torch"] == version("torch")  # without what it was built for
    assert (Path(run["folder"]) / "result.json").exists()


def test_a_run_is_listed_and_made_longer_by_its_name(capsys, pictures, workspace):
    first = said(capsys, "train", "--model", "dcgan", "--data", pictures, "--out", "a b", *QUICK)
    name = first["runs"][0]["id"]
    assert name.endswith("-a-b")
    assert [run["id"] for run in said(capsys, "runs")["runs"]] == [name]
    assert "is finished" in refused(capsys, "resume", name)
    longer = said(capsys, "resume", name, "--more-epochs", "2")
    assert (longer["runs"][0]["state"], longer["runs"][0]["step"]) == ("done", 6)
    assert main(["runs"]) == 0
    assert name in capsys.readouterr().out


def test_a_path_is_taken_as_the_folder(capsys, pictures, tmp_path):
    out = str(tmp_path / "elsewhere" / "run")
    said(capsys, "train", "--model", "dcgan", "--data", pictures, "--out", out, *QUICK)
    assert (tmp_path / "elsewhere/run/result.json").exists()
    assert said(capsys, "resume", out, "--more-epochs", "1")["runs"][0]["step"] == 4
    assert "exists already" in refused(
        capsys, "train", "--model", "dcgan", "--data", pictures, "--out", out, *QUICK
    )


def test_changed_settings_are_told_and_asked_about(capsys, pictures):
    body = said(capsys, "train", "--model", "dcgan", "--data", pictures, "--out", "a", *QUICK)
    name = body["runs"][0]["id"]
    told = refused(capsys, "resume", name, "--more-epochs", "1", "--lr", "0.5")
    assert "training.lr: 0.0004 -> 0.5" in told
    assert "--yes" in told
    wrong = ("--more-epochs", "1", "--device", "cuda:7", "--yes")
    assert "no GPU cuda:7" in refused(capsys, "resume", name, *wrong)
    assert said(capsys, "runs")["runs"][0]["state"] == "done"
    done = said(capsys, "resume", name, "--more-epochs", "1", "--lr", "0.5", "--yes")
    assert done["runs"][0]["step"] == 4
    config = json.loads((Path(done["runs"][0]["folder"]) / "config.json").read_text())
    assert config["sessions"][1]["changes"][0]["name"] == "training.lr"


def test_any_setting_can_be_given(capsys, pictures):
    body = said(
        capsys, "train", "--model", "wgan", "--data", pictures, "--out", "a", *QUICK, "--exact",
        "--set", "adversary.critic_steps=1", "--set", "networks.latent=3",
        "--set", "training.flips=true", "--set", "adversary.clip=null",
    )  # fmt: skip
    saved = json.loads((Path(body["runs"][0]["folder"]) / "config.json").read_text())["config"]
    assert saved["exact"] is True
    assert (saved["adversary"]["critic_steps"], saved["networks"]["latent"]) == (1, 3)
    assert (saved["training"]["flips"], saved["adversary"]["clip"]) == (True, None)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--set", "networks.depth=3"], "no setting 'networks.depth'"),
        (
            ["--set", "networks.latent=many"],
            "'many' is no value for networks.latent, which is now 64",
        ),
        (["--set", "adversary.clip=word"], "'word' is no value for adversary.clip"),
        (
            ["--set", "adversary.penalty=1e300"],
            "adversary.penalty: “Gradient penalty” must lie in 0 to 10,000, not 1e+300.",
        ),
        (["--set", f"adversary.penalty={'9' * 400}"], "is no value for adversary.penalty"),
        (["--set", "training.fits=[1.5]"], "'[1.5]' is no value for training.fits"),
        (["--set", "training.batches=[4.5]"], "'[4.5]' is no value for training.batches"),
        (["--set", 'training.fits=[1,"a"]'], "is no value for training.fits"),
        (["--epochs", "five"], "no list of whole numbers"),
        (["--epochs", "0"], "“Epochs of each fit” must lie in 1 to 1,000,000, not 0"),
        (["--batch", "64"], "20 chips, fewer than one batch of 64"),
        (["--device", "cuda:7"], "no GPU cuda:7"),
        (["--lr", "0"], "“Learning rate” must lie in 1e-10 to 1, not 0.0"),
        (["--size", "64"], "have 32 pixels, the networks 64"),
        (["--start-from", "/nowhere"], "Cannot read checkpoint.json"),
    ],
)
def test_mistakes_are_one_sentence(capsys, pictures, more, match):
    assert match in refused(
        capsys, "train", "--model", "dcgan", "--data", pictures, "--out", "a", *QUICK, *more
    )
    assert said(capsys, "runs")["runs"] == []  # nothing is left of it


def test_a_set_or_a_run_that_is_not_there_is_told(capsys, tmp_path):
    train = ["train", "--model", "dcgan", "--out", "a"]
    assert "no set of chips" in refused(capsys, *train, "--data", str(tmp_path / "none.npy"))
    for name in ("nope", "../x", str(tmp_path / "none")):
        assert refused(capsys, "resume", name)


def test_old_weights_are_brought_in_and_begun_with(capsys, pictures, tmp_path):
    generator, critic = networks(NETWORKS, seed=5)
    model = {f"generator.{k}": v for k, v in generator.state_dict().items()} | {
        f"critic.{k}": v for k, v in critic.state_dict().items()
    }
    squares = [
        {"sqr_avg": torch.full_like(p.detach(), 1e6)}
        for network in (generator, critic)
        for p in network.parameters()
    ]
    torch.save({"model": model, "opt": {"state": squares}}, tmp_path / "old.pth")
    out = tmp_path / "imported"
    body = said(capsys, "import", str(tmp_path / "old.pth"), "--out", str(out))
    assert body["what"] == "learner of fastai, with optimiser"
    found = checkpoint.read_checkpoint(out)
    assert torch.equal(found.weights["critic.0.0.weight"], model["critic.0.0.weight"])
    assert found.facts["source"]["name"] == "old.pth"
    assert "exists already" in refused(
        capsys, "import", str(tmp_path / "old.pth"), "--out", str(out)
    )
    run = said(
        capsys, "train", "--model", "wgan", "--data", pictures, "--out", "on", *QUICK,
        "--start-from", str(out), "--lr", "1e-9", "--set", "adversary.clip=null",
    )["runs"][0]  # fmt: skip
    last = checkpoint.latest(Path(run["folder"]) / "checkpoints")[0]
    apart = last.weights["generator.1.0.weight"] - model["generator.1.0.weight"]
    assert float(apart.abs().max()) < 1e-6
    # Its mean squares are taken over: they have faded by 0.99 in each of two steps.
    kept = last.state["generator/1.0.weight/square_avg"]
    assert float(kept.median()) == pytest.approx(1e6 * 0.99**2, rel=1e-4)


def test_in_the_background_the_command_returns_at_once_and_a_stop_is_obeyed(capsys, pictures):
    from tests.models.test_runs import ended, wait_until

    body = said(
        capsys, "train", "--model", "dcgan", "--data", pictures, "--out", "a", *QUICK,
        "--epochs", "100000", "--background",
    )  # fmt: skip
    run = body["runs"][0]
    assert run["state"] in {"queued", "running"}
    folder = Path(run["folder"])
    wait_until(lambda: (folder / "metrics.jsonl").exists())
    said(capsys, "runs", "--stop", run["id"])
    assert ended(folder).state == "stopped"


def test_without_pytorch_the_command_says_what_is_missing(tmp_path):
    blocker = tmp_path / "torch.py"
    blocker.write_text("raise ModuleNotFoundError('No module named torch', name='torch')\n")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "models", "train", "--model", "dcgan", "--data", "digits",
         "--out", "a"],
        cwd=root, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "torch is not installed. Training needs it: make models.\n"


def test_listing_runs_loads_no_pytorch(tmp_path):
    code = "import sys, models.__main__ as m; m.main(['runs']); assert 'torch' not in sys.modules"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True)
