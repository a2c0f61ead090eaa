//! What the transport costs over loopback, both encodings: messages per second, round trips, CPU time. Prints, asserts
//! nothing but that all arrives. `cargo test --release -p vr-tokio --lib -- --ignored --nocapture measure`

use super::*;
use std::time::Instant;

/// CPU time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a command").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// A replica prepares so many entries a message, with so many messages unacknowledged; two backups acknowledge each.
async fn measure(codec: Codec, window: usize, outstanding: u64, entries: u64, for_: Duration) {
    let codec_of = |options: &mut PeerOptions| {
        options.transport.body = codec;
        options.transport.window = window;
    };
    let large = |options: &mut PeerServerOptions| options.cluster = large_cluster();
    let mut primary = Ear::at("127.0.0.1:0", R0, large).await;
    let mut backups = Vec::new();
    for id in [R1, R2] {
        let ear = Ear::at("127.0.0.1:0", id, large).await;
        let address = ear.address;
        let (mouth, _) = mouth(id, &[(R0, primary.address)], |options| {
            codec_of(options);
            options.cluster = large_cluster();
        });
        let task = tokio::spawn(async move {
            let mut ear = ear; // all of it: the server ends with it
            while let Some(message) = ear.inbox.recv().await {
                mouth.send(To::One(R0), &beat_in(id, message.header.seq.0));
            }
        });
        backups.push((id, address, task));
    }
    let peers: Vec<_> = backups.iter().map(|(id, address, _)| (*id, *address)).collect();
    let (mouth, metrics) = mouth(R0, &peers, |options| {
        codec_of(options);
        options.cluster = large_cluster();
    });
    until(|| [R1, R2].iter().all(|id| metrics.link(*id).connected.get() == 1)).await;
    tokio::time::sleep(Duration::from_millis(100)).await; // the backups' own ways
    let template = prepare(R0, 0, entries, 256);
    let (start, cpu_before) = (Instant::now(), cpu());
    let (mut sent, mut acknowledged) = (0_u64, 0_u64);
    let mut sent_at = Vec::new();
    let mut round_trips = Vec::new();
    while start.elapsed() < for_ || acknowledged < sent * 2 {
        while sent * 2 < acknowledged + outstanding * 2 && start.elapsed() < for_ {
            let mut message = template.clone();
            message.header.seq = Seq(sent);
            message.header.config = large_cluster().digest();
            mouth.send(To::Others, &message);
            sent_at.push(Instant::now());
            sent += 1;
        }
        let answer = primary.hears().await;
        acknowledged += 1;
        let at = usize::try_from(answer.header.seq.0).expect("small");
        round_trips.push(sent_at[at].elapsed());
    }
    let (wall, cpu) = (start.elapsed(), cpu() - cpu_before);
    round_trips.sort_unstable();
    let at = |percent: usize| round_trips[(round_trips.len() - 1) * percent / 100];
    let requests: u64 = [R1, R2].iter().map(|id| metrics.link(*id).requests.get()).sum();
    let per_second = u128::from(sent) * 1_000_000_000 / wall.as_nanos();
    println!(
        "{codec:?} window {window} outstanding {outstanding:3} entries {entries:2}: {per_second:6} prepares/s to 2 backups, \
         round trip p50 {:?} p99 {:?}, {:?} CPU a prepare (both ways, both backups), {}.{:02} messages a request",
        at(50),
        at(99),
        cpu / u32::try_from(sent).expect("few"),
        2 * sent / requests,
        2 * sent * 100 / requests % 100,
    );
    backups.iter().for_each(|(_, _, task)| task.abort());
}

fn large_cluster() -> ClusterConfig {
    ClusterConfig::of_size(ClusterId(7), 3)
}

fn beat_in(from: ReplicaId, seq: u64) -> Message {
    let mut message = beat(from, seq);
    message.header.config = large_cluster().digest();
    message
}

async fn measure_all(codecs: &[Codec], windows: &[usize]) {
    for codec in codecs {
        for (outstanding, entries) in [(1, 1), (4, 16), (64, 1)] {
            for window in windows {
                measure(*codec, *window, outstanding, entries, Duration::from_secs(2)).await;
            }
        }
    }
}

#[test]
#[ignore = "a measurement: takes its time, needs a quiet machine"]
fn what_a_message_costs() {
    println!("all three replicas on one thread");
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
    one.block_on(measure_all(&[Codec::Bincode, Codec::Json], &[1, 2, 4]));
    println!("all three replicas on two threads");
    let two = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    two.block_on(measure_all(&[Codec::Bincode], &[2]));
}
