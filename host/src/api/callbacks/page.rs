//! Pages for people: each is whole in itself and runs no script, so that nothing but what is written here ever comes with it.

use std::fmt::{self, Display, Write as _};

use fermata_replay::{InvalidPayload, Timestamp};
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};

use super::super::answer::{Answer, whole};
use super::super::error::ApiError;
use super::super::time::{Minute, Seconds};
use crate::callback::Callback;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const STYLE: &str = include_str!("page.css");

/// So much of an answer is shown to who gave it.
const SHOWN_CHARS: usize = 1_000;

/// What an orchestrator asks.
pub struct Question<'a> {
    pub instance: &'a str,
    pub orchestrator: &'a str,
    pub event: &'a str,
    pub expires: Timestamp,
    /// A wait for the event is open.
    pub is_awaited: bool,
}

/// The page that asks.
pub fn asks(question: &Question<'_>) -> Answer {
    page(StatusCode::OK, &Form { question, problem: None })
}

/// The same, when what was typed is no answer.
pub fn asks_again(question: &Question<'_>, typed: &str, why: &InvalidPayload) -> Answer {
    page(StatusCode::BAD_REQUEST, &Form { question, problem: Some((typed, why)) })
}

/// The answer was accepted.
pub fn thanks(callback: &Callback<'_>, payload: &str) -> Answer {
    let Callback { instance, event, .. } = callback;
    let shown: String = payload.chars().take(SHOWN_CHARS).collect();
    let dots = if shown.len() < payload.len() { " …" } else { "" };
    let (event, instance, shown) = (Text(event), Text(instance), Text(&shown));
    let said = format_args!(
        "<p>Your answer to <b>{event}</b> of <b>{instance}</b> has been accepted:</p><pre>{shown}{dots}</pre>\
         <p>You may close this page.</p>"
    );
    page(StatusCode::ACCEPTED, &Notice { title: "Thank you", said: &said })
}

/// There is an answer already.
pub fn is_answered(callback: &Callback<'_>) -> Answer {
    let (event, instance) = (Text(callback.event), Text(callback.instance));
    let said = format_args!(
        "<p>There is an answer to <b>{event}</b> of <b>{instance}</b>, which was given with this link.</p>"
    );
    page(StatusCode::OK, &Notice { title: "This has been answered", said: &said })
}

/// Nothing came of it.
pub fn refuses(refusal: &ApiError) -> Answer {
    let (title, said) = match refusal.code {
        "callback-invalid" => (
            "This link is not valid",
            "Part of it may be missing: use the whole link, as it was sent to you. Or it has been revoked.",
        ),
        "callback-expired" => {
            ("This link has expired", "Nothing can be answered with it any more. Whoever sent it can send another one.")
        }
        "instance-ended" | "unknown-instance" => (
            "There is nothing left to answer",
            "What this link was for has ended. It went on without this answer, or has it already.",
        ),
        "callback-used" => (
            "This was answered before",
            "In another way, and the first answer counts. Whoever sent the link can ask again.",
        ),
        "instance-busy" => {
            ("Not now", "The host has more to do than it can hold. Nothing was kept: try again in a moment.")
        }
        _ => ("That did not work", &*refusal.message),
    };
    let said = format_args!("<p>{}</p>", Text(said));
    let mut answer = page(refusal.status, &Notice { title, said: &said });
    if let Some(seconds) = refusal.retry_after {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// What stands on a page.
trait Content {
    fn title(&self) -> &str;
    fn write(&self, html: &mut String) -> fmt::Result;
}

struct Form<'a> {
    question: &'a Question<'a>,
    /// What was typed, and why it is no answer.
    problem: Option<(&'a str, &'a InvalidPayload)>,
}

struct Notice<'a> {
    title: &'a str,
    /// HTML.
    said: &'a dyn Display,
}

impl Content for Form<'_> {
    fn title(&self) -> &str {
        self.question.event
    }

    fn write(&self, html: &mut String) -> fmt::Result {
        let Question { instance, orchestrator, event, expires, is_awaited } = self.question;
        let (instance, orchestrator, event) = (Text(instance), Text(orchestrator), Text(event));
        write!(
            html,
            "<p class=from><b>{orchestrator}</b> asks for</p><h1>{event}</h1><p class=of>instance <b>{instance}</b></p>"
        )?;
        if !is_awaited {
            html.push_str(
                "<p class=note>It is not waiting for this at the moment, and may have an answer already. \
                 One that you give now is kept until it waits again.</p>",
            );
        }
        html.push_str(
            "<form method=post class=two><button class=yes name=payload value=true>Approve</button>\
             <button class=no name=payload value=false>Reject</button></form>",
        );
        let (open, typed) = self.problem.map_or(("", ""), |(typed, _)| (" open", typed));
        write!(html, "<details{open}><summary>Another answer</summary><form method=post>")?;
        if let Some((_, why)) = self.problem {
            let why = why.to_string();
            write!(html, "<p class=problem role=alert>This is {}. A text needs quotes.</p>", Text(&why))?;
        }
        write!(
            html,
            "<label for=payload>JSON, such as <code>42</code>, <code>\"a text\"</code> or <code>{{\"limit\": 500}}</code></label>\
             <textarea id=payload name=payload rows=3 required spellcheck=false autocomplete=off autocapitalize=off>\n{}</textarea>\
             <button>Send</button></form></details>",
            Text(typed)
        )?;
        let (until, at) = (Minute(*expires), Seconds(*expires));
        write!(
            html,
            "<footer>Whoever has this link can answer, once, until <time datetime=\"{at}\">{until}</time>: keep it to yourself.</footer>"
        )
    }
}

impl Content for Notice<'_> {
    fn title(&self) -> &str {
        self.title
    }

    fn write(&self, html: &mut String) -> fmt::Result {
        write!(html, "<h1>{}</h1>{}", Text(self.title), self.said)
    }
}

/// The sign that holds a note until the conductor gives the cue.
const SIGN: &str = "<svg viewBox=\"0 0 32 18\" width=32 height=18 aria-hidden=true>\
    <path d=\"M2 17a14 14 0 0 1 28 0\" fill=none stroke=currentColor stroke-width=3 stroke-linecap=round />\
    <circle cx=16 cy=14 r=3 fill=currentColor /></svg>";

fn page(status: StatusCode, content: &impl Content) -> Answer {
    // Lets in the style below and no other.
    let nonce = uuid::Uuid::new_v4().simple();
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta name=robots content=noindex><title>{} – Fermata</title><style nonce={nonce}>{STYLE}</style><main>{SIGN}",
        Text(content.title())
    );
    content.write(&mut html).expect("a text takes all that is written");
    html.push_str("</main></html>\n");
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut answer = whole(status, HTML, html);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).expect("hexadecimal digits make a header"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: of a page that has that a form comes from the origin `null`, which is refused where no key is needed.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    answer
}

/// Text, whatever it holds.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::callback::Expiry;

    async fn html(answer: Answer) -> String {
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    const NASTY: &str = "</textarea><script>alert(\"'&amp;'\")</script>";
    const HARMLESS: &str = "&lt;/textarea&gt;&lt;script&gt;alert(&quot;&#39;&amp;amp;&#39;&quot;)&lt;/script&gt;";

    #[tokio::test]
    async fn no_name_and_no_answer_is_more_than_text() {
        let question =
            Question { instance: NASTY, orchestrator: NASTY, event: NASTY, expires: Timestamp(0), is_awaited: true };
        let callback = Callback { instance: NASTY, run: 1, event: NASTY, nonce: 1, expires: Expiry(0) };
        for (answer, times) in [
            (asks(&question), 4),
            (asks_again(&question, NASTY, &InvalidPayload::TooDeep), 5),
            (thanks(&callback, NASTY), 3),
            (is_answered(&callback), 2),
            (refuses(&ApiError::unknown_route(&hyper::Method::GET, NASTY)), 1),
        ] {
            let html = html(answer).await;
            assert!(!html.contains("<script") && !html.contains("alert(\""), "{html}");
            assert_eq!(html.matches(HARMLESS).count(), times, "{html}");
        }
    }

    #[tokio::test]
    async fn a_long_answer_is_not_shown_to_its_end() {
        let callback = Callback { instance: "i", run: 1, event: "e", nonce: 1, expires: Expiry(0) };
        let html = html(thanks(&callback, &"ä".repeat(SHOWN_CHARS + 1))).await;
        assert!(html.contains("ä …</pre>") && html.matches('ä').count() == SHOWN_CHARS);
    }
}
