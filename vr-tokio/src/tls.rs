//! TLS for peers and clients: certificates, keys, and who is let in.
//!
//! Owns the reading of PEM files and the names that certificates must carry: the certificate of replica 0 of a
//! cluster is valid for the DNS name `replica-0.vr-<the cluster's id, 32 hex digits>` ([`peer_name`]; without the
//! letters, an id of digits only would be no DNS name). Must not know what is said over a connection.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vr_core::{ClusterId, ReplicaId};

/// The files for TLS between replicas: both sides show a certificate of the cluster's own authority.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerTlsFiles {
    /// The certificates of the authority that signs the replicas' certificates, PEM.
    pub ca: PathBuf,
    /// This replica's certificate and what leads from it to the authority, PEM. Valid for [`peer_name`].
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// The files for TLS on a listener for clients.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTlsFiles {
    /// The listener's certificate and what leads from it to an authority that clients trust, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// When given, clients must show a certificate of this authority, PEM.
    pub client_ca: Option<PathBuf>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is no PEM file of what it should hold.
    #[error("{what} {}: {source}", path.display())]
    File {
        /// What the file should hold.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// A file holds no certificate at all.
    #[error("{what} {}: there is no certificate in it", path.display())]
    Empty {
        /// What the file should hold.
        what: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// A certificate or key is refused: not of this form, or the two do not belong together.
    #[error("{what} {}: {source}", path.display())]
    Refused {
        /// What the file should hold.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The authority's certificates cannot be used to check clients.
    #[error("authority {}: {reason}", path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A replica's certificate is another's.
    #[error("certificate {}: it is not valid for {name}, the name of this replica", path.display())]
    WrongName {
        /// Which file.
        path: PathBuf,
        /// The name that it must be valid for.
        name: String,
    },
}

/// The DNS name that a replica's certificate must be valid for.
#[must_use]
pub fn peer_name(cluster: ClusterId, id: ReplicaId) -> String {
    let cluster = cluster.0;
    format!("replica-{id}.vr-{cluster:032x}")
}

/// TLS of a listener.
#[derive(Clone, Debug)]
pub struct ServerTls(pub(crate) Arc<ServerConfig>);

/// TLS of those who connect.
#[derive(Clone, Debug)]
pub struct ClientTls(pub(crate) Arc<ClientConfig>);

impl ServerTls {
    /// For clients.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn for_clients(files: &ListenerTlsFiles) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().expect("ring serves the default versions");
        let builder = match &files.client_ca {
            Some(ca) => builder.with_client_cert_verifier(verifier(ca)?),
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = (certificates("certificate", &files.certificate)?, private_key(&files.key)?);
        finish_server(builder.with_single_cert(chain, key), &files.certificate)
    }

    /// For replicas: nobody without a certificate of the cluster's authority comes in.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn for_peers(files: &PeerTlsFiles) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring serves TLS 1.3");
        let builder = builder.with_client_cert_verifier(verifier(&files.ca)?);
        let (chain, key) = (certificates("certificate", &files.certificate)?, private_key(&files.key)?);
        finish_server(builder.with_single_cert(chain, key), &files.certificate)
    }
}

impl ClientTls {
    /// For clients that trust this authority, and show no certificate of their own.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn trusting(ca: &Path) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().expect("ring serves the default versions");
        let mut config = builder.with_root_certificates(roots(ca)?).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// For a replica of this id in this cluster, whose certificate is checked to be its own.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn for_peers(files: &PeerTlsFiles, cluster: ClusterId, me: ReplicaId) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring serves TLS 1.3");
        let (chain, key) = (certificates("certificate", &files.certificate)?, private_key(&files.key)?);
        let name = peer_name(cluster, me);
        if !is_valid_for(&chain[0], &name) {
            return Err(TlsError::WrongName { path: files.certificate.clone(), name });
        }
        let builder = builder.with_root_certificates(roots(&files.ca)?);
        let mut config =
            builder.with_client_auth_cert(chain, key).map_err(refused("certificate", &files.certificate))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// May the holder of this certificate call itself so? Whether an authority signed it was decided before.
pub(crate) fn is_valid_for(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let (Ok(parsed), Ok(name)) = (ParsedCertificate::try_from(certificate), ServerName::try_from(name)) else {
        return false;
    };
    rustls::client::verify_server_name(&parsed, &name).is_ok()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn finish_server(built: Result<ServerConfig, rustls::Error>, path: &Path) -> Result<ServerTls, TlsError> {
    let mut config = built.map_err(refused("certificate", path))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(ServerTls(Arc::new(config)))
}

fn verifier(ca: &Path) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let roots = Arc::new(roots(ca)?);
    WebPkiClientVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| TlsError::Authority { path: ca.to_owned(), reason: error.to_string() })
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("authority", path)? {
        roots.add(certificate).map_err(refused("authority", path))?;
    }
    Ok(roots)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |source| TlsError::File { what, path: path.to_owned(), source };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(file)?.collect();
    let found = found.map_err(file)?;
    if found.is_empty() { Err(TlsError::Empty { what, path: path.to_owned() }) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::File { what: "key", path: path.to_owned(), source })
}

fn refused(what: &'static str, path: &Path) -> impl FnOnce(rustls::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Refused { what, path, source }
}
