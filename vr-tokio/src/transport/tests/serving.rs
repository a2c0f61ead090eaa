//! The server loop by itself: limits, bounds on waiting, the orderly end. Owns a service that does as its path says.

use super::server::{Server, ServerMetrics, ServerOptions, serve};
use super::*;
use http::{Request, Response, StatusCode};
use http_body_util::Full as FullBody;
use hyper::service::service_fn;
use std::convert::Infallible;
use tokio::sync::Semaphore;

/// A server whose service answers with the length of the body, after a permit on `/wait`, with a panic on `/panic`,
/// with so many bytes on `/many`.
fn start(
    listener: TcpListener,
    permits: &Arc<Semaphore>,
    adjust: impl FnOnce(&mut ServerOptions),
) -> (Server, ServerMetrics) {
    let (permits, metrics) = (Arc::clone(permits), ServerMetrics::default());
    let mut options = ServerOptions { max_body_bytes: 1000, ..ServerOptions::default() };
    adjust(&mut options);
    let server = serve(listener, options, metrics.clone(), move |_| {
        let permits = Arc::clone(&permits);
        service_fn(move |request: Request<server::RequestBody>| {
            let permits = Arc::clone(&permits);
            async move {
                let path = request.uri().path().to_owned();
                if path == "/wait" {
                    permits.acquire().await.expect("open").forget();
                }
                assert_ne!(path, "/panic", "asked for");
                let read = request.into_body().bytes().await;
                let mut response = Response::new(match &read {
                    Ok(_) if path == "/many" => FullBody::from(vec![b'x'; 64 << 20]),
                    Ok(body) => FullBody::from(body.len().to_string()),
                    Err(error) => FullBody::from(error.to_string()),
                });
                let status = if read.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        })
    });
    (server.expect("it listens"), metrics)
}

async fn started(adjust: impl FnOnce(&mut ServerOptions)) -> (Server, ServerMetrics, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let (server, metrics) = start(TcpListener::bind("127.0.0.1:0").await.expect("a free port"), &permits, adjust);
    (server, metrics, permits)
}

async fn connected(server: &Server) -> TcpStream {
    TcpStream::connect(server.local_addr()).await.expect("it listens")
}

async fn says(tcp: &mut TcpStream, head: &str, body: &[u8]) {
    tcp.write_all(format!("{head}\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes())
        .await
        .expect("sent");
    let _ = tcp.write_all(body).await;
}

async fn ends(mut tcp: TcpStream) -> usize {
    let mut rest = Vec::new();
    let _ = timely(tcp.read_to_end(&mut rest)).await;
    rest.len()
}

#[tokio::test]
async fn bodies_up_to_the_limit_are_served_over_one_connection() {
    let (server, metrics, _) = started(|_| ()).await;
    let mut tcp = connected(&server).await;
    for length in [0, 1, 1000] {
        says(&mut tcp, "PUT / HTTP/1.1", &vec![b'x'; length]).await;
        assert_eq!(answer(&mut tcp).await, (200, length.to_string()));
    }
    assert_eq!(metrics.accepted(), 1);
}

#[tokio::test]
async fn who_sends_too_much_is_told_so() {
    let (server, _, _) = started(|_| ()).await;
    for length in [1001, 4000, 1 << 20] {
        let mut tcp = connected(&server).await;
        says(&mut tcp, "PUT / HTTP/1.1", &vec![b'x'; length]).await;
        assert_eq!(answer(&mut tcp).await, (413, "{\"error\":\"too_large\"}\n".to_owned()), "{length}");
    }
    let mut tcp = connected(&server).await;
    tcp.write_all(b"PUT / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await.expect("sent");
    tcp.write_all(format!("7d0\r\n{}\r\n0\r\n\r\n", "x".repeat(2000)).as_bytes()).await.expect("sent");
    let (status, said) = answer(&mut tcp).await;
    assert!(status == 400 && said.contains("longer"), "{said}");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let (server, _, _) = started(|options| options.max_head_bytes = 8192).await;
    let mut tcp = connected(&server).await;
    let _ = tcp.write_all(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(10_000)).as_bytes()).await;
    assert_eq!(answer(&mut tcp).await.0, 431);
}

#[tokio::test]
async fn nonsense_is_refused_and_counted() {
    let (server, metrics, _) = started(|_| ()).await;
    let mut tcp = connected(&server).await;
    tcp.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await.expect("sent");
    assert_eq!(answer(&mut tcp).await.0, 400);
    until(|| metrics.failed("broken") == 1).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_service_may_take_longer_than_that() {
    let wait = Duration::from_millis(50);
    let (server, metrics, permits) = started(|options| {
        options.idle_timeout = wait;
        options.body_timeout = wait;
        options.head_timeout = wait;
    })
    .await;
    let mut tcp = connected(&server).await;
    says(&mut tcp, "PUT /wait HTTP/1.1", b"abc").await;
    tokio::time::sleep(wait * 4).await; // the point: the service takes longer than anything else may
    permits.add_permits(1);
    assert_eq!(answer(&mut tcp).await, (200, "3".to_owned()));
    assert_eq!((ends(tcp).await, metrics.failed("timeout")), (0, 1));
}

#[tokio::test]
async fn who_does_not_read_his_answer_is_cut_off() {
    let (server, metrics, _) = started(|options| options.write_timeout = Duration::from_millis(50)).await;
    let mut tcp = connected(&server).await;
    says(&mut tcp, "GET /many HTTP/1.1", b"").await;
    until(|| metrics.failed("broken") == 1).await;
    assert!(ends(tcp).await < 64 << 20);
}

#[tokio::test]
async fn a_service_that_panics_ends_its_connection_and_no_other() {
    let (server, _, _) = started(|_| ()).await;
    let (mut one, mut other) = (connected(&server).await, connected(&server).await);
    says(&mut one, "GET /panic HTTP/1.1", b"").await;
    assert_eq!(ends(one).await, 0);
    says(&mut other, "GET / HTTP/1.1", b"").await;
    assert_eq!(answer(&mut other).await.0, 200);
}

#[tokio::test]
async fn a_stopping_server_lets_requests_end_and_takes_no_more() {
    let (server, _, permits) = started(|_| ()).await;
    let (mut busy, idle, address) = (connected(&server).await, connected(&server).await, server.local_addr());
    says(&mut busy, "GET /wait HTTP/1.1", b"").await;
    let mut read = connected(&server).await;
    says(&mut read, "GET / HTTP/1.1", b"").await;
    answer(&mut read).await; // so both others are accepted
    let stopping = tokio::spawn(server.shutdown());
    assert_eq!((ends(idle).await, ends(read).await), (0, 0));
    assert!(!stopping.is_finished(), "it waits for the request in progress");
    permits.add_permits(1);
    assert_eq!(answer(&mut busy).await.0, 200);
    timely(stopping).await.expect("stopped");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_stopping_server_does_not_wait_for_ever() {
    let (server, _, _) = started(|options| options.grace = Duration::from_millis(20)).await;
    let mut busy = connected(&server).await;
    says(&mut busy, "GET /wait HTTP/1.1", b"").await;
    timely(server.shutdown()).await;
    assert_eq!(ends(busy).await, 0);
}

#[tokio::test]
async fn a_server_that_is_dropped_stops() {
    let (server, _, _) = started(|_| ()).await;
    let tcp = connected(&server).await;
    drop(server);
    assert_eq!(ends(tcp).await, 0);
}
