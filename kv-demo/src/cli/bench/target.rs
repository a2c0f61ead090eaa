//! How one request of the load looks: to this store, and to etcd's JSON gateway.
//!
//! Owns the bytes of requests and what counts as success. Must not know connections or time.

use super::super::wire::write_request;

/// What is asked, and of whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// etcd's JSON gateway instead of this store.
    pub(super) is_etcd: bool,
    /// How long values are.
    pub(super) value_bytes: usize,
    /// How many operations go in one request.
    pub(super) batch: u16,
    /// How many keys there are.
    pub(super) keys: u32,
    /// How many of a hundred requests read.
    pub(super) reads_percent: u8,
}

/// Chance for the load: which keys, which values. Small, fast, and the same every time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// Different for every client.
    pub(super) fn new(client: u16) -> Self {
        Self(0x9E37_79B9_7F4A_7C15 ^ (u64::from(client) + 1).wrapping_mul(0xD134_2543_DE82_EF95))
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound.max(1)
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = usize::try_from(bits >> (18 - 6 * at) & 63).unwrap_or(0);
            let is_there = usize::try_from(at).is_ok_and(|at| at <= chunk.len());
            out.push(if is_there { LETTERS[letter] } else { b'=' });
        }
    }
}

/// Where requests are put together; used again for each.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    body: Vec<u8>,
    value: Vec<u8>,
}

impl Target {
    fn key(self, dice: &mut Dice) -> String {
        format!("bench/{:08}", dice.below(u64::from(self.keys)))
    }

    /// Writes the next request to `out`.
    pub(super) fn write(self, out: &mut Vec<u8>, host: &str, dice: &mut Dice, scratch: &mut Scratch) {
        out.clear();
        scratch.body.clear();
        let is_read = dice.below(100) < u64::from(self.reads_percent);
        self.draw_value(dice, &mut scratch.value);
        match (self.is_etcd, self.batch, is_read) {
            (false, 1, true) => {
                let path = format!("/object/{}", self.key(dice));
                write_request(out, "GET", &path, host, "", b"");
            }
            (false, 1, false) => {
                let path = format!("/object/{}", self.key(dice));
                put(&mut scratch.body, &[b"{\"value\":\"", &scratch.value, b"\"}"]);
                write_request(out, "PUT", &path, host, "", &scratch.body);
            }
            (false, _, _) => {
                self.batch(dice, is_read, scratch);
                write_request(out, "POST", "/batch", host, "", &scratch.body);
            }
            (true, 1, _) => {
                self.etcd(dice, is_read, scratch);
                let path = if is_read { "/v3/kv/range" } else { "/v3/kv/put" };
                write_request(out, "POST", path, host, "", &scratch.body);
            }
            (true, _, _) => {
                self.etcd_batch(dice, is_read, scratch);
                write_request(out, "POST", "/v3/kv/txn", host, "", &scratch.body);
            }
        }
    }

    /// Letters that no JSON has to escape.
    fn draw_value(self, dice: &mut Dice, value: &mut Vec<u8>) {
        if value.len() != self.value_bytes {
            value.clear();
            value.extend((0..self.value_bytes).map(|_| LETTERS[usize::try_from(dice.below(62)).unwrap_or(0)]));
        }
        // Different every time, at little cost.
        for at in 0..value.len().min(8) {
            value[at] = LETTERS[usize::try_from(dice.below(62)).unwrap_or(0)];
        }
    }

    fn batch(self, dice: &mut Dice, is_read: bool, scratch: &mut Scratch) {
        let Scratch { body, value } = scratch;
        body.extend_from_slice(b"{\"operations\":[");
        for at in 0..self.batch {
            let key = self.key(dice);
            let comma: &[u8] = if at == 0 { b"" } else { b"," };
            if is_read {
                put(body, &[comma, b"{\"get\":{\"key\":\"", key.as_bytes(), b"\"}}"]);
            } else {
                put(body, &[comma, b"{\"put\":{\"key\":\"", key.as_bytes(), b"\",\"value\":\"", value, b"\"}}"]);
            }
        }
        body.extend_from_slice(b"]}");
    }

    fn etcd(self, dice: &mut Dice, is_read: bool, scratch: &mut Scratch) {
        let Scratch { body, value } = scratch;
        let key = self.key(dice);
        body.extend_from_slice(b"{\"key\":\"");
        base64(body, key.as_bytes());
        if !is_read {
            body.extend_from_slice(b"\",\"value\":\"");
            base64(body, value);
        }
        body.extend_from_slice(b"\"}");
    }

    fn etcd_batch(self, dice: &mut Dice, is_read: bool, scratch: &mut Scratch) {
        scratch.body.extend_from_slice(b"{\"success\":[");
        for at in 0..self.batch {
            let kind: &[u8] = if is_read { b"{\"request_range\":" } else { b"{\"request_put\":" };
            put(&mut scratch.body, &[if at == 0 { b"" } else { b"," }, kind]);
            self.etcd(dice, is_read, scratch);
            scratch.body.push(b'}');
        }
        scratch.body.extend_from_slice(b"]}");
    }

    /// Did the store do what it was asked? A key that was never written may be missing.
    pub(super) const fn is_success(self, status: u16) -> bool {
        status == 200 || (!self.is_etcd && self.reads_percent > 0 && status == 404)
    }
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target = Target { is_etcd: false, value_bytes: 16, batch: 1, keys: 10, reads_percent: 0 };

    fn body_of(target: Target) -> (String, serde_json::Value) {
        let (mut out, mut scratch) = (Vec::new(), Scratch::default());
        target.write(&mut out, "host", &mut Dice::new(0), &mut scratch);
        let text = String::from_utf8(out).expect("requests are text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head ends");
        let line = head.lines().next().expect("a request line").to_owned();
        assert!(head.contains(&format!("content-length: {}", body.len())));
        (line, serde_json::from_str(body).unwrap_or_default())
    }

    #[test]
    fn requests_are_what_the_two_stores_take() {
        let (line, body) = body_of(TARGET);
        assert!(line.starts_with("PUT /object/bench/0000000"), "{line}");
        assert_eq!(body["value"].as_str().map(str::len), Some(16));
        let (line, _) = body_of(Target { reads_percent: 100, ..TARGET });
        assert!(line.starts_with("GET /object/bench/0000000"), "{line}");
        let (line, body) = body_of(Target { batch: 3, ..TARGET });
        assert!(line.starts_with("POST /batch"), "{line}");
        assert_eq!(body["operations"].as_array().map(Vec::len), Some(3));
        assert_eq!(body["operations"][2]["put"]["value"].as_str().map(str::len), Some(16));
        let (line, body) = body_of(Target { is_etcd: true, ..TARGET });
        assert!(line.starts_with("POST /v3/kv/put"), "{line}");
        assert_eq!(body["value"].as_str().map(str::len), Some(24));
        let (line, body) = body_of(Target { is_etcd: true, batch: 2, ..TARGET });
        assert!(line.starts_with("POST /v3/kv/txn"), "{line}");
        assert_eq!(body["success"][1]["request_put"]["key"].as_str().map(str::len), Some(20));
    }

    #[test]
    fn base64_pads_what_is_left_over() {
        let encoded = |bytes: &[u8]| {
            let mut out = Vec::new();
            base64(&mut out, bytes);
            String::from_utf8(out).expect("letters")
        };
        assert_eq!(
            ["Zm9v", "Zm8=", "Zg==", ""],
            [&b"foo"[..], b"fo", b"f", b""].map(encoded).each_ref().map(|s| &s[..])
        );
    }
}
