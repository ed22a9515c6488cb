"""Follows the newest records: pip install websocket-client; python3 subscribe.py ws://HOST:PORT KEY COLLECTION"""
import json, sys, time, urllib.parse
import websocket

url, key, collection = sys.argv[1:4]
newest, cursor = {}, None
while True:
    try:
        # The server pings each minute; who hears nothing for longer has lost it.
        socket = websocket.create_connection(f"{url}/?{urllib.parse.urlencode({'api-key': key})}", timeout=90)
        socket.recv()  # ready
        query = {"col": collection, **({"since": cursor} if cursor else {})}
        socket.send(json.dumps({"id": "newest", "type": "sub", "data": json.dumps(query)}))
        while message := json.loads(socket.recv() or "{}"):  # nothing: the server has closed
            if "error" in message and message.get("type") != "end":
                sys.exit(message["error"])
            if "records" in message:
                newest = {**({} if message.get("reset") else newest), **message["records"]}
                newest = {document: record for document, record in newest.items() if record}  # null: it is gone
                cursor = None if message.get("snapshot") == "part" else message["cursor"]  # from where to go on
                print(json.dumps({document: newest[document]["ts"] for document in sorted(newest)}), flush=True)
        socket.close()
    except websocket.WebSocketBadStatusException as refused:
        sys.exit(str(refused))
    except (OSError, websocket.WebSocketException) as lost:
        print(lost, file=sys.stderr)
    time.sleep(1)
