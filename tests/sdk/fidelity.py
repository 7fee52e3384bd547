"""The official Python SDK (azure-iot-device, unmodified) against the emulator: one function per case.

    python fidelity.py CASE CONNECTION_FILE WORK_DIR

Every case asserts what a device expects of the real service and prints `ok CASE`. `python fidelity.py --list` names the
cases.
"""

import base64
import json
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

from azure.iot.device import (
    X509,
    IoTHubDeviceClient,
    Message,
    MethodResponse,
    ProvisioningDeviceClient,
    exceptions,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import csr_shim
from emulator import Emulator

WAIT = 30  # seconds until an answer that does not come fails the case
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def register_with_key(emulator, registration_id, websockets=False, key=None):
    client = ProvisioningDeviceClient.create_from_symmetric_key(
        provisioning_host=emulator.dps_host,
        registration_id=registration_id,
        id_scope=emulator.id_scope,
        symmetric_key=key or emulator.device_key(registration_id),
        websockets=websockets,
        server_verification_cert=emulator.ca_pem,
    )
    result = client.register()
    assert result.status == "assigned", result.status
    assert result.registration_state.device_id == registration_id
    assert result.registration_state.assigned_hub == emulator.hub_host
    assert result.registration_state.sub_status == "initialAssignment"
    return result


def hub_with_key(emulator, device_id, websockets=False):
    client = IoTHubDeviceClient.create_from_symmetric_key(
        symmetric_key=emulator.device_key(device_id),
        hostname=emulator.hub_host,
        device_id=device_id,
        websockets=websockets,
        server_verification_cert=emulator.ca_pem,
    )
    client.connect()
    assert client.connected
    return client


def new_key_and_csr(common_name):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return key, base64.b64encode(csr.public_bytes(DER)).decode()


def save_credential(work, name, key, chain):
    """Writes key and chain as the SDK wants them; has openssl judge the chain on the way."""
    certificates = [x509.load_der_x509_certificate(base64.b64decode(c)) for c in chain]
    assert len(certificates) == 3, len(certificates)
    leaf, issuing, root = (c.public_bytes(PEM) for c in certificates)
    assert certificates[0].public_key() == key.public_key(), "the certificate has another key than the CSR"
    files = {k: work / f"{name}.{k}.pem" for k in ("leaf", "chain", "issuing", "root", "key")}
    files["leaf"].write_bytes(leaf)
    files["chain"].write_bytes(leaf + issuing)
    files["issuing"].write_bytes(issuing)
    files["root"].write_bytes(root)
    files["key"].write_bytes(
        key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", files["root"]]
    subprocess.run([*verify, "-untrusted", files["issuing"], files["leaf"]], check=True, capture_output=True)
    return X509(cert_file=str(files["chain"]), key_file=str(files["key"])), certificates[0]


def hub_with_certificate(emulator, device_id, credential, websockets=False):
    client = IoTHubDeviceClient.create_from_x509_certificate(
        x509=credential,
        hostname=emulator.hub_host,
        device_id=device_id,
        websockets=websockets,
        server_verification_cert=emulator.ca_pem,
    )
    client.connect()
    assert client.connected
    return client


def provision_with_csr(emulator, work, registration_id, websockets=False):
    key, csr = new_key_and_csr(registration_id)
    chains = csr_shim.install(csr)
    register_with_key(emulator, registration_id, websockets)
    assert chains, "no issuedCertificateChain in the answer"
    return save_credential(work, registration_id, key, chains[-1])


def telemetry_counted(emulator, device_id, client):
    before = emulator.manage("GET", f"/devices/{device_id}")[1]["telemetryMessages"]
    message = Message(json.dumps({"color": "Red", "deviceId": device_id}))
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.custom_properties["shift"] = "night & day"
    client.send_message(message)
    after = emulator.manage("GET", f"/devices/{device_id}")[1]["telemetryMessages"]
    assert after == before + 1, (before, after)


# --- the cases -------------------------------------------------------------------------------------------------------


def register_symmetric_key_mqtt(emulator, work):
    register_with_key(emulator, "sdk-key-mqtt")


def register_symmetric_key_websocket(emulator, work):
    register_with_key(emulator, "sdk-key-ws", websockets=True)


def register_wrong_key_is_unauthorized(emulator, work):
    try:
        register_with_key(emulator, "sdk-wrong-key", key=base64.b64encode(b"x" * 32).decode())
    except exceptions.ClientError as error:
        assert "401" in repr(error.__cause__), repr(error.__cause__)
    else:
        raise AssertionError("registered with a wrong key")


def register_again_is_assigned_again(emulator, work):
    register_with_key(emulator, "sdk-twice")
    register_with_key(emulator, "sdk-twice")


def _register_x509(emulator, work, registration_id, websockets):
    # Made by `fleetstorm pki`, which the caller ran in work/bootstrap: device certificate, then the intermediate.
    folder = work / "bootstrap" / "devices"
    credential = X509(
        cert_file=str(folder / f"{registration_id}.pem"), key_file=str(folder / f"{registration_id}.key.pem")
    )
    client = ProvisioningDeviceClient.create_from_x509_certificate(
        provisioning_host=emulator.dps_host,
        registration_id=registration_id,
        id_scope=emulator.id_scope,
        x509=credential,
        websockets=websockets,
        server_verification_cert=emulator.ca_pem,
    )
    result = client.register()
    assert result.status == "assigned", result.status
    assert result.registration_state.device_id == registration_id


def register_x509_mqtt(emulator, work):
    _register_x509(emulator, work, "sdk-x509-0", False)


def register_x509_websocket(emulator, work):
    _register_x509(emulator, work, "sdk-x509-1", True)


def register_x509_with_csr(emulator, work):
    """Dual attestation: the bootstrap certificate in, the operational certificate out, used at the hub."""
    key, csr = new_key_and_csr("sdk-x509-2")
    chains = csr_shim.install(csr)
    _register_x509(emulator, work, "sdk-x509-2", False)
    credential, _ = save_credential(work, "sdk-x509-2", key, chains[-1])
    client = hub_with_certificate(emulator, "sdk-x509-2", credential)
    telemetry_counted(emulator, "sdk-x509-2", client)
    client.shutdown()


def hub_sas_telemetry(emulator, work):
    register_with_key(emulator, "sdk-sas")
    client = hub_with_key(emulator, "sdk-sas")
    telemetry_counted(emulator, "sdk-sas", client)
    client.shutdown()


def hub_sas_websocket_telemetry(emulator, work):
    register_with_key(emulator, "sdk-sas-ws", websockets=True)
    client = hub_with_key(emulator, "sdk-sas-ws", websockets=True)
    telemetry_counted(emulator, "sdk-sas-ws", client)
    client.shutdown()


def hub_unknown_device_is_refused(emulator, work):
    try:
        hub_with_key(emulator, "sdk-never-registered")
    except exceptions.CredentialError:
        pass
    else:
        raise AssertionError("an unknown device connected")


def certificate_telemetry(emulator, work):
    credential, leaf = provision_with_csr(emulator, work, "sdk-cert")
    assert leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == "sdk-cert"
    client = hub_with_certificate(emulator, "sdk-cert", credential)
    telemetry_counted(emulator, "sdk-cert", client)
    client.shutdown()


def certificate_websocket(emulator, work):
    credential, _ = provision_with_csr(emulator, work, "sdk-cert-ws", websockets=True)
    client = hub_with_certificate(emulator, "sdk-cert-ws", credential, websockets=True)
    telemetry_counted(emulator, "sdk-cert-ws", client)
    client.shutdown()


def certificate_of_another_device_is_refused(emulator, work):
    credential, _ = provision_with_csr(emulator, work, "sdk-cert-a")
    csr_shim.install(new_key_and_csr("sdk-cert-b")[1])
    register_with_key(emulator, "sdk-cert-b")
    try:
        hub_with_certificate(emulator, "sdk-cert-b", credential)
    except exceptions.CredentialError:
        pass
    else:
        raise AssertionError("connected with the certificate of another device")


def twin(emulator, work):
    register_with_key(emulator, "sdk-twin")
    client = hub_with_key(emulator, "sdk-twin")
    assert client.get_twin()["desired"]["$version"] == 1
    client.patch_twin_reported_properties({"certificate": {"validFrom": "2026-01-01"}, "gone": 1})
    client.patch_twin_reported_properties({"gone": None})
    reported = client.get_twin()["reported"]
    assert reported["certificate"] == {"validFrom": "2026-01-01"} and "gone" not in reported, reported
    assert reported["$version"] == 3, reported

    patches, arrived = [], threading.Event()

    def on_patch(patch):
        patches.append(patch)
        arrived.set()

    client.on_twin_desired_properties_patch_received = on_patch
    emulator.manage("PATCH", "/twins/sdk-twin", {"properties": {"desired": {"interval": 5}}})
    assert arrived.wait(WAIT), "no desired patch"
    assert patches[0]["interval"] == 5 and patches[0]["$version"] == 2, patches
    assert client.get_twin()["desired"]["interval"] == 5
    client.shutdown()


def direct_method(emulator, work):
    register_with_key(emulator, "sdk-method")
    client = hub_with_key(emulator, "sdk-method")

    def on_method(request):
        assert request.name == "reboot" and request.payload == {"delay": 3}, (request.name, request.payload)
        client.send_method_response(MethodResponse.create_from_method_request(request, 200, {"done": True}))

    client.on_method_request_received = on_method
    call = {"methodName": "reboot", "payload": {"delay": 3}, "responseTimeoutInSeconds": WAIT}
    _, answer, _ = emulator.manage("POST", "/twins/sdk-method/methods", call)
    assert answer == {"status": 200, "payload": {"done": True}}, answer
    client.shutdown()


def cloud_to_device_message(emulator, work):
    register_with_key(emulator, "sdk-c2d")
    client = hub_with_key(emulator, "sdk-c2d")
    messages, arrived = [], threading.Event()

    def on_message(message):
        messages.append(message)
        arrived.set()

    client.on_message_received = on_message
    emulator.manage(
        "POST",
        "/devices/sdk-c2d/messages/deviceBound",
        {"blink": True},
        headers={"iothub-messageid": "m-1", "iothub-app-colour": "deep red"},
    )
    assert arrived.wait(WAIT), "no cloud-to-device message"
    assert json.loads(messages[0].data) == {"blink": True}
    assert messages[0].message_id == "m-1", messages[0].message_id
    assert messages[0].custom_properties == {"colour": "deep red"}, messages[0].custom_properties
    client.shutdown()


def disabled_device_is_refused(emulator, work):
    register_with_key(emulator, "sdk-disabled")
    emulator.manage("PATCH", "/devices/sdk-disabled", {"status": "disabled"})
    try:
        hub_with_key(emulator, "sdk-disabled")
    except exceptions.CredentialError:
        pass
    else:
        raise AssertionError("a disabled device connected")


def renewal(emulator, work):
    """Renewal over the hub session: 202, then 200 with a new chain, which connects; the old session lives on."""
    clients = emulator.use_ports_clients
    credential, first = provision_with_csr(emulator, work, "sdk-renew")
    client = hub_with_certificate(emulator, "sdk-renew", credential)
    session = clients[-1]
    answers, arrived = [], threading.Semaphore(0)

    def on_answer(_client, _userdata, message):
        answers.append((message.topic, json.loads(message.payload)))
        arrived.release()

    session.message_callback_add("$iothub/credentials/res/#", on_answer)
    session.subscribe("$iothub/credentials/res/#", qos=1)
    time.sleep(0.5)
    key, csr = new_key_and_csr("sdk-renew")
    rid = str(uuid.uuid4())
    session.publish(
        f"$iothub/credentials/POST/issueCertificate/?$rid={rid}",
        json.dumps({"id": "sdk-renew", "csr": csr}),
        qos=1,
    )
    assert arrived.acquire(timeout=WAIT), "no 202"
    assert arrived.acquire(timeout=WAIT), "no 200"
    assert [a[0] for a in answers] == [f"$iothub/credentials/res/{s}/?$rid={rid}" for s in (202, 200)], answers
    assert set(answers[0][1]) == {"correlationId", "operationExpires"}, answers[0]
    assert answers[1][1]["correlationId"] == answers[0][1]["correlationId"]
    telemetry_counted(emulator, "sdk-renew", client)
    client.shutdown()
    credential, second = save_credential(work, "sdk-renew-2", key, answers[1][1]["certificates"])
    assert second.serial_number != first.serial_number
    client = hub_with_certificate(emulator, "sdk-renew", credential)
    telemetry_counted(emulator, "sdk-renew", client)
    client.shutdown()


CASES = [
    register_symmetric_key_mqtt,
    register_symmetric_key_websocket,
    register_wrong_key_is_unauthorized,
    register_again_is_assigned_again,
    register_x509_mqtt,
    register_x509_websocket,
    register_x509_with_csr,
    hub_sas_telemetry,
    hub_sas_websocket_telemetry,
    hub_unknown_device_is_refused,
    certificate_telemetry,
    certificate_websocket,
    certificate_of_another_device_is_refused,
    twin,
    direct_method,
    cloud_to_device_message,
    disabled_device_is_refused,
    renewal,
]


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(case.__name__ for case in CASES))
        return
    name, connection_file, work = sys.argv[1:]
    emulator = Emulator(connection_file)
    emulator.use_ports_clients = emulator.use_ports()
    {case.__name__: case for case in CASES}[name](emulator, Path(work))
    print("ok", name)


if __name__ == "__main__":
    main()
