"""Rules of the house that no linter knows, read from the source."""

import ast
import re
import sys
from functools import cache
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
PACKAGES = ("core", "models", "ui", "pages")
# What goes with PyTorch: models may use it, and it is in requirements.txt alone.
TORCH = {"torch", "torchvision", "safetensors"}
# Used without an import of that name: geopandas reads and writes with two of them, two are files.
USED_BY_OTHERS = {"pyarrow", "pyogrio", "xstatic-leaflet", "xstatic-jquery"}
# What the design of this program is built on.
CARD = {
    "streamlit", "folium", "streamlit-folium", "leafmap", "geopandas", "rasterio", "rasterstats",
    "scikit-learn", "esda", "libpysal", "torch", "torchvision", "plotly",
}  # fmt: skip
PAGE_LINES = 150
OLDEST_PYTHON = "3.11.2"


@cache
def sources() -> dict[str, ast.Module]:
    files = [ROOT / "app.py", *(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))]
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in files
        if path.is_file()
    }


def requirements(name: str) -> dict[str, str]:
    """Return distribution -> version range of a requirements file."""
    rows = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text and not text.startswith("-"):
            found = re.fullmatch(r"([A-Za-z0-9._-]+)\s*(.*)", text)
            assert found, text
            rows[plain(found[1])] = found[2]
    return rows


def pinned() -> dict[str, str]:
    """Return distribution -> version of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.partition("==") for line in lines if line and not line.startswith("#"))
    return {plain(name): version for name, _, version in rows}


def plain(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def foreign_distributions(paths) -> set[str]:
    names = set().union(*(imported(sources()[path]) for path in paths), set())
    foreign = names - set(sys.stdlib_module_names) - set(PACKAGES) - {"tests", "app"}
    known = packages_distributions()
    # A namespace such as xstatic belongs to several distributions; USED_BY_OTHERS names those.
    return {
        plain(known[name][0]) if name in known else plain(name)
        for name in foreign
        if name != "xstatic"
    }


def test_row_25_every_cache_is_bounded():
    """row 25: each st.cache_data and st.cache_resource says how much it keeps."""
    unbounded = []
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute | ast.Name) and _name(node) in _CACHES:
                call = _call_of(tree, node)
                limits = {keyword.arg: keyword.value for keyword in call.keywords} if call else {}
                limit = limits.get("max_entries")
                if limit is None or (isinstance(limit, ast.Constant) and limit.value is None):
                    unbounded.append(f"{path}:{node.lineno}")
    assert not unbounded


def test_row_25_only_the_state_module_touches_the_session():
    """row 25: no page or widget puts anything into the session on its own."""
    strays = [
        f"{path}:{node.lineno}"
        for path, tree in sources().items()
        if path != "ui/state.py"
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.Attribute)
            and node.attr in _SESSION
            and _name(node.value) in {"st", "streamlit"}
        )
        or (isinstance(node, ast.ImportFrom) and {alias.name for alias in node.names} & _SESSION)
    ]
    assert not strays


def test_cached_functions_have_no_argument_left_out_of_the_key():
    """Streamlit leaves an argument whose name begins with `_` out of the key."""
    strays = [
        f"{path}:{node.lineno} {argument.arg}"
        for path, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any(_name(part) in _CACHES for d in node.decorator_list for part in ast.walk(d))
        for argument in [*node.args.args, *node.args.kwonlyargs]
        if argument.arg.startswith("_")
    ]
    assert not strays


def test_package_files_are_empty():
    assert not [
        str(path.relative_to(ROOT))
        for name in (*PACKAGES, "tests", "benchmarks")
        for path in (ROOT / name).rglob("__init__.py")
        if path.stat().st_size
    ]


def test_pages_are_short():
    lengths = {
        path.name: len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "pages").glob("*.py")
    }
    assert not {name: length for name, length in lengths.items() if length > PAGE_LINES}


@pytest.mark.parametrize("banned", ["utils", "helpers", "common", "manager", "misc"])
def test_no_module_is_named_for_nothing(banned):
    assert not [path for path in sources() if Path(path).stem == banned]


def test_the_two_requirement_files_differ_by_pytorch_alone():
    core, everything = requirements("requirements-core.txt"), requirements("requirements.txt")
    assert {name: text for name, text in everything.items() if name not in TORCH} == core
    assert set(everything) - set(core) == TORCH


def test_every_import_is_required_and_every_requirement_is_used():
    used = foreign_distributions(path for path in sources() if not path.startswith("models/"))
    required = set(requirements("requirements-core.txt"))
    assert used <= required
    assert required - used <= USED_BY_OTHERS


def test_the_packages_of_the_design_are_required():
    assert set(requirements("requirements.txt")) >= CARD


def test_models_need_pytorch_at_most():
    used = foreign_distributions(path for path in sources() if path.startswith("models/"))
    assert used <= set(requirements("requirements.txt"))


def test_every_requirement_but_pytorch_is_pinned_within_its_range():
    pins = pinned()
    wanted = {**requirements("requirements-core.txt"), **requirements("requirements-dev.txt")}
    for name, text in wanted.items():
        assert Requirement(name + text).specifier.contains(pins[name]), name
    assert not [name for name in pins if name in TORCH or name.startswith(("nvidia-", "cuda-"))]


def test_the_pins_install_on_the_oldest_python():
    """Debian 12 comes with Python 3.11.2: a package that asks for 3.11.5 stops `make run` there."""
    too_new = [
        f"{found.name} {found.version} needs Python {wanted}"
        for found in distributions()
        if pinned().get(plain(found.name)) == found.version
        and (wanted := found.metadata["Requires-Python"])
        and OLDEST_PYTHON not in SpecifierSet(wanted)
    ]
    assert not too_new


def test_no_file_names_where_packages_come_from():
    """An index of packages is the reader's own choice."""
    hosts = re.compile(r"(--(extra-)?index-url|--find-links|pypi\.org|pythonhosted|mirrors?\.)")
    files = [*ROOT.glob("requirements*.txt"), *ROOT.glob("constraints.txt"), ROOT / "Makefile",
             ROOT / ".ci" / "run", ROOT / "README.md", ROOT / "pyproject.toml"]  # fmt: skip
    assert not [f.name for f in files if hosts.search(f.read_text(encoding="utf-8"))]


_CACHES = {"cache_data", "cache_resource"}
_SESSION = {"session_state", "query_params"}


def _name(node: ast.AST) -> str:
    return getattr(node, "attr", "") or getattr(node, "id", "")


def _call_of(tree: ast.Module, function: ast.AST) -> ast.Call | None:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return next((call for call in calls if call.func is function), None)
