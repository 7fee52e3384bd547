use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::errno::Errno;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::address::Address;

/// A port that was taken and at which nobody answers yet.
#[derive(Debug)]
pub struct TakenPort {
    first: std::net::TcpListener,
    second: Option<std::net::TcpListener>,
    addresses: Addresses,
}

/// Where a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The only address, or that of IPv4.
    pub first: SocketAddr,
    /// That port at the IPv6 address of `localhost`.
    pub ipv6: Option<SocketAddr>,
}

/// A port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

impl TakenPort {
    /// Free ports of IPv4 that are tried until there is one that is free at the other address too.
    const TRIES: usize = 32;

    /// Takes a port; 0 takes one that is free. With [`Address::Localhost`] it is the same at both addresses, unless the machine
    /// has only one of them.
    ///
    /// # Errors
    /// Somebody has the port, at one of the addresses, or the address is none of this machine.
    pub fn new(address: Address, port: u16) -> Result<Self, ListenError> {
        match address {
            Address::At(ip) => Self::at(listen(ip, port)?),
            Address::Localhost => Self::of_localhost(port, listen),
        }
    }

    fn of_localhost(
        port: u16,
        listen: impl Fn(IpAddr, u16) -> Result<std::net::TcpListener, ListenError>,
    ) -> Result<Self, ListenError> {
        let (ipv4, ipv6) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
        // Those that somebody has at the other address are held, so that the system does not offer them again.
        let mut held = Vec::new();
        loop {
            let only = match listen(ipv4, port) {
                Err(error) if error.is_no_address() => return Self::at(listen(ipv6, port)?),
                listener => Self::at(listener?)?,
            };
            match listen(ipv6, only.addresses.first.port()) {
                Ok(second) => {
                    let address = SocketAddr::new(ipv6, only.addresses.first.port());
                    let addresses = Addresses { ipv6: Some(address), ..only.addresses };
                    return Ok(Self { second: Some(second), addresses, ..only });
                }
                Err(error) if error.is_no_address() => return Ok(only),
                Err(error) if !error.is_in_use() || port != 0 || held.len() == Self::TRIES => return Err(error),
                Err(_) => held.push(only),
            }
        }
    }

    fn at(first: std::net::TcpListener) -> Result<Self, ListenError> {
        let unknown = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let address = first.local_addr().map_err(|source| ListenError { address: unknown, source })?;
        Ok(Self { first, second: None, addresses: Addresses { first: address, ipv6: None } })
    }

    /// Where it is.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Connections can be accepted from now on. Must be inside a runtime.
    ///
    /// # Errors
    /// The runtime cannot take the sockets over.
    pub fn open(self) -> Result<Listeners, ListenError> {
        let failed = |source| ListenError { address: self.addresses.first, source };
        let first = TcpListener::from_std(self.first).map_err(failed)?;
        let second = self.second.map(TcpListener::from_std).transpose().map_err(failed)?;
        Ok(Listeners { first, second, address: self.addresses.first })
    }
}

impl ListenError {
    fn is_in_use(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }

    /// The machine does not have that address, or not that version of IP.
    fn is_no_address(&self) -> bool {
        let unsupported = [Errno::EAFNOSUPPORT, Errno::EPROTONOSUPPORT].map(|errno| errno as i32);
        self.source.kind() == io::ErrorKind::AddrNotAvailable
            || self.source.raw_os_error().is_some_and(|code| unsupported.contains(&code))
    }
}

/// Where connections come in: one port at one address or two.
#[derive(Debug)]
pub struct Listeners {
    first: TcpListener,
    second: Option<TcpListener>,
    address: SocketAddr,
}

impl Listeners {
    /// The next connection. May be dropped and called again.
    ///
    /// # Errors
    /// Out of file descriptors, or the connection was gone at once; others may come.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let Some(second) = &self.second else { return self.first.accept().await };
        tokio::select! {
            accepted = self.first.accept() => accepted,
            accepted = second.accept() => accepted,
        }
    }

    /// The only address, or that of IPv4.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn listen(ip: IpAddr, port: u16) -> Result<std::net::TcpListener, ListenError> {
    /// Pending connections that the kernel keeps; it takes less if its own limit is lower.
    const BACKLOG: i32 = 4096;
    let address = SocketAddr::new(ip, port);
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen().map_err(|source| ListenError { address, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether this machine has ::1 at all.
    fn has_ipv6() -> bool {
        std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
    }

    #[test]
    fn localhost_is_one_port_at_every_address_that_the_machine_has() {
        let port = TakenPort::new(Address::Localhost, 0).unwrap();
        let Addresses { first, ipv6 } = port.addresses();
        assert_eq!((first.ip(), first.port() != 0), (Ipv4Addr::LOCALHOST.into(), true));
        assert_eq!(ipv6, has_ipv6().then(|| SocketAddr::new(Ipv6Addr::LOCALHOST.into(), first.port())));
        for address in [Some(first), ipv6].into_iter().flatten() {
            std::net::TcpStream::connect(address).expect("connections wait until it is opened");
        }
        let error = TakenPort::new(Address::Localhost, first.port()).unwrap_err();
        assert_eq!((error.address, error.is_in_use()), (first, true));
    }

    #[test]
    fn a_port_that_somebody_has_at_the_other_address_is_in_use() {
        let Ok(other) = listen(Ipv6Addr::LOCALHOST.into(), 0) else {
            assert!(!has_ipv6());
            return;
        };
        let theirs = other.local_addr().unwrap();
        let error = TakenPort::new(Address::Localhost, theirs.port()).unwrap_err();
        assert_eq!((error.address, error.is_in_use()), (theirs, true));
        let only = TakenPort::new(Address::At(Ipv4Addr::LOCALHOST.into()), theirs.port()).unwrap();
        assert_eq!(only.addresses().ipv6, None, "an address that was meant is the only one");
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let error = TakenPort::new(Address::At([192, 0, 2, 1].into()), 0).unwrap_err();
        assert!(error.is_no_address() && !error.is_in_use(), "{error}");
    }

    /// Listens as on a machine where some addresses have a problem; in truth always at one that it has, and a free port.
    fn with_problem(ip: IpAddr, port: u16, has: bool, problem: Errno) -> Result<std::net::TcpListener, ListenError> {
        let refused = || ListenError { address: SocketAddr::new(ip, port), source: problem.into() };
        if has { Err(refused()) } else { listen(Ipv4Addr::LOCALHOST.into(), 0) }
    }

    #[test]
    fn localhost_is_the_one_address_that_a_machine_has() {
        for problem in [Errno::EADDRNOTAVAIL, Errno::EAFNOSUPPORT, Errno::EPROTONOSUPPORT] {
            let only_ipv4 = TakenPort::of_localhost(0, |ip, port| with_problem(ip, port, ip.is_ipv6(), problem));
            assert_eq!(only_ipv4.unwrap().addresses().ipv6, None, "{problem}");
            let only_ipv6 = TakenPort::of_localhost(0, |ip, port| with_problem(ip, port, ip.is_ipv4(), problem));
            assert_eq!(only_ipv6.unwrap().addresses().ipv6, None, "{problem}");
            let none = TakenPort::of_localhost(0, |ip, port| with_problem(ip, port, true, problem)).unwrap_err();
            assert_eq!((none.address.ip(), none.is_no_address()), (Ipv6Addr::LOCALHOST.into(), true), "{problem}");
        }
    }

    #[test]
    fn another_free_port_is_tried_only_where_somebody_has_it_at_the_other_address() {
        let tried = std::cell::RefCell::new(Vec::new());
        let port_of = |port, problem| {
            tried.borrow_mut().clear();
            TakenPort::of_localhost(port, |ip, port| {
                if ip.is_ipv6() {
                    tried.borrow_mut().push(port);
                }
                with_problem(ip, port, ip.is_ipv6(), problem)
            })
        };
        let error = port_of(0, Errno::EADDRINUSE).unwrap_err();
        let mut ports = tried.take();
        assert_eq!((error.is_in_use(), Some(&error.address.port())), (true, ports.last()));
        assert_eq!(ports.len(), TakenPort::TRIES + 1);
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), TakenPort::TRIES + 1, "each another one");

        assert!(port_of(8883, Errno::EADDRINUSE).unwrap_err().is_in_use());
        assert_eq!(tried.take().len(), 1, "a port that is meant is the only one");
        let error = port_of(0, Errno::EACCES).unwrap_err();
        assert_eq!((error.source.kind(), tried.take().len()), (io::ErrorKind::PermissionDenied, 1));
    }
}
