"""`python -m services.webhooks` runs the webhook service."""

import sys

from services.webhooks.app import build
from shared.service import run_service

sys.exit(run_service(build))
