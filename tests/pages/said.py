"""Find what a page says and offers, by the words a user sees."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

from core import store


def button(app: AppTest, label: str):
    """Return the one button of that label."""
    return only(app.button, label)


def only(widgets, label: str):
    """Return the one widget of that label."""
    found = [widget for widget in widgets if widget.label == label]
    assert len(found) == 1, (label, [widget.label for widget in widgets])
    return found[0]


def text(app: AppTest) -> str:
    """Return all that the page says in words."""
    parts = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    titles = [block.proto.body for block in app.get("html")]
    return "\n".join([*titles, *(part.value for part in parts), *(t.value for t in app.toast)])


def tables(app: AppTest) -> list[list[list[str]]]:
    """Return the rows of each table, as text."""
    return [[[str(cell) for cell in row] for row in table.value.to_numpy()]
            for table in app.dataframe]  # fmt: skip


def clean(app: AppTest) -> AppTest:
    """Assert that nothing broke on the page."""
    assert not app.exception, [error.value for error in app.exception]
    return app


def marked(app: AppTest) -> list[str]:
    """Return every text of the page that the browser reads as Markdown."""
    found = []
    for node in [*app.main, *app.sidebar, *app.toast]:
        proto = node.proto
        if proto is None or node.type in ("html", "iframe", "component_instance"):
            continue
        for name in ("label", "body", "help", "text", "caption"):
            found.append(getattr(proto, name, ""))
        for part in (*getattr(proto, "options", ()), *getattr(proto, "imgs", ())):
            found += [getattr(part, "content", ""), getattr(part, "caption", "")]
        for block in ("tab", "expandable", "popover"):
            found.append(getattr(getattr(proto, block, None), "label", ""))
    return [text for text in found if isinstance(text, str) and text]


def metrics(app: AppTest) -> dict[str, str]:
    """Return the key figures of a page by their labels."""
    return {one.label: one.value for one in app.metric}


def modules_after(tmp_path: Path, *code: str) -> set[str]:
    """Return the modules that a process has loaded which opened the app's first page as `app`.

    `code` is run after that, a line each, over an empty workspace.
    """
    lines = (
        "import sys",
        "from streamlit.testing.v1 import AppTest",
        "app = AppTest.from_file('app.py', default_timeout=60).run()",
        *code,
        "assert not app.exception, app.exception",
        "print(*sys.modules)",
    )
    environment = {"URBAN_PATTERN_WORKSPACE": str(tmp_path), "URBAN_PATTERN_DEFAULT_AREA": "off"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join(lines)], capture_output=True, text=True,
        timeout=120, cwd=Path(__file__).parents[2], env={"PATH": "/usr/bin:/bin", **environment},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return set(done.stdout.split())


def failed_job(space, work: str, said: str) -> str:
    """Write a job that has failed, and return its id."""
    job_id = f"20260101t000000000-{work}-abc123"
    folder = space.root / "jobs" / job_id
    folder.mkdir(parents=True)
    config = {"work": work, "config": {}, "started": 0.0}
    store.write_json(folder / "config.json", config, kind="job-config", version=1)
    error = {"problem": said, "hint": "", "values": {}}
    store.write_json(folder / "error.json", error, kind="job-error", version=1)
    return job_id


def charts(app: AppTest) -> dict[str, dict]:
    """Return the figures of a page by their titles."""
    found = [json.loads(one.proto.spec) for one in app.get("plotly_chart")]
    return {one["layout"]["title"]["text"]: one for one in found}


def numbers(found):
    """Return the numbers of a chart, packed or not."""
    if isinstance(found, dict):
        found = np.frombuffer(base64.b64decode(found["bdata"]), found["dtype"]).tolist()
    return found
