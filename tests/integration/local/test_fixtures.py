"""The fixtures every other test stands on."""

from minio import Minio
from pymongo import MongoClient

from deploy.local.servers.kafka_probe import brokers_in_metadata


def test_the_shared_servers_answer_and_names_are_ones_own(mongo_settings, bucket_settings, kafka_settings):
    database = MongoClient(mongo_settings.mongo_url)[mongo_settings.mongo_database]
    database.facts.insert_one({"_id": 1})
    assert database.facts.count_documents({}) == 1

    store = bucket_settings
    client = Minio(store.s3_endpoint.removeprefix("http://"), store.s3_access_key, store.s3_secret_key, secure=False)
    assert list(client.list_objects(store.s3_bucket)) == []

    host, port = kafka_settings.kafka_servers[0].split(":")
    assert brokers_in_metadata(host, int(port)) == 1


def test_a_private_server_keeps_what_it_acknowledged_over_a_kill_and_forgets_by_a_wipe(servers):
    mongo = servers.mongo()
    MongoClient(mongo.url, w="majority", journal=True).test.facts.insert_one({"_id": 1})
    mongo.kill()
    mongo.restart()
    assert MongoClient(mongo.url).test.facts.count_documents({}) == 1
    mongo.wipe()
    assert MongoClient(mongo.url).test.facts.count_documents({}) == 0
