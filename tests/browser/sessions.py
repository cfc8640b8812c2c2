"""Many sessions of the app at once, each the conversation of a browser without the browser."""

import asyncio
import threading
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

_MOST_BYTES = 64 << 20


@dataclass
class Session:
    """What one session was sent until its page had run to the end."""

    finished: bool = False
    errors: list[str] = field(default_factory=list)
    num_elements: int = 0


def open_at_once(base_url: str, count: int, *, page: str, query: str) -> list[Session]:
    """Open `page` in `count` sessions at the same time and wait until all have run."""
    found: list[Session] = []

    async def all_of_them() -> None:
        found.extend(await asyncio.gather(*(_opened(base_url, page, query) for _ in range(count))))

    # A thread of its own: Playwright keeps an event loop in this one.
    thread = threading.Thread(target=lambda: asyncio.run(all_of_them()))
    thread.start()
    thread.join()
    return found


async def _opened(base_url: str, page: str, query: str) -> Session:
    session = Session()
    address = base_url.replace("http", "ws", 1) + "/_stcore/stream"
    async with (
        asyncio.timeout(60),
        connect(
            address, subprotocols=["streamlit"], origin=base_url, max_size=_MOST_BYTES
        ) as socket,
    ):
        ask = BackMsg()
        ask.rerun_script.page_name = page
        ask.rerun_script.query_string = query
        await socket.send(ask.SerializeToString())
        while not session.finished:
            message = ForwardMsg.FromString(await socket.recv())
            _note(session, message)
    return session


def _note(session: Session, message: ForwardMsg) -> None:
    kind = message.WhichOneof("type")
    if kind == "script_finished":
        session.finished = message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
        if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            session.errors.append("the script could not be compiled")
            session.finished = True
    elif kind == "delta" and message.delta.HasField("new_element"):
        session.num_elements += 1
        element = message.delta.new_element
        if element.WhichOneof("type") == "exception":
            session.errors.append(element.exception.message)
