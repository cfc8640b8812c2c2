"""Models held for all sessions: within bounds of memory, let go, and nobody waits for another's."""

import threading
from dataclasses import fields, is_dataclass

import pytest
import torch

from core.settings import settings
from models import catalogue, loaded
from models.loaded import Shelf
from models.synthesis import QuickGenerator
from tests.pages.tiny_model import make_model


@pytest.fixture
def entries(workspace):
    return [
        catalogue.entry(workspace, make_model(workspace, name=f"m{seed}", seed=seed, depth=1))
        for seed in range(3)
    ]


def test_row_25_models_are_held_within_bounds_and_let_go(entries):
    """Row 25: the one longest unused goes first, the newest stays; idle ones are released."""
    each = loaded.load(entries[0].folder).num_bytes
    shelf = Shelf(limit_bytes=2 * each)
    first = shelf.get(entries[0])
    assert shelf.get(entries[0]) is first
    assert first.depth == 1
    shelf.get(entries[1])
    assert shelf.get(entries[0]) is first
    shelf.get(entries[2])
    assert len(shelf) == 2
    assert shelf.get(entries[0]) is first
    assert shelf.release(idle_s=3600) == 0
    assert shelf.release() == 2
    assert len(shelf) == 0
    small = Shelf(limit_bytes=1)
    assert small.get(entries[0]) is small.get(entries[0])
    assert len(small) == 1


def test_a_model_that_is_being_loaded_keeps_no_one_from_those_that_are_there(entries, monkeypatch):
    shelf, inner = Shelf(), loaded.load
    there = shelf.get(entries[0])
    began, may_end, found = threading.Event(), threading.Event(), []

    def slow(folder, **how):
        began.set()
        assert may_end.wait(20)
        return inner(folder, **how)

    monkeypatch.setattr(loaded, "load", slow)
    threads = [
        threading.Thread(target=lambda: found.append(shelf.get(entries[1]))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert began.wait(20)
    assert shelf.get(entries[0]) is there  # at once: the other has not been loaded yet
    assert shelf.release(idle_s=3600) == 0
    may_end.set()
    for thread in threads:
        thread.join(20)
    assert found[0] is found[1]  # loaded once for both


def test_the_same_weights_trained_to_two_depths_are_two_models(workspace):
    names = [make_model(workspace, name=f"d{depth}", depth=depth) for depth in (1, 2)]
    one, other = (catalogue.entry(workspace, name) for name in names)
    assert one.digest == other.digest
    shelf = Shelf()
    assert [shelf.get(found).depth for found in (one, other, one)] == [1, 2, 1]


@pytest.mark.parametrize(("allowed", "taken"), [(1, 1), (2, 1), (8, 4)])
def test_row_22_models_of_the_server_leave_half_of_the_threads_to_others(
    entries, monkeypatch, allowed, taken
):
    """Row 22: to a training, to the pages: threads that wait for each other spin."""
    asked = []
    monkeypatch.setenv("URBAN_PATTERN_THREADS", str(allowed))
    settings.cache_clear()
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    Shelf().get(entries[0])
    assert asked == [taken]


def test_what_a_model_is_reckoned_to_take_covers_the_tensors_that_it_holds(entries):
    model = loaded.load(entries[0].folder)
    preview = QuickGenerator(model.plain, dtype=torch.bfloat16)
    held = sum(_held(one) for one in (model.quick, preview))
    plain = sum(one.numel() * one.element_size() for one in model.plain.state_dict().values())
    assert model.quick.num_bytes == _held(model.quick)
    reckoned = model.num_bytes - model.kept.limit_bytes
    assert 0.9 * (plain + held) < reckoned < 1.1 * (plain + held)


def _held(one):
    """Return the bytes of all tensors that something is made of, however deep they lie."""
    if isinstance(one, torch.Tensor):
        return one.numel() * one.element_size()
    if isinstance(one, torch.nn.Module):
        return sum(map(_held, one.state_dict().values()))
    if isinstance(one, list):
        return sum(map(_held, one))
    if isinstance(one, QuickGenerator):
        return sum(map(_held, vars(one).values()))
    if is_dataclass(one):
        return sum(_held(getattr(one, field.name)) for field in fields(one))
    return 0


def test_the_page_and_the_command_line_compute_with_as_many_threads(entries, monkeypatch):
    """The number decides the last digits, and so the bytes of a link's picture."""
    monkeypatch.setenv("URBAN_PATTERN_THREADS", "6")
    settings.cache_clear()
    before = torch.get_num_threads()
    try:
        Shelf().get(entries[0])
        shelf = torch.get_num_threads()
        torch.set_num_threads(1)
        loaded.load(entries[0].folder)
        assert (shelf, torch.get_num_threads()) == (3, 3)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
        torch.set_num_threads(before)
