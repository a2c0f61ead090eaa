//! Tests of execution: answers that are for nothing.

use super::*;

#[test]
fn an_answer_to_what_the_service_was_asked_before_it_was_told_to_become_another_one_is_for_nothing() {
    let mut execution = Execution::new(Op::ZERO, 10, Op(10), true);
    execution.restore(Op(20), Op(30), true);
    execution.restore(Op(30), Op(40), true);
    assert!(!execution.restored(Op::ZERO) && !execution.restored(Op(20)));
    assert_eq!(execution.executed(), Op::ZERO);
    assert!(execution.restored(Op(30)));
    assert_eq!(execution.executed(), Op(30));
}
