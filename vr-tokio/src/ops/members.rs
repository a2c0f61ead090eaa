//! `GET` and `PUT /vr/v1/members`: the group at this node, and the order to change it. EXPERIMENTAL.
//!
//! Owns the JSON. `PUT` and not `POST`: a page of another origin can send a plain POST to a node on the same machine, but no PUT
//! without being allowed to. Must not know who may follow whom. VRR §7.

use super::{AnswerBody, text};
use crate::handle::{Handle, NodeStatus, RequestError};
use crate::members::{MemberAddress, Members, NextMember, ReconfigureError, code_of};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::net::SocketAddr;
use vr_core::{Epoch, Hash, Instance, ReplicaId, StatusName, View};

/// 64 members and what stands around them take a quarter of this.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What a node says of itself and of its group.
#[derive(Serialize)]
struct Shown {
    /// Of this node: its id, its disk, the digest of its cluster's configuration, where it is reached, its status.
    id: ReplicaId,
    disk: String,
    config: String,
    client: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    status: StatusName,
    view: View,
    /// It would rather have another primary.
    wants_view_change: bool,
    /// The primary, as far as this node knows.
    primary: Option<ReplicaId>,
    #[serde(flatten)]
    group: Members,
}

/// The group that is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    epoch: u64,
    members: Vec<AskedMember>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedMember {
    id: u16,
    client: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    disk: Option<String>,
}

impl AskedMember {
    fn next(&self) -> Option<NextMember> {
        let disk = match &self.disk {
            Some(digits) => Some(Instance(u128::from_str_radix(digits, 16).ok()?)),
            None => None,
        };
        let address = match (self.client, self.peer) {
            (Some(client), Some(peer)) => Some(MemberAddress { client, peer, disk }),
            (None, None) if disk.is_none() => None,
            _ => return None,
        };
        Some(NextMember { id: ReplicaId(self.id), address })
    }
}

/// The group, and this node.
pub(super) fn show(handle: &Handle) -> Response<AnswerBody> {
    json(StatusCode::OK, &shown(handle))
}

fn shown(handle: &Handle) -> Shown {
    let (NodeStatus { id, status, view, primary, wants_view_change, .. }, Instance(disk)) =
        (handle.status(), handle.disk());
    let ((client, peer), Hash(config)) = (handle.own().unzip(), handle.config());
    let knows = matches!(status, StatusName::Primary | StatusName::Backup);
    let primary = Some(primary).filter(|_| knows);
    let (disk, config) = (format!("{disk:032x}"), format!("{config:032x}"));
    Shown { id, disk, config, client, peer, status, view, wants_view_change, primary, group: handle.group() }
}

/// Another group is to follow.
pub(super) async fn change<B>(handle: &Handle, body: B) -> Response<AnswerBody>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let body = Limited::new(Box::pin(body), BODY_BYTES_MAX).collect().await;
    let asked = body.ok().and_then(|body| serde_json::from_slice::<Asked>(&body.to_bytes()).ok());
    let next = asked.as_ref().and_then(|asked| asked.members.iter().map(AskedMember::next).collect::<Option<Vec<_>>>());
    let (Some(asked), Some(next)) = (asked, next) else {
        let why = "the body is {\"epoch\": N, \"members\": [{\"id\": N, \"client\": …, \"peer\": …, \"disk\": …}, …]}";
        return refused(StatusCode::BAD_REQUEST, "bad_request", why);
    };
    match handle.reconfigure(Epoch(asked.epoch), &next).await {
        Ok(_) => show(handle),
        Err(ReconfigureError::Refused(why)) => {
            refused(StatusCode::CONFLICT, code_of(why), &ReconfigureError::Refused(why).to_string())
        }
        Err(error @ ReconfigureError::Nowhere(_)) => refused(StatusCode::CONFLICT, "nowhere", &error.to_string()),
        Err(error @ ReconfigureError::Rebound(_)) => refused(StatusCode::CONFLICT, "rebound", &error.to_string()),
        Err(error @ ReconfigureError::Exposed(_)) => refused(StatusCode::CONFLICT, "exposed", &error.to_string()),
        Err(ReconfigureError::Request(RequestError::NotPrimary { primary, view })) => {
            let (reason, known) = (RequestError::NotPrimary { primary, view }.to_string(), handle.elsewhere(primary));
            let (primary, client) = known.unzip();
            let said =
                serde_json::json!({"error": "not_primary", "reason": reason, "primary": primary, "client": client});
            json(StatusCode::CONFLICT, &said)
        }
        Err(ReconfigureError::Request(error)) => {
            let status =
                if error.is_outcome_unknown() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::SERVICE_UNAVAILABLE };
            refused(status, error.code(), &error.to_string())
        }
    }
}

fn refused(status: StatusCode, code: &str, reason: &str) -> Response<AnswerBody> {
    json(status, &serde_json::json!({"error": code, "reason": reason}))
}

fn json(status: StatusCode, what: &impl Serialize) -> Response<AnswerBody> {
    text(status, "application/json", serde_json::to_string(what).unwrap_or_default() + "\n")
}
