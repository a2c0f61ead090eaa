//! Histories known to be linearizable and known not to be, and the search against brute force.
