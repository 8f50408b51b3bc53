"""The flat columns of the contract as Parquet: typed, compressed, for DuckDB, Polars, Spark and others.

In: connections as columns. Out: one file, in row groups, written as they come. pyarrow
(the extra `parquet`) is imported by who writes: it takes longer than many captures.

Times are nanoseconds in UTC, sizes and counts unsigned, words dictionaries, states and findings lists of words,
addresses text. Null is what the capture cannot tell. The metadata of the schema names the version of the contract.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.cells import addresses, distinct, lines
from handshake_inspect.connections.flat import (
    FLAT_COLUMNS,
    Addresses,
    Column,
    Integers,
    Lists,
    Numbers,
    Words,
    flat_blocks,
)
from handshake_inspect.connections.model import Connections
from handshake_inspect.views.contract import SCHEMA
from handshake_inspect.views.escape import printable

if TYPE_CHECKING:
    import pyarrow

#: Rows of a group: what readers take at once, and what stands in memory here.
GROUP_ROWS = 1 << 16


#: Takes octets.
Write = Callable[[bytes], object]


def write_parquet(write: Write, connections: Connections, streams: NDArray[np.int64]) -> None:
    """Write the columns of these streams to a file that need not be seekable."""
    import pyarrow
    import pyarrow.parquet

    schema = flat_schema()
    with (
        pyarrow.PythonFile(_Counted(write), mode="w") as file,
        pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for block in flat_blocks(connections, streams, GROUP_ROWS):
            arrays = [_array(block[field.name], field.type) for field in schema]
            writer.write_batch(pyarrow.record_batch(arrays, schema), row_group_size=GROUP_ROWS)


def flat_schema() -> pyarrow.Schema:
    """Return names, types and metadata of the columns."""
    import pyarrow

    word, time = pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), pyarrow.timestamp("ns", "UTC")
    types = {
        "stream": pyarrow.uint64(),
        "originator_ip": pyarrow.string(),
        "responder_ip": pyarrow.string(),
        "originator_port": pyarrow.uint16(),
        "responder_port": pyarrow.uint16(),
        "first_ns": time,
        "last_ns": time,
        "initial_rtt_ns": pyarrow.int64(),  # below 0 where the clock was set back
        "completeness": pyarrow.uint8(),
    }
    for end in ("originator", "responder"):
        types |= {f"segments_{end}": pyarrow.uint32(), f"states_{end}": pyarrow.list_(pyarrow.string())}
        types |= {f"{name}_{end}": pyarrow.uint64() for name in ("octets", "missing_octets")}
    types["findings"] = pyarrow.list_(pyarrow.string())
    fields = [pyarrow.field(name, types.get(name, word)) for name in FLAT_COLUMNS]
    return pyarrow.schema(fields, metadata={"handshake_inspect.schema": str(SCHEMA)})


def _array(column: Column, type_: pyarrow.DataType) -> pyarrow.Array:
    import pyarrow

    match column:
        case Numbers(values, known):
            return pyarrow.array(values, mask=None if known is None else ~known).cast(type_)
        case Words(texts, number):
            words, place = _occurring(texts, number)
            spelled = pyarrow.array([None if word is None else printable(word) for word in words], pyarrow.string())
            return pyarrow.DictionaryArray.from_arrays(place, spelled).dictionary_decode().cast(type_)
        case Lists(lists, number):
            words, place = _occurring(lists, number)
            return pyarrow.array(words, type_).take(place)
        case Addresses():
            return pyarrow.array(lines([addresses(*column)]).decode().splitlines(), type_)


def _occurring(values: Any, number: Integers) -> tuple[list[Any], Any]:
    import pyarrow

    occurring, place = distinct(number)
    return [values[one] for one in occurring.tolist()], pyarrow.array(place.astype(np.int32))


class _Counted:
    """A binary file that counts its octets: Parquet writes offsets, and a pipe has no position."""

    closed = False

    def __init__(self, write: Write) -> None:
        self._write = write
        self._octets = 0

    def write(self, octets: bytes) -> None:
        self._write(octets)
        self._octets += len(octets)

    def tell(self) -> int:
        return self._octets

    def flush(self) -> None:
        """Do nothing: the file below is flushed by its owner."""

    close = flush
