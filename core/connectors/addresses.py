"""Which addresses may be asked: those a user named, and what a catalogue may point to from there.

A catalogue is written by somebody else. Its links may lead to the open internet and to the kind of
network it lies in itself, and nowhere else: one on the internet cannot make this machine ask its
own services or its neighbours. Link-local networks, where machines keep their credentials, are
never asked.
"""

import ipaddress
import re
import socket
import threading
import time
from contextlib import suppress
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from core.errors import OutsideError, RefusedFileError
from core.settings import settings
from core.text import N_

Realm = Literal["internet", "network", "machine"]
"""Where a host lies: anywhere, in this machine's own network, or on this machine."""

_ADDRESS = re.compile(r"https?://[\x21-\x7e]{3,16000}", re.IGNORECASE)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_KEPT_S = 60.0
_LOOK_UP_S = 8.0


def require_outside(outside: bool) -> None:
    """Refuse at once, without a request, where nothing outside may be asked.

    Raises:
        OutsideError: The user has not switched outside access on, or this server forbids it.
    """
    if not settings().outside:
        raise OutsideError(
            N_("This server does not allow requests to the internet."),
            hint=N_("Bring in files of your own, or take the simulated city."),
        )
    if not outside:
        raise OutsideError(
            N_("Outside access is switched off, so nothing was asked of the internet."),
            hint=N_("Switch it on, bring in files of your own, or take the simulated city."),
        )


def unsigned(url: str) -> str:
    """Return an address without its query, which may hold a signature that expires."""
    return url.partition("?")[0]


def shown(url: str) -> str:
    """Return an address for people: without its query, and short."""
    return unsigned(url)[:160]


def parsed(url: str) -> SplitResult:
    """Return the parts of a plain `http(s)` address.

    Raises:
        RefusedFileError: It is a path, of another kind (`file:`, `ftp:`, GDAL's `/vsi…`), holds a
            user name, or cannot be read as an address.
    """
    try:
        parts = urlsplit(url) if _ADDRESS.fullmatch(url) else None
        if parts and parts.hostname and "@" not in parts.netloc and (parts.port or 1) > 0:
            return parts
    except ValueError:  # a port out of range, brackets that do not close
        pass
    raise RefusedFileError(
        N_("{url} is no plain http or https address."),
        hint=N_("Nothing was asked of it."),
        url=shown(url),
    )


def realm_of_host(host: str) -> Realm:
    """Return the nearest realm that a host's addresses lie in; asks the name service.

    Raises:
        OutsideError: The host is not known.
        RefusedFileError: One of its addresses is link-local, multicast or none at all.
    """
    try:
        found = _numbers(host, int(time.monotonic() // _KEPT_S))
    except (OSError, UnicodeError) as err:
        raise OutsideError(
            N_("The host {host} is not known."),
            hint=N_("Check the address; without internet, bring in files of your own."),
            host=host[:80],
        ) from err
    realms = {realm_of(text, host) for text in found}
    nearest: tuple[Realm, ...] = ("machine", "network", "internet")
    return next(realm for realm in nearest if realm in realms)


@lru_cache(maxsize=256)
def _numbers(host: str, _minute: int) -> frozenset[str]:
    """Ask the name service, which a number needs not; its answer is taken for a minute."""
    with suppress(ValueError):
        return frozenset({str(ipaddress.ip_address(host))})
    return frozenset(str(entry[4][0]) for entry in _looked_up(host))


def _looked_up(host: str) -> list[Any]:
    """Ask the name service, which has no time limit of its own: a thread is left behind."""
    answers: list[list[Any] | OSError | UnicodeError] = []

    def ask() -> None:
        try:
            answers.append(socket.getaddrinfo(host, None))
        except (OSError, UnicodeError) as err:
            answers.append(err)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_LOOK_UP_S)
    answer = answers[0] if answers else OSError("no answer in time")
    if isinstance(answer, OSError | UnicodeError):
        raise answer
    return answer


def realm_of(text: str, host: str) -> Realm:
    """Return where one numeric address lies.

    Raises:
        RefusedFileError: It is link-local, multicast or no address of a host.
    """
    address = ipaddress.ip_address(text.split("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or _translated(address) or address
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise RefusedFileError(
            N_("{host} is an address inside the network that is never asked."), host=host[:80]
        )
    if address.is_loopback:
        return "machine"
    return "internet" if address.is_global else "network"


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the address that a translator to IPv4 (RFC 6052) would reach."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def checked_link(url: str, *, home: Realm) -> str:
    """Return an address that something in realm `home` points to, if it may be asked.

    Raises:
        RefusedFileError: It is no plain address, or leads into this machine or its network from
            outside of them.
        OutsideError: Its host is not known.
    """
    host = parsed(url).hostname or ""
    check_realm(realm_of_host(host), home, host)
    return url


def check_realm(realm: Realm, home: Realm, host: str) -> None:
    """Refuse a way from `home` into this machine or its network.

    Raises:
        RefusedFileError: `realm` is neither the internet nor `home`.
    """
    if realm not in ("internet", home):
        raise RefusedFileError(
            N_("{host} lies inside this machine or its network, where the catalogue does not."),
            hint=N_("Nothing was asked of it."),
            host=host[:80],
        )
