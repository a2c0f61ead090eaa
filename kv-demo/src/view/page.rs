//! The page of a mode, as this service gives it out.
//!
//! Owns which page that is, and its policy. Must not know what is on it. VIEW.md §4.

use super::answer;
use http::{HeaderValue, Response, header};
use vr_tokio::AnswerBody;

/// The page of a mode.
pub(super) fn page(mode: &str, name: &str) -> Response<AnswerBody> {
    let (html, policy) =
        (format!("<!doctype html><title>{mode}</title>{}", name.len()), "default-src 'none'; frame-ancestors 'none'");
    let mut response = answer::whole("text/html; charset=utf-8", html);
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
