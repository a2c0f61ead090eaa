//! Clients' data, taken out of what nodes tell: unless it is asked for, the view has it by length and hash only.
//!
//! Owns where such data stands in an event. Nodes leave it out themselves, unless they are told to show it. Must not know
//! where events go. VIEW.md §5.4 (9).

use vr_tokio::vr_core::trace::{Redact, What, shown};

/// Puts a short hash in the place of whatever is a client's.
pub(super) fn hide(what: &mut What) {
    let hide = |text: &mut Option<String>| {
        if let Some(text) = text {
            *text = shown(text.as_bytes(), Redact::Hash);
        }
    };
    if let What::Sent(sent) = what {
        sent.b.iter_mut().for_each(|body| hide(&mut body.val));
    } else if let What::Log(slot) = what {
        hide(&mut slot.val);
    } else if let What::Executed(executed) = what {
        hide(&mut executed.res);
    } else if let What::Invoked(call) = what {
        call.input = shown(call.input.as_bytes(), Redact::Hash);
    } else if let What::Returned(call) = what {
        hide(&mut call.out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vr_tokio::vr_core::trace::{LogAct, LogSlot};

    #[test]
    fn a_value_becomes_its_length_and_a_hash() {
        let (view, client, req, ck) = (None, None, None, None);
        let val = Some("secret".to_owned());
        let mut what = What::Log(LogSlot { op: 1, view, client, req, ck, act: LogAct::Append, val });
        hide(&mut what);
        let What::Log(LogSlot { val: Some(val), .. }) = what else { panic!("it stays what it is") };
        assert!(val.starts_with("6 B ") && !val.contains("secret"), "{val}");
    }
}
