"""The one door through which catalogues and files outside are asked over HTTP.

Every address is checked before it is asked, and the machine that answers once more; redirections
are refused, but for a catalogue's own within its host; answers are bounded in size and time; no
credentials of this machine are sent. A request that fails in passing is asked again, a few times.
"""

import math
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from core.connectors import addresses
from core.connectors.peers import PeerAdapter
from core.errors import AppError, OutsideError, RefusedFileError, StoppedError
from core.text import N_

ShouldStop = Callable[[], bool]

_CONNECT_S = 8.0
_READ_S = 20.0
"""Longest silence of a server."""
_TRIES = 4
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.4, 15.0
_ANSWER_S = 30.0
"""Until an answer begins, headers and all."""
_CHUNK, _CHUNK_S = 16 << 10, 30.0
"""A server that sends less than this in that time is given up; a later try resumes."""
_LARGEST_PAGE = 32 << 20
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_DENIED = {401, 403}
_NUMBER = re.compile(r"[0-9]{1,18}")
_WATCH_S = 0.2


class MovedError(RefusedFileError):
    """The server leads to another address, `target`."""

    target = ""


class DeniedError(OutsideError):
    """The server knows the link but does not accept it: it has expired, or needs a key."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a server says of a file."""

    size: int | None
    """Bytes; None where it does not say."""
    has_ranges: bool
    """Whether parts of the file can be asked for."""
    version: str
    """ETag or time of the last change, `""` where it names neither."""


class Door:
    """Requests of one piece of work. Not for several threads at once.

    Raises:
        OutsideError: Outside access is off; no socket was opened.
        RefusedFileError: `home` is no plain address, or one that is never asked.
    """

    def __init__(self, home: str, *, outside: bool, should_stop: ShouldStop | None = None) -> None:
        addresses.require_outside(outside)
        self.home = addresses.realm_of_host(addresses.parsed(home).hostname or "")
        self.num_bytes = 0
        """Bytes of bodies that were received."""
        self._should_stop = should_stop or (lambda: False)
        self._sockets: set[socket.socket] = set()
        self._closed = threading.Event()
        self._until = math.inf
        """When the server that is listened to is given up, on the monotonic clock."""
        self._session = requests.Session()
        self._session.auth = _without_credentials
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, PeerAdapter(self.home, self._sockets))
        threading.Thread(target=self._watch, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._session.close()

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def head(self, url: str) -> Head:
        """Ask for the first byte of a file: links that are signed often answer nothing else.

        Raises:
            DeniedError, OutsideError, RefusedFileError, StoppedError: See `get`.
        """
        with self.get(url, headers={"Range": "bytes=0-0"}) as answer:
            version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            if answer.status_code == 206:
                size = _number(answer.headers.get("Content-Range", "").rpartition("/")[2])
                return Head(size, size is not None, version)
            return Head(_number(answer.headers.get("Content-Length", "")), False, version)

    def ranges(self, url: str, first: int, last: int, *, version: str = "") -> bytes:
        """Return the bytes from `first` to `last`, both included.

        Raises:
            DeniedError, OutsideError, RefusedFileError, StoppedError: See `get`; OutsideError
                also where the file has changed since `version` or the answer is cut off.
        """
        wanted = last - first + 1
        for attempt in range(_TRIES):
            headers = {"Range": f"bytes={first}-{last}"}
            try:
                with self.get(url, headers=headers) as answer:
                    begins = answer.headers.get("Content-Range", "").removeprefix("bytes ")
                    now = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
                    if answer.status_code != 206 or not begins.startswith(f"{first}-"):
                        raise OutsideError(
                            N_("{url} answers with something else than the part that was asked."),
                            url=addresses.shown(url),
                        )
                    if version and now != version:
                        raise changed(url)
                    body = b"".join(self.body(answer, url, most=wanted))
                if len(body) == wanted:
                    return body
            except CutOffError:
                if attempt == _TRIES - 1:
                    raise
            self._wait(attempt)
        raise _cut_off(url)

    def text(self, url: str, *, method: str = "GET", json: Any = None, params: Any = None) -> str:
        """Return an answer of text, of at most 32 MB; led on within the same host, three times.

        Raises:
            DeniedError, OutsideError, RefusedFileError, StoppedError: See `get`.
        """
        for attempt in range(_TRIES):
            try:
                with self.get(url, method=method, json=json, params=params) as answer:
                    return b"".join(self.body(answer, url, most=_LARGEST_PAGE)).decode("utf-8")
            except MovedError as err:
                if attempt == _TRIES - 1 or not _is_same_host(url, err.target):
                    raise
                url, params = err.target, None  # which the new address holds already
            except UnicodeDecodeError as err:
                raise OutsideError(
                    N_("{url} answers with something that is no text."), url=addresses.shown(url)
                ) from err
            except CutOffError:
                if attempt == _TRIES - 1:
                    raise
                self._wait(attempt)
        raise _cut_off(url)

    @contextmanager
    def get(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        json: Any = None,
        params: Any = None,
    ) -> Iterator[requests.Response]:
        """Ask, and yield an answer of status 200 or 206 whose body is still to be read.

        Raises:
            DeniedError: Status 401 or 403.
            OutsideError: It does not answer, or with an error.
            RefusedFileError: The address may not be asked, or leads to another.
            StoppedError: The user stopped the work.
        """
        addresses.checked_link(url, home=self.home)
        answer = self._answer(
            url, method, {"Accept-Encoding": "identity", **(headers or {})}, json, params
        )
        try:
            _check_status(answer, url)
            yield answer
        finally:
            answer.close()

    def body(self, answer: requests.Response, url: str, *, most: int) -> Iterator[bytes]:
        """Yield the bytes of an answer as they come.

        Raises:
            RefusedFileError: There are more than `most`.
            CutOffError: The connection broke, or the server is too slow.
            StoppedError: The user stopped the work.
        """
        total = 0
        chunks = answer.raw.stream(_CHUNK, decode_content=False)
        while True:
            self.stop_if()
            self._until = until = time.monotonic() + _CHUNK_S
            try:
                chunk = next(chunks, b"")
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as err:
                self.stop_if()
                raise _cut_off(url) from err
            finally:
                self._until = math.inf
            if time.monotonic() > until:  # where no length is told, a cut looks like the end
                raise _cut_off(url)
            if not chunk:
                return
            total += len(chunk)
            self.num_bytes += len(chunk)
            if total > most:
                raise RefusedFileError(
                    N_("{url} sends more than the {most:.1f} MB that were expected."),
                    url=addresses.shown(url),
                    most=most / 1e6,
                )
            yield chunk

    def stop_if(self) -> None:
        """Raise StoppedError if the user wants the work to end."""
        if self._should_stop():
            raise StoppedError(N_("Stopped. What was fetched stays and is not fetched again."))

    def _answer(
        self, url: str, method: str, headers: dict[str, str], json: Any, params: Any
    ) -> requests.Response:
        for attempt in range(_TRIES):
            self.stop_if()
            is_last = attempt == _TRIES - 1
            self._until = until = time.monotonic() + _ANSWER_S
            try:
                answer = self._session.request(
                    method,
                    url,
                    headers=headers,
                    json=json,
                    params=params,
                    stream=True,
                    allow_redirects=False,
                    timeout=(_CONNECT_S, _READ_S),
                )
            except AppError:  # of the check who answers; some of them are ValueErrors too
                raise
            except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as err:
                self.stop_if()
                if time.monotonic() > until:
                    raise _too_slow(url) from err
                may_pass = isinstance(err, requests.ConnectionError | requests.Timeout)
                # Eight seconds without a connection are enough to know.
                if is_last or not may_pass or isinstance(err, requests.ConnectTimeout):
                    raise OutsideError(
                        N_("{url} does not answer: {reason}."),
                        hint=N_("Check the internet; without it, bring in files of your own."),
                        url=addresses.shown(url),
                        reason=_plain(err),
                    ) from err
                self._wait(attempt)
                continue
            finally:
                self._until = math.inf
            if answer.status_code not in _PASSING or is_last:
                return answer
            asked = _number(answer.headers.get("Retry-After", ""))
            answer.close()
            self._wait(attempt, asked or 0)
        raise AssertionError("the last try returns or raises")

    def _watch(self) -> None:
        """End the wait for a server that takes too long, or once the user wants the work to end.

        Each byte that comes begins the time limit of a socket anew: it bounds silence alone.
        """
        while not self._closed.wait(_WATCH_S):
            if time.monotonic() > self._until or self._should_stop():
                for found in list(self._sockets):
                    with suppress(OSError):
                        found.shutdown(socket.SHUT_RDWR)

    def _wait(self, attempt: int, least_s: float = 0.0) -> None:
        wait = min(max(_FIRST_WAIT_S * 2**attempt, least_s), _LONGEST_WAIT_S)
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0:
            self.stop_if()
            time.sleep(min(left, 0.1))


class CutOffError(OutsideError):
    """An answer broke off before its end."""


def changed(url: str) -> OutsideError:
    """Return the error of a file that is another one than at the start."""
    return OutsideError(
        N_("{url} was changed on its server while it was fetched."),
        hint=N_("Fetch it again."),
        url=addresses.shown(url),
    )


_TOO_SLOW = N_("The connection to {url} broke off or is too slow.")
_IS_KEPT = N_("Try again: what has come is kept.")


def _cut_off(url: str) -> CutOffError:
    return CutOffError(_TOO_SLOW, hint=_IS_KEPT, url=addresses.shown(url))


def _too_slow(url: str) -> OutsideError:
    """Return the error of a server that would keep us waiting again if it were asked again."""
    return OutsideError(_TOO_SLOW, hint=_IS_KEPT, url=addresses.shown(url))


def _check_status(answer: requests.Response, url: str) -> None:
    status = answer.status_code
    if status in (200, 206):
        return
    if 300 <= status < 400:
        moved = MovedError(
            N_("{url} leads to another address, which is not followed."),
            hint=N_("Give the final address."),
            url=addresses.shown(url),
        )
        moved.target = urljoin(url, answer.headers.get("Location", ""))
        raise moved
    if status in _DENIED:
        raise DeniedError(
            N_("{url} is not open to us: status {status}."),
            hint=N_("Its link has expired, or it needs an account."),
            url=addresses.shown(url),
            status=status,
        )
    raise OutsideError(
        N_("{url} answers with status {status}."), url=addresses.shown(url), status=status
    )


def _is_same_host(url: str, target: str) -> bool:
    """Tell whether an address is on the same host and port, and no less secret."""
    old, new = urlsplit(url), urlsplit(target)
    if old.scheme == "http" and new.scheme == "https":
        return old.hostname == new.hostname
    return (old.scheme, old.netloc) == (new.scheme, new.netloc)


def _plain(err: BaseException) -> str:
    """Return the innermost reason of a chain of library errors, short."""
    while err.__context__ is not None:
        err = err.__context__
    reason = getattr(err, "strerror", None) or str(err) or type(err).__name__
    return str(reason)[:120]


def _number(text: str) -> int | None:
    """Return a number of a header, None where there is none that can be believed."""
    return int(text) if _NUMBER.fullmatch(text) else None


def _without_credentials(asked: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from looking up a password for the host in this user's files."""
    return asked
