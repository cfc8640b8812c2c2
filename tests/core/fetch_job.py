"""Runs a job with small pieces, so that a fetch of a small image has many moments to be killed."""

import sys
from pathlib import Path

from core import jobs
from core.connectors import windows

if __name__ == "__main__":
    windows._PIECE_BYTES = 128 << 10
    jobs.run(Path(sys.argv[1]))
