"""Whole files as clients of the fakes upload them."""

WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(200)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def announced(api, recording, **body):
    return await api.ok("POST", f"/recordings/{recording['id']}/upload-url", body)


async def stored_whole(api, recording, content=WAVE, **body):
    """Announce a file and do what the PUT to the pre-signed URL does; the id of the media."""
    media_id = (await announced(api, recording, **body))["media_id"]
    media = next(item for item in api.stores.recordings.documents[recording["id"]].media if item.id == media_id)
    api.stores.objects.objects[media.object_key] = content
    return media_id


async def completed(api, content=WAVE, **fields):
    """A recording whose one audio file is uploaded."""
    recording = await api.recording(**fields)
    await stored_whole(api, recording, content, content_type="audio/wav")
    return await api.ok("POST", f"/recordings/{recording['id']}/upload-complete")
