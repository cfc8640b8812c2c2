"""What NumPy raises of a damaged file of arrays: the head of one is text that it parses."""

import tokenize
import zipfile
import zlib

DAMAGED = (
    OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, SyntaxError, OverflowError,
    MemoryError, RecursionError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
