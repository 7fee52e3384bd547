"""A device with the official Python SDK: registers with the emulator, connects to its hub, sends one message.

    python example.py dps.json my-device
"""

import base64
import hashlib
import hmac
import json
import sys
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient, Message, ProvisioningDeviceClient

connection = json.loads(Path(sys.argv[1]).read_text())
registration_id = sys.argv[2]
roots = Path(connection["ca_file"]).read_text()

# The key of a device of an enrollment group is the HMAC of its registration id.
group_key = base64.b64decode(Path(connection["group_key_file"]).read_text())
device_key = base64.b64encode(hmac.digest(group_key, registration_id.encode(), hashlib.sha256)).decode()

registration = ProvisioningDeviceClient.create_from_symmetric_key(
    provisioning_host=connection["dps_host"],
    registration_id=registration_id,
    id_scope=connection["id_scope"],
    symmetric_key=device_key,
    server_verification_cert=roots,
).register()
print(registration.status, "to", registration.registration_state.assigned_hub)

device = IoTHubDeviceClient.create_from_symmetric_key(
    symmetric_key=device_key,
    hostname=registration.registration_state.assigned_hub,
    device_id=registration.registration_state.device_id,
    server_verification_cert=roots,
)
device.connect()
device.send_message(Message(json.dumps({"temperature": 21.5})))
print("sent")
device.shutdown()
