//! How a call can fail, and what that says about its effect.
//!
//! Owns the distinction that matters to a caller: certainly no effect, or unknown. Must not know HTTP.

/// Why a call failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No answer before the deadline. The outcome is unknown: it may have been executed, or still be.
    #[error("no answer before the deadline: the outcome is unknown")]
    Timeout,
    /// No replica was found to be primary before the deadline. There was no effect.
    #[error("no primary was found before the deadline")]
    NoPrimary,
    /// The session is gone: too many others were opened since. The outcome of the call is unknown; open another
    /// session.
    #[error("the session is gone: the outcome of this call is unknown")]
    Evicted,
    /// The primary had no room until the deadline. There was no effect.
    #[error("the primary is busy")]
    Busy,
    /// The primary's disk had no space until the deadline. There was no effect.
    #[error("the primary has no space left on its disk")]
    NoSpace,
    /// No address could be connected to before the deadline. There was no effect.
    #[error("none of the addresses can be reached: {0}")]
    Unreachable(String),
    /// The request is longer than the cluster allows. There was no effect.
    #[error("the request is too large")]
    TooLarge,
    /// The replica could not make sense of the request. There was no effect.
    #[error("the replica refused the request: {0}")]
    Refused(String),
    /// An address is not of the form `host:port` or `http://host:port`, or there is none at all.
    #[error("not an address of a replica: {0:?}")]
    Address(String),
}

impl ClientError {
    /// May the call have had an effect, or still have one?
    #[must_use]
    pub const fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Timeout | Self::Evicted => true,
            Self::NoPrimary
            | Self::Busy
            | Self::NoSpace
            | Self::Unreachable(_)
            | Self::TooLarge
            | Self::Refused(_)
            | Self::Address(_) => false,
        }
    }
}
