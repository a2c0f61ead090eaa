//! x
use vr_core::{Durability, Mutant};
/// x
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// x
    pub mutant: Mutant,
    /// x
    pub scenario: &'static str,
    /// x
    pub durability: Durability,
    /// x
    pub property: &'static str,
}
/// x
#[derive(Clone, Copy, Debug)]
pub struct Equivalent {
    /// x
    pub mutant: Mutant,
    /// x
    pub why: &'static str,
}
pub(crate) const KILLS: &[Kill] = &[];
pub(crate) const EQUIVALENTS: &[Equivalent] = &[];
