//! A replicated counter in three processes, with every promise on disk. `counter DIR` starts them, counts, kills the
//! first primary, counts on; `counter DIR ID` is one of them. Owns the service; the rest is `vr_tokio`.

use std::process::{Child, Command};
use vr_tokio::client::{Client, ClientOptions};
use vr_tokio::{Bytes, Context, Node, NodeConfig, ReplicaId, Service};

/// The replicated state machine: it counts what it is asked to add.
#[derive(Clone, Default)]
pub(crate) struct Counter(u64);

impl Service for Counter {
    fn execute(&mut self, _: &Context, body: &[u8]) -> Bytes {
        let more = std::str::from_utf8(body).ok().and_then(|text| text.parse().ok());
        self.0 = self.0.wrapping_add(more.unwrap_or(0));
        self.0.to_string().into()
    }
    fn read(&self, _: &[u8]) -> Bytes {
        self.0.to_string().into()
    }
    fn checkpoint(&self) -> Bytes {
        self.0.to_le_bytes().to_vec().into()
    }
    fn restore(&mut self, state: &[u8]) {
        self.0 = state.try_into().map_or(0, u64::from_le_bytes);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, rest @ ..] = &args[..] else { return Err("usage: counter DIR [ID]".into()) };
    let file = std::path::Path::new(dir).join("cluster.toml");
    if let [id] = rest {
        let mut node = Node::start(NodeConfig::load(&file, ReplicaId(id.parse()?))?, Counter::default()).await?;
        node.serve_clients().await?;
        return Err(node.stopped().await.into());
    }
    let configs: Result<Vec<_>, _> = (0..3).map(|id| NodeConfig::load(&file, ReplicaId(id))).collect();
    let configs = configs?;
    configs.iter().try_for_each(|config| Node::format(config).map(drop))?;
    let me = std::env::current_exe()?;
    let start = |id: usize| Command::new(&me).arg(dir).arg(id.to_string()).spawn();
    let mut nodes: Vec<Child> = (0..3).map(start).collect::<Result<_, _>>()?;
    let client = Client::new(configs.iter().map(|config| config.client.to_string()), ClientOptions::default())?;
    let mut session = client.session().await?;
    for round in 1..=10 {
        let reply = session.call("1").await?;
        println!("{} at op {} of view {}", String::from_utf8_lossy(&reply.result), reply.op, reply.view);
        if round == 5 {
            nodes[0].kill()?; // the primary of view 0
        }
    }
    Ok(nodes.iter_mut().try_for_each(Child::kill)?)
}
