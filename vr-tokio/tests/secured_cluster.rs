//! A whole cluster over TLS in which replicas speak different encodings: real sockets, real disks, a client from
//! outside. Owns its authority and its counter; waits for answers, never for a time.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use vr_tokio::client::{Client, ClientOptions};
use vr_tokio::tls::{ClientTls, ListenerTlsFiles, PeerTlsFiles, peer_name};
use vr_tokio::transport::Codec;
use vr_tokio::{Bytes, Context, Node, NodeConfig, ReplicaId, Service};

/// Counts its operations, and says what it counted.
#[derive(Default)]
struct Counter(u64);

impl Service for Counter {
    fn execute(&mut self, _: &Context, _: &[u8]) -> Bytes {
        self.0 += 1;
        self.0.to_string().into()
    }
    fn read(&self, _: &[u8]) -> Bytes {
        self.0.to_string().into()
    }
    fn checkpoint(&self) -> Bytes {
        self.0.to_le_bytes().to_vec().into()
    }
    fn restore(&mut self, state: &[u8]) {
        self.0 = u64::from_le_bytes(state.try_into().expect("its own checkpoint"));
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(dir: &Path) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
    fs::write(dir.join("ca.pem"), issuer.pem()).expect("written");
    issuer
}

/// A certificate for these names.
fn sign(authority: &Authority, dir: &Path, names: &[&str]) -> PeerTlsFiles {
    let key = KeyPair::generate().expect("a key");
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let at = |end: &str| dir.join(format!("{}.{end}", names[0]));
    let certificate = CertificateParams::new(names.clone()).expect("names").signed_by(&key, authority).expect("signed");
    fs::write(at("pem"), certificate.pem()).expect("written");
    fs::write(at("key"), key.serialize_pem()).expect("written");
    PeerTlsFiles { ca: dir.join("ca.pem"), certificate: at("pem"), key: at("key") }
}

/// Addresses that are free: all are held until all are found.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let held: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    std::array::from_fn(|at| held[at].local_addr().expect("bound"))
}

fn configs(dir: &Path) -> Vec<NodeConfig> {
    let addresses: [SocketAddr; 6] = free_addresses();
    let mut text = "[cluster]\nid = \"000102030405060708090a0b0c0d0e0f\"\nmembers = [0, 1, 2]\n".to_owned();
    for (id, pair) in addresses.chunks(2).enumerate() {
        text += &format!("[[node]]\nid = {id}\ndir = \"{id}\"\nclient = \"{}\"\npeer = \"{}\"\n", pair[0], pair[1]);
    }
    let authority = authority(dir);
    let of = |id: u16| {
        let mut config = NodeConfig::parse(&text, ReplicaId(id), dir).expect("a good file");
        let PeerTlsFiles { certificate, key, .. } = sign(&authority, dir, &["127.0.0.1"]);
        config.client_tls = Some(ListenerTlsFiles { certificate, key, client_ca: None });
        config.peer_tls = Some(sign(&authority, dir, &[&peer_name(config.cluster.cluster, ReplicaId(id))]));
        config.transport.body = if id == 0 { Codec::Json } else { Codec::Bincode };
        config
    };
    (0..3).map(of).collect()
}

#[tokio::test]
async fn replicas_of_either_encoding_agree_over_tls_and_outlive_one_of_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let configs = configs(dir.path());
    let mut nodes = Vec::new();
    for config in &configs {
        Node::format(config).expect("an empty directory");
        let mut node = Node::start(config.clone(), Counter::default()).await.expect("it starts");
        node.serve_clients().await.expect("it listens");
        nodes.push(node);
    }
    let tls = Some(ClientTls::trusting(&dir.path().join("ca.pem")).expect("a good file"));
    let endpoints = configs.iter().map(|config| format!("https://{}", config.client));
    let client = Client::new(endpoints, ClientOptions { tls, ..ClientOptions::default() }).expect("addresses");
    let mut session = client.session().await.expect("a session");
    for count in 1..=20 {
        let reply = session.call("one more").await.expect("an answer");
        assert_eq!(reply.result, count.to_string());
    }
    let first = nodes.remove(0);
    first.handle().stop().await;
    first.stopped().await;
    for count in 21..=40 {
        let reply = session.call("one more").await.expect("an answer of the two that are left");
        assert_eq!(reply.result, count.to_string());
    }
    for node in nodes {
        node.handle().stop().await;
        node.stopped().await;
    }
}
