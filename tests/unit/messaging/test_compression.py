"""What a cluster may have compressed, by its own configuration, can be read."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

CODECS = [
    DefaultRecordBatch.CODEC_GZIP,
    DefaultRecordBatch.CODEC_SNAPPY,
    DefaultRecordBatch.CODEC_LZ4,
    DefaultRecordBatch.CODEC_ZSTD,
]


@pytest.mark.parametrize("codec", CODECS)
def test_messages_compressed_by_any_codec_of_kafka_can_be_read(codec):
    value = b"a recording was opened " * 100
    batch = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    batch.append(0, 1, b"key", value, [])
    sent = bytes(batch.build())
    assert len(sent) < len(value) / 2
    assert [(record.key, record.value) for record in DefaultRecordBatch(sent)] == [(b"key", value)]
