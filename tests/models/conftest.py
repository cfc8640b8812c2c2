"""What tests of models share. Without PyTorch those that need it are left out."""

import importlib.util
from pathlib import Path

import pytest

from core.settings import settings
from models import runs

FIXTURES = Path(__file__).parent / "fixtures"
SHARED = Path(__file__).resolve().parents[2].parent / "shared"

# Tests of what works without PyTorch.
_PLAIN = {
    "test_plan.py", "test_history.py", "test_alarms.py", "test_config.py", "test_metrics.py",
    "test_old_runs.py", "test_scales.py",
    "test_series.py", "test_estimate.py", "test_follow.py",
}  # fmt: skip


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    has_torch = importlib.util.find_spec("torch") and importlib.util.find_spec("safetensors")
    is_test = collection_path.suffix == ".py" and collection_path.parent == Path(__file__).parent
    if not has_torch and is_test and collection_path.name not in {*_PLAIN, "conftest.py"}:
        return True
    return None


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    """Give every test a workspace of its own, and one thread."""
    monkeypatch.setenv("URBAN_PATTERN_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("URBAN_PATTERN_THREADS", "1")
    settings.cache_clear()
    yield tmp_path / "workspace"
    for child in runs._started.values():
        child.wait(10)
    runs._started.clear()
    settings.cache_clear()
