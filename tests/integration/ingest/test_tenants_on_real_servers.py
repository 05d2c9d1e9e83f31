"""The tenant matrix once more, on real stores: nobody finds what is another's."""

from tests.conformance import operations
from tests.tenants import World, anonymous, ask


async def test_to_others_nothing_of_ours_exists(deployment):
    async with deployment.replica() as api:
        world = await (await World(api).open()).furnish()
        for operation in operations():
            _, path, described = operation
            if "x-required-scope" not in described:
                continue
            for credential in ("", "nonsense", world.credentials["revoked"], world.credentials["expired"]):
                assert (await ask(world, operation, credential, world.ids)).status_code == 401, operation
            for name in ("other project", "other mode"):
                if "_id}" not in path or (name == "other mode" and path.startswith(("/v1/projects/", "/v1/organizations/"))):
                    continue
                foreign = await ask(world, operation, world.credentials[name], world.ids)
                missing = await ask(world, operation, world.credentials[name], world.missing())
                assert foreign.status_code == 404, operation
                assert anonymous(foreign) == anonymous(missing), operation
