"""Every operation that the contract names and leaves out (A24 and what A lists nowhere), as the published clients send it."""

from typing import Any

RECORDING, DEVICE = "/recordings/rec_abc123", "/devices/dev_abc123"
SESSIONS = f"{RECORDING}/encrypted-upload-v2/sessions"
SESSION = f"{SESSIONS}/0c9b3f9e-5d1c-4b7e-9d3a-1f2e3d4c5b6a"
CONTEXTS = f"{DEVICE}/encrypted-upload-v2/contexts"

LEFT_OUT: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("POST", "/summaries", {"transcription_id": "txn_abc123", "template_id": "tmpl_general_notes"}),
    ("GET", "/summaries", None),
    ("GET", "/summaries?transcription_id=txn_abc123&limit=20", None),
    ("GET", "/summaries/sum_abc123", None),
    ("POST", "/recordings/search", {"query": "refund", "end_user_id": "eu_xyz789", "limit": 8}),
    ("POST", "/recordings/search/", {"query": "refund"}),
    ("GET", "/recordings/search", None),
    ("POST", "/ask/sessions", {"scope": {"type": "library"}, "end_user_id": "eu_xyz789"}),
    ("GET", "/ask/sessions", None),
    ("GET", "/ask/sessions/as_abc123", None),
    ("PATCH", "/ask/sessions/as_abc123", {"title": "Refunds"}),
    ("DELETE", "/ask/sessions/as_abc123", None),
    ("POST", "/ask/sessions/as_abc123/messages", {"content": "why?"}),
    ("GET", "/ask/sessions/as_abc123/messages", None),
    ("GET", "/firmware-releases", None),
    ("GET", "/firmware-releases?device_id=dev_abc123", None),
    ("GET", "/firmware-releases/fw_abc123", None),
    ("GET", "/firmware-releases/fw_abc123/download-url?type=bin", None),
    ("GET", f"{DEVICE}/ota", None),
    ("GET", f"{DEVICE}/ota/history?limit=20", None),
    ("POST", f"{DEVICE}/wifi-config/grant", {"expires_in_seconds": 900}),
    ("GET", f"{DEVICE}/settings", None),
    ("PUT", f"{DEVICE}/settings", {}),
    ("PATCH", f"{DEVICE}/settings", {}),
    ("POST", SESSIONS, {"device_id": "dev_abc123", "storage_format": "bota_enc_v2"}),
    ("GET", SESSION, None),
    ("POST", f"{SESSION}/staging-url", {"owner_revision": 1}),
    ("POST", f"{SESSION}/manifest", {"owner_revision": 1}),
    ("POST", f"{SESSION}/recover", {}),
    ("DELETE", SESSION, None),
    ("POST", CONTEXTS, {"nonce_base64": "AA=="}),
    ("POST", f"{CONTEXTS}/ctx_1/proof", {"proof_base64": "AA=="}),
    ("GET", f"{CONTEXTS}/ctx_1", None),
)
