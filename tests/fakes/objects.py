"""A bucket in memory that keeps the promises of a real one, and its coarseness: its listing tells times to the second."""

import hashlib

from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.object_keys import chunk_of
from shared.domain.stored_object import BodyMismatch, StoredObject


class FakeObjects:
    """A bucket; `before_taking` runs before the bytes are in, `before_confirming` before the sender hears that they are."""

    def __init__(self):
        self.objects = {}
        self.times = {}
        self.down = False
        self.before_taking = self.before_confirming = None
        self.clock = lambda: now().replace(microsecond=0)

    async def put(self, key, body, size_bytes, content_type):
        self._check()
        if isinstance(body, bytes):
            body = (body,)
        content = b"".join(body if isinstance(body, tuple) else [piece async for piece in body])
        if len(content) != size_bytes:
            raise BodyMismatch(key)
        if self.before_taking is not None:
            await self.before_taking()
        self.take(key, content)
        if self.before_confirming is not None:
            await self.before_confirming()
        return StoredObject(key, len(content), hashlib.md5(content).hexdigest())

    def take(self, key, content):
        """Store an object as a plain PUT past everything does."""
        self.objects[key], self.times[key] = content, self.clock()

    async def stat(self, key):
        self._check()
        content = self.objects.get(key)
        if content is None:
            return None
        return StoredObject(key, len(content), hashlib.md5(content).hexdigest(), self.times.get(key))

    async def read(self, key, start, length):
        self._check()
        return self.objects[key][start : start + length]

    async def list(self, prefix):
        return [await self.stat(key) for key in sorted(self.objects) if key.startswith(prefix)]

    async def delete(self, keys):
        self._check()
        for key in keys:
            self.objects.pop(key, None)

    def presigned_put(self, key, expires_s, *, size_bytes=None):
        return f"http://store.test/{key}?X-Amz-Algorithm=AWS4-HMAC-SHA256&expires={expires_s}&size={size_bytes}"

    def uploads(self, recording, number):
        """Return the contents of every upload of a chunk, by key."""
        of_recording = {key: content for key, content in self.objects.items() if f"/{recording['id']}/chunks/" in key}
        return {key: content for key, content in of_recording.items() if (chunk_of(key) or (0,))[0] == number}

    def presigned_get(self, key, expires_s, *, filename=None, content_type=None):
        return f"http://store.test/{key}?expires={expires_s}&name={filename}&type={content_type}"

    def _check(self):
        if self.down:
            raise TransientFailure("the object store is down")
