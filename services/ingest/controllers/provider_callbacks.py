"""`/v1/provider-callbacks`: where speech providers on the network send the answers to our orders."""

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.ingest import refusals
from services.ingest.api_request import ApiRequest
from services.ingest.openapi.security import CALLBACK_TOKEN
from services.ingest.take_answer import TakeAnswer
from shared.domain.errors import TransientFailure


class AnswerTakenView(msgspec.Struct, kw_only=True):
    """What a provider is told: it need not send the answer again."""

    received: bool


class ProviderCallbackController(Controller):
    """Answers to orders."""

    path = "/v1/provider-callbacks"
    tags = ("Providers",)

    @post(
        "/{provider:str}/{token:str}",
        status_code=200,
        request_max_body_size=None,
        credential=CALLBACK_TOKEN,
        takes="application/json",
        refuses=[refusals.NotFound, refusals.InvalidRequest, refusals.PayloadTooLarge, TransientFailure],
    )
    async def take(
        self, request: ApiRequest, provider: FromPath[str], token: FromPath[str], take_answer: NamedDependency[TakeAnswer]
    ) -> AnswerTakenView:
        """Take a provider's answer to an order of ours.

        The operator's transcriber makes the URL for each order; its last part is the credential, and an unknown one is answered
        as a path that is not there. What is acknowledged is stored. Sent again, it changes nothing.
        """
        order = await take_answer.admit(provider, token)
        request.context.note(project_id=order.project_id, transcription_id=order.transcription_id)
        await take_answer(order, request.stream(), request.content_length)
        return AnswerTakenView(received=True)
