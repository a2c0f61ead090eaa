//! The page as bytes: what is in it, that nothing in it can become something else, and its size.

use super::*;
use std::path::Path;

const SIZE_MAX: usize = 150 * 1024;

fn of(name: &str, trace: &str) -> String {
    html(&Page { source: Source::File, name, trace, left_out: 0 })
}

/// What is inside the one element that starts so.
fn inside<'a>(html: &'a str, start: &str, end: &str) -> &'a str {
    assert_eq!(html.matches(start).count(), 1, "{start}");
    let (_, rest) = html.split_once(start).expect("it was counted");
    rest.split_once(end).expect("an element ends").0
}

fn data<'a>(html: &'a str, kind: &str, id: &str) -> &'a str {
    inside(html, &format!("<script type=\"application/{kind}\" id=\"{id}\">"), "</script>")
}

fn every_source() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("view");
    let names = std::fs::read_dir(folder).expect("the page's sources").map(|item| item.expect("an item").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn the_template_names_each_placeholder_once_and_no_other() {
    let names = ["title", "csp", "style", "script", "boot", "trace", "properties"];
    for name in names {
        assert_eq!(TEMPLATE.matches(&format!("{{{{{name}}}}}")).count(), 1, "{name}");
    }
    assert_eq!(TEMPLATE.matches("{{").count(), names.len());
    for whole in [">{{style}}</style>", ">{{script}}</script>", ">{{boot}}</script>", ">{{trace}}</script>"] {
        assert!(TEMPLATE.contains(whole), "{whole}: what is hashed or read is all there is in its element");
    }
}

#[test]
fn every_placeholder_is_filled_and_what_is_filled_in_is_not_searched_again() {
    let page = of("{{trace}}", "{\"i\":0,\"what\":\"{{boot}}\"}\n");
    assert_eq!(page.matches("{{").count() - script().matches("{{").count(), 3, "the two texts, the title twice");
    assert!(page.contains("<title>{{trace}}"), "{}", &page[..600]);
    assert_eq!(data(&page, "x-ndjson", "trace"), "{\"i\":0,\"what\":\"{{boot}}\"}\n");
}

#[test]
fn no_data_can_become_markup() {
    let hostile = "</script><script>alert(1)</script><!-- \u{2028}\u{2029} &\"'";
    let line = serde_json::json!({ "text": hostile }).to_string();
    let page = of(hostile, &line);
    let (trace, boot) = (data(&page, "x-ndjson", "trace"), data(&page, "json", "boot"));
    for text in [trace, boot] {
        assert!(!text.contains(['<', '\u{2028}', '\u{2029}']), "{text}");
    }
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("still JSON");
    assert_eq!((read(trace)["text"].as_str(), read(boot)["name"].as_str()), (Some(hostile), Some(hostile)));
    let title = inside(&page, "<title>", "</title>");
    assert!(!title.contains(['<', '>', '"', '\'']) && title.contains("&lt;/script&gt;"), "{title}");
    assert_eq!(page.matches("<script").count(), of("", "").matches("<script").count());
}

#[test]
fn the_policy_names_the_script_and_the_style_that_are_there() {
    let page = of("seed 1", "");
    let policy = inside(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"");
    let script = inside(&page, "<script type=\"module\">", "</script>");
    let style = inside(&page, "<style>", "</style>");
    for (directive, text) in [("script-src", script), ("style-src", style)] {
        assert!(policy.contains(&format!("{directive} '{}'", hash(text))), "{policy}");
    }
    assert!(policy.contains("connect-src 'none'") && policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("frame-ancestors"), "{policy}");
}

#[test]
fn a_served_page_may_ask_its_own_service_and_an_exported_one_nobody() {
    for source in [Source::Live, Source::Trace, Source::Lab] {
        assert!(header_policy(source).contains("connect-src 'self'"), "{source:?}");
        assert!(header_policy(source).ends_with("; frame-ancestors 'none'"), "{source:?}");
        assert!(html(&Page::of(source, "a cluster")).contains("connect-src 'self'"), "{source:?}");
    }
    assert!(html(&Page::of(Source::Empty, "no trace")).contains("connect-src 'none'"));
}

#[test]
fn the_page_is_told_what_it_is_and_what_was_left_out() {
    let boot = |page: &Page<'_>| data(&html(page), "json", "boot").to_owned();
    assert_eq!(boot(&Page::of(Source::Lab, "three")), "{\"mode\":\"lab\",\"name\":\"three\"}");
    let cut = boot(&Page { left_out: 7, ..Page::of(Source::File, "seed 1") });
    assert!(cut.starts_with("{\"mode\":\"file\",\"name\":\"seed 1\",\"banner\":\"These are the newest"), "{cut}");
    assert!(cut.contains("7 before them were left out"), "{cut}");
    let page = of("seed 1", "");
    let properties: serde_json::Value = serde_json::from_str(data(&page, "json", "properties")).expect("JSON");
    assert_eq!(properties.as_array().map(Vec::len), Some(PROPERTIES.len()));
    assert!((0..4).all(|part| properties[0][part].is_string()), "{properties}");
}

#[test]
fn no_script_makes_markup_of_text_or_reaches_out() {
    let forbidden = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "https://",
        "</script",
        "<!--",
        "import(",
        "\r",
    ];
    for (name, text) in SCRIPTS {
        for word in forbidden {
            assert!(!text.contains(word), "{name}: {word}");
        }
        // A name, not an address: nothing is loaded from it.
        let plain = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!plain.contains("http://"), "{name}: an address");
    }
    for (name, text) in [("style.css", STYLE), ("page.html", TEMPLATE)] {
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains('\r'), "{name}");
        // A pattern of the page itself is no address.
        assert!(!text.contains("@import") && !text.replace("url(#", "").contains("url("), "{name}");
    }
    assert!(!STYLE.contains("</style"));
}

#[test]
fn the_page_without_a_trace_is_small() {
    let size = html(&Page::of(Source::Empty, "no trace")).len();
    assert!(size <= SIZE_MAX, "{size} bytes; it has at most {SIZE_MAX}");
}

#[test]
fn every_script_of_the_folder_is_in_the_page() {
    let listed: Vec<_> = SCRIPTS.iter().map(|(name, _)| *name).collect();
    for name in every_source().iter().filter(|name| name.ends_with(".js")) {
        assert!(listed.contains(&name.as_str()), "{name} is not in SCRIPTS");
    }
}

#[test]
fn comments_and_indentation_stay_in_the_sources_and_nothing_else_does() {
    let source =
        "// what it owns\n\n/** One line. */\nconst a = 1; // kept\n  /** Two\n   * lines. */\n  f('/* b */');\n";
    assert_eq!(bare(source), "const a = 1; // kept\nf('/* b */');\n");
    // Otherwise indentation would be part of a text, or a text might look like a comment.
    for (name, text) in SCRIPTS {
        for (at, line) in text.lines().enumerate() {
            let ticks = line.matches('`').count();
            assert!(ticks % 2 == 0, "{name}:{}: a text that spans lines", at + 1);
            let comment = line.trim_start().starts_with("/*") && line.contains("*/");
            assert!(!comment || line.trim_end().ends_with("*/"), "{name}:{}: code behind a comment", at + 1);
        }
    }
}

#[test]
fn base64_pads_what_is_no_multiple_of_three() {
    let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
    for (bytes, text) in cases {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
    assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
    assert_eq!(hash(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}
