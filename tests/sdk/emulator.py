"""What the fidelity cases need around the official SDK: where the emulator listens, and its management side.

The SDK itself stays unmodified. Its ports are hard coded (8883 and 443), so `use_ports` redirects the connect call of
paho, the MQTT library below it, to the ports of the emulator under test.
"""

import base64
import hashlib
import hmac
import json
import urllib.error
import urllib.request
from pathlib import Path

import paho.mqtt.client as paho


class Emulator:
    """A running emulator, as its connection file describes it."""

    def __init__(self, connection_file):
        c = json.loads(Path(connection_file).read_text())
        self.id_scope = c["id_scope"]
        self.dps_host = c["dps_host"]
        self.hub_host = c["hub_host"]
        self.mqtt_port = int(c["mqtt"].rsplit(":", 1)[1])
        self.https_port = int(c["https"].rsplit(":", 1)[1])
        self.management = c.get("management")
        token_file = c.get("management_token_file")
        self.token = Path(token_file).read_text().strip() if token_file else None
        self.group_key = Path(c["group_key_file"]).read_text().strip()
        self.ca_file = c["ca_file"]
        self.ca_pem = Path(c["ca_file"]).read_text()
        self.issuing_root_file = c["issuing_root_file"]

    def use_ports(self):
        """Redirects paho's connect; returns the list of paho clients that connected, newest last."""
        connect = paho.Client.connect
        clients = []

        def redirected(client, host, port=1883, *args, **kwargs):
            clients.append(client)
            return connect(client, host, {8883: self.mqtt_port, 443: self.https_port}[port], *args, **kwargs)

        paho.Client.connect = redirected
        return clients

    def device_key(self, registration_id):
        mac = hmac.new(base64.b64decode(self.group_key), registration_id.encode(), hashlib.sha256)
        return base64.b64encode(mac.digest()).decode()

    def manage(self, method, path, body=None, headers=None, expect=(200, 201, 202, 204)):
        """A request to the control plane; returns (status, body, headers)."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.management}{path}", data=data, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                status, raw, answer = response.status, response.read(), response.headers
        except urllib.error.HTTPError as error:
            status, raw, answer = error.code, error.read(), error.headers
        assert status in expect, f"{method} {path}: {status} {raw[:500]!r}"
        return status, json.loads(raw) if raw else None, answer
