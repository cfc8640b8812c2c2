"""A whole file, taken up again where the last try broke off."""

from collections.abc import Callable
from pathlib import Path

from core import store
from core.connectors import addresses
from core.connectors.door import CutOffError, Door, Head, changed
from core.connectors.ranges import asking, version_of
from core.connectors.signing import Link
from core.errors import OutsideError, RefusedFileError, StoreError, TooLargeError
from core.settings import settings
from core.text import N_

_VERSION = 1
_TRIES = 5
"""In a row, without a single new byte."""

OnBytes = Callable[[int], None]


def download(
    link: Link, door: Door, head: Head, part: Path, *, on_bytes: OnBytes, check: Callable[[], None]
) -> None:
    """Fetch a file into `part`, going on after the bytes that are there.

    Bytes of another version of the file are thrown away. The caller renames `part` once it has
    looked at it.

    Args:
        link: Where it lies.
        door: The way there.
        head: What the server said of it.
        part: Grows; beside it lies `<part>.json` with the version that it is of.
        on_bytes: Told how many are there.
        check: Called often; raises to end the work.

    Raises:
        RefusedFileError: It is larger than the limit, or than the server said.
        OutsideError: It cannot be had to its end.
        TooLargeError: There is no room on the disk.
    """
    most = min(head.size or settings().raster_mb << 20, settings().raster_mb << 20)
    if head.size is not None and head.size > most:
        raise TooLargeError(
            N_("{url} is {size:.1f} GB; the limit is {most:.1f} GB."),
            hint=N_("Choose a smaller file."),
            url=addresses.shown(link.href),
            size=head.size / 1e9,
            most=most / 1e9,
        )
    _begin(part, head, link)
    idle = 0
    while head.size is None or part.stat().st_size < head.size:
        check()
        before = part.stat().st_size
        try:
            asking(link, lambda url: _go_on(url, door, head, part, most, on_bytes, check))
            if head.size is None:
                break
        except CutOffError:
            idle = 0 if part.stat().st_size > before else idle + 1
            if idle == _TRIES or (idle and not head.has_ranges):
                raise
        else:
            idle = 0 if part.stat().st_size > before else idle + 1
            if idle == _TRIES:
                raise OutsideError(
                    N_("{url} ends before the {size:,} bytes that its server announced."),
                    url=addresses.shown(link.href),
                    size=head.size,
                )
    on_bytes(part.stat().st_size)


def _go_on(
    url: str,
    door: Door,
    head: Head,
    part: Path,
    most: int,
    on_bytes: OnBytes,
    check: Callable[[], None],
) -> None:
    have = part.stat().st_size if head.has_ranges else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    is_strong = bool(head.version) and not head.version.startswith("W/")
    if have and is_strong:
        headers["If-Range"] = head.version
    with door.get(url, headers=headers) as answer:
        if have and answer.status_code == 206:
            begins = (
                answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
            )
            if begins != str(have):
                raise OutsideError(
                    N_("{url} answers with something else than the part that was asked."),
                    url=addresses.shown(url),
                )
            now = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            if now != head.version:
                raise changed(url)
        elif have and is_strong:  # the server's way to say that it is another file now
            raise changed(url)
        else:
            have = 0
        try:
            with part.open("r+b") as file:
                file.truncate(have)
                file.seek(have)
                for chunk in door.body(answer, url, most=most - have):
                    check()
                    file.write(chunk)
                    have += len(chunk)
                    on_bytes(have)
        except OSError as err:
            raise TooLargeError(
                N_("There is no room to write {name}: {reason}."),
                hint=N_("Nothing was changed. Make room in the workspace and try again."),
                name=part.name,
                reason=err.strerror,
            ) from err


def _begin(part: Path, head: Head, link: Link) -> None:
    """Keep bytes of the same file, and delete any others."""
    wanted = {"source": version_of(link, head)}
    about = part.with_name(f"{part.name}.json")
    try:
        is_same = store.read_json(about, kind="fetched-part", version=_VERSION) == wanted
    except StoreError:
        is_same = False
    if not is_same or not head.has_ranges or not part.is_file():
        part.unlink(missing_ok=True)
        store.write_json(about, wanted, kind="fetched-part", version=_VERSION)
        part.touch()
    elif head.size is not None and part.stat().st_size > head.size:
        part.unlink()
        part.touch()


def forget(part: Path) -> None:
    """Delete a part and what is said of it."""
    part.unlink(missing_ok=True)
    part.with_name(f"{part.name}.json").unlink(missing_ok=True)


def refuse_unless_size(part: Path, head: Head) -> None:
    """Check the number of bytes.

    Raises:
        RefusedFileError: They are not those that the server announced.
    """
    found = part.stat().st_size
    if found == 0 or (head.size is not None and found != head.size):
        raise RefusedFileError(
            N_("{name} has {found:,} bytes, {size:,} were announced."),
            hint=N_("Fetch it again."),
            name=part.name,
            found=found,
            size=head.size or 0,
        )
