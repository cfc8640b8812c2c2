"""Visits to the Generate page: the first, later ones, two at once; the memory of loaded models.

    python -m benchmarks.generate_visits [--rounds 3]

The real server in a process of its own, over the models that come with the program and one of the
published width, 64 px. The first table is seen in Chromium: from the request to the first picture
in sight (a preview, where one comes first), and to all 18. `first visit` is that of a server just
started, which loads PyTorch and the model; each round starts one. The second table has two sessions
ask for 18 pictures each that nobody made before, as a browser would without the browser, beside one
session alone. The third loads models in fresh processes. Times are those of the wall.
"""

import argparse
import asyncio
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

try:
    import torch
except ModuleNotFoundError:  # the other benchmarks need none
    print("PyTorch is not installed: nothing to measure. It comes with `make models`.")
    raise SystemExit(0) from None

from benchmarks.generate_page import make_model
from tests.browser.screen import FLAGS, chromium_path
from tests.browser.server import Server, running_server

_SHIPPED = "shipped/aerial-64"
_SEEN = "[...document.querySelectorAll('.ups-pictures img')].filter(one => one.naturalWidth > 1)"
_DONE = f"{_SEEN}.filter(one => one.naturalWidth >= 64).length >= 18"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, PyTorch "
          f"{torch.__version__}, medians of {rounds} rounds")  # fmt: skip
    first_visits(rounds)
    two_at_once(rounds)
    models_in_memory()
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


def first_visits(rounds: int) -> None:
    """Open the page in Chromium: on a new server, again, and with pictures that are new."""
    from playwright.sync_api import sync_playwright

    if (chromium := chromium_path()) is None:
        print("\nThere is no Chromium: first visits are not measured.")
        return
    found: dict[str, list[tuple[float, float, float]]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for _ in range(rounds):
            with served() as (server, process):
                browser.new_page().goto(f"{server.url}/?lang=en")  # Chromium's own start
                for name, seeds in (
                    ("first visit since the server began", "0-17"),
                    ("another session, the same pictures", "0-17"),
                    ("another session, 18 new pictures", "100-117"),
                ):
                    page = browser.new_context().new_page()
                    begun = time.perf_counter()
                    page.goto(f"{server.url}/generate?lang=en&model={_SHIPPED}&seeds={seeds}",
                              wait_until="commit")  # fmt: skip
                    page.wait_for_function(f"{_SEEN}.length > 0", timeout=120_000)
                    seen = time.perf_counter() - begun
                    page.wait_for_function(_DONE, timeout=120_000)
                    done = time.perf_counter() - begun
                    found.setdefault(name, []).append((seen, done, resident_mb(process)))
                    page.context.close()
        browser.close()
    print("\n| visit | first picture, s | all 18, s | server's memory then, MB |")
    print("|---|---|---|---|")
    for name, rows in found.items():
        seen, done, held = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {seen:.1f} | {done:.1f} | {held:.0f} |")


def two_at_once(rounds: int) -> None:
    """Let two sessions ask at the same time."""
    print("\n| model | sessions | first picture, s | all 18, s | server's memory, MB |")
    print("|---|---|---|---|---|")
    with served() as (server, process):
        make_model(server.workspace, "document")
        number = 0
        for model in (_SHIPPED, "import/document"):
            found: dict[int, list[tuple[float, float, float]]] = {1: [], 2: []}
            for turn in range(rounds + 1):
                for sessions in (1, 2):
                    queries = []
                    for _ in range(sessions):
                        number += 18
                        queries.append(f"lang=en&model={model}&seeds={number}-{number + 17}")
                    asked = asyncio.run(all_asked(server.url, queries))
                    if turn:  # the first loads the model
                        held = resident_mb(process)
                        found[sessions] += [(seen, done, held) for seen, done in asked]
            for sessions, rows in found.items():
                seen, done, held = (statistics.median(column) for column in zip(*rows, strict=True))
                print(f"| {model.partition('/')[2]} | {sessions} | {seen:.2f} | {done:.2f} "
                      f"| {held:.0f} |")  # fmt: skip


async def all_asked(url: str, queries: list[str]) -> list[tuple[float, float]]:
    """Return for each session the seconds to its first picture and to the end of its page."""
    return await asyncio.gather(*(asked(url, query) for query in queries))


async def asked(url: str, query: str) -> tuple[float, float]:
    """Hold the conversation of one session until its page has run to the end."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.asyncio.client import connect

    address = url.replace("http", "ws", 1) + "/_stcore/stream"
    begun, seen = time.perf_counter(), 0.0
    async with (
        asyncio.timeout(120),
        connect(address, subprotocols=["streamlit"], origin=url, max_size=None) as socket,
    ):
        ask = BackMsg()
        ask.rerun_script.page_name = "generate"
        ask.rerun_script.query_string = query
        await socket.send(ask.SerializeToString())
        while True:
            message: Any = ForwardMsg.FromString(await socket.recv())
            if not seen:
                body = message.SerializeToString()
                if b'class="ups-pictures' in body and b"data:image/png" in body:
                    seen = time.perf_counter() - begun
            if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY and message.HasField(
                "script_finished"
            ):
                return seen, time.perf_counter() - begun


def models_in_memory() -> None:
    """Load models, each in a process of its own, and make a few pictures."""
    head = ("model", "weights, MB", "loaded, MB", "with preview and 8 pictures, MB", "reckoned, MB")
    print(f"\n| {' | '.join(head)} |")
    print("|---|---|---|---|---|")
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_model(root, "document")
        make_model(root, "document", size_px=1024, called="document-1024")
        for name in (_SHIPPED, "import/document", "import/document-1024"):
            answer = context.Queue()
            child = context.Process(target=weighed, args=(root, name, answer))
            child.start()
            cells = " | ".join(f"{one:.0f}" for one in answer.get(timeout=300))
            child.join()
            print(f"| {name.partition('/')[2]} | {cells} |")


def weighed(root: Path, name: str, answer: Any) -> None:
    """Put what a model takes beyond PyTorch itself into `answer`, megabytes."""
    from models import catalogue, generate, latents, loaded
    from models.engine import engine

    engine("cpu", "float32", 1, exact=True)
    torch.nn.functional.conv2d(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 3, 3))
    before = resident_mb(psutil.Process())
    model = loaded.load(catalogue.entry(root, name).folder, device="cpu", threads=1)
    after = resident_mb(psutil.Process())
    z = latents.of_seeds(range(4), model.networks.latent)
    for way in ("preview", "exact"):
        generate.grid(model, z, generate.Look(way=way))  # type: ignore[arg-type]
    weights = sum(one.numel() * one.element_size() for one in model.plain.state_dict().values())
    full = resident_mb(psutil.Process())
    answer.put((weights / 1e6, after - before, full - before, model.num_bytes / 1e6))


@contextmanager
def served() -> Iterator[tuple[Server, psutil.Process]]:
    """Start the server over an empty workspace; give its process too."""
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        (process,) = (
            one for one in psutil.Process().children() if "serve" in " ".join(one.cmdline())
        )
        yield server, process


def resident_mb(process: psutil.Process) -> float:
    """Return the memory that a process holds."""
    return float(process.memory_info().rss) / 1e6


if __name__ == "__main__":
    main()
