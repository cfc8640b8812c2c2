"""The documentation is held to the code: links, settings, fields, pages, commands."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from core.__main__ import _parser
from core.jobs import WORKS
from core.legends import LegendClass
from core.operations.catalogue import OPERATIONS
from core.record import VERSION, area_facts, layer_facts, record
from core.settings import PREFIX, Settings
from core.workspace import AREA_KIND, AREA_VERSION, Area, Layer, Summary
from core.zonal.statistics import FREQUENCY, STATISTICS
from core.zonal.table import LayerNote
from models import runs
from models.__main__ import _parser as _models_parser
from models.config import AdversaryConfig, NetworkConfig, RunConfig, TrainConfig, field_names

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page):
    broken = []
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_every_page_of_the_docs_can_be_reached_from_the_readme():
    linked = {link.partition("#")[0] for link in _LINK.findall(text_of("README.md"))}
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_stands_in_the_table_with_its_default(field):
    row = re.search(rf"\| `{PREFIX}{field.name.upper()}` \| (.+?) \|", text_of("docs/how-to.md"))
    assert row, f"{field.name} is missing from the settings in docs/how-to.md"
    if field.name != "threads":  # its default is the machine's
        default = {True: "on", False: "off"}.get(field.default, str(field.default))
        assert row[1] == f"`{default}`"


def test_the_table_names_no_setting_that_is_gone():
    named = set(re.findall(rf"`{PREFIX}([A-Z_]+)`", text_of("docs/how-to.md")))
    assert named == {field.name.upper() for field in fields(Settings)}


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("area.json", Area), ("Layers", Layer), ("Layers", Summary), ("Layers", LegendClass)],
    ids=["area", "layer", "summary", "legend"],
)
def test_every_field_on_disk_is_described(heading, kind):
    assert {field.name for field in fields(kind)} <= named_in("docs/formats.md", heading)


def test_every_field_of_a_record_is_described():
    layer = Layer(id="lst", title="", kind="values", summary=Summary(valid_share=1.0))
    area = Area(id="a", title="", crs="", created="", bounds_lonlat=(0, 0, 1, 1), layers=(layer,))
    written = {*record("area", area=area), *area_facts(area), *layer_facts(layer)}
    assert written <= named_in("docs/formats.md", "Records")


def test_what_is_said_of_a_layer_that_was_summed_up_is_described():
    assert {field.name for field in fields(LayerNote)} <= named_in("docs/formats.md", "Results")


def test_every_kind_of_job_is_described():
    assert set(WORKS) <= named_in("docs/formats.md", "Jobs")


def test_every_statistic_is_in_the_methods():
    assert {*STATISTICS, FREQUENCY} <= named_in("docs/methods.md", "Zonal statistics")


@pytest.mark.parametrize("kind", [RunConfig, NetworkConfig, AdversaryConfig, TrainConfig])
def test_every_setting_of_a_run_is_described(kind):
    assert set(field_names(kind)) <= named_in("docs/formats.md", "Runs")


def test_every_preparing_operation_is_in_the_methods():
    headings = anchors(ROOT / "docs/methods.md")
    assert set(OPERATIONS) <= headings


def test_the_version_of_the_format_is_the_one_described():
    assert f"Kind `{AREA_KIND}`, version {AREA_VERSION}." in text_of("docs/formats.md")
    assert f"Kind `{runs.KIND}`, version {runs.VERSION}." in text_of("docs/formats.md")


@pytest.mark.parametrize("package", ["core", "models"])
def test_every_module_is_in_the_architecture(package):
    modules = {p.stem for p in (ROOT / package).glob("*.py")} - {"__init__"}
    modules |= {p.parent.name for p in (ROOT / package).glob("*/__init__.py")}
    section = text_of("docs/architecture.md").split(f"\n## Rooms of {package}\n")[1]
    rooms = section.split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", rooms, re.MULTILINE)) == modules


def test_every_page_of_the_app_is_described():
    described = set(re.findall(r"^\*\*(.+?)\.\*\*", text_of("docs/how-to.md"), re.MULTILINE))
    files = {f"pages/{page.name}" for page in (ROOT / "pages").glob("*.py")}
    titled = dict(re.findall(r'Page\("(.+?)", title=_\("(.+?)"\)', text_of("ui/frame.py")))
    assert set(titled) == files - {"pages/__init__.py"}
    assert described == set(titled.values())


def test_every_make_target_is_in_the_readme():
    targets = re.findall(r"^\.PHONY: (.+)$", text_of("Makefile"), re.MULTILINE)[0].split()
    assert not [name for name in targets if f"make {name}" not in text_of("README.md")]


def test_commands_in_the_docs_are_understood():
    texts = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for package, parser in (("core", _parser()), ("models", _models_parser())):
        lines = re.findall(rf"^\.venv\S+ -m {package} (.+)$", texts, re.MULTILINE)
        assert lines
        for line in lines:
            parser.parse_args(shlex.split(line))


def test_version_is_the_same_everywhere():
    assert f'version = "{VERSION}"' in text_of("pyproject.toml")


def named_in(page: str, heading: str) -> set[str]:
    """Return the words in code type below a heading, up to the next of its rank."""
    section = text_of(page).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"`([\w-]+)`", section))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as Git hosts make them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
