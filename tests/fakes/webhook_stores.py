"""Webhook endpoints and deliveries over memory, for the API's tests."""

import msgspec

from shared.domain.delivery import Delivery, DeliveryLine, DeliveryStatus
from shared.domain.transition import VersionConflict
from shared.domain.webhook import MAX_ENDPOINTS


def newest(found, limit, before, offset):
    rows = sorted((row for row in found if before is None or row.id < before), key=lambda row: row.id, reverse=True)
    return rows[offset : offset + limit]


class FakeEndpoints:
    """Rows by id; `before_saving` runs between a read and its write."""

    def __init__(self):
        self.rows = {}
        self.before_saving = None

    async def add(self, row):
        if len([known for known in self.rows.values() if known.tenant == row.tenant]) >= MAX_ENDPOINTS:
            return False
        self.rows[row.id] = row
        return True

    async def get(self, tenant, row_id):
        row = self.rows.get(row_id)
        return row if row is not None and row.tenant == tenant else None

    async def page(self, tenant, limit, *, before=None, offset=0):
        return newest([row for row in self.rows.values() if row.tenant == tenant], limit, before, offset)

    async def save(self, before, after):
        if self.before_saving is not None:
            meanwhile, self.before_saving = self.before_saving, None
            await meanwhile()
        present = self.rows.get(before.id)
        if present is None or present.version != before.version:
            raise VersionConflict(before.id)
        self.rows[before.id] = after

    async def remove(self, tenant, row_id):
        return await self.get(tenant, row_id) is not None and self.rows.pop(row_id) is not None


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
