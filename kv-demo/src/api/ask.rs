//! What a client says: keys in paths, values in JSON, conditions and sessions in headers.
//!
//! Owns the reading of it. Nothing here is trusted: it is an operation, or a refusal that says why. Must not know what
//! becomes of it.

use super::{ClientId, Expect, HeaderMap, KEY_BYTES_MAX, Op, Problem, RequestNumber, Revision, Session, header};
use crate::op::{BATCH_MAX, LIST_MAX, TTL_SECONDS_MAX, Ttl};
use bytes::Bytes;
use serde::Deserialize;
use std::borrow::Cow;

/// The session that a client names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Named {
    pub(super) client: ClientId,
    pub(super) session: Session,
    pub(super) number: RequestNumber,
}

/// `{"value": …}`.
#[derive(Deserialize)]
pub(super) struct PutBody<'a> {
    #[serde(borrow)]
    value: Cow<'a, str>,
}

impl PutBody<'_> {
    /// The value in a body. One without escapes is not copied.
    pub(super) fn value_of(body: &Bytes, most: usize) -> Result<Bytes, Problem> {
        let text = std::str::from_utf8(body).map_err(|_| Problem::BadRequest("the body is not UTF-8"))?;
        let parsed: PutBody<'_> = serde_json::from_str(text).map_err(Problem::json)?;
        if parsed.value.len() > most {
            return Err(Problem::TooLarge(most));
        }
        Ok(match parsed.value {
            Cow::Borrowed(value) => body.slice_ref(value.as_bytes()),
            Cow::Owned(value) => Bytes::from(value),
        })
    }
}

/// One operation of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Single {
    Get { key: String },
    Put { key: String, value: String, if_match: Option<IfMatch>, ttl_s: Option<u64> },
    Delete { key: String, if_match: Option<IfMatch> },
}

/// A revision, or `"*"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum IfMatch {
    Revision(u64),
    Word(String),
}

impl IfMatch {
    fn expect(this: Option<Self>) -> Result<Expect, Problem> {
        match this {
            None => Ok(Expect::Anything),
            Some(Self::Revision(revision)) => Ok(Expect::Revision(Revision(revision))),
            Some(Self::Word(word)) if word == "*" => Ok(Expect::Present),
            Some(Self::Word(_)) => Err(Problem::BadRequest("if_match is a revision, or \"*\"")),
        }
    }
}

/// `{"operations": […]}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batched {
    operations: Vec<Single>,
}

impl Batched {
    /// The batch in a body.
    pub(super) fn op_of(body: &Bytes, most: usize) -> Result<Op, Problem> {
        let Self { operations } = serde_json::from_slice(body).map_err(Problem::json)?;
        if operations.is_empty() || operations.len() > BATCH_MAX {
            return Err(Problem::BadRequest("a batch has 1 to 10,000 operations"));
        }
        let one = |single| {
            Ok(match single {
                Single::Get { key } => Op::Get { key: checked(key.into())? },
                Single::Put { key, value, if_match, ttl_s } => {
                    if value.len() > most {
                        return Err(Problem::TooLarge(most));
                    }
                    let (key, expect) = (checked(key.into())?, IfMatch::expect(if_match)?);
                    Op::Put { key, value: value.into(), expect, ttl: ttl_s.map(ttl).transpose()? }
                }
                Single::Delete { key, if_match } => {
                    Op::Delete { key: checked(key.into())?, expect: IfMatch::expect(if_match)? }
                }
            })
        };
        operations.into_iter().map(one).collect::<Result<_, _>>().map(Op::Batch)
    }
}

fn checked(key: Bytes) -> Result<Bytes, Problem> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Problem::BadRequest("a key has 1 to 4,096 bytes"));
    }
    Ok(key)
}

/// `%41` is `A`; what is not of this form stands for itself.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = digits.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        (rest, _) = match escaped {
            Some(byte) => (&after[2..], out.push(byte)),
            None => (after, out.push(*first)),
        };
    }
    out
}

/// The key in a path: what follows `/object/`, slashes and all.
pub(super) fn key_of(path: &str) -> Result<Bytes, Problem> {
    let key = Bytes::from(unescaped(path));
    if std::str::from_utf8(&key).is_err() {
        return Err(Problem::BadRequest("the key is not UTF-8"));
    }
    checked(key)
}

fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value.replace('+', " ")).next()?;
    String::from_utf8(unescaped(&value)).ok()
}

/// Who answers a read, and how new it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Consistency {
    /// The primary: everything that was answered before.
    Linearizable,
    /// This node, with the same, which its primary tells it.
    Here,
    /// This node alone, whatever it knows.
    Stale,
}

/// `?consistency=stale`: ask this node alone.
pub(super) fn consistency_of(query: Option<&str>) -> Result<Consistency, Problem> {
    match query_value(query, "consistency").as_deref() {
        None | Some("linearizable") => Ok(Consistency::Linearizable),
        Some("here") => Ok(Consistency::Here),
        Some("stale") => Ok(Consistency::Stale),
        Some(_) => Err(Problem::BadRequest("consistency is linearizable, here or stale")),
    }
}

/// Where another node answers what this one cannot: without asking for an answer from here, which one of an earlier version
/// would not understand.
pub(super) fn elsewhere(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let rest: Vec<&str> = query.split('&').filter(|pair| *pair != "consistency=here").collect();
    if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) }
}

fn ttl(seconds: u64) -> Result<Ttl, Problem> {
    let wrong = Problem::BadRequest("ttl_s is a number of seconds, from 1 to 3,153,600,000 (100 years)");
    if (1..=TTL_SECONDS_MAX).contains(&seconds) { Ok(Ttl(seconds * 1000)) } else { Err(wrong) }
}

/// `?ttl_s=30`: the key lives for so many seconds.
pub(super) fn ttl_of(query: Option<&str>) -> Result<Option<Ttl>, Problem> {
    let seconds = query_value(query, "ttl_s");
    // What is no number is as wrong as 0.
    seconds.map(|seconds| ttl(seconds.parse().unwrap_or(0))).transpose()
}

/// `?prefix=…&after=…&limit=…`.
pub(super) fn list_of(query: Option<&str>) -> Result<Op, Problem> {
    let limit = match query_value(query, "limit") {
        None => 1000,
        Some(limit) => limit.parse().map_err(|_| Problem::BadRequest("limit is a number"))?,
    };
    if limit == 0 || limit > LIST_MAX {
        return Err(Problem::BadRequest("limit is 1 to 10,000"));
    }
    let text = |name| Bytes::from(query_value(query, name).unwrap_or_default());
    Ok(Op::List { prefix: text("prefix"), after: text("after"), limit })
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// `If-Match: "7"`, `If-Match: *`, `If-None-Match: *`.
pub(super) fn expect_of(headers: &HeaderMap) -> Result<Expect, Problem> {
    let (is_match, none_match) = (headers.get(header::IF_MATCH), headers.get(header::IF_NONE_MATCH));
    if is_match.is_some() && none_match.is_some() {
        return Err(Problem::BadRequest("If-Match and If-None-Match together"));
    }
    if none_match.is_some() {
        return match text_of(headers, "if-none-match") {
            Some("*") => Ok(Expect::Revision(Revision(0))),
            _ => Err(Problem::BadRequest("If-None-Match takes * only")),
        };
    }
    if is_match.is_none() {
        return Ok(Expect::Anything);
    }
    let text = text_of(headers, "if-match").unwrap_or_default();
    if text == "*" {
        return Ok(Expect::Present);
    }
    let revision = text.trim_start_matches("W/").trim_matches('"').parse();
    revision
        .map(|revision| Expect::Revision(Revision(revision)))
        .map_err(|_| Problem::BadRequest("If-Match takes * or the ETag of an earlier answer"))
}

/// `VR-Client`: 1 to 32 hexadecimal digits.
pub(super) fn client_of(headers: &HeaderMap) -> Result<Option<ClientId>, Problem> {
    if !headers.contains_key("vr-client") {
        return Ok(None);
    }
    let id = text_of(headers, "vr-client").and_then(|text| u128::from_str_radix(text, 16).ok());
    id.map(|id| Some(ClientId(id))).ok_or(Problem::BadRequest("VR-Client is 1 to 32 hexadecimal digits"))
}

/// The session that the headers name: all three of them, or none.
pub(super) fn named_of(headers: &HeaderMap) -> Result<Option<Named>, Problem> {
    if !["vr-client", "vr-session", "vr-request"].iter().any(|name| headers.contains_key(*name)) {
        return Ok(None);
    }
    let number = |name| text_of(headers, name).and_then(|text| text.parse::<u64>().ok()).filter(|number| *number > 0);
    match (client_of(headers)?, number("vr-session"), number("vr-request")) {
        (Some(client), Some(session), Some(number)) => {
            Ok(Some(Named { client, session: Session(session), number: RequestNumber(number) }))
        }
        _ => Err(Problem::BadRequest("VR-Client, VR-Session and VR-Request belong together; numbers begin with 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_have_slashes_and_any_letters() {
        assert_eq!(key_of("a/b//c").expect("a key"), "a/b//c");
        assert_eq!(key_of("%E2%82%AC%2F%25").expect("a key"), "€/%");
        assert_eq!(key_of("100%").expect("a key"), "100%");
        assert!(key_of("%FF").is_err() && key_of("").is_err() && key_of(&"k".repeat(4097)).is_err());
    }

    #[test]
    fn a_value_without_escapes_is_not_copied() {
        let body = Bytes::from_static(b"{\"value\": \"plain\"}");
        let value = PutBody::value_of(&body, 10).expect("a value");
        assert_eq!(value, "plain");
        assert_eq!(value.as_ptr(), body[11..].as_ptr());
        let escaped = Bytes::from_static(br#"{"other": 1, "value": "\u20ac\n"}"#);
        assert_eq!(PutBody::value_of(&escaped, 10).expect("a value"), "€\n");
        assert!(PutBody::value_of(&body, 4).is_err());
        for wrong in ["", "{}", "{\"value\": 1}", "[", "\"value\"", "{\"value\": \"a\"} b"] {
            assert!(PutBody::value_of(&Bytes::from(wrong), 10).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_session_is_named_whole_or_not_at_all() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
        };
        let whole: HeaderMap = headers(&[("vr-client", "ff"), ("vr-session", "3"), ("vr-request", "1")]);
        let named = Named { client: ClientId(255), session: Session(3), number: RequestNumber(1) };
        assert_eq!(named_of(&whole).ok(), Some(Some(named)));
        assert_eq!(named_of(&HeaderMap::new()).ok(), Some(None));
        for wrong in [&[("vr-client", "ff")][..], &[("vr-client", "x"), ("vr-session", "3"), ("vr-request", "1")]] {
            assert!(named_of(&headers(wrong)).is_err());
        }
    }

    #[test]
    fn a_key_lives_for_a_number_of_seconds() {
        let ttl = |query| ttl_of(Some(query)).map_err(|_| ());
        assert_eq!((ttl_of(None).ok(), ttl("consistency=stale")), (Some(None), Ok(None)));
        assert_eq!((ttl("ttl_s=1"), ttl("a=b&ttl_s=3600")), (Ok(Some(Ttl(1000))), Ok(Some(Ttl(3_600_000)))));
        assert_eq!(ttl("ttl_s=3153600000"), Ok(Some(Ttl(3_153_600_000_000))));
        for wrong in
            ["ttl_s=0", "ttl_s=", "ttl_s=-1", "ttl_s=1.5", "ttl_s=1h", "ttl_s=3153600001", "ttl_s=99999999999999999999"]
        {
            assert_eq!(ttl(wrong), Err(()), "{wrong}");
        }
    }

    #[test]
    fn whoever_cannot_answer_from_here_sends_on_without_that_wish() {
        assert_eq!(elsewhere("/object/a?consistency=here"), "/object/a");
        assert_eq!(elsewhere("/object?prefix=a/&consistency=here&limit=3"), "/object?prefix=a/&limit=3");
        assert_eq!(elsewhere("/object/a"), "/object/a");
        assert_eq!(consistency_of(Some("consistency=here")).ok(), Some(Consistency::Here));
    }

    #[test]
    fn conditions_are_those_of_http() {
        let one = |name: &'static str, value: &'static str| {
            expect_of(&HeaderMap::from_iter([(name.parse().expect("a name"), value.parse().expect("a value"))])).ok()
        };
        assert_eq!(one("if-match", "\"7\""), Some(Expect::Revision(Revision(7))));
        assert_eq!(one("if-match", "*"), Some(Expect::Present));
        assert_eq!(one("if-none-match", "*"), Some(Expect::Revision(Revision(0))));
        assert_eq!([one("if-match", "seven"), one("if-none-match", "\"7\"")], [None, None]);
    }
}
