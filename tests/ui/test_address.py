import pytest

from ui.address import _is_page


@pytest.mark.parametrize(
    "path", ["/tiles/a/b/0/0/0.png", "/studio/grids/a/0/0/0.png", "/thumbs/a/b.png", "/assets/x.js"]
)
def test_only_pages_are_changed_on_their_way(path):
    assert not _is_page(path)
    assert _is_page("/studio/quadrats")
