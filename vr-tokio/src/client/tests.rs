//! Tests of the client against replicas that follow a script, over real sockets on free ports.
//! What is waited for is an answer, never a time.

mod form;
mod measure;
mod retries;

use super::*;
use crate::transport::server::{Server, ServerMetrics, ServerOptions, serve};
use bytes::Bytes;
use hyper::service::service_fn;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vr_core::{ClientId, Op, ReplicaId, Reply, RequestNumber, Session, View};

const SESSION: Session = Session(41);

/// What a scripted replica does with the next request; with none left, it answers.
#[derive(Clone)]
enum Step {
    Refuse(Refused),
    /// Says nothing, ever.
    Hang,
}

/// A replica that follows a script.
struct Fake {
    address: String,
    metrics: ServerMetrics,
    node: Arc<Node>,
    _server: Server,
}

#[derive(Default)]
struct Node {
    script: Mutex<VecDeque<Step>>,
    seen: Mutex<Vec<Ask>>,
}

impl Requests for Node {
    async fn request(&self, ask: Ask) -> Result<Reply, Refused> {
        let Ask { client, number, body, .. } = ask.clone();
        self.seen.lock().unwrap().push(ask);
        let step = self.script.lock().unwrap().pop_front();
        match step {
            Some(Step::Refuse(refused)) => Err(refused),
            Some(Step::Hang) => std::future::pending().await,
            None => {
                let result = Bytes::from([b"did ", &body[..]].concat());
                let (op, view) = (Op(100 + number.0), View(4));
                Ok(Reply { client, session: SESSION, number, op, view, result, duplicate: number.0 == 3 })
            }
        }
    }

    async fn read(&self, query: Bytes) -> Result<Bytes, Refused> {
        let step = self.script.lock().unwrap().pop_front();
        match step {
            Some(Step::Refuse(refused)) => Err(refused),
            Some(Step::Hang) => std::future::pending().await,
            None => Ok(Bytes::from([b"saw ", &query[..]].concat())),
        }
    }

    fn max_request_bytes(&self) -> usize {
        1000
    }
}

impl Fake {
    async fn start(script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let node = Arc::new(Node { script: Mutex::new(script.into_iter().collect()), seen: Mutex::default() });
        let (metrics, mounted) = (ServerMetrics::default(), Arc::clone(&node));
        let server = serve(listener, ServerOptions::default(), metrics.clone(), move |_| {
            let node = Arc::clone(&mounted);
            service_fn(move |request| {
                let node = Arc::clone(&node);
                async move { Ok::<_, Infallible>(answer(&*node, request).await) }
            })
        });
        let server = server.expect("it listens");
        Self { address: server.local_addr().to_string(), metrics, node, _server: server }
    }

    fn then(&self, script: impl IntoIterator<Item = Step>) {
        self.node.script.lock().unwrap().extend(script);
    }

    /// The numbers of the requests that came, in order.
    fn numbers(&self) -> Vec<u64> {
        self.node.seen.lock().unwrap().iter().map(|ask| ask.number.0).collect()
    }

    /// A hint at this one.
    fn hint(&self) -> Step {
        Step::Refuse(Refused::NotPrimary { primary: Some((ReplicaId(1), self.address.clone())), view: View(4) })
    }
}

fn no_primary() -> Step {
    Step::Refuse(Refused::NotPrimary { primary: None, view: View(4) })
}

/// A listener that reads a request and answers with these bytes, one after the other, closing after each.
async fn blunt(answers: &'static [&'static [u8]]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        for answer in answers {
            let (mut tcp, _) = listener.accept().await.expect("a connection");
            let mut read = Vec::new();
            while !read.windows(4).any(|window| window == b"\r\n\r\n") {
                if tcp.read_buf(&mut read).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = tcp.write_all(answer).await;
        }
        std::future::pending::<()>().await;
    });
    address
}

fn quick() -> ClientOptions {
    ClientOptions { attempt_timeout: Duration::from_millis(200), ..ClientOptions::default() }
}

/// A client whose calls end soon, for tests in which nobody answers.
fn brief() -> ClientOptions {
    ClientOptions { call_timeout: Duration::from_millis(150), attempt_timeout: Duration::from_millis(60), ..quick() }
}

fn client(of: &[&Fake], options: ClientOptions) -> Client {
    Client::new(of.iter().map(|fake| &fake.address), options).expect("addresses")
}
