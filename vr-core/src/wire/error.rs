//! Why bytes are refused, and whose fault it is.
//!
//! Owns the reasons, each with a short name for counters. Must not know how anything is decoded. Paper: none
//! (VRR §2 assumes a network that may lose and repeat, not damage); DESIGN §4, last point.

use core::fmt;

/// Why a frame was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WireError {
    /// Longer than the configured limit.
    TooLong {
        /// So long, as far as known.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Shorter than a frame's header.
    Short {
        /// So short.
        bytes: usize,
    },
    /// Does not start like a frame of ours.
    NotAFrame,
    /// A frame of another type than was expected here.
    OtherType {
        /// Its letter: `M`, `W` or `E`.
        letter: u8,
    },
    /// Another version of the protocol.
    OtherVersion {
        /// Which.
        version: u16,
    },
    /// The payload is not as long as the header says.
    Length {
        /// What the header says.
        said: u32,
        /// What there is.
        came: usize,
    },
    /// The payload is not the one that was sent.
    Checksum,
    /// The payload ends inside a value.
    Ended,
    /// The value ends before the payload does.
    Trailing {
        /// So many bytes are left over.
        bytes: usize,
    },
    /// A number is too large for its type, or not in its shortest form.
    Number,
    /// A number that replicas count up exceeds [`super::COUNTER_MAX`].
    Counter,
    /// No variant has this number.
    Variant {
        /// Of which type.
        of: &'static str,
    },
    /// A list claims more elements than there may be, or than can follow.
    TooMany {
        /// Of what.
        what: &'static str,
        /// So many.
        claimed: u64,
        /// At most this.
        limit: usize,
    },
    /// An entry at op 0: the first op is 1.
    EntryAtZero,
    /// The entries are not consecutive, or not one chain.
    BrokenChain,
    /// A message of entries without any.
    NoEntries,
    /// The entries do not continue what they are said to continue.
    NotAfterBase,
    /// The entries do not lead to the head they are said to lead to.
    NotTowardsHead,
    /// A checkpoint that is not the one its digest names.
    WrongDigest,
    /// Members that are no group: none, too many, or one twice.
    NoGroup,
}

/// Where to look for the cause.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Fault {
    /// Cut or damaged on the way or on the disk, or never a frame of ours. Normal; what matters is sent again.
    Transit,
    /// The two ends are set up differently: version or limits. The operator's.
    Setup,
    /// The checksum is right and the content is not: a defect in the sender, or somebody who pretends to be one.
    Sender,
}

impl WireError {
    /// A short name, for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Short { .. } => "short",
            Self::NotAFrame => "not_a_frame",
            Self::OtherType { .. } => "other_type",
            Self::OtherVersion { .. } => "other_version",
            Self::Length { .. } => "length",
            Self::Checksum => "checksum",
            Self::Ended => "ended",
            Self::Trailing { .. } => "trailing",
            Self::Number => "number",
            Self::Counter => "counter",
            Self::Variant { .. } => "variant",
            Self::TooMany { .. } => "too_many",
            Self::EntryAtZero => "entry_at_zero",
            Self::BrokenChain => "broken_chain",
            Self::NoEntries => "no_entries",
            Self::NotAfterBase => "not_after_base",
            Self::NotTowardsHead => "not_towards_head",
            Self::WrongDigest => "wrong_digest",
            Self::NoGroup => "no_group",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Short { .. } | Self::NotAFrame | Self::Length { .. } | Self::Checksum => Fault::Transit,
            Self::TooLong { .. } | Self::OtherVersion { .. } => Fault::Setup,
            Self::OtherType { .. }
            | Self::Ended
            | Self::Trailing { .. }
            | Self::Number
            | Self::Counter
            | Self::Variant { .. }
            | Self::TooMany { .. }
            | Self::EntryAtZero
            | Self::BrokenChain
            | Self::NoEntries
            | Self::NotAfterBase
            | Self::NotTowardsHead
            | Self::WrongDigest
            | Self::NoGroup => Fault::Sender,
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes, limit } => write!(f, "a frame of {bytes} bytes exceeds the limit of {limit}"),
            Self::Short { bytes } => write!(f, "{bytes} bytes are too few for the header of a frame"),
            Self::NotAFrame => f.write_str("this does not start like a frame"),
            Self::OtherType { letter } => write!(f, "a frame of type {} was not expected here", letter.escape_ascii()),
            Self::OtherVersion { version } => write!(f, "the sender speaks version {version} of the protocol"),
            Self::Length { said, came } => write!(f, "the header announces {said} bytes and {came} came"),
            Self::Checksum => f.write_str("the checksum does not match: the bytes were damaged"),
            Self::Ended => f.write_str("the payload ends inside a value"),
            Self::Trailing { bytes } => write!(f, "{bytes} bytes follow the value"),
            Self::Number => f.write_str("a number is too large for its type or not in its shortest form"),
            Self::Counter => f.write_str("a number is larger than any run can reach"),
            Self::Variant { of } => write!(f, "there is no such variant of {of}"),
            Self::TooMany { what, claimed, limit } => write!(f, "{claimed} {what} are announced, {limit} may follow"),
            Self::EntryAtZero => f.write_str("an entry at op 0, and the first op is 1"),
            Self::BrokenChain => f.write_str("the entries are not one chain of consecutive ops"),
            Self::NoEntries => f.write_str("a message of entries without any"),
            Self::NotAfterBase => f.write_str("the entries do not continue their base"),
            Self::NotTowardsHead => f.write_str("the entries do not lead to their head"),
            Self::WrongDigest => f.write_str("the checkpoint is not the one that its digest names"),
            Self::NoGroup => f.write_str("the members are no group: none, too many, or one twice"),
        }
    }
}

impl core::error::Error for WireError {}
