//! The trace stream: a bounded ring of what observers see. A reader never slows a replica. VIEW.md §5.
