"""Read GeoPackage and GeoParquet without handing an unknown file to a library that trusts it.

A GeoPackage is an SQLite database and may hold views, triggers, virtual tables and computed
columns; here only plain tables are read, with every other right taken away.

References: OGC 12-128r19 (GeoPackage 1.4), GeoParquet 1.1.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from core.errors import InputError, RefusedFileError, TooLargeError
from core.text import N_
from core.wkb import MOST_VERTICES, check_counts, damaged, geometries

_MOST_GROUP_BYTES = 128 << 20
_MOST_BYTES = 1 << 30  # of one parquet file's unpacked columns
_SECONDS = 20.0  # a query on a damaged or hostile database ends after this
_MOST_LAYERS, _LONGEST_NAMES = 1000, 1000
_BATCH = 2000
_BATCH_BYTES = 32 << 20
_BYTES_A_VERTEX = 32  # x, y, z, m: what is held never passes what could be drawn
_GPKG_IDS = {b"GPKG", b"GP10", b"GP11"}
_ENVELOPE_BYTES = (0, 32, 48, 48, 64)
_UNDEFINED_SRS = {0, -1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a vector file holds: geometry (N,), columns of N values, and its CRS if it has one."""

    geometry: NDArray[Any]
    columns: dict[str, list[Any]]
    crs: CRS | None
    layer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A vector file that is open: its head, and its rows from the first on."""

    crs: CRS | None
    attributes: tuple[str, ...]
    layer: str
    rows: Callable[[], Iterator[tuple[NDArray[Any], list[Any], float]]]
    """Yields geometry (N,) in two dimensions, N values of the attribute, and the share read."""


def chosen_layer(label: str, found: Iterable[str], layer: str | None) -> str:
    """Return the one layer, or the one asked for.

    Raises:
        InputError: There is none, there are several and none was chosen, or not that one.
    """
    names = sorted(found)
    if layer in names and layer is not None:
        return layer
    known = ", ".join(names[:20])
    if not names:
        raise InputError(N_("{name} holds no layer with geometry."), name=label)
    if layer is not None:
        raise InputError(
            N_("{name} has no layer {layer!r}."),
            hint=N_("It has: {known}."),
            name=label,
            layer=layer[:80],
            known=known,
        )
    if len(names) > 1:
        raise InputError(
            N_("{name} holds several layers."),
            hint=N_("Choose one of: {known}."),
            name=label,
            known=known,
        )
    return names[0]


# -- GeoPackage ---------------------------------------------------------------------------------


def read_geopackage(path: Path, *, label: str, layer: str | None) -> Table:
    """Read one plain feature table of a GeoPackage; columns of bytes are left out.

    Raises:
        RefusedFileError: The file is damaged, or the layer is a view or a virtual table.
        InputError: The layer has to be chosen.
        TooLargeError: There are too many features, columns or vertices.
    """
    with _database(path, label) as (db, _):
        return _feature_table(db, label, layer)


@contextmanager
def stream_geopackage(
    path: Path, *, label: str, layer: str | None, attribute: str | None, batch: int
) -> Iterator[Stream]:
    """Open one plain feature table of a GeoPackage for reading batch by batch.

    Without an attribute only the head can be asked for.

    Raises:
        RefusedFileError: The file is damaged, or the layer is a view or a virtual table.
        InputError: The layer has to be chosen.
    """
    with _database(path, label) as (db, renew):
        registered = _registered_layers(db, label)
        name = chosen_layer(label, registered, layer)
        column, srs_id = registered[name]
        _check_plain(db, name, label)
        names = tuple(key for key, is_computed in _columns(db, name) if not is_computed)
        if column not in names:
            raise damaged(label, N_("no column {column!r}"), column=column[:40])
        last = db.execute(f"SELECT rowid FROM {_quoted(name)} ORDER BY rowid DESC LIMIT 1")
        num = max(1, int((last.fetchone() or [0])[0]))

        def rows() -> Iterator[tuple[NDArray[Any], list[Any], float]]:
            wanted = f"{_quoted(column)}, {_quoted(str(attribute))}"
            cursor = db.execute(f"SELECT {wanted} FROM {_quoted(name)}")
            done = 0
            while True:
                renew()
                found = _few_rows(cursor, batch)
                if not found:
                    return
                done += len(found)
                blobs = (_gpkg_wkb(row[0], label) for row in found)
                yield geometries(blobs, label), [row[1] for row in found], min(1.0, done / num)

        keys = tuple(key for key in names if key != column)
        yield Stream(crs=_gpkg_crs(db, srs_id), attributes=keys, layer=name, rows=rows)


def _few_rows(cursor: sqlite3.Cursor, most: int) -> list[tuple[Any, ...]]:
    """Return the next rows: at most so many, and of a bounded size together."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    while len(rows) < most and size < _BATCH_BYTES:
        row = cursor.fetchone()
        if row is None:
            break
        rows.append(row)
        size += sum(len(value) for value in row if isinstance(value, bytes | str))
    return rows


@contextmanager
def _database(path: Path, label: str) -> Iterator[tuple[sqlite3.Connection, Callable[[], None]]]:
    """Open a database that nobody has checked; yield what gives the next query its time too."""
    journal = path.with_name(path.name + "-wal")
    if journal.is_file() and journal.stat().st_size:
        raise RefusedFileError(
            N_("{name} is open in another program."),
            hint=N_("Close it there, so that its changes are saved, and try again."),
            name=label,
        )
    # Immutable: no lock, journal or shared-memory file is made or believed.
    address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as db:
            yield db, _harden(db)
    except sqlite3.Error as err:
        raise damaged(label, str(err)) from err
    except UnicodeDecodeError as err:  # a damaged name, which Python reads before text_factory can
        raise damaged(label, N_("its names are no text")) from err


def is_geopackage(head: bytes) -> bool:
    """Say whether the first 72 bytes are those of a GeoPackage."""
    return head.startswith(b"SQLite format 3\0") and head[68:72] in _GPKG_IDS


def _harden(db: sqlite3.Connection) -> Callable[[], None]:
    # https://sqlite.org/security.html, "Untrusted SQLite Database Files".
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    db.execute("PRAGMA mmap_size = 0")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 128 << 20)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    db.set_authorizer(_authorized)
    until = time.monotonic() + _SECONDS

    def renew() -> None:
        nonlocal until
        until = time.monotonic() + _SECONDS

    db.set_progress_handler(lambda: int(time.monotonic() > until), 100_000)
    return renew


def _authorized(action: int, first: str | None, *_: object) -> int:
    reads = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ)
    lists_columns = action == sqlite3.SQLITE_PRAGMA and first == "table_xinfo"
    return sqlite3.SQLITE_OK if reads or lists_columns else sqlite3.SQLITE_DENY


def _feature_table(db: sqlite3.Connection, label: str, layer: str | None) -> Table:
    registered = _registered_layers(db, label)
    name = chosen_layer(label, registered, layer)
    column, srs_id = registered[name]
    _check_plain(db, name, label)
    names = [key for key, is_computed in _columns(db, name) if not is_computed]
    if column not in names:
        raise damaged(label, N_("no column {column!r}"), column=column[:40])
    check_counts(label, 0, len(names))
    cursor = db.execute(f"SELECT {', '.join(map(_quoted, names))} FROM {_quoted(name)}")
    rows = _counted_rows(cursor, label)
    at = names.index(column)
    return Table(
        geometry=geometries((_gpkg_wkb(row[at], label) for row in rows), label),
        columns={
            key: [row[i] for row in rows]
            for i, key in enumerate(names)
            if i != at and not any(isinstance(row[i], bytes) for row in rows)
        },
        crs=_gpkg_crs(db, srs_id),
        layer=name,
    )


def _registered_layers(db: sqlite3.Connection, label: str) -> dict[str, tuple[str, int]]:
    """Return the geometry column and the reference system of each layer."""
    for system in ("gpkg_geometry_columns", "gpkg_spatial_ref_sys"):
        _check_plain(db, system, label)
        if any(is_computed for _, is_computed in _columns(db, system)):
            raise damaged(label, N_("its list of layers is computed"))
    found: dict[str, tuple[str, int]] = {}
    for table, column, srs in db.execute(
        "SELECT table_name, column_name, srs_id FROM gpkg_geometry_columns"
    ):
        if len(found) >= _MOST_LAYERS or len(str(table)) + len(str(column)) > _LONGEST_NAMES:
            raise damaged(label, N_("its list of layers is too long"))
        found[str(table)] = (str(column), srs if isinstance(srs, int) else 0)
    return found


def _columns(db: sqlite3.Connection, table: str) -> list[tuple[str, bool]]:
    """Return each column and whether it is computed, and so may ask for a gigabyte in each row."""
    described = db.execute(f"PRAGMA table_xinfo({_quoted(table)})").fetchmany(10_000)
    return [(str(entry[1]), bool(entry[6])) for entry in described]


def _check_plain(db: sqlite3.Connection, name: str, label: str) -> None:
    """Refuse what runs when it is read: views and virtual tables, which have no root page."""
    found = db.execute(
        "SELECT type, rootpage FROM sqlite_master WHERE name = ? COLLATE NOCASE"
        " AND type IN ('table', 'view')",
        (name,),
    ).fetchone()
    if found is None or found[0] != "table" or not found[1]:
        raise RefusedFileError(
            N_("Layer {layer!r} of {name} is a view, not a table."),
            hint=N_("Export it as a layer of its own."),
            layer=name[:80],
            name=label,
        )


def _counted_rows(cursor: sqlite3.Cursor, label: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in cursor:  # one by one: a damaged file can hold the same long value in every row
        rows.append(row)
        size += sum(len(value) for value in row if isinstance(value, bytes | str))
        check_counts(label, len(rows), vertices=size // _BYTES_A_VERTEX)
    return rows


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _gpkg_wkb(blob: object, label: str) -> bytes | None:
    if blob is None:
        return None
    if not isinstance(blob, bytes) or len(blob) < 8 or blob[:2] != b"GP":
        raise damaged(label, N_("no geometry where one should be"))
    envelope = (blob[3] >> 1) & 7
    if envelope >= len(_ENVELOPE_BYTES):
        raise damaged(label, N_("an unknown kind of envelope"))
    return blob[8 + _ENVELOPE_BYTES[envelope] :]


def _gpkg_crs(db: sqlite3.Connection, srs_id: int) -> CRS | None:
    if srs_id in _UNDEFINED_SRS:
        return None
    row = db.execute(
        "SELECT organization, organization_coordsys_id, definition"
        " FROM gpkg_spatial_ref_sys WHERE srs_id = ?",
        (srs_id,),
    ).fetchone()
    if row is None:
        return None
    organization, code, definition = row
    try:
        if str(organization).upper() == "EPSG":
            return CRS.from_epsg(int(code))
        return CRS.from_wkt(str(definition)[:20_000])
    except (CRSError, ValueError, TypeError):
        return None


# -- GeoParquet ---------------------------------------------------------------------------------


def read_geoparquet(path: Path, *, label: str) -> Table:
    """Read a GeoParquet file; columns that hold lists, structures or bytes are left out.

    Raises:
        RefusedFileError: The file is damaged, or is Parquet without geometry in WKB.
        TooLargeError: There are too many features, columns or vertices.
    """
    with _parquet_errors(label):
        # Kept as dictionaries: one long value repeated a million times stays small until counted.
        texts = [field.name for field in pq.read_schema(path) if _is_bytes_or_text(field.type)]
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            meta = file.metadata
            groups = [meta.row_group(i) for i in range(min(meta.num_row_groups, 10_000))]
            if sum(group.total_byte_size for group in groups) > _MOST_BYTES:
                check_counts(label, 0, vertices=MOST_VERTICES + 1)
            check_counts(label, meta.num_rows, len(file.schema_arrow.names))
            column, crs = _geo_header(meta.metadata or {}, label)
            wanted = [column, *_plain_columns(file.schema_arrow, column)]
            return _parquet_table(file, label, wanted, crs)


@contextmanager
def stream_geoparquet(
    path: Path, *, label: str, attribute: str | None, batch: int
) -> Iterator[Stream]:
    """Open a GeoParquet file for reading batch by batch; see `stream_geopackage`.

    Raises:
        RefusedFileError: The file is damaged, or is Parquet without geometry in WKB.
        TooLargeError: A row group would take more memory than one may.
    """
    with _parquet_errors(label):
        file = pq.ParquetFile(path, pre_buffer=False)
    with file:
        with _parquet_errors(label):
            meta = file.metadata
            column, crs = _geo_header(meta.metadata or {}, label)
            keys = tuple(_plain_columns(file.schema_arrow, column))
        wanted = [column, str(attribute)]

        def rows() -> Iterator[tuple[NDArray[Any], list[Any], float]]:
            done = 0
            with _parquet_errors(label):
                for i in range(meta.num_row_groups):
                    _check_group(meta.row_group(i), wanted, label)
                for found in file.iter_batches(batch, columns=wanted, use_threads=False):
                    done += found.num_rows
                    blobs = _values(found.column(column))
                    values = _values(found.column(str(attribute)))
                    yield geometries(blobs, label), values, done / max(1, meta.num_rows)

        yield Stream(crs=crs, attributes=keys, layer="", rows=rows)


def _check_group(group: Any, wanted: list[str], label: str) -> None:
    columns = [group.column(i) for i in range(group.num_columns)]
    size = sum(
        part.total_uncompressed_size
        for part in columns
        if part.path_in_schema.partition(".")[0] in wanted
    )
    if size > _MOST_GROUP_BYTES:
        raise TooLargeError(
            N_("{name} is packed in row groups of {size:.1f} GB, too large to unpack."),
            hint=N_("Write it again with row groups of 100,000 rows or fewer."),
            name=label,
            size=size / 1e9,
        )


@contextmanager
def _parquet_errors(label: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, KeyError) as err:
        raise damaged(label, str(err).splitlines()[0] if str(err) else "") from err
    except (UnicodeDecodeError, IndexError) as err:
        raise damaged(label, N_("its values do not fit their description")) from err


def _parquet_table(file: Any, label: str, wanted: list[str], crs: CRS | None) -> Table:
    blobs: list[bytes | None] = []
    columns: dict[str, list[Any]] = {name: [] for name in wanted[1:]}
    size = 0
    for batch in file.iter_batches(_BATCH, columns=wanted, use_threads=False):
        size += sum(_unfolded_bytes(column) for column in batch.columns)
        check_counts(label, len(blobs) + batch.num_rows, vertices=size // _BYTES_A_VERTEX)
        blobs += _values(batch.column(wanted[0]))
        for name, values in columns.items():
            values += _values(batch.column(name))
    return Table(geometry=geometries(blobs, label), columns=columns, crs=crs)


def _geo_header(metadata: dict[bytes, bytes], label: str) -> tuple[str, CRS | None]:
    try:
        geo = json.loads(metadata[b"geo"])
        column = geo["primary_column"]
        about = geo["columns"][column]
        encoding = about["encoding"]
    except (KeyError, TypeError, ValueError, RecursionError) as err:
        raise RefusedFileError(
            N_("{name} is a Parquet file without geometry."),
            hint=N_("Save it as GeoParquet."),
            name=label,
        ) from err
    if encoding != "WKB":
        raise RefusedFileError(
            N_("{name} keeps its geometry as {encoding}, which is not read."),
            hint=N_("Save it as GeoParquet with the encoding WKB."),
            name=label,
            encoding=str(encoding)[:40],
        )
    if "crs" not in about:
        return column, CRS.from_epsg(4326)  # the format's own default
    try:
        return column, CRS.from_json_dict(about["crs"]) if about["crs"] else None
    except (CRSError, TypeError, ValueError):
        return column, None


def _values(column: pa.Array) -> list[Any]:
    unfolded = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return list(unfolded.to_pylist())


def _unfolded_bytes(column: pa.Array) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    if not _is_bytes_or_text(column.dictionary.type):
        return 8 * len(column)
    lengths = pc.binary_length(column.dictionary).fill_null(0).to_numpy(zero_copy_only=False)
    return int(lengths[column.indices.drop_null().to_numpy(zero_copy_only=False)].sum())


def _is_bytes_or_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _plain_columns(schema: pa.Schema, geometry: str) -> list[str]:
    def is_plain(kind: pa.DataType) -> bool:
        if pa.types.is_dictionary(kind):
            return is_plain(kind.value_type)
        is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        return not (pa.types.is_nested(kind) or is_bytes)

    return [
        field.name
        for field in schema
        if field.name != geometry and schema.names.count(field.name) == 1 and is_plain(field.type)
    ]
