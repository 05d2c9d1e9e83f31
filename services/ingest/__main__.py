"""`python -m services.ingest` runs the API."""

import sys

from services.ingest.app import build
from shared.service import run_service

if __name__ == "__main__":
    sys.exit(run_service(build))
