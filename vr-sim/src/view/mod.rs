//! What can be made of a trace: a page to look at it, lines and a table for terminals, files for other tools.
//!
//! Everything here takes events (`vr_core::trace`) and gives text. Must not know the simulator: the same functions
//! serve a trace of real nodes. VIEW §3, §5.
//!
//! - [`page`] joins the page (`vr-sim/view/`) and a trace into one HTML file that loads nothing.
//! - [`reduce`] folds events into the state of every node, exactly as the page does.
//! - [`window`] keeps the newest events of a long trace, beginning with the state at that point.

pub mod page;
pub mod reduce;
pub mod window;
