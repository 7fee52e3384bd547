use std::fmt::{Display, Write as _};
use std::net::SocketAddr;

use super::files::Files;
use crate::emulator::{Config, Emulator};
use crate::rig::target::Connection;

/// The description for programs.
pub(super) fn connection(config: &Config, emulator: &Emulator, files: &Files) -> Connection {
    let endpoints = emulator.endpoints();
    Connection {
        schema: Connection::SCHEMA,
        id_scope: config.id_scope.clone(),
        dps_host: config.dps_host.clone(),
        hub_host: config.hub_host.clone(),
        mqtt: endpoints.mqtt,
        https: endpoints.https,
        management: endpoints.management,
        ipv6: endpoints.ipv6,
        management_token_file: files.management_token.clone(),
        group_id: config.group.id.clone(),
        group_key_file: files.group_key.clone(),
        ca_file: files.ca.clone(),
        issuing_root_file: files.issuing_root.clone(),
    }
}

/// The description for people, and how to go on.
pub(super) fn text(connection: &Connection) -> String {
    let Connection {
        schema: _,
        id_scope,
        dps_host,
        hub_host,
        mqtt,
        https,
        management,
        ipv6,
        management_token_file,
        group_id,
        group_key_file,
        ca_file,
        issuing_root_file,
    } = connection;
    let (group_key, ca, root) = (group_key_file.display(), ca_file.display(), issuing_root_file.display());
    let also_ipv6 = if ipv6.mqtt.is_some() { "\n  IPv6                the same ports at ::1" } else { "" };
    let https_row = https.map_or_else(|| "off".to_owned(), |https| format!("{https} (DPS and hub)"));
    let management_row = management.map_or_else(|| "off".to_owned(), |management| format!("http://{management}"));
    let mut text = format!(
        "\
DPS, IoT Hub and ADR are ready.

  MQTT over TLS       {mqtt} (DPS and hub; the user name says which)
  HTTPS, WebSocket    {https_row}
  control plane       {management_row}{also_ipv6}
  DPS host            {dps_host}
  hub host            {hub_host}
  id scope            {id_scope}
  enrollment group    {group_id} (takes any registration id)
  group key           in {group_key}
  server CA           {ca}
  device CA (root)    {root}

Look at it:
  openssl s_client -connect {mqtt} -CAfile {ca}

Register with the Python SDK (azure-iot-device):
  import base64, hashlib, hmac
  from azure.iot.device import ProvisioningDeviceClient
  group_key = base64.b64decode(open(\"{group_key}\").read())
  device_key = base64.b64encode(hmac.new(group_key, b\"dev1\", hashlib.sha256).digest()).decode()
  client = ProvisioningDeviceClient.create_from_symmetric_key(
      provisioning_host=\"{dps_host}\", registration_id=\"dev1\", id_scope=\"{id_scope}\",
      symmetric_key=device_key, server_verification_cert=open(\"{ca}\").read())
  print(client.register())
"
    );
    if mqtt.port() != 8883 {
        let _ = writeln!(
            text,
            "  (the SDK connects to port 8883 only: start with --mqtt-port 8883, or redirect the connect call of paho)"
        );
    }
    if let Some(https) = https {
        let _ = write!(text, "{}", with_curl(https, dps_host, id_scope, &group_key, &ca));
    }
    if let (Some(management), Some(token)) = (management, management_token_file) {
        let _ = write!(text, "{}", control(management, &token.display()));
    }
    text.push_str("\nCtrl-C ends it.\n");
    text
}

/// Registration over HTTPS with tools that are everywhere.
fn with_curl(
    https: &SocketAddr,
    dps_host: &str,
    id_scope: &str,
    group_key: &impl Display,
    ca: &impl Display,
) -> String {
    let (address, port) = (https.ip(), https.port());
    format!(
        "
Register with curl and openssl:
  mac() {{ openssl dgst -sha256 -mac HMAC -macopt hexkey:$1 -binary; }}
  hex() {{ od -An -v -tx1 | tr -d ' \\n'; }}
  key=$(printf dev1 | mac $(openssl base64 -d -A < {group_key} | hex) | hex)
  sr={id_scope}%2Fregistrations%2Fdev1 se=$(($(date +%s) + 3600))
  sig=$(printf '%s\\n%s' $sr $se | mac $key | openssl base64 -A | sed 's/+/%2B/g; s/\\//%2F/g; s/=/%3D/g')
  curl -sS --cacert {ca} --resolve {dps_host}:{port}:{address} -X PUT -H 'Content-Type: application/json' \\
    -H \"Authorization: SharedAccessSignature sr=$sr&sig=$sig&se=$se&skn=registration\" \\
    -d '{{\"registrationId\":\"dev1\"}}' \\
    'https://{dps_host}:{port}/{id_scope}/registrations/dev1/register?api-version=2025-07-01-preview'
"
    )
}

/// What the control plane can do, by example.
fn control(management: &SocketAddr, token: &impl Display) -> String {
    format!(
        "
Control it (the token is in {token}):
  ask() {{ curl -sS -H \"Authorization: Bearer $(cat {token})\" -X \"$@\"; echo; }}
  ask GET http://{management}/counters
  ask GET http://{management}/devices/dev1
  ask PUT http://{management}/enrollments/dev2 -d '{{\"attestation\":{{\"type\":\"symmetricKey\"}}}}'
  ask POST http://{management}/enrollments/dev2/attestationmechanism
  ask POST http://{management}/clock -d '{{\"advance\":\"P31D\"}}'
"
    )
}
