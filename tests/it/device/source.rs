//! Source addresses on loopback.
#![cfg(target_os = "linux")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use fleetstorm::device::PeerAddress;
use fleetstorm::device::{Connector, Source, SourceAddresses, TcpConnector};
use fleetstorm::domain::FailureClass;
use tokio::net::TcpListener;

use super::emulator::Target;
use super::service::World;

fn at(address: SocketAddr) -> PeerAddress<'static> {
    PeerAddress { host: "localhost", port: address.port(), address: Some(address) }
}

#[tokio::test]
async fn every_device_comes_from_an_address_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for index in [0, 1, 300] {
        let source = Source::new(&SourceAddresses::Loopback, index);
        let _stream = TcpConnector::new().open(&at(address), source).await.unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        let [_, second, third, fourth] = [127, 1, (index / 256) as u8, (index % 256) as u8];
        assert_eq!(peer.ip(), IpAddr::V4(Ipv4Addr::new(127, second, third, fourth)));
    }
}

/// One source port serves for several destinations at once, which a port chosen by bind(2) cannot.
#[tokio::test]
async fn ports_are_chosen_when_the_destination_is_known() {
    let given = SourceAddresses::Given(Arc::new([Ipv4Addr::new(127, 9, 9, 9).into()]));
    let mut open = Vec::new();
    for _ in 0..4 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpConnector::new().open(&at(address), Source::new(&given, 7)).await.unwrap();
        let local = stream.local_addr().unwrap();
        assert_eq!(local.ip(), IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9)));
        assert_ne!(local.port(), 0);
        open.push((listener, stream));
    }
}

#[tokio::test]
async fn the_emulator_serves_devices_of_all_addresses() {
    let mut target = Target::start(|_| ()).await;
    target.settings.source = SourceAddresses::Loopback;
    for index in 0..3 {
        let done = target.provision(index).await;
        assert!(done.result.is_ok(), "{:?}", done.result);
    }
}

#[tokio::test]
async fn unusable_addresses_name_the_remedy() {
    let mut world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.settings.dps.address = Some(listener.local_addr().unwrap());
    for (addresses, remedy) in
        [("192.0.2.77", "correct the list of source addresses"), ("::1", "add an IPv4 address of this machine")]
    {
        world.settings.source = SourceAddresses::Given(Arc::new([addresses.parse().unwrap()]));
        let failure = world.attempt(&TcpConnector::new()).await.result.unwrap_err();
        assert_eq!(failure.class, FailureClass::Configuration);
        assert!(failure.message.ends_with(remedy), "{failure}");
    }
}

#[tokio::test]
async fn a_loopback_of_version_six_may_be_given() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let given = SourceAddresses::Given(Arc::new(["127.1.1.1".parse().unwrap(), "::1".parse().unwrap()]));
    let address = listener.local_addr().unwrap();
    TcpConnector::new().open(&at(address), Source::new(&given, 7)).await.unwrap();
}
