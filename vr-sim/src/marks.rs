//! Rare events: how often each was seen, and how often it must be seen for a green sweep to mean anything.
//!
//! Owns the counters and the floors per 1,000 seeds; what the core itself states is counted in `occurrences`. A run that
//! did nothing is a failure (L9). Must not know who counts. DESIGN 9.15.

mod occurrences;

pub use occurrences::{DIRECTED, Occurrences};

macro_rules! marks {
    ($($(#[$doc:meta])* $name:ident $floor:literal,)*) => {
        /// How often each rare event was seen.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Marks {
            $($(#[$doc])* pub $name: u64,)*
            /// What the core stated.
            pub occurrences: Occurrences,
        }

        impl Marks {
            /// Adds what another run saw.
            pub const fn merge(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                self.occurrences.merge(&other.occurrences);
            }

            /// Every mark: its name, how often it was seen, and how often 1,000 swarm seeds must show it.
            #[must_use]
            pub fn table(&self) -> Vec<Mark> {
                vec![$(Mark { name: stringify!($name), seen: self.$name, floor: $floor },)*]
            }
        }
    };
}

/// One line of the table of rare events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// What.
    pub name: &'static str,
    /// How often it was seen.
    pub seen: u64,
    /// How often 1,000 swarm seeds must show it: about a third of what was measured; 0 for no demand.
    pub floor: u64,
}

marks! {
    /// Commit-numbers rose.
    commits 46_000,
    /// Operations were acknowledged to clients.
    acked_ops 12_000,
    /// Replicas entered a view change.
    view_changes 5_800,
    /// Views began.
    views_started 1_700,
    /// Replicas became backups again.
    backups_followed 5_900,
    /// Primaries that no quorum hears gave up.
    abdications 820,
    /// Primaries were asked to give way, and somebody was there to take over.
    hand_overs_begun 120,
    /// Primaries gave way.
    hand_overs 120,
    /// Quorums reported, and a log was chosen.
    logs_chosen 1_400,
    /// Entries were dropped because the new view did not have them.
    truncations 88,
    /// Log entries were fetched from peers.
    state_transfers 950,
    /// Checkpoints were taken.
    checkpoints_taken 15_000,
    /// Services set their state aside for one, and went on.
    checkpoints_set_aside 1_700,
    /// Logs were cut behind a durable checkpoint.
    logs_cut 12_000,
    /// Checkpoints were fetched from peers and installed.
    checkpoints_installed 140,
    /// Replicas were started from a checkpoint on their disk.
    checkpoint_restarts 2_500,
    /// Prepares were sent again.
    retransmissions 1_500,
    /// What was acknowledged was acknowledged again.
    reacknowledgements 9_500,
    /// Replicas asked the group for their memory.
    recoveries_begun 540,
    /// They got it back.
    recoveries 380,
    /// Records rotted on disks.
    rotten_records 300,
    /// Records rotted with more than f damaged disks about, but a quorum of good copies.
    rotten_together 80,
    /// Parts of checkpoints were read wrongly by their sender.
    rotten_parts 28,
    /// Disks were lost.
    lost_disks 50,
    /// Starts without a disk were refused.
    refused_without_disk 48,
    /// Disks went back to an earlier image of themselves.
    disks_gone_back 20,
    /// Replicas were opened with a damaged log.
    opened_damaged 450,
    /// Damaged logs were put together again from good copies, entry by entry.
    repairs_by_content 150,
    /// Damaged logs were repaired.
    repairs 120,
    /// Replicas learnt that too many had lost their memory.
    outnumbered 150,
    /// Disks had no room for entries.
    full_disks 400,
    /// Requests were refused because the primary's disk was full.
    no_space_refusals 180,
    /// Entries were not taken because a disk was full.
    no_space_ignored 300,
    /// Replicas stopped in good order.
    orderly_stops 350,
    /// Replicas were asked to stop while they recovered.
    stops_while_recovering 55,
    /// Replicas started from their own log after an orderly stop (asynchronous mode).
    clean_starts 130,
    /// Batches of more than one entry left.
    batches 1_000,
    /// Sessions were opened.
    registrations 9_000,
    /// Sessions gave way to others.
    evictions 1_200,
    /// Clients were told so.
    clients_evicted 270,
    /// Requests were recognised as taken before.
    duplicate_requests 1_300,
    /// Duplicates in the log were passed over.
    duplicates_skipped 85,
    /// Requests were refused because too much waited, or the primary was unsure.
    busy 520,
    /// Clients were sent elsewhere.
    redirects 20_000,
    /// Clients tried again.
    client_retries 32_000,
    /// Clients crashed with a request outstanding.
    client_crashes 90,
    /// Reads were answered without an entry in the log.
    reads 3_600,
    /// Reads shared a heartbeat with others.
    reads_together 150,
    /// Reads were answered by backups.
    reads_at_backups 700,
    /// Backups gave up reads that waited: their primary was silent, or the view over.
    reads_given_up 250,
    /// Clusters had a lease.
    leased 75,
    /// Reads were answered under a lease, without a heartbeat of their own.
    lease_reads 1_400,
    /// What was read under a lease came too late, and was asked anew.
    lease_reads_late 65,
    /// Replicas crashed.
    crashes 4_800,
    /// Crashes struck while a write was under way.
    crashes_at_write 420,
    /// Crashes struck right after a promise was said.
    crashes_after_promise 5_600,
    /// Replicas were started again.
    restarts 4_800,
    /// All replicas were down at once.
    full_restarts 650,
    /// Writes under way were lost in a crash.
    lost_writes 390,
    /// Writes under way survived a crash without having been reported.
    silent_writes 390,
    /// Runs of entries were torn by a crash.
    torn_tails 2,
    /// Syncs were slow.
    slow_syncs 1_900,
    /// Syncs failed.
    write_errors 130,
    /// Processes stood still.
    pauses 580,
    /// Clocks jumped.
    clock_jumps 900,
    /// Timers fired early.
    early_timeouts 4_400,
    /// Replicas were cut off in both directions, or the group fell apart.
    partitions 1_300,
    /// Links were cut in one direction only.
    one_way_cuts 3_000,
    /// Single links were cut.
    link_cuts 1_200,
    /// Links flapped.
    flaps 250,
    /// Only a star of links remained.
    stars 390,
    /// Clients were cut off.
    client_cuts 500,
    /// Messages between replicas were lost.
    messages_lost 13_000,
    /// Messages did not pass a cut link.
    messages_cut 240_000,
    /// Messages arrived twice.
    messages_twice 15_000,
    /// Messages overtook others.
    messages_reordered 2_500,
    /// Messages were held for long.
    long_holds 18_000,
    /// Messages arrived after their sender had crashed.
    messages_of_the_dead 8_000,
    /// Messages held for long arrived after their sender had crashed.
    holds_of_the_dead 3_900,
    /// Damaged messages were recognised.
    corruption_rejected 1_500,
    /// Messages passed the codec unharmed.
    codec_passes 530,
    /// Messages were dropped by replicas, with a reason.
    messages_ignored 41_000,
    /// Replicas dropped messages of earlier views.
    older_views_ignored 1_800,
    /// Requests or answers were lost on their way.
    client_messages_lost 2_200,
    /// Upcalls took long.
    slow_upcalls 360,
    /// Requests that a driver handed over behind another one.
    requests_together 3_000,
    /// Answers of a service that came with others.
    answers_together 1_900,
    /// A star was healed in the end.
    star_heals 71,
    /// A mesh was healed in the end.
    mesh_heals 260,
    /// The disk of somebody who was healed stayed full.
    full_heals 8,
    /// Clusters began with less patience than a view change takes.
    far_apart 12,
    /// Some were left out when the rest was healed.
    partial_heals 240,
    /// Runs whose group could not be expected to come back: too few of it had their memory, or were well in the end.
    stuck_groups 6,
    /// Clusters had witnesses.
    witnessed 40,
    /// Full members said which checkpoint is durable.
    checkpoints_said 6_000,
    /// The logs of witnesses were cut.
    witness_logs_cut 290,
    /// Witnesses that were behind went on from where the logs of others begin.
    witness_bases 5,
    /// Epochs began, beside the first.
    epochs_begun 180,
    /// Epochs began while somebody was down or stood still, a link was cut or a disk full.
    epochs_in_trouble 80,
    /// Epochs began after the faults had ended.
    epochs_after_heal 20,
    /// Replicas were added to a group and began an epoch in it.
    newcomers_joined 210,
    /// Replicas learnt that they were replaced.
    members_replaced 190,
    /// Replicas that had been replaced were shut down for good.
    members_dismissed 80,
    /// Operators were told that an epoch has begun as they had asked.
    reconfigurations_answered 180,
}

impl Marks {
    /// What was never seen at all, and is in no directed scenario either: events, then what the core never stated.
    #[must_use]
    pub fn never_seen(&self) -> Vec<&'static str> {
        let marks = self.table().into_iter().filter(|mark| mark.seen == 0).map(|mark| mark.name);
        let undirected = |name: &&str| DIRECTED.iter().all(|(directed, _)| directed != name);
        marks.chain(self.occurrences.never().filter(undirected)).collect()
    }

    /// What the core never stated, but does in a directed scenario: its name, and that of the scenario.
    pub fn directed_only(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let scenario = |name| DIRECTED.iter().find(|(directed, _)| *directed == name).copied();
        self.occurrences.never().filter_map(scenario)
    }

    /// What is missing for so many swarm seeds to mean anything: from 10,000 seeds on all that was never seen.
    #[must_use]
    pub fn unseen(&self, seeds: u64) -> Vec<&'static str> {
        if seeds < 10_000 { Vec::new() } else { self.never_seen() }
    }

    /// The floors that so many swarm seeds missed; below 1,000 seeds there are none.
    #[must_use]
    pub fn missed_floors(&self, seeds: u64) -> Vec<Mark> {
        if seeds < 1000 {
            return Vec::new();
        }
        let demand = |mark: &Mark| u128::from(mark.floor) * u128::from(seeds) / 1000;
        self.table().into_iter().filter(|mark| u128::from(mark.seen) < demand(mark)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vr_core::{Action, HaltReason};

    #[test]
    fn marks_of_two_runs_add_up_and_what_is_missing_is_named() {
        let mut marks = Marks { commits: 3, ..Marks::default() };
        marks.merge(&Marks { commits: 4, crashes: 1, ..Marks::default() });
        assert_eq!((marks.commits, marks.crashes), (7, 1));
        let never = marks.never_seen();
        assert!(never.contains(&"evictions") && !never.contains(&"commits"));
    }

    #[test]
    fn what_a_scenario_makes_the_core_state_is_not_missed_and_all_else_is_from_ten_thousand_seeds_on() {
        let nothing = Marks::default();
        let (directed, scenario) = DIRECTED[0];
        assert!(nothing.never_seen().contains(&"committed") && !nothing.never_seen().contains(&directed));
        assert!(nothing.directed_only().any(|only| only == (directed, scenario)));
        assert!(nothing.unseen(9_999).is_empty());
        assert_eq!(nothing.unseen(10_000), nothing.never_seen());
        let mut marks = Marks::default();
        marks.occurrences.count(&Action::Halt(HaltReason::WriteFailed));
        marks.merge(&marks.clone());
        assert!(!marks.unseen(10_000).contains(&"halted_write_failed"));
        assert!(marks.occurrences.table().any(|stated| stated == ("halted_write_failed", 2)));
    }

    #[test]
    fn floors_hold_from_a_thousand_seeds_on() {
        assert!(Marks::default().missed_floors(999).is_empty());
        let demanded = Marks::default().table().iter().filter(|mark| mark.floor > 0).count();
        assert_eq!(Marks::default().missed_floors(1000).len(), demanded);
    }
}
