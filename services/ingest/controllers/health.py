"""`/health` and `/metrics`: for clients, for Kubernetes and for Prometheus; no credential."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from services.ingest.api_request import ApiRequest
from services.ingest.health import ReportHealth
from shared.telemetry.health import Health
from shared.telemetry.metrics import exposition

_NO_STORE = {"Cache-Control": "no-store"}


class HealthController(Controller):
    """Whether the API lives, is ready, and what it has counted."""

    path = "/"
    tags = ("Operations",)

    @get("/health", also={503: dict[str, str]})
    async def health(self, report_health: NamedDependency[ReportHealth]) -> Response[dict[str, str]]:
        """Say whether the database answers, in the form that existing clients read (contract 0.3)."""
        healthy, body = await report_health()
        return Response(body, status_code=200 if healthy else 503, headers=_NO_STORE)

    @get("/health/live")
    async def live(self) -> Response[dict[str, str]]:
        """Say that the process serves."""
        return Response({"status": "alive"}, headers=_NO_STORE)

    @get("/health/ready", also={503: dict[str, object]})
    async def ready(self, health: NamedDependency[Health]) -> Response[dict[str, object]]:
        """Say whether all that the API needs answers."""
        ready, body = await health.readiness()
        return Response(body, status_code=200 if ready else 503, headers=_NO_STORE)

    @get(
        "/metrics",
        answers={"text/plain": {"schema": {"type": "string"}}, "application/openmetrics-text": {"schema": {"type": "string"}}},
    )
    async def metrics(self, request: ApiRequest) -> Response[bytes]:
        """Return the counts in Prometheus' form."""
        body, content_type = await exposition(request.headers.get("accept", ""))
        return Response(body, headers=_NO_STORE | {"Content-Type": content_type})  # as it is: it names its charset
