//! Fingerprints: 128 bits that are equal for what differs only in names that nobody can tell apart.
//!
//! Owns the walk over plain data by which a replica, a message, a disk is hashed: replicas are called by the places they are
//! given, writes are counted back from the newest, and what is of no consequence without clocks is left out: moments, waits,
//! message numbers, heartbeats. Must not know what any field is for, but [`OMITTED`] and [`BY_PLACE`]. DESIGN 9.5; PROTOCOL §5.

use alloc::vec::Vec;
use core::fmt::Error;
use serde::ser::{self, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_128;

/// `(struct, field)` of what makes no difference to what can happen next, where any timer may fire at any moment: the
/// configuration, which is one per replica and never changes; moments; counts that only planted bugs, or only the length
/// of a wait, depend on; and what other fields determine (a log by its base and its head, as entries are chained).
const OMITTED: &[(&str, &str)] = &[
    ("Common", "config"),
    ("Common", "group"),
    ("Common", "epochs"),
    ("Common", "rules"),
    ("Common", "quorum"),
    ("Common", "now"),
    ("Common", "gate"),
    ("Common", "timers"),
    ("Common", "full_since"),
    ("Header", "config"),
    ("Header", "instance"),
    ("Header", "seq"),
    ("Stored", "cluster"),
    ("Stored", "config"),
    ("Stored", "instance"),
    ("Log", "runs"),
    ("Primary", "arrived"),
    ("Primary", "beats"),
    ("Primary", "resend_commit"),
    ("Primary", "resend_attempt"),
    ("ViewChange", "arrived"),
    ("Recovering", "asking"),
    ("Recovering", "outnumbered"),
];

/// `(struct, field)` of lists that have an element per member, in the order of the configuration.
const BY_PLACE: &[(&str, &str)] = &[("Primary", "members"), ("ViewChange", "reports")];

/// `(struct, field)` of lists that are sets: what waits is sent, once or twice, in any order.
const SETS: &[(&str, &str)] = &[("Pending", "held")];

/// Where the numbers of writes are counted from: the newest that was issued, and the newest that is durable.
#[derive(Clone, Copy, Default)]
pub struct Writes {
    /// What is newer is not issued.
    pub issued: u64,
    /// What is older is durable too, and no more than that.
    pub durable: u64,
}

/// The fingerprint of anything that replicas are made of. `places`: what each member, by position, is called.
///
/// # Panics
/// When a member is named that has no place.
pub fn fingerprint<T: Serialize + ?Sized>(what: &T, places: &[u8], writes: Writes) -> u128 {
    let mut walk = Walk::new(places, writes);
    walk.add(what);
    walk.end()
}

/// A walk in progress.
pub(crate) struct Walk<'a> {
    bytes: Vec<u8>,
    places: &'a [u8],
    writes: Writes,
    /// How the next list is taken.
    next_list: Order,
}

impl<'a> Walk<'a> {
    pub(crate) const fn new(places: &'a [u8], writes: Writes) -> Self {
        Self { bytes: Vec::new(), places, writes, next_list: Order::Given }
    }

    /// Goes over one more thing.
    pub(crate) fn add<T: Serialize + ?Sized>(&mut self, what: &T) {
        what.serialize(self).expect("plain data: nothing in it refuses");
    }

    pub(crate) fn end(self) -> u128 {
        xxh3_128(&self.bytes)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u64) {
        // Nearly all are small.
        match u8::try_from(number).ok().filter(|small| *small < u8::MAX) {
            Some(small) => self.bytes.push(small),
            None => {
                self.bytes.push(u8::MAX);
                self.put(&number.to_le_bytes());
            }
        }
    }

    fn place(&self, member: u64) -> u64 {
        let at = usize::try_from(member).expect("a member's position");
        u64::from(self.places[at])
    }

    /// Takes back what was added since and gives its hash.
    fn fold(&mut self, from: usize) -> u128 {
        let hash = xxh3_128(&self.bytes[from..]);
        self.bytes.truncate(from);
        hash
    }
}

/// Numbers that have a name of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Plain,
    /// Makes no difference.
    Nothing,
    Write,
    Member,
    Members,
}

fn named(name: &str) -> Named {
    match name {
        "Time" | "Wait" | "Beat" | "Seq" => Named::Nothing,
        "WriteId" => Named::Write,
        "ReplicaId" | "Position" => Named::Member,
        "ReplicaSet" => Named::Members,
        _ => Named::Plain,
    }
}

/// The number in a newtype.
struct Inner<'w, 'a>(&'w mut Walk<'a>, Named);

/// The parts of something, one after the other, or as a set.
pub(crate) struct Parts<'w, 'a> {
    walk: &'w mut Walk<'a>,
    owner: &'static str,
    kind: Order,
    count: u64,
    sum: u128,
    /// The elements of a set.
    met: Vec<u128>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Given,
    /// An element per member: each is called by its member's place.
    Places,
    /// Each counts once, in no order.
    Set,
    /// Pairs in no order.
    Pairs(usize),
}

impl<'w, 'a> Parts<'w, 'a> {
    fn of(walk: &'w mut Walk<'a>, owner: &'static str, kind: Order) -> Self {
        Self { walk, owner, kind, count: 0, sum: 0, met: Vec::new() }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if self.kind == Order::Places {
            let from = self.walk.bytes.len();
            let place = self.walk.place(self.count);
            self.walk.number(place);
            value.serialize(&mut *self.walk)?;
            self.sum = self.sum.wrapping_add(self.walk.fold(from));
        } else if self.kind == Order::Set {
            let from = self.walk.bytes.len();
            value.serialize(&mut *self.walk)?;
            let one = self.walk.fold(from);
            if !self.met.contains(&one) {
                self.met.push(one);
                self.sum = self.sum.wrapping_add(one);
            }
        } else {
            value.serialize(&mut *self.walk)?;
        }
        self.count += 1;
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        if OMITTED.contains(&(self.owner, key)) {
            return Ok(());
        }
        let name = (self.owner, key);
        self.walk.next_list = if BY_PLACE.contains(&name) {
            Order::Places
        } else if SETS.contains(&name) {
            Order::Set
        } else {
            Order::Given
        };
        value.serialize(&mut *self.walk)
    }

    fn done(self) {
        match self.kind {
            Order::Given => self.walk.number(self.count),
            Order::Places | Order::Set | Order::Pairs(_) => self.walk.put(&self.sum.to_le_bytes()),
        }
    }
}

macro_rules! numbers {
    ($($name:ident($type:ty)),*) => {
        $(fn $name(self, value: $type) -> Result<(), Error> {
            self.number(u64::from(value));
            Ok(())
        })*
    };
}

macro_rules! wholes {
    ($($name:ident($type:ty)),*) => {
        $(fn $name(self, value: $type) -> Result<(), Error> {
            self.put(&value.to_le_bytes());
            Ok(())
        })*
    };
}

impl<'w, 'a> Serializer for &'w mut Walk<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'w, 'a>;
    type SerializeTuple = Parts<'w, 'a>;
    type SerializeTupleStruct = Parts<'w, 'a>;
    type SerializeTupleVariant = Parts<'w, 'a>;
    type SerializeMap = Parts<'w, 'a>;
    type SerializeStruct = Parts<'w, 'a>;
    type SerializeStructVariant = Parts<'w, 'a>;

    numbers!(
        serialize_bool(bool),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_char(char)
    );

    wholes!(
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_u128(u128),
        serialize_f32(f32),
        serialize_f64(f64)
    );

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.serialize_bytes(value.as_bytes())
    }
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.number(crate::id::count(value.len()));
        self.put(value);
        Ok(())
    }
    fn serialize_none(self) -> Result<(), Error> {
        self.number(0);
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.number(1);
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Error> {
        self.serialize_u32(index)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Error> {
        match named(name) {
            Named::Plain => value.serialize(self),
            Named::Nothing => Ok(()),
            kind @ (Named::Write | Named::Member | Named::Members) => value.serialize(Inner(self, kind)),
        }
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.number(index.into());
        value.serialize(self)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'w, 'a>, Error> {
        let order = core::mem::replace(&mut self.next_list, Order::Given);
        Ok(Parts::of(self, "", order))
    }
    fn serialize_tuple(self, _: usize) -> Result<Parts<'w, 'a>, Error> {
        Ok(Parts::of(self, "", Order::Given))
    }
    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Parts<'w, 'a>, Error> {
        Ok(Parts::of(self, name, Order::Given))
    }
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'w, 'a>, Error> {
        self.number(index.into());
        Ok(Parts::of(self, name, Order::Given))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'w, 'a>, Error> {
        let from = self.bytes.len();
        Ok(Parts::of(self, "", Order::Pairs(from)))
    }
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts<'w, 'a>, Error> {
        Ok(Parts::of(self, name, Order::Given))
    }
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'w, 'a>, Error> {
        self.number(index.into());
        Ok(Parts::of(self, name, Order::Given))
    }
    fn is_human_readable(&self) -> bool {
        false
    }
}

impl Inner<'_, '_> {
    fn take(self, value: u64) {
        let Self(walk, kind) = self;
        let Writes { issued, durable } = walk.writes;
        let number = match kind {
            Named::Plain | Named::Nothing => value,
            Named::Write => issued.saturating_sub(value.max(durable)),
            Named::Member => walk.place(value),
            Named::Members => {
                let mut renamed = 0;
                for member in (0..64).filter(|member| value & (1 << member) != 0) {
                    renamed |= 1 << walk.place(member);
                }
                renamed
            }
        };
        walk.number(number);
    }
}

/// Nothing else is in a newtype that has a name here.
const NO_NUMBER: &str = "names are numbers";

macro_rules! no_numbers {
    ($($name:ident($($arg:ty),*) -> $ok:ty;)*) => {
        $(fn $name(self, $(_: $arg),*) -> Result<$ok, Error> {
            unreachable!("{NO_NUMBER}")
        })*
    };
}

impl Serializer for Inner<'_, '_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = ser::Impossible<(), Error>;
    type SerializeTuple = ser::Impossible<(), Error>;
    type SerializeTupleStruct = ser::Impossible<(), Error>;
    type SerializeTupleVariant = ser::Impossible<(), Error>;
    type SerializeMap = ser::Impossible<(), Error>;
    type SerializeStruct = ser::Impossible<(), Error>;
    type SerializeStructVariant = ser::Impossible<(), Error>;

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.take(value.into());
        Ok(())
    }
    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.take(value.into());
        Ok(())
    }
    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.take(value);
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), Error> {
        unreachable!("{NO_NUMBER}")
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<(), Error> {
        unreachable!("{NO_NUMBER}")
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        unreachable!("{NO_NUMBER}")
    }
    no_numbers! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u32(u32) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}

macro_rules! elements {
    ($($kind:ident($name:ident)),*) => {
        $(impl ser::$kind for Parts<'_, '_> {
            type Ok = ();
            type Error = Error;
            fn $name<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }
            fn end(self) -> Result<(), Error> {
                self.done();
                Ok(())
            }
        })*
    };
}

elements!(
    SerializeSeq(serialize_element),
    SerializeTuple(serialize_element),
    SerializeTupleStruct(serialize_field),
    SerializeTupleVariant(serialize_field)
);

macro_rules! fields {
    ($($kind:ident),*) => {
        $(impl ser::$kind for Parts<'_, '_> {
            type Ok = ();
            type Error = Error;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
                self.field(key, value)
            }
            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Parts<'_, '_> {
    type Ok = ();
    type Error = Error;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        key.serialize(&mut *self.walk)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.walk)?;
        if let Order::Pairs(from) = self.kind {
            self.sum = self.sum.wrapping_add(self.walk.fold(from));
        }
        Ok(())
    }
    fn end(self) -> Result<(), Error> {
        self.done();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
