"""`/v1/provider-keys`: a project's own keys for speech providers on the network."""

from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from services.ingest.api_request import ApiRequest, requires
from services.ingest.bodies import PutProviderKey
from services.ingest.provider_keys import ManageProviderKeys
from services.ingest.views.provider_keys import ProviderKeysView, ProviderKeyView, provider_key_view


class ProviderKeyController(Controller):
    """Keys for `deepgram`, `assemblyai` and `elevenlabs`; kept sealed, never shown again."""

    path = "/v1/provider-keys"
    tags = ("Configuration",)

    @get("/", guards=[requires("config:read")])
    async def list_all(self, request: ApiRequest, manage_provider_keys: NamedDependency[ManageProviderKeys]) -> ProviderKeysView:
        """List the providers for which the project has a key of its own."""
        return ProviderKeysView(data=[provider_key_view(key) for key in await manage_provider_keys.list(request.caller)])

    @put("/{provider:str}", guards=[requires("config:write")])
    async def store(
        self,
        request: ApiRequest,
        provider: FromPath[str],
        data: JSONBody[PutProviderKey],
        manage_provider_keys: NamedDependency[ManageProviderKeys],
    ) -> ProviderKeyView:
        """Keep the project's key for a provider, in place of the one before."""
        return provider_key_view(await manage_provider_keys.put(request.caller, provider, data.api_key))

    @delete("/{provider:str}", guards=[requires("config:write")])
    async def remove(
        self, request: ApiRequest, provider: FromPath[str], manage_provider_keys: NamedDependency[ManageProviderKeys]
    ) -> None:
        """Forget the project's key for a provider."""
        await manage_provider_keys.remove(request.caller, provider)
