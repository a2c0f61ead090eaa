//! The page of a mode, as this service gives it out.
//!
//! Owns which page that is, and that its policy comes as a header too. Must not know what is on it. VIEW.md §4, §5.4 (5).

use super::answer;
use http::{HeaderValue, Response, header};
use vr_sim::view::page::{Page, Source, header_policy, html};
use vr_tokio::AnswerBody;

/// The page.
pub(super) fn page(source: Source, name: &str) -> Response<AnswerBody> {
    let mut response = answer::whole("text/html; charset=utf-8", html(&Page::of(source, name)));
    if let Ok(policy) = HeaderValue::try_from(header_policy(source)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
