//! Which servers this process connects to.
//!
//! Whoever writes a resource names the servers that the operator calls from inside the cluster. The
//! policy is checked twice: on the host as it is written, before anything is sent, and on each
//! address that the host's name resolves to, by the very resolver whose addresses are connected to.
//! So a name that resolves otherwise a moment later (DNS rebinding) changes nothing. Redirects are
//! never followed. Through a proxy of the environment only the host is checked, as the proxy
//! resolves it.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Which servers may be connected to.
#[derive(Debug, Clone)]
pub struct EgressPolicy {
    /// Where `None`, any host is allowed.
    allowed_hosts: Option<Vec<HostPattern>>,
    allowed_networks: Vec<Network>,
    denied_networks: Vec<Network>,
    /// Whether networks are looked at.
    restricted: bool,
}

/// A host, or every host below a domain (`*.example.com`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// A host by its name, as written in a URL.
    Host(String),
    /// The hosts whose names end so, with the dot.
    Below(String),
}

/// Addresses with a common beginning, as in `10.0.0.0/8` or `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a server isn't connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Its name isn't on the list.
    #[error(
        "the operator may not connect to {0}: its host isn't among the allowed hosts; whoever runs \
         the operator can add it (--allowed-hosts)"
    )]
    Host(String),
    /// Its address is in a network that is denied.
    #[error(
        "the operator may not connect to {host}: its address is in the denied network {network}; \
         whoever runs the operator can allow it (--allowed-networks)"
    )]
    Address {
        /// The host that was to be connected to.
        host: String,
        /// The denied network that has the address.
        network: Network,
    },
    /// Its address gives away credentials of the machine, or is none of a single server.
    #[error(
        "the operator never connects to {0}: its address is link-local, that of a cloud's metadata \
         service, or not that of one server"
    )]
    Never(String),
}

impl EgressPolicy {
    /// Every server, as for the command line: who runs it could connect by themselves.
    pub fn unrestricted() -> Self {
        Self {
            allowed_hosts: None,
            allowed_networks: Vec::new(),
            denied_networks: Vec::new(),
            restricted: false,
        }
    }

    /// The hosts of `allowed_hosts` (any where there is none), except those with an address in
    /// `denied_networks`, in a loopback network, or that gives away credentials of the machine.
    /// `allowed_networks` are exceptions to the first two.
    pub fn restricted(
        allowed_hosts: Vec<HostPattern>,
        allowed_networks: Vec<Network>,
        denied_networks: Vec<Network>,
    ) -> Self {
        let default = ["127.0.0.0/8", "::1/128", LOCAL_TRANSLATION].map(network);
        Self {
            allowed_hosts: (!allowed_hosts.is_empty()).then_some(allowed_hosts),
            allowed_networks,
            denied_networks: denied_networks.into_iter().chain(default).collect(),
            restricted: true,
        }
    }

    /// Whether a server may be connected to by this name or address.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_host(&self, host: &str) -> Result<(), Denied> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        if let Some(allowed) = &self.allowed_hosts
            && !allowed.iter().any(|pattern| pattern.matches(&name))
        {
            return Err(Denied::Host(host.to_owned()));
        }
        match name.parse() {
            Ok(address) => self.check_address(host, address),
            Err(_) => Ok(()),
        }
    }

    /// Whether a server that DNS lists for `domain` may be connected to by this name. Where the
    /// domain is allowed, so is every host below it; others must be allowed by themselves.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_host_of_domain(&self, host: &str, domain: &str) -> Result<(), Denied> {
        let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        let below = format!(".{}", plain(domain));
        if plain(host).ends_with(&below) && self.check_host(domain).is_ok() {
            return Ok(());
        }
        self.check_host(host)
    }

    /// Whether the server at the host of `url` may be connected to.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_url(&self, url: &Url) -> Result<(), Denied> {
        self.check_host(url.host_str().unwrap_or_default())
    }

    /// Whether `host` may be connected to at this address.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_address(&self, host: &str, address: IpAddr) -> Result<(), Denied> {
        if !self.restricted {
            return Ok(());
        }
        let own = address.to_canonical();
        for address in [own].into_iter().chain(embedded(address)) {
            let is_none = is_none_of_one(address) && (address == own || !may_be_none(own));
            if never().iter().any(|network| network.contains(address)) || is_none {
                return Err(Denied::Never(host.to_owned()));
            }
            if self
                .allowed_networks
                .iter()
                .any(|network| network.contains(address))
            {
                continue;
            }
            let denied = self
                .denied_networks
                .iter()
                .find(|network| network.contains(address));
            if let Some(&network) = denied {
                let host = host.to_owned();
                return Err(Denied::Address { host, network });
            }
        }
        Ok(())
    }

    /// Of `addresses` those that `host` may be connected to at.
    ///
    /// # Errors
    /// When it may be at none.
    pub fn allowed<A>(&self, host: &str, addresses: A) -> Result<Vec<A::Item>, Denied>
    where
        A: IntoIterator,
        A::Item: Copy + Into<SocketAddr>,
    {
        let mut denied = None;
        let mut allowed = Vec::new();
        for address in addresses {
            match self.check_address(host, address.into().ip()) {
                Ok(()) => allowed.push(address),
                Err(error) => denied = Some(error),
            }
        }
        match denied {
            Some(error) if allowed.is_empty() => Err(error),
            _ => Ok(allowed),
        }
    }
}

/// Whether what [`embedded`] finds in it may be bits of something else.
fn may_be_none(address: IpAddr) -> bool {
    network(LOCAL_TRANSLATION).contains(address)
}

/// Not those of one server: every address of this machine, multicast, broadcast.
fn is_none_of_one(address: IpAddr) -> bool {
    address.is_unspecified()
        || address.is_multicast()
        || match address {
            IpAddr::V4(address) => address.is_broadcast() || address.octets()[0] == 0,
            IpAddr::V6(_) => false,
        }
}

/// Link-local networks, in which clouds serve credentials of the machine, and the addresses outside
/// of them by which clouds do: Azure's wire server, Alibaba's, Oracle's, Amazon's by IPv6, and
/// Amazon's for containers.
fn never() -> [Network; 7] {
    [
        network("169.254.0.0/16"),
        network("fe80::/10"),
        network("168.63.129.16/32"),
        network("100.100.100.200/32"),
        network("192.0.0.192/32"),
        network("fd00:ec2::/32"),
        network("fd20:ce::254/128"),
    ]
}

fn network(text: &str) -> Network {
    text.parse().expect("it is written in this file")
}

/// Where 64:ff9b:1::/48 leads depends on the network: RFC 8215 leaves the place of the IPv4 address in
/// it to whoever runs it.
const LOCAL_TRANSLATION: &str = "64:ff9b:1::/48";

/// The IPv4 addresses that an IPv6 address may lead to, by translation or a tunnel.
fn embedded(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(six) = address.to_canonical() else {
        return Vec::new();
    };
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    let octets = six.octets();
    let at = |places: [usize; 4]| IpAddr::V4(places.map(|place| octets[place]).into());
    let mut all = match six.segments() {
        // NAT64 (RFC 6052), and with a prefix of one's own: by the length of that (2.2 there).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => vec![of(high, low)],
        [0x64, 0xff9b, 1, ..] => vec![
            at([6, 7, 9, 10]),
            at([7, 9, 10, 11]),
            at([9, 10, 11, 12]),
            at([12, 13, 14, 15]),
        ],
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => vec![of(high, low)],
        // Teredo (RFC 4380): its server, and the client with all bits inverted.
        [0x2001, 0, s_high, s_low, _, _, high, low] => vec![of(s_high, s_low), of(!high, !low)],
        // IPv4-compatible (RFC 4291, 2.5.5.1) and IPv4-translated (RFC 2765, 2.1).
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => vec![of(high, low)],
        [0, 0, 0, 0, 0xffff, 0, high, low] => vec![of(high, low)],
        _ => Vec::new(),
    };
    // ISATAP (RFC 5214, 6.1), below any prefix.
    if let [.., 0 | 0x200, 0x5efe, high, low] = six.segments() {
        all.push(of(high, low));
    }
    all
}

/// The host of an address, without brackets.
pub fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned()
}

impl HostPattern {
    /// Whether it is `host`, in lower case.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::Below(end) => host.len() > end.len() && host.ends_with(end.as_str()),
        }
    }
}

impl FromStr for HostPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write a host (vault.example.com), all below a domain (*.example.com), or an \
                     IP address; without scheme, port and path";
        let text = text.trim().trim_end_matches('.').to_ascii_lowercase();
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Host(address.to_string()));
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text.as_str()),
        };
        let label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if !name.split('.').all(label) {
            return Err(wrong);
        }
        Ok(match below {
            true => Self::Below(format!(".{name}")),
            false => Self::Host(name.to_owned()),
        })
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let shared = |bits: u32, wide: u32| wide - bits.min(wide);
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = shared(u32::from(self.prefix), 32);
                let bits = |address: Ipv4Addr| u64::from(address.to_bits()) >> shift;
                bits(own) == bits(other)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = shared(u32::from(self.prefix), 128);
                let bits = |address: Ipv6Addr| address.to_bits().checked_shr(shift).unwrap_or(0);
                bits(own) == bits(other)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write a network (10.0.0.0/8, fd00::/8) or an IP address";
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| wrong)?,
            None => most,
        };
        if prefix > most {
            return Err(wrong);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Asks for the addresses of a host, with this port.
type Lookup = fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

/// The system's resolver.
fn system(host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
}

/// A resolver, of whose addresses only those are given that may be connected to.
#[derive(Debug)]
pub(crate) struct CheckingResolver {
    policy: EgressPolicy,
    /// Proxies of the environment: whoever runs this process named them.
    proxies: Arc<[String]>,
    lookup: Lookup,
}

impl CheckingResolver {
    /// Of the system's addresses those that `policy` allows; of `proxies` all.
    pub(crate) fn new(policy: EgressPolicy, proxies: Arc<[String]>) -> Self {
        Self {
            policy,
            proxies,
            lookup: system,
        }
    }
}

impl Resolve for CheckingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        let proxies = self.proxies.clone();
        let lookup = self.lookup;
        Box::pin(async move {
            let host = name.as_str();
            // The port is replaced by the one that is connected to.
            let found = lookup(host.to_owned(), 0).await?;
            if proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(host)) {
                return Ok(Box::new(found.into_iter()) as Addrs);
            }
            let allowed = policy.allowed(host, found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The hosts of the proxies that the environment names.
pub(crate) fn proxies() -> Arc<[String]> {
    let names = [
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    let values = names.iter().filter_map(|name| std::env::var(name).ok());
    let hosts = values.filter_map(|value| {
        let url = match value.contains("://") {
            true => Url::parse(&value),
            false => Url::parse(&format!("http://{value}")),
        };
        Some(url.ok()?.host_str()?.to_owned())
    });
    hosts.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn policy(hosts: &[&str], allowed: &[&str], denied: &[&str]) -> EgressPolicy {
        let networks = |texts: &[&str]| texts.iter().map(|text| network(text)).collect();
        EgressPolicy::restricted(
            hosts.iter().map(|host| host.parse().unwrap()).collect(),
            networks(allowed),
            networks(denied),
        )
    }

    #[test]
    fn metadata_addresses_are_never_connected_to_however_they_are_written() {
        let everything = policy(&[], &["0.0.0.0/0", "::/0"], &[]);
        for host in [
            "169.254.169.254",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::1]",
            "[64:ff9b:1:a9fe:a9:fe00::]",
            "[64:ff9b:1:a9:fe:a9fe:0:0]",
            "[64:ff9b:1:0:a9:fea9:fe00:0]",
            "[64:ff9b:1::a9fe:a9fe]",
            "[2001:0:a9fe:a9fe::1]",
            "[2001:0:5ef5:79fb:0:0:5601:5601]",
            "[2001:db8::5efe:169.254.169.254]",
            "[2001:db8::200:5efe:a9fe:a9fe]",
            "[::169.254.169.254]",
            "[::ffff:0:169.254.169.254]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "[::]",
            "224.0.0.1",
        ] {
            let denied = everything.check_host(host).unwrap_err();
            assert!(matches!(denied, Denied::Never(_)), "{host}: {denied}");
        }
        // A URL's parser writes these as 169.254.169.254.
        for url in [
            "http://2852039166/",
            "http://0xa9.0xfe.0xa9.0xfe/",
            "http://169.254.43518/",
        ] {
            let url = Url::parse(url).unwrap();
            assert!(everything.check_url(&url).is_err(), "{url}");
        }
    }

    #[test]
    fn loopback_and_denied_networks_are_denied_unless_they_are_allowed() {
        let default = policy(&[], &[], &["10.96.0.0/12"]);
        for host in [
            "127.0.0.1",
            "127.8.8.8",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::10.96.0.1]",
            "[64:ff9b:1::c000:201]",
            "[2002:7f00:1::]",
            "[2001:db8::5efe:10.96.0.1]",
            "[2001:0:c000:201:0:0:f59f:fffe]",
            "10.96.0.1",
        ] {
            let denied = default.check_host(host).unwrap_err();
            assert!(matches!(denied, Denied::Address { .. }), "{host}: {denied}");
        }
        for host in ["10.0.0.1", "192.168.1.1", "93.184.216.34", "[2606:2800::1]"] {
            assert_eq!(default.check_host(host), Ok(()), "{host}");
        }
        let nat64 = policy(&[], &["64:ff9b:1::/48"], &["10.96.0.0/12"]);
        assert_eq!(nat64.check_host("[64:ff9b:1::c000:201]"), Ok(()));
        assert!(nat64.check_host("[64:ff9b:1::a60:1]").is_err());
        let open = policy(&[], &["127.0.0.0/8", "10.96.4.4"], &["10.96.0.0/12"]);
        assert_eq!(open.check_host("127.0.0.1"), Ok(()));
        assert_eq!(open.check_host("10.96.4.4"), Ok(()));
        assert!(open.check_host("10.96.4.5").is_err());
        assert!(open.check_host("[::1]").is_err());
    }

    #[test]
    fn only_allowed_hosts_are_connected_to_where_some_are_named() {
        let policy = policy(&["vault.example.com", "*.okta.com", "192.0.2.7"], &[], &[]);
        for host in [
            "vault.example.com",
            "VAULT.example.com.",
            "acme.okta.com",
            "192.0.2.7",
        ] {
            assert_eq!(policy.check_host(host), Ok(()), "{host}");
        }
        for host in [
            "example.com",
            "okta.com",
            "evilokta.com",
            "vault.example.com.evil.org",
            "192.0.2.8",
        ] {
            let denied = policy.check_host(host).unwrap_err();
            assert!(matches!(denied, Denied::Host(_)), "{host}: {denied}");
        }
    }

    #[test]
    fn who_runs_the_command_line_may_connect_anywhere() {
        let policy = EgressPolicy::unrestricted();
        for host in ["127.0.0.1", "169.254.169.254", "anything.example"] {
            assert_eq!(policy.check_host(host), Ok(()));
        }
    }

    #[test]
    fn an_allowed_domain_allows_the_hosts_below_it_that_dns_lists_for_it() {
        let only = policy(&["corp.example.com"], &[], &[]);
        let may = |host: &str, domain: &str| only.check_host_of_domain(host, domain).is_ok();
        assert!(may("dc1.corp.example.com", "corp.example.com"));
        assert!(may("DC1.site.Corp.example.com.", "CORP.example.com."));
        for host in [
            "dc1.example.com",
            "dc1.othercorp.example.com",
            "dc1.corp.example.com.evil.example",
            "192.0.2.7",
        ] {
            assert!(!may(host, "corp.example.com"), "{host}");
        }
        // Another domain isn't allowed by what is below this one.
        assert!(!may("dc1.evil.example", "evil.example"));
        assert!(!may("dc1.corp.example.com", "example.com"));
        // Nor does the rule hold for a host that a resource names by itself.
        assert!(only.check_host("dc1.corp.example.com").is_err());
        let some = policy(&["corp.example.com", "catalog.example.com"], &[], &[]);
        let catalog = some.check_host_of_domain("catalog.example.com", "corp.example.com");
        assert!(catalog.is_ok());
    }

    #[test]
    fn a_host_with_one_good_address_is_connected_to_there_alone() {
        let default = policy(&[], &[], &[]);
        let addresses: [SocketAddr; 2] = [
            "127.0.0.1:443".parse().unwrap(),
            "192.0.2.1:443".parse().unwrap(),
        ];
        let allowed = default.allowed("two.example", addresses).unwrap();
        assert_eq!(allowed, addresses[1..]);
        assert!(
            default
                .allowed("one.example", addresses[..1].to_vec())
                .is_err()
        );
    }

    #[test]
    fn what_is_no_host_or_network_is_refused() {
        for text in [
            "https://vault.example.com",
            "a:443",
            "a/b",
            "",
            "*.",
            "*",
            "a..b",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
        for text in ["10.0.0.0/33", "10.0.0/8", "::/129", "example.com", ""] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert_eq!(network("10.0.0.0/8").to_string(), "10.0.0.0/8");
    }

    #[tokio::test]
    async fn the_resolver_gives_no_address_that_is_denied() {
        let resolver = CheckingResolver::new(policy(&[], &[], &[]), Arc::from([]));
        let error = resolver
            .resolve("localhost".parse().unwrap())
            .await
            .err()
            .unwrap();
        assert!(error.is::<Denied>(), "{error}");
        let proxies = Arc::from(["localhost".to_owned()]);
        let resolver = CheckingResolver::new(policy(&[], &[], &[]), proxies);
        assert!(resolver.resolve("localhost".parse().unwrap()).await.is_ok());
    }

    /// A server on an address of this machine that counts who comes, and closes.
    async fn server(address: &str, port: u16) -> (u16, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind((address, port))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let mut request = [0; 4096];
                let _whatever_came = stream.read(&mut request).await;
                let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await.ok();
                stream.shutdown().await.ok();
            }
        });
        (port, count)
    }

    /// As a name server of somebody who means harm: the first answer is the allowed address, others the
    /// denied one, as the system's resolver would give them.
    fn rebinding(host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let addresses: &[&str] = match host.as_str() {
            "both.example" => &["::ffff:127.0.0.2", "127.0.0.2", "127.0.0.1"],
            "mapped.example" => &["::ffff:127.0.0.2", "64:ff9b::7f00:2", "0.0.0.0", "::"],
            _ if ASKED.fetch_add(1, Ordering::Relaxed) == 0 => &["127.0.0.1"],
            _ => &["127.0.0.2"],
        };
        let parsed = addresses.iter().map(|address| address.parse::<IpAddr>());
        let found = parsed.map(|address| SocketAddr::new(address.unwrap(), port));
        let found: Vec<_> = found.collect();
        Box::pin(async move { Ok(found) })
    }

    #[tokio::test]
    async fn what_a_name_resolves_to_later_or_beside_is_never_connected_to() {
        // Another test may have been first.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let (port, allowed) = server("127.0.0.1", 0).await;
        let (_, denied) = server("127.0.0.2", port).await;
        let mut resolver = CheckingResolver::new(policy(&[], &["127.0.0.1"], &[]), Arc::from([]));
        resolver.lookup = rebinding;
        let client = reqwest::Client::builder()
            .no_proxy()
            .dns_resolver(Arc::new(resolver))
            .build()
            .unwrap();
        let get = async |host: &str| client.get(format!("http://{host}:{port}/")).send().await;

        get("rebinding.example").await.unwrap();
        assert_eq!(allowed.load(Ordering::Relaxed), 1);
        for _ in 0..3 {
            assert!(
                get("rebinding.example").await.is_err(),
                "it has another address now"
            );
        }
        assert!(
            get("both.example").await.is_ok(),
            "it has an allowed one, too"
        );
        assert_eq!(allowed.load(Ordering::Relaxed), 2);
        assert!(get("mapped.example").await.is_err());
        assert_eq!(denied.load(Ordering::Relaxed), 0, "nobody came there");
    }

    #[tokio::test]
    async fn no_spelling_of_an_address_leads_to_a_denied_one() {
        let default = policy(&[], &[], &[]);
        for host in [
            "localhost.",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "0",
            "127.0.0.1.",
        ] {
            // As LDAP does: the host as it is written, and then each address of it.
            let denied = match default.check_host(host) {
                Ok(()) => match system(host.to_owned(), 389).await {
                    // Not a name of this system's resolver: nothing is connected to.
                    Err(_) => continue,
                    Ok(found) => default.allowed(host, found).unwrap_err(),
                },
                Err(denied) => denied,
            };
            assert!(!matches!(denied, Denied::Host(_)), "{host}: {denied}");
        }
    }
}
