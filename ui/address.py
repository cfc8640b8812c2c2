"""Tell the browser where the app's root is, so that a link to a page opens without failed requests.

Streamlit's page tries `/data/_stcore/health` before `/_stcore/health` when `/data` is opened: a 404
and an error in the console at every such visit, since it cannot know the root. It asks
`window.__streamlit` first; this middleware writes it into the page.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEAD = b"<head>"


class RootAddress:
    """ASGI middleware: add the root's address to HTML pages of the app."""

    def __init__(self, app: ASGIApp, base: str) -> None:
        self._app = app
        self._base = base
        script = (
            "<script>window.__streamlit=Object.assign(window.__streamlit||{},"
            f'{{BACKEND_BASE_URL:location.origin+"{base}/",'
            f'MAIN_PAGE_BASE_URL:location.origin+"{base}/"}});</script>'
        )
        self._script = script.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; change only whole HTML answers to page addresses."""
        if scope["type"] != "http" or not _is_page(scope["path"]):
            await self._app(scope, receive, send)
            return
        started: Message | None = None
        body = b""

        async def change(message: Message) -> None:
            nonlocal started, body
            if message["type"] == "http.response.start":
                if not _is_plain_html(message):
                    await send(message)
                    return
                started = message
            elif started is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    await self._finish(started, body, send)

        # A compressed page could not be changed; it is 8 kB.
        plain = [pair for pair in scope["headers"] if pair[0].lower() != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, change)

    async def _finish(self, start: Message, body: bytes, send: Send) -> None:
        if body:  # a HEAD request has none
            body = body.replace(_HEAD, _HEAD + self._script, 1)
        length = str(len(body)).encode()
        headers = [
            (name, length if name.lower() == b"content-length" and body else value)
            for name, value in start["headers"]
        ]
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _is_page(path: str) -> bool:
    own = (
        "/component/",
        "/_stcore/",
        "/static/",
        "/media/",
        "/tiles/",
        "/grids/",
        "/assets/",
        "/thumbs/",
        "/sheets/",
    )
    return not any(part in path for part in own)


def _is_plain_html(start: Message) -> bool:
    headers = {name.lower(): value for name, value in start["headers"]}
    return (
        start["status"] == 200
        and headers.get(b"content-type", b"").startswith(b"text/html")
        and b"content-encoding" not in headers
    )
