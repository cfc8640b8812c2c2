"""Loaded by Python itself at the start of a watched server: writes down every outward step.

An audit hook sees each address looked up and each connection tried, also those that fail at once
and so never show among the open sockets.
"""

import os
import sys

_LOG = os.environ.get("URBAN_PATTERN_TEST_SOCKETS", "")
_AT_HOME = {"", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "None"}
_EVENTS = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}


def _note(event: str, args: tuple[object, ...]) -> None:
    if event not in _EVENTS:
        return
    address = args[0] if event in {"socket.getaddrinfo", "socket.gethostbyname"} else args[1]
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if str(host) in _AT_HOME or str(host).startswith("/"):  # a path: a socket of this machine
        return
    with open(_LOG, "a", encoding="utf-8") as log:  # noqa: PTH123  (loads before pathlib)
        log.write(f"{event} {address}\n")


if _LOG:
    sys.addaudithook(_note)
