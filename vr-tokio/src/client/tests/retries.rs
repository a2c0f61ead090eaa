//! Whom a client asks, how often, and what it says when it gives up. Owns no helper.

use super::*;

#[tokio::test]
async fn calls_are_numbered_from_one_in_the_session_that_was_opened() {
    let fake = Fake::start([]).await;
    let client = client(&[&fake], quick());
    let mut session = client.session().await.expect("a session");
    assert_eq!(session.id(), SESSION);
    for number in 1..=3 {
        let reply = session.call("it").await.expect("an answer");
        assert_eq!((reply.number, reply.op, reply.view), (RequestNumber(number), Op(100 + number), View(4)));
        assert_eq!((&reply.result[..], reply.duplicate), (&b"did it"[..], number == 3));
    }
    let seen = fake.node.seen.lock().unwrap();
    assert!(seen.iter().all(|ask| ask.client == session.client_id()));
    assert_eq!(seen.iter().map(|ask| ask.session.0).collect::<Vec<_>>(), [0, 41, 41, 41]);
    assert_eq!(fake.metrics.accepted(), 1, "one connection serves all");
}

#[tokio::test]
async fn a_hint_is_followed_and_remembered() {
    let (backup, primary) = (Fake::start([]).await, Fake::start([]).await);
    backup.then([primary.hint()]);
    let client = client(&[&backup, &primary], quick());
    let mut session = client.session().await.expect("a session");
    session.call("1").await.expect("an answer");
    assert_eq!((backup.numbers(), primary.numbers()), (vec![0], vec![0, 1]));
    assert_eq!(client.primary(), primary.address);
}

#[tokio::test]
async fn a_read_needs_no_session_and_finds_the_primary_too() {
    let (backup, primary) = (Fake::start([]).await, Fake::start([]).await);
    backup.then([primary.hint()]);
    let client = client(&[&backup, &primary], quick());
    assert_eq!(client.read("it").await.expect("an answer"), "saw it");
    assert_eq!(client.primary(), primary.address);
    assert_eq!((backup.numbers(), primary.numbers()), (vec![], vec![]), "it was no request");
    assert_eq!(client.read(vec![b'x'; 1001]).await, Err(ClientError::TooLarge));
}

#[tokio::test]
async fn a_hint_at_an_address_that_was_not_given_is_followed() {
    let (backup, primary) = (Fake::start([]).await, Fake::start([]).await);
    backup.then([primary.hint()]);
    client(&[&backup], quick()).session().await.expect("a session");
    assert_eq!(primary.numbers(), [0]);
}

#[tokio::test]
async fn who_knows_no_primary_is_passed_over() {
    let (lost, primary) = (Fake::start([no_primary(), no_primary()]).await, Fake::start([no_primary()]).await);
    client(&[&lost, &primary], quick()).session().await.expect("a session");
    assert_eq!((lost.numbers(), primary.numbers()), (vec![0, 0], vec![0, 0]));
}

#[tokio::test]
async fn a_dead_primary_that_backups_still_name_does_not_hold_up_a_call() {
    let dead = Fake::start([]).await;
    let hint = || dead.hint();
    let (one, other) = (Fake::start([hint(), hint(), hint()]).await, Fake::start([hint()]).await);
    let client = client(&[&one, &other], quick());
    let Fake { address, _server: server, .. } = dead;
    server.shutdown().await;
    client.session().await.expect("a session of one of the others");
    assert_ne!(client.primary(), address);
}

#[tokio::test]
async fn a_busy_primary_is_asked_again_with_the_same_number() {
    let fake = Fake::start([]).await;
    let client = client(&[&fake], quick());
    let mut session = client.session().await.expect("a session");
    fake.then([Step::Refuse(Refused::Busy), Step::Refuse(Refused::NoSpace), Step::Refuse(Refused::Timeout)]);
    session.call("1").await.expect("an answer");
    assert_eq!(fake.numbers(), [0, 1, 1, 1, 1]);
}

#[tokio::test]
async fn a_replica_that_says_nothing_is_left_for_another_with_the_same_number() {
    let (hung, other) = (Fake::start([]).await, Fake::start([]).await);
    let client = client(&[&hung, &other], quick());
    let mut session = client.session().await.expect("a session");
    hung.then([Step::Hang]);
    session.call("1").await.expect("an answer of the other");
    assert_eq!((hung.numbers(), other.numbers()), (vec![0, 1], vec![1]));
}

#[tokio::test]
async fn a_connection_that_breaks_in_an_answer_is_no_answer() {
    let cut =
        blunt(&[b"HTTP/1.1 200 OK\r\nvr-session: 41\r\nvr-op: 7\r\nvr-view: 4\r\ncontent-length: 100\r\n\r\nabc"])
            .await;
    let other = Fake::start([]).await;
    let client = Client::new([cut.to_string(), other.address.clone()], quick()).expect("addresses");
    let session = client.session().await.expect("a session of the other");
    assert_eq!((session.id(), other.numbers()), (SESSION, vec![0]));
}

#[tokio::test]
async fn what_no_replica_says_is_no_answer() {
    let answers: [&'static [&'static [u8]]; 5] = [
        &[b"this is no HTTP\r\n\r\n"],
        &[b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"],
        &[b"HTTP/1.1 200 OK\r\nvr-session: x\r\nvr-op: 7\r\nvr-view: 4\r\ncontent-length: 0\r\n\r\n"],
        &[b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n"],
        &[b"HTTP/1.1 307 Temporary Redirect\r\nlocation: ftp:/nowhere\r\ncontent-length: 0\r\n\r\n"],
    ];
    for answer in answers {
        let (odd, other) = (blunt(answer).await, Fake::start([]).await);
        let client = Client::new([odd.to_string(), other.address.clone()], quick()).expect("addresses");
        client.session().await.expect("a session of the other");
        assert_eq!(other.numbers(), [0]);
    }
}

#[tokio::test]
async fn an_answer_of_another_session_or_too_long_is_no_answer() {
    let fake = Fake::start([]).await;
    let other_session: &[&[u8]] =
        &[b"HTTP/1.1 200 OK\r\nvr-session: 5\r\nvr-op: 7\r\nvr-view: 4\r\ncontent-length: 0\r\n\r\n"];
    let odd = blunt(other_session).await;
    let options = ClientOptions { max_response_bytes: 100, ..brief() };
    let client = Client::new([fake.address.clone(), odd.to_string()], options).expect("addresses");
    let mut session = client.session().await.expect("a session");
    fake.then([no_primary()]);
    session.call("1").await.expect("an answer, after another's");
    assert_eq!(session.call(vec![b'x'; 200]).await, Err(ClientError::Timeout));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_no_attempt() {
    const OPENED: &[u8] = b"HTTP/1.1 200 OK\r\nvr-session: 41\r\nvr-op: 7\r\nvr-view: 4\r\ncontent-length: 0\r\n\r\n";
    let closes = blunt(&[OPENED, OPENED, OPENED]).await;
    let client = Client::new([closes.to_string()], quick()).expect("an address");
    let mut session = client.session().await.expect("a session");
    session.call("1").await.expect("an answer");
    session.call("2").await.expect("an answer");
}

#[tokio::test]
async fn a_session_that_is_gone_says_so_from_then_on_and_is_not_asked_again() {
    let fake = Fake::start([]).await;
    let client = client(&[&fake], quick());
    let mut session = client.session().await.expect("a session");
    fake.then([Step::Refuse(Refused::Evicted)]);
    assert_eq!(session.call("1").await, Err(ClientError::Evicted));
    assert_eq!(session.call("2").await, Err(ClientError::Evicted));
    assert_eq!(fake.numbers(), [0, 1]);
}

#[tokio::test]
async fn what_can_never_be_taken_is_not_tried_again() {
    let fake = Fake::start([]).await;
    let client = client(&[&fake], quick());
    let mut session = client.session().await.expect("a session");
    assert_eq!(session.call(vec![b'x'; 1001]).await, Err(ClientError::TooLarge));
    fake.then([Step::Refuse(Refused::Malformed)]);
    assert_eq!(session.call("2").await, Err(ClientError::Refused("malformed".to_owned())));
    assert_eq!(session.call("3").await.expect("an answer").number, RequestNumber(3));
}

/// So often is tried what a busy machine may spoil.
const SLOW_MACHINE: usize = 20;

#[tokio::test]
async fn an_error_claims_no_effect_only_when_there_can_be_none() {
    let fake = Fake::start([]).await;
    let client = client(&[&fake], brief());
    let mut session = client.session().await.expect("a session");
    let refuse = |refused: &Refused| fake.then((0..100).map(|_| Step::Refuse(refused.clone())));
    let script = [
        (None, Refused::Busy, ClientError::Busy),
        (None, Refused::NoSpace, ClientError::NoSpace),
        (None, Refused::NotPrimary { primary: None, view: View(4) }, ClientError::NoPrimary),
        (None, Refused::Timeout, ClientError::Timeout),
        (None, Refused::Deposed { view: View(4) }, ClientError::Timeout),
        (None, Refused::Halted, ClientError::Timeout),
        (Some(Step::Hang), Refused::Busy, ClientError::Timeout),
        (Some(Step::Hang), Refused::NotPrimary { primary: None, view: View(4) }, ClientError::Timeout),
        (Some(Step::Refuse(Refused::Deposed { view: View(4) })), Refused::NoSpace, ClientError::Timeout),
        (Some(no_primary()), Refused::NoSpace, ClientError::NoSpace),
    ];
    for (first, then, error) in script {
        let mut got = ClientError::Timeout;
        // On a busy machine the time can be up while an answer is under way: then the outcome is unknown, and says so.
        for _ in 0..SLOW_MACHINE {
            fake.node.script.lock().unwrap().clear();
            fake.then(first.clone());
            refuse(&then);
            got = session.call("x").await.expect_err("nobody answers");
            if got == error {
                break;
            }
            assert_eq!(got, ClientError::Timeout, "after {then:?}");
        }
        assert_eq!(got, error, "after {then:?}");
        let is_certain = error != ClientError::Timeout;
        assert_eq!(got.is_outcome_unknown(), !is_certain);
    }
}

#[tokio::test]
async fn when_nobody_can_be_reached_there_was_no_effect() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    let client = Client::new([gone.to_string()], brief()).expect("an address");
    let error = client.session().await.err().expect("nobody is there");
    assert!(matches!(&error, ClientError::Unreachable(why) if !why.is_empty()), "{error:?}");
    assert!(!error.is_outcome_unknown());
}

#[tokio::test]
async fn two_who_name_each_other_do_not_keep_a_call_for_ever() {
    let (one, other) = (Fake::start([]).await, Fake::start([]).await);
    one.then((0..1000).map(|_| other.hint()));
    other.then((0..1000).map(|_| one.hint()));
    let error = client(&[&one, &other], brief()).session().await.err().expect("neither leads");
    // On a busy machine the time is up while a hint is under way.
    assert!(matches!(error, ClientError::NoPrimary | ClientError::Timeout), "{error:?}");
    assert!(one.numbers().len() + other.numbers().len() < 50, "it waits between its rounds");
}

#[tokio::test]
async fn sessions_of_one_client_share_its_connections() {
    let fake = Fake::start([]).await;
    let client = client(&[&fake], quick());
    for _ in 0..20 {
        client.clone().session().await.expect("a session").call("1").await.expect("an answer");
    }
    assert_eq!(fake.metrics.accepted(), 1);
    let calls = (0..20).map(|_| async { client.session().await.expect("a session").call("1").await });
    let done = futures_util::future::join_all(calls).await;
    assert!(done.iter().all(Result::is_ok));
    assert!(fake.metrics.accepted() <= 20, "no more connections than calls at a time");
}
