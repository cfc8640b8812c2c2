"""The real server in a process of its own, with its sockets under watch."""

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent.parent
_START_SECONDS = 60
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Server:
    """A running server: where it answers, where it keeps its files, what it printed."""

    url: str
    workspace: Path
    log: Path
    watch: "SocketWatch"


@contextmanager
def running_server(folder: Path, *, base_path: str = "", **settings: str) -> Iterator[Server]:
    """Start `python -m core serve` over a workspace in `folder`; stop it with all its children.

    Args:
        folder: An empty folder; the workspace, the data folder and the log lie in it.
        base_path: The path below which the app is served, such as `/studio`.
        settings: Values of `URBAN_PATTERN_…` variables, by the field's name.
    """
    workspace, log = folder / "workspace", folder / "server.log"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    tried = folder / "sockets.log"
    port = _free_port()
    environment = _environment(workspace, folder / "data", settings)
    environment["STREAMLIT_LOGGER_ENABLE_RICH"] = "false"  # plain tracebacks for the report
    environment["PYTHONPATH"] = str(Path(__file__).parent / "watch")
    environment["URBAN_PATTERN_TEST_SOCKETS"] = str(tried)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "core",
                "serve",
                "--no-browser",
                "--port",
                str(port),
                "--base-path",
                base_path,
            ],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with SocketWatch(process.pid, tried) as watch:
            server = Server(f"http://127.0.0.1:{port}{base_path}", workspace, log, watch)
            _wait_until_ready(server, process)
            yield server
    finally:
        _stop(process)


class SocketWatch:
    """Collects every address off this machine that a process or its children turn to.

    Two ways, since each misses something: Python's own audit events (written by `watch/`) see each
    step however short, but only Python's; the list of open sockets also shows those of GDAL and
    the event loop, but only while they are open.
    """

    def __init__(self, pid: int, tried: Path) -> None:
        self._pid = pid
        self._tried = tried
        self._seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "SocketWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def outward(self) -> list[str]:
        """Return what was seen so far: address and, where known, how it was tried."""
        tried = self._tried.read_text(encoding="utf-8") if self._tried.exists() else ""
        return sorted({*self._seen, *tried.splitlines()})

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            with suppress(psutil.Error):
                parent = psutil.Process(self._pid)
                for process in [parent, *parent.children(recursive=True)]:
                    with suppress(psutil.Error):
                        self._seen |= {
                            f"socket {row.raddr.ip}:{row.raddr.port}"
                            for row in process.net_connections(kind="inet")
                            if row.raddr and not _is_loopback(row.raddr.ip)
                        }


def _is_loopback(ip: str) -> bool:
    address = ipaddress.ip_address(ip.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _environment(workspace: Path, data: Path, settings: dict[str, str]) -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("URBAN_PATTERN_", "STREAMLIT_"))
    }
    # The default area takes a while to make; a test that wants it says so.
    named = {"default_area": "off", "workspace": str(workspace), "data": str(data), **settings}
    return {**kept, **{f"URBAN_PATTERN_{key.upper()}": value for key, value in named.items()}}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with suppress(OSError), urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=5):
            return
        time.sleep(0.1)
    raise RuntimeError(f"The server did not start:\n{server.log.read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server's process group to end, then end it; jobs have groups of their own."""
    with suppress(psutil.Error):
        children = psutil.Process(process.pid).children(recursive=True)
        _signal_group(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        for child in children:
            with suppress(psutil.Error):
                child.kill()
    _signal_group(process.pid, signal.SIGKILL)
    process.wait(timeout=5)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
