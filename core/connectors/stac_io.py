"""pystac-client's way to the network, led through our door."""

from typing import Any
from urllib.parse import urljoin

from pystac_client.stac_api_io import StacApiIO

from core.connectors.door import Door


class CheckedIO(StacApiIO):
    """Reads and asks nothing but checked addresses: no files, no redirections."""

    def __init__(self, door: Door, home: str) -> None:
        super().__init__(max_retries=None)
        self._door = door
        self._base = f"{home}/"

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        """Read a link, or an address; what is no address is meant from the catalogue's own."""
        if hasattr(source, "to_dict"):  # a link: its address goes through `request` too
            return super().read_text(source, *args, **kwargs)
        return self.request(str(source), *args, **kwargs)

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,  # noqa: ARG002  (a catalogue's own are not sent)
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """Return the text at an address."""
        url = urljoin(self._base, href)
        if (method or "GET").upper() == "POST":
            return self._door.text(url, method="POST", json=parameters)
        return self._door.text(url, params=parameters or None)
