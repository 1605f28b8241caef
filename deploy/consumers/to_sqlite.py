import json, sqlite3, sys
from paho.mqtt.client import CallbackAPIVersion, Client

db = sqlite3.connect("counts.db")
db.execute("CREATE TABLE IF NOT EXISTS counts (window_id PRIMARY KEY, site, camera, zone, start, payload)")


def store(client, _, message):
    row = json.loads(message.payload)
    with db:
        keys = [row[key] for key in ("window_id", "site", "camera", "zone", "start")]
        db.execute("INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?, ?, ?)", [*keys, message.payload])
    client.ack(message.mid, message.qos)  # only now: what is not stored comes again


client = Client(CallbackAPIVersion.VERSION2, "to-sqlite", clean_session=False, manual_ack=True)
client.on_message = store
client.on_connect = lambda *_: client.subscribe("instore/+/+/+/counts", qos=1)
client.connect(sys.argv[1], int(sys.argv[2]))
client.loop_forever()
