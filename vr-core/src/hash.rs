//! The hash of an entry: xxh3-128 (seed 0) of its fields and its body, without putting them beside one another first.
//!
//! Owns xxh3 as specified (`doc/xxhash_spec.md` of xxHash) for an input of 97 bytes in words and a body that lies elsewhere.
//! What the library's function costs is mostly the copy it needs, and waiting until what was just written can be read in
//! wider pieces; and the parent's hash, which is there last, it reads first. Its results are compared with the library's,
//! length by length. Must not know what the fields mean.

use crate::id::count;
use xxhash_rust::xxh3::xxh3_128;

/// Bytes before the body: twelve words and one byte.
pub(crate) const FIELDS_BYTES: usize = 97;
/// So long is a body of which the hash has more than 240 bytes to read, and reads them in stripes.
const STRIPED_BODY_BYTES: usize = 144;

/// xxh3's default secret, as little-endian words.
const SECRET: [u64; 24] = [
    0xbe4b_a423_396c_feb8,
    0x1cad_21f7_2c81_017c,
    0xdb97_9083_e96d_d4de,
    0x1f67_b3b7_a4a4_4072,
    0x78e5_c0cc_4ee6_79cb,
    0x2172_ffcc_7dd0_5a82,
    0x8e24_43f7_7446_08b8,
    0x4c26_3a81_e690_35e0,
    0xcb00_c391_bb52_283c,
    0xa32e_531b_8b65_d088,
    0x4ef9_0da2_9748_6471,
    0xd8ac_dea9_46ef_1938,
    0x3f34_9ce3_3f76_faa8,
    0x1d4f_0bc7_c7bb_dcf9,
    0x3159_b4cd_4be0_518a,
    0x6473_78d9_c97e_9fc8,
    0xc3eb_d334_83ac_c5ea,
    0xeb63_13fa_ffa0_81c5,
    0x49da_f0b7_51dd_0d17,
    0x9e68_d429_2655_16d3,
    0xfca1_477d_58be_162b,
    0xce31_d07a_d1b8_f88f,
    0x2804_1695_8f3a_cb45,
    0x7e40_4bbb_cafb_d7af,
];

const PRIME32_1: u64 = 0x9e37_79b1;
const PRIME32_2: u64 = 0x85eb_ca77;
const PRIME32_3: u64 = 0xc2b2_ae3d;
const PRIME64_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME64_2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const PRIME64_3: u64 = 0x1656_67b1_9e37_79f9;
const PRIME64_4: u64 = 0x85eb_ca77_c2b2_ae63;
const PRIME64_5: u64 = 0x27d4_eb2f_1656_67c5;

type Lanes = [u64; 8];

const LANES: Lanes = [PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1];
/// A block of stripes: each has its secret, one word behind that of the stripe before.
const BLOCK: [Lanes; 16] = {
    let mut block = [[0; 8]; 16];
    let mut stripe = 0;
    while stripe < 16 {
        block[stripe] = secret(8 * stripe);
        stripe += 1;
    }
    block
};
const LAST_STRIPE: Lanes = secret(192 - 64 - 7);
const BETWEEN_BLOCKS: Lanes = secret(192 - 64);
const LOW: Lanes = secret(11);
const HIGH: Lanes = secret(192 - 64 - 11);
/// What the first four rounds of 32 bytes use, and what those after them use.
const ROUNDS: [[u64; 4]; 4] = [secret(0), secret(32), secret(64), secret(96)];
const LATE_ROUNDS: [[u64; 4]; 3] = [secret(3), secret(3 + 32), secret(3 + 64)];
const LAST_ROUND: [u64; 4] = secret(136 - 17 - 16);

/// So many words of the secret from a byte on.
const fn secret<const N: usize>(from: usize) -> [u64; N] {
    let mut words = [0; N];
    let mut word = 0;
    while word < N {
        let at = from / 8 + word;
        let shift = from % 8 * 8;
        words[word] = if shift == 0 { SECRET[at] } else { SECRET[at] >> shift | SECRET[at + 1] << (64 - shift) };
        word += 1;
    }
    words
}

/// The hash of the words of `fields`, little-endian, the byte `kind` and `body`, in this order.
#[inline(always)] // see `Entry::new`
pub(crate) fn hash(fields: [u64; 12], kind: u8, body: &[u8]) -> u128 {
    // As much of the body as makes it 128 bytes: a word less its last byte, three words, and there has to be more.
    let (Some(first), Some((opening, rest))) = (body.first_chunk(), body.split_first_chunk::<31>()) else {
        return hash_of_short(&fields, kind, body);
    };
    if rest.is_empty() {
        return hash_of_short(&fields, kind, body);
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l] = fields;
    let m = u64::from_le_bytes(*first) << 8 | u64::from(kind);
    let [n, o, p] = read(&opening[7..]);
    // Word by word: what was written so is not read in wider pieces at once.
    let words = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p];
    if body.len() < STRIPED_BODY_BYTES {
        hash_in_rounds(&words, body, rest)
    } else {
        hash_in_stripes(&words, body, rest)
    }
}

/// Up to 128 bytes in all: copied into one piece.
#[inline(never)]
fn hash_of_short(fields: &[u64; 12], kind: u8, body: &[u8]) -> u128 {
    let mut bytes = [0; 128];
    for (place, word) in bytes.chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    let end = FIELDS_BYTES + body.len();
    bytes[FIELDS_BYTES - 1] = kind;
    bytes[FIELDS_BYTES..end].copy_from_slice(body);
    xxh3_128(&bytes[..end])
}

/// 129 to 240 bytes in all: `words`, then what of `body` is not in them, `rest`.
#[inline(never)]
fn hash_in_rounds(words: &[u64; 16], body: &[u8], rest: &[u8]) -> u128 {
    let length = count(FIELDS_BYTES + body.len());
    let mut sums = [length.wrapping_mul(PRIME64_1), 0];
    for (round, secret) in words.as_chunks().0.iter().zip(&ROUNDS) {
        mix(&mut sums, *round, secret);
    }
    sums = sums.map(avalanche);
    for (round, secret) in rest.as_chunks::<32>().0.iter().zip(&LATE_ROUNDS) {
        mix(&mut sums, read(round), secret);
    }
    let [a, b, c, d] = read(last::<32>(body));
    mix(&mut sums, [c, d, a, b], &LAST_ROUND);
    let low = sums[0].wrapping_add(sums[1]);
    let high = sums[0].wrapping_mul(PRIME64_1).wrapping_add(sums[1].wrapping_mul(PRIME64_4));
    let high = high.wrapping_add(length.wrapping_mul(PRIME64_2));
    joined(avalanche(low), avalanche(high).wrapping_neg())
}

#[inline(always)]
fn mix(sums: &mut [u64; 2], [a, b, c, d]: [u64; 4], secret: &[u64; 4]) {
    sums[0] = sums[0].wrapping_add(folded(a ^ secret[0], b ^ secret[1])) ^ c.wrapping_add(d);
    sums[1] = sums[1].wrapping_add(folded(c ^ secret[2], d ^ secret[3])) ^ a.wrapping_add(b);
}

/// More than 240 bytes in all: `words`, then what of `body` is not in them, `rest`.
#[inline(never)]
fn hash_in_stripes(words: &[u64; 16], body: &[u8], rest: &[u8]) -> u128 {
    let length = count(FIELDS_BYTES + body.len());
    // The last 64 bytes are a stripe of their own, so one byte less than the rest is looked at in stripes.
    let stripes = rest.split_last().map_or(&[][..], |(_, rest)| rest.as_chunks::<64>().0);
    let (block, more) = stripes.split_at_checked(BLOCK.len() - 2).unwrap_or((stripes, &[]));
    let mut lanes = LANES;
    for (stripe, secret) in block.iter().zip(&BLOCK[2..]) {
        accumulate(&mut lanes, &read(stripe), secret);
    }
    // Lanes are sums, so stripes of one block may come in any order: the first two last, when the parent's hash is there.
    let full = block.len() == BLOCK.len() - 2;
    if !full {
        accumulate(&mut lanes, &read(last::<64>(body)), &LAST_STRIPE);
    }
    for (stripe, secret) in words.as_chunks().0.iter().zip(&BLOCK) {
        accumulate(&mut lanes, stripe, secret);
    }
    if full {
        lanes = after_block(lanes, more);
        accumulate(&mut lanes, &read(last::<64>(body)), &LAST_STRIPE);
    }
    let low = merged(&lanes, &LOW, length.wrapping_mul(PRIME64_1));
    let high = merged(&lanes, &HIGH, !length.wrapping_mul(PRIME64_2));
    joined(low, high)
}

/// What follows the first block, which is full.
#[inline(never)]
fn after_block(mut lanes: Lanes, more: &[[u8; 64]]) -> Lanes {
    scramble(&mut lanes);
    for block in more.chunks(BLOCK.len()) {
        for (stripe, secret) in block.iter().zip(&BLOCK) {
            accumulate(&mut lanes, &read(stripe), secret);
        }
        if block.len() == BLOCK.len() {
            scramble(&mut lanes);
        }
    }
    lanes
}

#[inline(always)]
fn accumulate(lanes: &mut Lanes, stripe: &Lanes, secret: &Lanes) {
    let before = *lanes;
    for lane in 0..8 {
        let keyed = stripe[lane] ^ secret[lane];
        let product = (keyed & 0xffff_ffff).wrapping_mul(keyed >> 32);
        lanes[lane] = before[lane].wrapping_add(stripe[lane ^ 1]).wrapping_add(product);
    }
}

fn scramble(lanes: &mut Lanes) {
    for (lane, secret) in lanes.iter_mut().zip(BETWEEN_BLOCKS) {
        *lane = (*lane ^ (*lane >> 47) ^ secret).wrapping_mul(PRIME32_1);
    }
}

#[inline(always)]
fn merged(lanes: &Lanes, secret: &Lanes, start: u64) -> u64 {
    let (pairs, secrets) = (lanes.as_chunks::<2>().0, secret.as_chunks::<2>().0);
    let folds = pairs.iter().zip(secrets).map(|([a, b], [x, y])| folded(a ^ x, b ^ y));
    avalanche(folds.fold(start, u64::wrapping_add))
}

/// The product's halves, one on the other.
#[inline(always)]
fn folded(a: u64, b: u64) -> u64 {
    let [low, high] = halves(u128::from(a) * u128::from(b));
    low ^ high
}

#[inline(always)]
const fn avalanche(mut hash: u64) -> u64 {
    hash ^= hash >> 37;
    hash = hash.wrapping_mul(0x1656_6791_9e37_79f9);
    hash ^ hash >> 32
}

/// The lower and the higher word.
#[inline(always)]
pub(crate) fn halves(whole: u128) -> [u64; 2] {
    [whole & u128::from(u64::MAX), whole >> 64].map(|half| u64::try_from(half).unwrap_or(u64::MAX))
}

#[inline(always)]
fn joined(low: u64, high: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// The first `N` words of `bytes`, zeros where there are fewer.
#[inline(always)]
fn read<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// The last `N` bytes of a body that has as many.
#[inline(always)]
fn last<const N: usize>(body: &[u8]) -> &[u8; N] {
    body.last_chunk().unwrap_or(&[0; N])
}

#[cfg(test)]
mod tests {
    use super::{FIELDS_BYTES, hash};
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_128;

    fn in_one_piece(fields: &[u64; 12], kind: u8, body: &[u8]) -> u128 {
        let mut whole: Vec<u8> = fields.iter().flat_map(|word| word.to_le_bytes()).collect();
        whole.push(kind);
        whole.extend_from_slice(body);
        assert_eq!(whole.len(), FIELDS_BYTES + body.len());
        xxh3_128(&whole)
    }

    #[test]
    fn the_hash_of_what_lies_apart_is_that_of_one_piece_at_every_length() {
        let bytes: Vec<u8> = (0..70_000u32).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 24).to_le_bytes()[0]).collect();
        for length in (0..4_200).chain([65_535, 65_536, 70_000]) {
            let mut fields = [0; 12];
            for (word, at) in fields.iter_mut().zip(1u64..) {
                *word = at.wrapping_mul(0x9e37_79b1_85eb_ca87);
            }
            let body = &bytes[..length];
            assert_eq!(hash(fields, 1, body), in_one_piece(&fields, 1, body), "{length}");
        }
    }

    proptest! {
        #[test]
        fn the_hash_of_what_lies_apart_is_that_of_one_piece_whatever_it_is(
            fields: [u64; 12], kind: u8, body in prop::collection::vec(any::<u8>(), 0..1_300),
        ) {
            prop_assert_eq!(hash(fields, kind, &body), in_one_piece(&fields, kind, &body));
        }
    }
}
