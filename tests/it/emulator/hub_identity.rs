//! What back ends do with identities and credentials: switched off, deleted, revoked, synced.

use fleetstorm::emulator::{ConnectionState, HubError};
use fleetstorm::protocol::mqtt::ConnectReturnCode::NotAuthorized;

use super::client::{World, accepted, hub_connect, refused, sas};
use super::hub_client::{Device, Feature};

const DISMISSED: &str = "its device was disabled or deleted, or its certificate revoked";

async fn is_refused(world: &World, device: &Device) {
    let answer = world.open_with(device.chain.clone()).connect(device.connect.clone()).await;
    assert_eq!(answer, refused(NotAuthorized));
}

#[tokio::test(start_paused = true)]
async fn a_disabled_device_is_cut_and_refused_until_it_is_enabled_again() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await;
    let peer = device.connect(&world).await;
    assert_eq!(world.service.device("dev1").unwrap().connection_state, ConnectionState::Connected);
    assert!(!world.service.set_device_enabled("dev1", false).unwrap().enabled);
    assert_eq!(peer.ended().await, DISMISSED);
    assert_eq!(world.service.device("dev1").unwrap().connection_state, ConnectionState::Disconnected);
    is_refused(&world, &device).await;
    let token = sas(&world.service.group_key().derive("dev1"), "localhost/devices/dev1", None);
    assert_eq!(world.open().connect(hub_connect("dev1", &token)).await, refused(NotAuthorized));
    assert!(world.service.set_device_enabled("dev1", true).unwrap().enabled);
    device.connect(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_device_is_gone_with_its_twin_and_comes_back_as_a_new_one() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await;
    world.service.patch_desired("dev1", &serde_json::json!({"a": 1})).unwrap();
    let peer = device.connect(&world).await;
    world.service.delete_device("dev1").unwrap();
    assert_eq!(peer.ended().await, DISMISSED);
    is_refused(&world, &device).await;
    let gone = Err(HubError::DeviceNotFound("dev1".to_owned()));
    assert_eq!(world.service.device("dev1").map(|_| ()), gone);
    assert_eq!(world.service.delete_device("dev1"), gone);
    let new = Device::new(&world, "dev1").await;
    is_refused(&world, &device).await;
    new.connect(&world).await;
    assert_eq!(world.service.twin("dev1").unwrap().version, 1);
}

#[tokio::test(start_paused = true)]
async fn devices_are_listed() {
    let world = World::new();
    for id in ["dev2", "dev1", "dev3"] {
        world.provision(id).await;
    }
    let ids = |after: Option<&str>, limit| -> Vec<String> {
        world.service.devices(after, limit).iter().map(|device| device.device_id.to_string()).collect()
    };
    assert_eq!(ids(None, 2), ["dev1", "dev2"]);
    assert_eq!(ids(Some("dev2"), 2), ["dev3"]);
    assert_eq!(world.service.set_device_enabled("dev4", true).unwrap_err().code(), 404_001);
}

#[tokio::test(start_paused = true)]
async fn revoking_a_device_ends_its_certificates_and_no_others() {
    let world = World::new();
    let (device, other) = (Device::new(&world, "dev1").await, Device::new(&world, "dev2").await);
    let (peer, mut unconcerned) = (device.connect(&world).await, other.connect(&world).await);
    world.service.revoke_device_certificates("dev1").unwrap();
    assert_eq!(peer.ended().await, DISMISSED);
    is_refused(&world, &device).await;
    unconcerned.is_quiet().await;

    let token = sas(&world.service.group_key().derive("dev1"), "localhost/devices/dev1", None);
    let mut peer = world.open();
    assert_eq!(peer.connect(hub_connect("dev1", &token)).await, accepted());
    world.service.revoke_device_certificates("dev1").unwrap();
    peer.is_quiet().await;
    let again = Device::new(&world, "dev1").await;
    again.connect(&world).await;
    assert!(world.service.revoke_device_certificates("dev3").is_err());
}

#[tokio::test(start_paused = true)]
async fn revoking_a_policy_refuses_its_certificates_and_a_sync_brings_the_new_ones_in() {
    let world = World::new();
    let old = Device::new(&world, "dev1").await;
    let mut peer = old.connect(&world).await;
    world.service.revoke_policy("default").unwrap();
    peer.is_quiet().await;
    is_refused(&world, &old).await;
    let new = Device::new(&world, "dev1").await;
    assert_ne!(new.chain[1], old.chain[1], "another issuing CA");
    assert_eq!(new.chain[2], old.chain[2], "below the same root");
    is_refused(&world, &new).await;
    world.service.sync_credentials().unwrap();
    new.connect(&world).await;
    is_refused(&world, &old).await;
    assert_eq!(world.service.revoke_policy("other"), Err(HubError::PolicyNotFound("other".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_hub_learns_of_the_issuing_ca_by_a_sync() {
    let world = World::with(|config| config.hub.synced = false);
    let device = Device::new(&world, "dev1").await;
    is_refused(&world, &device).await;
    world.service.sync_credentials().unwrap();
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Twin).await;
}
