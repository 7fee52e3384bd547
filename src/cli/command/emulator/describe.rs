use std::fmt::Write as _;

use super::files::Files;
use crate::cli::connection::Connection;
use crate::emulator::{Config, Emulator};

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
        group_id: config.group.id.clone(),
        group_key_file: files.group_key.clone(),
        ca_file: files.ca.clone(),
        issuing_root_file: files.issuing_root.clone(),
    }
}

/// The description for people, and how to go on.
pub(super) fn text(connection: &Connection) -> String {
    let Connection { id_scope, dps_host, hub_host, mqtt, group_id, group_key_file, ca_file, issuing_root_file, .. } =
        connection;
    let (group_key, ca, root) = (group_key_file.display(), ca_file.display(), issuing_root_file.display());
    let mut text = format!(
        "\
DPS, IoT Hub and ADR are ready.

  MQTT over TLS       {mqtt} (DPS and hub; the user name says which)
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
    text.push_str("\nCtrl-C ends it.\n");
    text
}
