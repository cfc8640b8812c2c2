"""Catalogues, and links into them that are valid for a while.

The files of the Planetary Computer lie in Azure's blob storage. Reading them needs no account, but
a token for each container, which a service of its own gives out to anybody for about an hour.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from core.connectors import addresses
from core.connectors.door import Door
from core.errors import OutsideError
from core.text import N_

_LEAST_LEFT_S = 120.0
_TOKEN_CHARACTERS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A STAC API, and where links to its files are signed."""

    url: str
    title: str
    token_url: str = ""
    """`<token_url>/<account>/<container>` gives a token; `""` where links are open."""
    signed_hosts: tuple[str, ...] = ()
    """Ends of the names of the hosts whose links need a token."""


PLANETARY_COMPUTER = Catalogue(
    url="https://planetarycomputer.microsoft.com/api/stac/v1",
    title="Planetary Computer (Microsoft)",
    token_url="https://planetarycomputer.microsoft.com/api/sas/v1/token",
    signed_hosts=(".blob.core.windows.net",),
)
EARTH_SEARCH = Catalogue(
    url="https://earth-search.aws.element84.com/v1", title="Earth Search (Element 84, AWS)"
)
CATALOGUES = (PLANETARY_COMPUTER, EARTH_SEARCH)


def catalogue_of(url: str) -> Catalogue:
    """Return the catalogue of an address, one of the known where it is theirs.

    Raises:
        RefusedFileError: It is no plain `http(s)` address.
    """
    plain = url.strip().rstrip("/")
    host = addresses.parsed(plain).hostname or ""
    return next(
        (known for known in CATALOGUES if known.url == plain), Catalogue(url=plain, title=host)
    )


class Signer:
    """Adds tokens to links; asks for each token once, and again when it is about to expire."""

    def __init__(self, catalogue: Catalogue, door: Door) -> None:
        self._catalogue = catalogue
        self._door = door
        self._tokens: dict[str, tuple[float, str]] = {}

    def sign(self, href: str, *, is_fresh: bool = False) -> str:
        """Return a link that is open now; `is_fresh` where the last one was not accepted.

        Raises:
            OutsideError: The service does not answer, or not with a token.
        """
        where = self._container(href)
        if where is None:
            return href
        kept = None if is_fresh else self._tokens.get(where)
        if kept is None or kept[0] - time.time() < _LEAST_LEFT_S:
            kept = self._token(where)
            self._tokens[where] = kept
        return f"{href}?{kept[1]}"

    def _container(self, href: str) -> str | None:
        """Return `account/container` of a link that needs a token and has none."""
        parts = urlsplit(href)
        host, folders = parts.hostname or "", parts.path.strip("/").split("/")
        ends = self._catalogue.signed_hosts
        if not self._catalogue.token_url or parts.query or not host.endswith(ends):
            return None
        if len(folders) < 2:
            return None
        return f"{host.partition('.')[0]}/{folders[0]}"

    def _token(self, where: str) -> tuple[float, str]:
        url = f"{self._catalogue.token_url}/{where}"
        text = self._door.text(url)
        try:
            answer = json.loads(text)
            expiry = datetime.fromisoformat(str(answer["msft:expiry"]))
            token = str(answer["token"])
            if not 0 < len(token) < _TOKEN_CHARACTERS or not token.isprintable() or "#" in token:
                raise ValueError("no token")
        except (ValueError, KeyError, TypeError, RecursionError) as err:
            raise OutsideError(
                N_("{url} does not answer with a token for the files of the catalogue."), url=url
            ) from err
        expires = expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)
        return expires.timestamp(), token


@dataclass(slots=True)
class Link:
    """The address of a file, renewed once it is not accepted any more."""

    href: str
    """As the catalogue gives it, without a signature of ours."""
    signer: Signer
    again: Callable[[], str] | None = None
    """Asks the catalogue for the address anew, where it hands out links that expire."""
    _url: str = ""

    def url(self) -> str:
        """Return the address to ask."""
        if not self._url:
            self._url = self.signer.sign(self.href)
        return self._url

    def renew(self) -> bool:
        """Get a fresh address; False where there is no other one.

        Raises:
            OutsideError: The catalogue does not answer.
        """
        before = self.url()
        self._url = self.signer.sign(self.href, is_fresh=True)
        if self._url == before and self.again is not None:
            self.href = self.again()
            self._url = self.signer.sign(self.href)
        return self._url != before


def facts(catalogue: Catalogue) -> dict[str, Any]:
    """Return what provenance keeps of a catalogue."""
    return {"catalogue": catalogue.url, "catalogue_title": catalogue.title}
