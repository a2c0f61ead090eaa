//! x
use crate::scenario::ScenarioInfo;
pub(super) const SCENARIOS: &[ScenarioInfo] = &[];
