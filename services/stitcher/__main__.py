"""`python -m services.stitcher` runs the stitcher."""

import sys

from services.stitcher.app import build
from shared.service import run_service

if __name__ == "__main__":
    sys.exit(run_service(build))
