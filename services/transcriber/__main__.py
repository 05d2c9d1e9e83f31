"""`python -m services.transcriber` runs the transcriber."""

import sys

from services.transcriber.app import build
from shared.service import run_service

if __name__ == "__main__":
    sys.exit(run_service(build))
