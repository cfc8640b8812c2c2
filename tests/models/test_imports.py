import sys
from types import SimpleNamespace

import pytest
import torch

from core import jobs, store
from core.errors import InputError, JobError, RefusedFileError, TooLargeError
from models import checkpoint, imports
from models.imports import forget, import_weights, imported
from models.stylegan import style_networks
from models.wgan import networks
from tests.models.small import NETWORKS
from tests.models.style import TINY


def upload(root, body, name="learner.pth"):
    place = root / "uploads" / "abc" / name
    place.parent.mkdir(parents=True)
    torch.save(body, place)
    return place


def state_dict():
    generator, critic = networks(NETWORKS, seed=0)
    return {
        **{f"generator.{k}": v for k, v in generator.state_dict().items()},
        **{f"critic.{k}": v for k, v in critic.state_dict().items()},
    }


def run(root, source):
    config = {"workspace": str(root), "source": str(source), "name": "My learner.pth"}
    return import_weights(config, lambda *_args, **_values: None, lambda: False)


def test_weights_are_brought_in_listed_and_forgotten(workspace):
    source = upload(workspace, {"model": state_dict()})
    name = run(workspace, source)["weights"]
    assert name.startswith("my-learner-")
    assert not source.exists()
    (found,) = imported(workspace)
    assert (found.id, found.name, found.networks) == (name, "learner.pth", NETWORKS)
    assert checkpoint.read_checkpoint(found.folder).step == 0
    forget(workspace, name)
    assert imported(workspace) == []


def test_what_a_file_holds_is_listed_with_it(workspace):
    parts = state_dict()
    generator = {k: v for k, v in parts.items() if k.startswith("generator.")}
    style, _ = style_networks(TINY, seed=0)
    for number, body in enumerate((parts, generator, style.state_dict())):
        place = workspace / "uploads" / str(number) / f"file{number}.pth"
        place.parent.mkdir(parents=True)
        torch.save(body, place)
        import_weights({"workspace": str(workspace), "source": str(place), "name": place.name},
                       lambda *_args, **_values: None, lambda: False)  # fmt: skip
    found = {one.name: one for one in imported(workspace)}
    assert [one.has for one in found.values()] == [
        ("generator", "critic"), ("generator",), ("generator",)
    ]  # fmt: skip
    assert found["file2.pth"].networks == TINY
    assert found["file2.pth"].what == "StyleGAN generator"
    for one in found.values():
        forget(workspace, one.id)
    assert imported(workspace) == []


def test_weights_that_would_not_fit_on_the_disk_are_refused(workspace, monkeypatch):
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _path: SimpleNamespace(free=64 << 20))
    with pytest.raises(TooLargeError, match="needs about"):
        run(workspace, upload(workspace, state_dict()))


def test_the_same_file_is_brought_in_once(workspace):
    first = run(workspace, upload(workspace, {"model": state_dict()}))
    assert run(workspace, upload(workspace, {"model": state_dict()})) == first
    assert len(imported(workspace)) == 1


class Canary:
    def __reduce__(self):
        return print, ("opened",)


def test_row_7_a_file_that_would_run_code_is_refused_by_the_job_in_one_sentence(workspace, capfd):
    """Row 7."""
    source = upload(workspace, {"model": Canary()})
    config = {"workspace": str(workspace), "source": str(source), "name": "evil.pth"}
    job_id = jobs.submit(workspace / "jobs", "import-weights", config)
    done = jobs.wait(workspace / "jobs", job_id, timeout_s=60)
    assert done.state == "failed"
    assert "is refused: it holds more than weights" in done.problem
    assert "opened" not in (workspace / "jobs" / job_id / "log.txt").read_text()
    assert imported(workspace) == []
    with pytest.raises(RefusedFileError):
        run(workspace, upload(workspace, {"model": Canary()}))
    assert "opened" not in capfd.readouterr().out


def test_without_pytorch_it_is_said_how_to_install_it(workspace, monkeypatch):
    source = upload(workspace, {})
    monkeypatch.setitem(sys.modules, "models.foreign", None)
    monkeypatch.setattr(imports, "bring", _without_torch)
    with pytest.raises(JobError, match="PyTorch is not installed"):
        run(workspace, source)


def _without_torch(*_args):
    raise ModuleNotFoundError("No module named 'torch'", name="torch")


@pytest.mark.parametrize("name", ["../runs", "none", "", "a/b"])
def test_row_4_only_weights_of_the_workspace_are_forgotten(workspace, name):
    """Row 4."""
    with pytest.raises(InputError):
        forget(workspace, name)
