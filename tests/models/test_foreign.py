import collections
import pickle
import sys
import types
import zipfile
from dataclasses import replace

import pytest
import torch

from core.errors import InputError, RefusedFileError, TooLargeError
from core.record import peak_rss_mb
from core.settings import settings
from models.config import NetworkConfig
from models.foreign import read_foreign
from models.wgan import Generator, networks
from tests.models.conftest import SHARED

SHAPE = NetworkConfig(
    size_px=32, channels=4, latent=7, generator_width=3, critic_width=2, extra_layers=1
)


def state_dicts():
    generator, critic = networks(SHAPE, seed=0)
    return generator.state_dict(), critic.state_dict()


def learner():
    generator, critic = state_dicts()
    model = {f"generator.{k}": v for k, v in generator.items()}
    return collections.OrderedDict(model | {f"critic.{k}": v for k, v in critic.items()})


@pytest.fixture
def fastais_list(monkeypatch):
    """A class named as fastai's list is, there while a file is written and gone when it is read."""
    module = types.ModuleType("fastcore.foundation")

    class L:
        pass

    L.__module__, L.__qualname__ = "fastcore.foundation", "L"
    module.L = L
    monkeypatch.setitem(sys.modules, "fastcore", types.ModuleType("fastcore"))
    monkeypatch.setitem(sys.modules, "fastcore.foundation", module)
    return L


def test_a_learner_saved_with_its_optimiser_opens_without_fastai(
    tmp_path, fastais_list, monkeypatch
):
    hypers = fastais_list()
    hypers.items = [{"lr": 1e-5, "sqr_mom": 0.99}]
    pair = networks(SHAPE, seed=0)
    squares = [{"sqr_avg": torch.rand_like(p.detach())} for net in pair for p in net.parameters()]
    path = tmp_path / "naip_wgan_b_learn.pth"
    torch.save({"model": learner(), "opt": {"state": squares, "hypers": hypers}}, path)
    monkeypatch.delitem(sys.modules, "fastcore.foundation")
    found = read_foreign(path)
    assert found.networks == SHAPE
    assert found.what == "learner of fastai, with optimiser"
    assert all(torch.equal(found.weights[k], v) for k, v in learner().items())
    assert torch.equal(found.state["generator/1.0.weight/square_avg"], squares[0]["sqr_avg"])
    last = found.state[
        "critic/5.bias/square_avg" if SHAPE.size_px == 64 else "critic/4.bias/square_avg"
    ]
    assert torch.equal(last, squares[-1]["sqr_avg"])


def test_the_example_that_fastai_wrote_opens():
    path = SHARED / "fixtures/wgan/fastai_learn_example.pth"
    if not path.exists():
        pytest.skip("the example lies beside the project")
    found = read_foreign(path)
    assert found.networks == NetworkConfig(generator_width=8, critic_width=8)
    assert found.what == "learner of fastai, with optimiser"
    pair = networks(found.networks, seed=0)
    for name, network in zip(("generator", "critic"), pair, strict=True):
        prefix = f"{name}."
        network.load_state_dict({
            k.removeprefix(prefix): v for k, v in found.weights.items() if k.startswith(prefix)
        })  # fmt: skip


@pytest.mark.parametrize("part", [0, 1], ids=["generator", "critic"])
def test_one_network_alone_is_told_by_its_shape(tmp_path, part):
    path = tmp_path / "one.pth"
    torch.save(state_dicts()[part], path)
    found = read_foreign(path)
    name = ("generator", "critic")[part]
    assert found.what == f"{name} of fastai"
    assert all(key.startswith(f"{name}.") for key in found.weights)
    assert (found.networks.size_px, found.networks.channels) == (32, 4)


class Canary:
    """A pickle that writes a file when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (type(self.path).touch, (self.path,))


@pytest.mark.parametrize("inside", ["alone", "with-weights", "plain-pickle"])
def test_row_7_a_file_that_would_run_code_is_refused_in_one_sentence(tmp_path, inside):
    """Row 7: the canary stays silent."""
    canary, path = tmp_path / "canary", tmp_path / "model.pth"
    if inside == "plain-pickle":
        path.write_bytes(pickle.dumps({"model": Canary(canary)}))
    else:
        torch.save(
            Canary(canary) if inside == "alone" else {"model": learner(), "x": Canary(canary)}, path
        )
    with pytest.raises(RefusedFileError, match=r"model\.pth") as caught:
        read_foreign(path)
    assert not canary.exists()
    assert "\n" not in str(caught.value)
    if inside != "plain-pickle":
        assert "could run its code" in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"not a file of weights", b"PK\x03\x04", b"\x80\x02."])
def test_junk_is_refused(tmp_path, body):
    path = tmp_path / "junk.pth"
    path.write_bytes(body)
    with pytest.raises(RefusedFileError, match="not a whole file of PyTorch weights"):
        read_foreign(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_cut_file_is_refused(tmp_path, share):
    path = tmp_path / "cut.pth"
    torch.save(learner(), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(RefusedFileError):
        read_foreign(path)


def test_a_small_file_that_unpacks_to_much_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data/0", bytes(3 << 20))
    monkeypatch.setenv("URBAN_PATTERN_MEMORY_MB", "2")
    settings.cache_clear()
    with pytest.raises(TooLargeError, match="unpacks to"):
        read_foreign(path)


def laid_out(network):
    """Return weights of a network's shapes that take no room: one number, shown again and again."""
    return {k: torch.zeros(()).expand(v.shape) for k, v in network.state_dict().items()}


def test_a_small_file_whose_tensors_are_large_is_refused(tmp_path):
    with torch.device("meta"):
        wide = Generator(replace(SHAPE, generator_width=2048))
    path = tmp_path / "wide.pth"
    torch.save(laid_out(wide), path)
    assert path.stat().st_size < 20_000
    before = peak_rss_mb()
    with pytest.raises(TooLargeError, match="unpacks to"):
        read_foreign(path)
    assert peak_rss_mb() - before < 100


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": {}},
        {"a": 1},
        [1, 2],
        {"x.weight": torch.zeros(2)},
        {"model": {"a": "b"}},
        {"0.0.weight": torch.zeros(2, device="meta")},
        {"0.0.weight": torch.zeros(2).to_sparse()},
    ],
    ids=repr,
)
def test_other_contents_are_refused(tmp_path, body):
    path = tmp_path / "other.pth"
    torch.save(body, path)
    with pytest.raises(InputError, match="holds no networks"):
        read_foreign(path)


def test_networks_with_a_layer_amiss_are_refused(tmp_path):
    weights = learner()
    weights.pop("critic.1.1.bias")
    torch.save(weights, tmp_path / "amiss.pth")
    with pytest.raises(InputError, match="holds no networks"):
        read_foreign(tmp_path / "amiss.pth")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="no file"):
        read_foreign(tmp_path / "none.pth")
