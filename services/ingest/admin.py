"""`python -m services.ingest.admin …`: organizations, projects and API keys from the command line, straight into MongoDB."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from services.ingest.administer import Administer, AdminStores
from services.ingest.bodies import CreateKey, CreateOrganization, CreateProject
from services.ingest.paging import MAX_LIMIT, Pager, PageRequest
from services.ingest.refusals import Refused
from services.ingest.signatures import Signatures
from services.ingest.strict_json import decode
from services.ingest.views.admin import key_view, new_key_view, organization_view, project_view
from shared.domain.errors import TransientFailure
from shared.domain.tenant import Mode
from shared.settings import MongoSettings, SettingsError, exit_on_settings_error, load
from shared.storage.api_keys import ApiKeys
from shared.storage.mongo import Mongo
from shared.storage.organizations import Organizations
from shared.storage.projects import Projects

T = TypeVar("T")
Command = Callable[[Administer, argparse.Namespace], Awaitable[Any]]
_EXIT_REFUSED = 2
_EXIT_UNAVAILABLE = 75  # EX_TEMPFAIL in sysexits.h


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its result is JSON on stdout, a refusal one line on stderr."""
    options = _parser().parse_args(arguments)
    try:
        result = asyncio.run(_run(load(MongoSettings), options))
    except SettingsError as error:
        exit_on_settings_error(error)
    except Refused as refused:
        sys.stderr.write(f"{refused.param}: {refused.message}\n" if refused.param else f"{refused.message}\n")
        return _EXIT_REFUSED
    except TransientFailure as failure:
        sys.stderr.write(f"MongoDB does not answer: {failure}\n")
        return _EXIT_UNAVAILABLE
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(result)).decode() + "\n")
    return 0


async def _run(settings: MongoSettings, options: argparse.Namespace) -> Any:  # noqa: ANN401 - a view
    mongo = Mongo(settings)
    try:
        stores = AdminStores(Organizations(mongo), Projects(mongo), ApiKeys(mongo))
        pager = Pager(Signatures("cursors are not shown here"))
        command: Command = options.command
        return await command(Administer(stores, pager, _forget), options)
    finally:
        mongo.close()


def _forget(_key_id: str) -> None:
    """Do nothing: the API's replicas feel a revocation when they next ask."""


async def _create_organization(administer: Administer, options: argparse.Namespace) -> Any:  # noqa: ANN401 - a view
    body = _body(CreateOrganization, name=options.name)
    return organization_view(await administer.create_organization(body.name))


async def _list_organizations(administer: Administer, options: argparse.Namespace) -> Any:  # noqa: ANN401 - a view
    page = await administer.organizations(_request(options))
    return [organization_view(item) for item in page.items]


async def _create_project(administer: Administer, options: argparse.Namespace) -> Any:  # noqa: ANN401 - a view
    body = _body(CreateProject, organization_id=options.organization, name=options.name)
    return project_view(await administer.create_project(body.organization_id, body.name))


async def _list_projects(administer: Administer, options: argparse.Namespace) -> Any:  # noqa: ANN401 - a view
    page = await administer.projects(_request(options), organization_id=options.organization)
    return [project_view(item) for item in page.items]


async def _create_key(administer: Administer, options: argparse.Namespace) -> Any:  # noqa: ANN401 - a view
    body = _body(CreateKey, mode=options.mode, name=options.name, scopes=options.scope, expires_at=options.expires_at)
    return new_key_view(await administer.create_key(options.project, body))


async def _list_keys(administer: Administer, options: argparse.Namespace) -> Any:  # noqa: ANN401 - a view
    page = await administer.keys(options.project, _request(options))
    return [key_view(item) for item in page.items]


async def _revoke_key(administer: Administer, options: argparse.Namespace) -> Any:  # noqa: ANN401 - a view
    return key_view(await administer.revoke_key(options.project, options.key))


def _body(form: type[T], **fields: object) -> T:
    """Return what a client would send for this, held to the same rules; raises `InvalidRequest`."""
    return decode(json.dumps(fields).encode(), form)


def _request(options: argparse.Namespace) -> PageRequest:
    return PageRequest(MAX_LIMIT, options.offset)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.ingest.admin", description=__doc__)
    commands = parser.add_subparsers(required=True)
    project = ("--project", {"required": True, "help": "the project's id"})
    organization = ("--organization", {"required": True, "help": "the organization's id"})
    name = ("--name", {"required": True})
    offset = ("--offset", {"type": int, "default": 0, "help": "leave out so many, newest first"})
    scope = ("--scope", {"action": "append", "help": "restrict the key to this scope; may be given several times"})
    expiry = ("--expires-at", {"help": "when the key ends, such as 2030-01-01T00:00:00Z"})
    mode = ("--mode", {"choices": [str(mode) for mode in Mode], "default": str(Mode.LIVE)})
    _add(commands, "create-organization", _create_organization, name)
    _add(commands, "list-organizations", _list_organizations, offset)
    _add(commands, "create-project", _create_project, organization, name)
    _add(commands, "list-projects", _list_projects, ("--organization", {"default": None}), offset)
    _add(commands, "create-key", _create_key, project, ("--name", {"default": None}), mode, scope, expiry)
    _add(commands, "list-keys", _list_keys, project, offset)
    _add(commands, "revoke-key", _revoke_key, project, ("--key", {"required": True, "help": "the key's id"}))
    return parser


def _text(argument: str) -> str:
    """Return an argument that MongoDB can hold and JSON can say."""
    try:
        argument.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError("it is not UTF-8") from error
    return argument


def _add(commands: Any, name: str, command: Command, *options: tuple[str, dict[str, Any]]) -> None:  # noqa: ANN401 - argparse's own
    parser = commands.add_parser(name)
    for flag, settings in options:
        parser.add_argument(flag, **{"type": _text, **settings})
    parser.set_defaults(command=command)


if __name__ == "__main__":
    sys.exit(main())
