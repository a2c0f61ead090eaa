//! Epochs on disk: they are what the views are of, whatever else is lost. PROTOCOL D92.

use crate::crash::{SMALL, record};
use std::sync::Arc;
use vr_core::{Epoch, View};
use vr_tokio::fuzz::author::{Step, identity};
use vr_tokio::wal::{RecordKind, Wal, inspect_in};

const EPOCHS: [Step; 7] = [
    Step::Incarnation,
    Step::Append { entries: 2, body: 30 },
    Step::View,
    Step::Epoch { ahead: 0 },
    Step::Epoch { ahead: 3 },
    Step::Append { entries: 1, body: 30 },
    Step::Sync,
];

#[test]
fn the_epoch_of_the_last_life_is_there_with_its_first_view() {
    let run = record(&EPOCHS);
    let opened = Wal::open_in(Arc::new(run.disk.clone()), &identity(), SMALL).unwrap();
    assert_eq!(Some(&opened.stored), run.folds.last());
    assert_eq!((opened.stored.epoch, opened.stored.view), (Epoch(2), View::first_of(Epoch(2))));
}

#[test]
fn an_epoch_whose_record_rotted_is_not_left_for_an_earlier_one() {
    let run = record(&EPOCHS);
    let records = inspect_in(Box::new(run.disk.clone())).unwrap().map(Result::unwrap);
    let began = records.filter(|record| record.kind == Some(RecordKind::Install)).last().unwrap();
    let name = began.file.file_name().unwrap().to_str().unwrap().to_owned();
    let at = usize::try_from(began.offset).unwrap();
    for byte in [10, 50, 90] {
        let mut bytes = run.disk.bytes_of(&name);
        bytes[at + byte] ^= 4;
        let disk = run.disk.with(&name, Some(bytes));
        let opened = Wal::open_in(Arc::new(disk), &identity(), SMALL).unwrap();
        assert_eq!((opened.stored.epoch, opened.stored.view), (Epoch(2), View::first_of(Epoch(2))), "byte {byte}");
    }
}
