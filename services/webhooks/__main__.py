"""`python -m services.webhooks` runs the webhook service."""

import sys

from services.webhooks.app import build
from shared.service import run_service

if __name__ == "__main__":
    sys.exit(run_service(build))
