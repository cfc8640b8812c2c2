"""The Chinese catalogue: complete, in step with the source, with the same placeholders."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

ROOT = Path(__file__).parent.parent
ROOMS = ("core", "models", "ui", "pages")
LANGUAGES = sorted(path.parent.parent.name for path in ROOT.glob("locale/*/LC_MESSAGES/*.po"))
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Names, formulas and units read the same in every language.
_SAME_EVERYWHERE = re.compile(r"[\W\d_]*|[A-Z0-9][\w.+/-]*( \(?[A-Z0-9][\w.+/-]*\)?)*|\{\w+\}.*")


@cache
def marked() -> dict[str | tuple[str, ...], str]:
    """Return every string marked in the source, with the place of its first use."""
    with (ROOT / "locale" / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(str(ROOT), method_map=methods, options_map=options)
    places: dict[str | tuple[str, ...], str] = {}
    for file_name, line, message, *_ in found:
        places.setdefault(message, f"{file_name}:{line}")
    return places


@cache
def catalogue(language: str) -> Catalog:
    path = ROOT / "locale" / language / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        return read_po(file, locale=language)


def test_chinese_is_there():
    assert "zh_CN" in LANGUAGES


def test_no_marked_string_is_hidden_from_the_catalogue_tool():
    """Babel does not look into f-strings: take the marked string out of them."""
    hidden = {}
    for path in [ROOT / "app.py", *(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"_", "N_"}:
                (argument,) = node.args
                if isinstance(argument, ast.Constant) and argument.value not in marked():
                    hidden[f"{path.relative_to(ROOT)}:{node.lineno}"] = argument.value
    assert not hidden, "give the string a line of its own, outside the f-string"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_marked_string_is_in_the_catalogue_and_no_other(language):
    """Repaired by `make locale`, which also drops what is no longer used."""
    known = {message.id for message in catalogue(language) if message.id}
    missing = {place: text for text, place in marked().items() if text not in known}
    assert not missing, "run `make locale` and translate"
    assert not known - set(marked()), "run `make locale`"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_string_is_translated(language):
    empty = [m.id for m in catalogue(language) if m.id and not all(_texts(m.string))]
    assert not empty
    assert not [m.id for m in catalogue(language) if m.id and m.fuzzy]


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_the_same_in_both_languages(language):
    wrong = {}
    for message in catalogue(language):
        wanted = set().union(*(_PLACEHOLDER.findall(text) for text in _texts(message.id)))
        for text in _texts(message.string):
            if message.id and set(_PLACEHOLDER.findall(text)) != wanted:
                wrong[message.id] = text
    assert not wrong


def test_sentences_are_chinese_and_not_copied():
    copied = [
        message.id
        for message in catalogue("zh_CN")
        if message.id
        and not any(_CHINESE.search(text) for text in _texts(message.string))
        and not all(_SAME_EVERYWHERE.fullmatch(text) for text in _texts(message.id))
    ]
    assert not copied


def _texts(text) -> tuple[str, ...]:
    return text if isinstance(text, tuple) else (text,)
