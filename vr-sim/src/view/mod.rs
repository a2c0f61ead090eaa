//! What can be made of a trace: a page to look at it, lines and a table for terminals, files for other tools.
//!
//! Everything here takes events (`vr_core::trace`) and gives text. Must not know the simulator: the same functions
//! serve a trace of real nodes. VIEW §3, §5.
//!
//! - [`page`] joins the page (`vr-sim/view/`) and a trace into one HTML file that loads nothing.
//! - [`reduce`] folds events into the state of every node, exactly as the page does.
//! - [`explain`](mod@explain) tells why a property does not hold.
//! - [`export`] writes it for other tools: ShiViz, Perfetto, checkers of histories.
//! - [`read`] reads a trace, line by line, and believes none that breaks a limit of the format.
//! - [`window`] keeps the newest events of a long trace, beginning with the state at that point.
//! - [`text`] makes a line of every event, [`glyphs`] is what stands in it; [`table`] shows in what replicas disagree.

pub mod explain;
pub mod export;
pub mod glyphs;
mod names;
pub mod page;
pub mod read;
pub mod reduce;
pub mod table;
pub mod text;
pub mod window;
mod words;
