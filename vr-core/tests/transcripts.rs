//! Transcripts that teach: one story per figure or section of the paper, as it really runs, message by message.
//!
//! The stories lie in `snapshots/`; read those. `INSTA_UPDATE=always cargo test -p vr-core --test transcripts` writes
//! them anew: commit a change only if you know what caused it and want it.

#[path = "support/scripted.rs"]
mod scripted;
#[path = "support/transcript.rs"]
mod transcript;

use scripted::{EVERY, Happening, Scripted, request};
use transcript::Transcript;
use vr_core::{Durability, MessageKind, StatusName, View, Wait};

/// What an idle group says all the time. A heartbeat that changes something still gets its line.
const HEARTBEATS: &[MessageKind] = &[MessageKind::Commit, MessageKind::CommitOk];

fn say(cluster: &mut Scripted, what: &'static str) {
    cluster.happened.push(Happening::Said(what));
}

#[test]
fn normal_case() {
    let mut cluster = Scripted::of_three();
    let session = cluster.register(1);
    cluster.pass(Wait::millis(60));
    let story = Transcript::begin(
        &cluster,
        "Normal operation, VRR §4.1. The primary gives a request the next op-number and asks the backups to prepare it.
         It is committed when a quorum, two of three, has it on disk; the primary's own disk counts like any other.
         Backups learn the commit-number from the next Prepare, or from a heartbeat when there is none.",
        &[],
    );
    say(&mut cluster, "client 1 adds \"a\" to the text that the service keeps");
    cluster.ask(0, request(1, session, 1, "a"));
    say(&mut cluster, "its next request tells the backups that the first is committed");
    cluster.ask(0, request(1, session, 2, "b"));
    say(&mut cluster, "no third request comes, but a heartbeat does");
    cluster.pass(Wait::millis(60));
    insta::assert_snapshot!(story.end(&cluster));
}

#[test]
fn view_change() {
    let mut cluster = Scripted::of_three();
    let session = cluster.register(1);
    cluster.ask(0, request(1, session, 1, "a"));
    cluster.pass(Wait::millis(60));
    let story = Transcript::begin(
        &cluster,
        "View change, VRR §4.2. The primary crashes when only r1 has its last op. The others hear nothing, want another
         view, and enter it once a quorum wants it. The new primary starts from the best log that a quorum reports, so
         that nothing committed is lost; what was not committed yet may survive too, and does here.
         Heartbeats that change nothing are left out.",
        HEARTBEATS,
    );
    say(&mut cluster, "op 3 reaches r1, not r2, and the primary crashes before it hears of it");
    cluster.lose(EVERY.from(0).to(2));
    cluster.lose(EVERY.from(1).to(0));
    cluster.ask(0, request(1, session, 2, "b"));
    cluster.crash(0);
    cluster.heal();
    say(&mut cluster, "the backups hear nothing of r0; a view is left when two of three want to leave it");
    cluster.until("r1 leads view 1", |cluster| cluster.find_primary() == Some(1));
    say(&mut cluster, "the client heard nothing either and asks the new primary: its request is executed once");
    cluster.ask(1, request(1, session, 2, "b"));
    insta::assert_snapshot!(story.end(&cluster));
}

#[test]
fn state_transfer() {
    let mut cluster = Scripted::of_three();
    let session = cluster.register(1);
    cluster.ask(0, request(1, session, 1, "a"));
    cluster.pass(Wait::millis(60));
    let story = Transcript::begin(
        &cluster,
        "State transfer within a view, VRR §5.2. r2 misses two ops. It never acknowledges across the hole: it asks for
         what it lacks, naming by hash what it has, and acknowledges when that is on its disk.
         Nothing of its own log is given up for it, unlike in the paper.",
        HEARTBEATS,
    );
    say(&mut cluster, "ops 3 and 4 do not reach r2; r0 and r1 are a quorum without it");
    cluster.lose(EVERY.from(0).to(2));
    cluster.ask(0, request(1, session, 2, "b"));
    cluster.ask(0, request(1, session, 3, "c"));
    cluster.heal();
    say(&mut cluster, "op 5 does, and shows r2 the hole");
    cluster.ask(0, request(1, session, 4, "d"));
    insta::assert_snapshot!(story.end(&cluster));
}

#[test]
fn recovery() {
    let mut cluster = Scripted::new(3, |config| config.cluster.durability = Durability::Async);
    let session = cluster.register(1);
    cluster.ask(0, request(1, session, 1, "a"));
    cluster.pass(Wait::millis(60));
    let story = Transcript::begin(
        &cluster,
        "Recovery, VRR §4.3, in the asynchronous mode: promises wait for memory only, so a replica that crashed does not
         know what it promised. It says nothing but Recovery until the primary of its view or a later one has answered
         with its whole log. What its disk still holds is a cache: only the entries that it lacks travel.
         Heartbeats that change nothing are left out.",
        HEARTBEATS,
    );
    say(&mut cluster, "r1 acknowledges op 3 from memory and crashes with it");
    cluster.nodes[1].disk_stuck = true;
    cluster.ask(0, request(1, session, 2, "b"));
    cluster.crash(1);
    cluster.nodes[1].disk_stuck = false;
    say(&mut cluster, "it starts again, and asks");
    cluster.restart(1);
    cluster.settle();
    say(&mut cluster, "it is a backup like any other");
    cluster.ask(0, request(1, session, 3, "c"));
    insta::assert_snapshot!(story.end(&cluster));
}

#[test]
fn client_retry() {
    let mut cluster = Scripted::of_three();
    let story = Transcript::begin(
        &cluster,
        "Clients, VRR §4.1: a request is executed at most once. A session is opened through the log. The client table
         holds the last request of each client and its reply, so that a repeated request gets the first reply;
         one that is still being prepared gets none until it is executed, and one that is older gets none at all.
         Heartbeats that change nothing are left out.",
        HEARTBEATS,
    );
    say(&mut cluster, "a session opens at the op that registers it");
    let session = cluster.register(1);
    say(&mut cluster, "only the primary takes requests");
    cluster.ask(1, request(1, session, 1, "a"));
    cluster.ask(0, request(1, session, 1, "a"));
    say(&mut cluster, "the reply was lost: the client asks again");
    cluster.ask(0, request(1, session, 1, "a"));
    say(&mut cluster, "the disks are slow, the client is not: request 2 comes twice before it is committed");
    (0..3).for_each(|at| cluster.nodes[at].disk_stuck = true);
    cluster.ask(0, request(1, session, 2, "b"));
    cluster.ask(0, request(1, session, 2, "b"));
    (0..3).for_each(|at| cluster.nodes[at].disk_stuck = false);
    cluster.settle();
    say(&mut cluster, "a copy of request 1 arrives, long overdue");
    cluster.ask(0, request(1, session, 1, "a"));
    insta::assert_snapshot!(story.end(&cluster));
}

#[test]
fn restart_of_a_primary() {
    let mut cluster = Scripted::of_three();
    let session = cluster.register(1);
    cluster.ask(0, request(1, session, 1, "a"));
    cluster.pass(Wait::millis(60));
    let story = Transcript::begin(
        &cluster,
        "A primary restarts, synchronous mode (VRR §4.3 does not treat it; PROTOCOL D52). It cannot know whether it
         prepared more than its disk holds, so it never resumes its view: it enters the next one, whose primary is
         somebody else, and the others follow. Heartbeats that change nothing are left out.",
        HEARTBEATS,
    );
    say(&mut cluster, "r0 prepares op 3 and crashes before its own disk has it; r1 and r2 do");
    cluster.nodes[0].disk_stuck = true;
    cluster.hold(EVERY.to(0));
    cluster.ask(0, request(1, session, 2, "b"));
    cluster.crash(0);
    cluster.nodes[0].disk_stuck = false;
    cluster.heal();
    say(&mut cluster, "r0 starts again; the acknowledgements were for a life that is over");
    cluster.restart(0);
    cluster.release(EVERY);
    cluster.settle();
    say(&mut cluster, "op 3 outlived its primary: the client's retry finds it executed");
    cluster.ask(1, request(1, session, 2, "b"));
    insta::assert_snapshot!(story.end(&cluster));
}

#[test]
fn abdication() {
    let mut cluster = Scripted::of_three();
    let session = cluster.register(1);
    cluster.ask(0, request(1, session, 1, "a"));
    cluster.pass(Wait::millis(60));
    let story = Transcript::begin(
        &cluster,
        "Abdication (DESIGN §10; the paper assumes that links work both ways or not at all). Nothing reaches the primary
         any more, but its heartbeats reach the backups, who are content: nothing would ever be committed again.
         A primary that hears no quorum therefore falls silent, so that the others stop waiting for it.
         Heartbeats that change nothing are left out.",
        HEARTBEATS,
    );
    say(&mut cluster, "every link to r0 breaks; what it says still arrives");
    cluster.lose(EVERY.to(0));
    cluster.step(0, vr_core::Input::Request(request(1, session, 2, "b")));
    cluster.until("r0 abdicates", |cluster| cluster.snapshot(0).wants_view_change);
    say(&mut cluster, "r0 is silent; r1 and r2 run out of patience");
    cluster.until("r1 leads view 1", |cluster| cluster.find_primary() == Some(1) && cluster.snapshot(1).view > View(0));
    say(&mut cluster, "the links are mended: r0 learns that it was deposed");
    cluster.heal();
    cluster.until("r0 follows", |cluster| cluster.nodes[0].is(StatusName::Backup));
    insta::assert_snapshot!(story.end(&cluster));
}
