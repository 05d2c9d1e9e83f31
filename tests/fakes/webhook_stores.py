"""Webhook endpoints and deliveries over memory, for the API's tests."""

import msgspec

from shared.domain.clock import now
from shared.domain.delivery import Delivery, DeliveryLine, DeliveryStatus
from shared.domain.errors import AlreadyExists
from shared.domain.transition import VersionConflict
from shared.domain.webhook import MAX_ENDPOINTS, EndpointStatus


def newest(found, limit, before, offset):
    rows = sorted((row for row in found if before is None or row.id < before), key=lambda row: row.id, reverse=True)
    return rows[offset : offset + limit]


class FakeEndpoints:
    """Rows by id, deleted ones too; `before_saving` runs between a read and its write."""

    def __init__(self):
        self.rows = {}
        self.before_saving = None

    async def add(self, row):
        if len(self._of(row.tenant)) >= MAX_ENDPOINTS:
            return False
        if row.id in self.rows:
            raise AlreadyExists(row.id)
        self.rows[row.id] = row
        return True

    async def get(self, tenant, row_id):
        return next((row for row in self._of(tenant) if row.id == row_id), None)

    async def page(self, tenant, limit, *, before=None, offset=0):
        return newest(self._of(tenant), limit, before, offset)

    async def save(self, before, after):
        if self.before_saving is not None:
            meanwhile, self.before_saving = self.before_saving, None
            await meanwhile()
        present = await self.get(before.tenant, before.id)
        if present is None or present.version != before.version:
            raise VersionConflict(before.id)
        self.rows[before.id] = after

    async def remove(self, tenant, row_id):
        row = await self.get(tenant, row_id)
        if row is not None:
            self.rows[row_id] = row.changed(status=EndpointStatus.DISABLED, secrets=(), deleted_at=now())
        return row is not None

    def _of(self, tenant):
        return [row for row in self.rows.values() if row.tenant == tenant and row.deleted_at is None]


class FakeDeliveries:
    """Deliveries by id; `on_new` sees each that is added, as the webhook stage would."""

    def __init__(self):
        self.rows = {}
        self.resumed = []
        self.on_new = None

    async def add_new(self, deliveries):
        for delivery in [delivery for delivery in deliveries if delivery.id not in self.rows]:
            self.rows[delivery.id] = delivery
            if self.on_new is not None:
                self.on_new(delivery)
        return list(deliveries)

    async def get(self, tenant, delivery_id) -> Delivery | None:
        row = self.rows.get(delivery_id)
        return row if row is not None and row.tenant == tenant else None

    async def page(self, tenant, matching, limit, *, before=None, offset=0):
        mine = [row for row in self.rows.values() if row.tenant == tenant]
        found = [row for row in mine if all(getattr(row, name) == value for name, value in matching.items())]
        return [line_of(row) for row in newest(found, limit, before, offset)]

    async def replay(self, tenant, delivery_id, by=""):
        row = await self.get(tenant, delivery_id)
        if row is not None:
            self.rows[delivery_id] = row.replayed(by)
        return row and self.rows[delivery_id]

    async def resume(self, endpoint_id):
        self.resumed.append(endpoint_id)
        return 0

    async def tests_under_way(self, endpoint_id, limit):
        tests = [row for row in self.rows.values() if row.endpoint_id == endpoint_id and row.status is DeliveryStatus.TESTING]
        return min(limit, len(tests))


def line_of(row):
    fields = {name: getattr(row, name) for name in DeliveryLine.__struct_fields__}
    return msgspec.structs.replace(DeliveryLine(**fields), attempts=row.attempts[-1:])
