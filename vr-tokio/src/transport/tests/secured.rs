//! Peers and clients over TLS: who is let in, who is not, and what is said of bad files. Owns a test authority.

use super::*;
use crate::client::{Client, ClientError, ClientOptions};
use crate::tls::{ClientTls, ListenerTlsFiles, PeerTlsFiles, ServerTls, TlsError, peer_name};
use http_body_util::Full as FullBody;
use hyper::service::service_fn;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;

/// Signs certificates, into files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("ca.pem"), issuer.pem()).expect("written");
        Self { issuer, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A certificate for this name.
    fn sign(&self, name: &str) -> PeerTlsFiles {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let (at, key_at) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&at, certificate.pem()).expect("written");
        fs::write(&key_at, key.serialize_pem()).expect("written");
        PeerTlsFiles { ca: self.path("ca.pem"), certificate: at, key: key_at }
    }

    fn of(&self, id: ReplicaId) -> PeerTlsFiles {
        self.sign(&peer_name(cluster().cluster, id))
    }
}

async fn secured_ear(me: ReplicaId, files: &PeerTlsFiles) -> Ear {
    let tls = ServerTls::for_peers(files).expect("good files");
    Ear::at("127.0.0.1:0", me, |options| options.tls = Some(tls)).await
}

/// `me` speaks, as the holder of the certificate of `certified`.
fn secured_mouth(me: ReplicaId, certified: ReplicaId, files: &PeerTlsFiles, to: &Ear) -> (Peers, Metrics) {
    let tls = ClientTls::for_peers(files, cluster().cluster, certified).expect("good files");
    mouth(me, &[(R0, to.address)], |options| options.tls = Some(tls))
}

#[tokio::test]
async fn replicas_with_certificates_of_their_authority_understand_each_other() {
    let authority = Authority::new();
    let mut ear = secured_ear(R0, &authority.of(R0)).await;
    let (peers, metrics) = secured_mouth(R1, R1, &authority.of(R1), &ear);
    until(|| metrics.link(R0).connected.get() == 1).await;
    let sent: Vec<_> = (0..50).map(|seq| prepare(R1, seq, 40, 1000)).collect();
    for message in &sent {
        peers.send(To::One(R0), message);
        assert_eq!(ear.hears().await, *message);
    }
    assert_eq!((ear.metrics.server.accepted(), ear.metrics.server.failed("tls")), (1, 0));
}

#[tokio::test]
async fn who_shows_another_replicas_certificate_is_refused_and_changes_nothing() {
    let authority = Authority::new();
    let mut ear = secured_ear(R0, &authority.of(R0)).await;
    let (peers, metrics) = secured_mouth(R1, R2, &authority.of(R2), &ear);
    until(|| metrics.link(R0).connected.get() == 1).await;
    peers.send(To::One(R0), &beat(R1, 1));
    until(|| metrics.link(R0).dropped_refused.get() == 1).await;
    assert_eq!((ear.metrics.refused("identity"), ear.inbox.try_recv().is_err()), (1, true));
}

#[tokio::test]
async fn a_replica_that_was_added_later_is_who_its_certificate_says() {
    let authority = Authority::new();
    let mut ear = secured_ear(R0, &authority.of(R0)).await;
    let newcomer = ReplicaId(9);
    let (peers, metrics) = secured_mouth(newcomer, newcomer, &authority.of(newcomer), &ear);
    until(|| metrics.link(R0).connected.get() == 1).await;
    peers.send(To::One(R0), &beat(newcomer, 1));
    assert_eq!(ear.hears().await, beat(newcomer, 1));
    let (peers, metrics) = secured_mouth(ReplicaId(8), newcomer, &authority.of(newcomer), &ear);
    until(|| metrics.link(R0).connected.get() == 1).await;
    peers.send(To::One(R0), &beat(ReplicaId(8), 1));
    until(|| ear.metrics.refused("identity") == 1).await;
}

#[tokio::test]
async fn who_is_certified_may_not_send_what_another_said() {
    let authority = Authority::new();
    let mut ear = secured_ear(R0, &authority.of(R0)).await;
    let (peers, metrics) = secured_mouth(R1, R1, &authority.of(R1), &ear);
    until(|| metrics.link(R0).connected.get() == 1).await;
    peers.send(To::One(R0), &beat(R2, 1));
    until(|| metrics.link(R0).dropped_refused.get() == 1).await;
    assert_eq!((ear.metrics.refused("forged"), ear.inbox.try_recv().is_err()), (1, true));
}

#[tokio::test]
async fn the_certificate_of_the_same_replica_of_another_cluster_does_not_do() {
    let authority = Authority::new();
    let ear = secured_ear(R0, &authority.of(R0)).await;
    let other = ClusterId(8);
    let tls = ClientTls::for_peers(&authority.sign(&peer_name(other, R1)), other, R1).expect("good files");
    let (peers, metrics) = mouth(R1, &[(R0, ear.address)], |options| options.tls = Some(tls));
    until(|| metrics.link(R0).connected.get() == 1).await;
    peers.send(To::One(R0), &beat(R1, 1));
    until(|| ear.metrics.refused("identity") == 1).await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_none_does_not_get_in() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let ear = secured_ear(R0, &authority.of(R0)).await;
    // Trusts our authority, and is trusted by a foreign one only.
    let files = PeerTlsFiles { ca: authority.path("ca.pem"), ..foreign.of(R1) };
    let (peers, _metrics) = secured_mouth(R1, R1, &files, &ear);
    peers.send(To::One(R0), &beat(R1, 1));
    until(|| ear.metrics.server.failed("tls") >= 1).await;
    drop(peers);
    let before = ear.metrics.server.failed("tls");
    let tls = ClientTls::trusting(&authority.path("ca.pem")).expect("good files");
    let (_peers, _) = mouth(R1, &[(R0, ear.address)], |options| options.tls = Some(tls));
    until(|| ear.metrics.server.failed("tls") > before).await;
    assert_eq!(ear.metrics.source(R1).messages.get(), 0);
}

#[tokio::test]
async fn a_listener_that_is_another_than_it_should_be_is_told_nothing() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    for files in [authority.of(R2), PeerTlsFiles { ca: authority.path("ca.pem"), ..foreign.of(R0) }] {
        let ear = secured_ear(R0, &files).await;
        let (peers, metrics) = secured_mouth(R1, R1, &authority.of(R1), &ear);
        peers.send(To::One(R0), &beat(R1, 1));
        until(|| metrics.link(R0).dropped_unreachable.get() == 1).await;
        assert_eq!((metrics.link(R0).connects.get(), metrics.link(R0).requests.get()), (0, 0));
    }
}

#[tokio::test]
async fn plain_http_does_not_get_in_where_tls_is_spoken() {
    let authority = Authority::new();
    let ear = secured_ear(R0, &authority.of(R0)).await;
    let (peers, metrics) = mouth(R1, &[(R0, ear.address)], |_| ());
    peers.send(To::One(R0), &beat(R1, 1));
    until(|| ear.metrics.server.failed("tls") >= 1).await;
    assert_eq!((ear.metrics.source(R1).requests.get(), metrics.link(R0).dropped_refused.get()), (0, 0));
}

#[tokio::test]
async fn clients_speak_tls_to_a_listener_they_trust_and_to_no_other() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let PeerTlsFiles { certificate, key, .. } = authority.sign("127.0.0.1");
    let tls = ServerTls::for_clients(&ListenerTlsFiles { certificate, key, client_ca: None }).expect("good files");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let options = server::ServerOptions { tls: Some(tls), ..server::ServerOptions::default() };
    let metrics = server::ServerMetrics::default();
    let listening = server::serve(listener, options, metrics.clone(), |_| {
        service_fn(|_| async {
            let headers = [("vr-session", "41"), ("vr-op", "7"), ("vr-view", "4")];
            let response =
                headers.iter().fold(http::Response::builder(), |built, (name, value)| built.header(*name, *value));
            Ok::<_, Infallible>(response.body(FullBody::new(Bytes::new())).expect("a response"))
        })
    })
    .expect("it listens");
    let client = |authority: &Authority| {
        let tls = Some(ClientTls::trusting(&authority.path("ca.pem")).expect("a good file"));
        let options = ClientOptions { call_timeout: Duration::from_millis(500), tls, ..ClientOptions::default() };
        Client::new([listening.local_addr().to_string()], options).expect("an address")
    };
    assert_eq!(timely(client(&authority).session()).await.expect("a session").id(), Session(41));
    let refused = timely(client(&foreign).session()).await.err().expect("not trusted");
    assert!(matches!(&refused, ClientError::Unreachable(why) if why.contains("certificate")), "{refused:?}");
    assert!(metrics.failed("tls") >= 1);
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let authority = Authority::new();
    let good = authority.of(R0);
    let other = authority.of(R1);
    let write = |name: &str, text: &str| {
        fs::write(authority.path(name), text).expect("written");
        authority.path(name)
    };
    let missing = authority.path("missing.pem");
    let empty = write("empty.pem", "");
    let garbage = write("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let broken = write("broken.pem", "-----BEGIN CERTIFICATE-----\nAA");
    let cases = [
        (PeerTlsFiles { ca: missing.clone(), ..good.clone() }, "authority", "missing.pem"),
        (PeerTlsFiles { ca: empty.clone(), ..good.clone() }, "authority", "empty.pem"),
        (PeerTlsFiles { ca: garbage.clone(), ..good.clone() }, "authority", "garbage.pem"),
        (PeerTlsFiles { certificate: missing.clone(), ..good.clone() }, "certificate", "missing.pem"),
        (PeerTlsFiles { certificate: broken, ..good.clone() }, "certificate", "broken.pem"),
        (PeerTlsFiles { key: missing, ..good.clone() }, "key", "missing.pem"),
        (PeerTlsFiles { key: empty, ..good.clone() }, "key", "empty.pem"),
        (PeerTlsFiles { key: other.key.clone(), ..good.clone() }, "certificate", "replica-0."),
    ];
    for (files, what, name) in cases {
        let server = ServerTls::for_peers(&files).expect_err("bad files").to_string();
        assert!(server.starts_with(what) && server.contains(name), "{server}");
        let client = ClientTls::for_peers(&files, cluster().cluster, R0).expect_err("bad files").to_string();
        assert!(client.starts_with(what) && client.contains(name), "{client}");
    }
    let wrong = ClientTls::for_peers(&other, cluster().cluster, R0).expect_err("another's");
    assert!(matches!(&wrong, TlsError::WrongName { name, .. } if *name == peer_name(cluster().cluster, R0)), "{wrong}");
}

#[tokio::test]
async fn who_is_silent_in_the_handshake_is_cut_off() {
    let authority = Authority::new();
    let tls = ServerTls::for_peers(&authority.of(R0)).expect("good files");
    let ear = Ear::at("127.0.0.1:0", R0, |options| {
        options.tls = Some(tls);
        options.transport.read_timeout_ms = 50;
    })
    .await;
    let mut silent = TcpStream::connect(ear.address).await.expect("it listens");
    assert_eq!(timely(silent.read_to_end(&mut Vec::new())).await.expect("closed in order"), 0);
    until(|| ear.metrics.server.failed("timeout") == 1).await;
}
