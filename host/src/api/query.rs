//! The parameters of a request. Names match in any case; a blank value counts as none.

use std::borrow::Cow;
use std::time::Duration;

use fermata_replay::{Control, RuntimeStatus, Span, Timestamp, fold_name};
use percent_encoding::percent_decode_str;

use super::error::ApiError;
use super::time;
use crate::store::{Filter, InstanceKey};

/// What a status shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Show {
    pub input: bool,
    pub history: bool,
    pub history_output: bool,
}

/// Instances in one answer, where the client does not say.
const PAGE: usize = 100;
const LONGEST_PAGE: usize = 1_000;

/// An hour, in seconds.
const LONGEST_WAIT: f64 = 3_600.0;

/// Ten years, in seconds.
const LONGEST_SKIP: f64 = 10.0 * 365.25 * 86_400.0;

impl Default for Show {
    fn default() -> Show {
        Show { input: true, history: false, history_output: false }
    }
}

impl Show {
    pub fn parse(query: &str) -> Result<Show, ApiError> {
        let mut show = Show::default();
        for (name, value) in parameters(query) {
            match () {
                () if is(&name, "showInput") => show.input = boolean("showInput", &value)?,
                () if is(&name, "showHistory") => show.history = boolean("showHistory", &value)?,
                () if is(&name, "showHistoryOutput") => show.history_output = boolean("showHistoryOutput", &value)?,
                () => {}
            }
        }
        Ok(show)
    }
}

/// What an operator asks along with a verb: `reason`, `cascade`.
pub fn control(query: &str) -> Result<Control, ApiError> {
    let mut control = Control::default();
    for (name, value) in parameters(query) {
        match () {
            () if is(&name, "reason") => control.reason = Some(value.into_owned()),
            () if is(&name, "cascade") => control.cascade = boolean("cascade", &value)?,
            () => {}
        }
    }
    Ok(control)
}

/// A parameter; of several the last.
pub fn text<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    parameters(query).filter(|(found, _)| is(found, name)).last().map(|(_, value)| value)
}

/// A parameter that is true or false.
pub fn flag(query: &str, name: &str, default: bool) -> Result<bool, ApiError> {
    text(query, name).map_or(Ok(default), |value| boolean(name, &value))
}

/// How long to wait, seconds; none where the parameter is not there.
pub fn wait(query: &str, name: &str) -> Result<Option<Duration>, ApiError> {
    let Some(value) = text(query, name) else { return Ok(None) };
    let seconds = value.parse::<f64>().ok().filter(|seconds| (0.0..=LONGEST_WAIT).contains(seconds));
    let wait = seconds.map(Duration::from_secs_f64);
    wait.map(Some).ok_or_else(|| ApiError::bad_query(name, &value, "send a number of seconds, at most 3600"))
}

/// How long a start is to wait for the end of what it starts. The interval is that of a host which has to look again and again; one
/// that is longer than the whole wait is refused there, and so it is here.
pub fn wait_of_start(query: &str) -> Result<Option<Duration>, ApiError> {
    let (wait, interval) = (wait(query, "timeout")?, wait(query, "pollingInterval")?);
    match (wait, interval) {
        (Some(wait), Some(interval)) if interval > wait => {
            let value = text(query, "pollingInterval").unwrap_or_default();
            Err(ApiError::bad_query("pollingInterval", &value, "send one that is no longer than the timeout"))
        }
        _ => Ok(wait),
    }
}

/// The query as it came, but for a key and what is said about keys.
pub fn without_key(query: &str) -> String {
    let is_of_keys = |pair: &&str| {
        let name = decode(pair.split_once('=').map_or(*pair, |(name, _)| name));
        is(&name, "code") || is(&name, "keyInLinks")
    };
    query.split('&').filter(|pair| !is_of_keys(pair)).collect::<Vec<_>>().join("&")
}

/// Which instances to purge. What is not said is not guessed where data is lost: it takes the earliest time of creation.
pub fn purge_filter(query: &str) -> Result<Filter, ApiError> {
    let filter = filter(query, None)?;
    if filter.created_from.is_none() {
        return Err(ApiError::no_created_time_from());
    }
    if let Some(name) = &filter.waiting_for {
        return Err(ApiError::bad_query("waitingFor", name, "leave it out: what has ended waits for nothing"));
    }
    Ok(filter)
}

/// How far to move the clock.
pub fn seconds(query: &str) -> Result<Span, ApiError> {
    let value = text(query, "seconds").unwrap_or_default();
    let seconds = value.parse::<f64>().ok().filter(|seconds| (0.0..=LONGEST_SKIP).contains(seconds));
    seconds.and_then(|seconds| Span::from_millis_f64(seconds * 1_000.0)).ok_or_else(|| {
        ApiError::bad_query("seconds", &value, "send a number of seconds, as in ?seconds=86400; at most ten years")
    })
}

/// Which instances to list. Durable Functions ignore what they can not read; listing everything to who asked for something else helps
/// nobody, so that is refused here.
pub fn filter(query: &str, token: Option<&str>) -> Result<Filter, ApiError> {
    let mut filter = Filter { limit: PAGE, after: token.map(after).transpose()?.flatten(), ..Filter::default() };
    for (name, value) in parameters(query) {
        match () {
            () if is(&name, "instanceIdPrefix") => filter.id_prefix = Some(value.into_owned()),
            () if is(&name, "name") => filter.name = Some(value.into_owned()),
            () if is(&name, "createdTimeFrom") => filter.created_from = Some(instant("createdTimeFrom", &value)?),
            () if is(&name, "createdTimeTo") => filter.created_to = Some(instant("createdTimeTo", &value)?),
            () if is(&name, "waitingFor") => filter.waiting_for = Some(fold_name(&value)),
            () if is(&name, "top") => filter.limit = top(&value)?,
            () if is(&name, "runtimeStatus") => {
                for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                    filter.statuses.push(status(name)?);
                }
            }
            () => {}
        }
    }
    Ok(filter)
}

/// The token that continues a list after this instance.
pub fn token(last: InstanceKey) -> String {
    format!("{last:x}")
}

/// Where a list goes on; JavaScript's client may send a blank token.
fn after(token: &str) -> Result<Option<InstanceKey>, ApiError> {
    if token.is_empty() {
        return Ok(None);
    }
    let hint = "send the token of the page before as it is, or none for the first page";
    let key = InstanceKey::from_str_radix(token, 16);
    key.map(Some).map_err(|_| ApiError::bad_query("x-ms-continuation-token", token, hint))
}

fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).filter(|(_, value)| !value.is_empty())
}

/// `application/x-www-form-urlencoded`.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

fn is(name: &str, expected: &str) -> bool {
    name.eq_ignore_ascii_case(expected)
}

fn boolean(name: &str, value: &str) -> Result<bool, ApiError> {
    // Python's client sends `True`.
    match () {
        () if is(value, "true") => Ok(true),
        () if is(value, "false") => Ok(false),
        () => Err(ApiError::bad_query(name, value, "send true or false")),
    }
}

fn top(value: &str) -> Result<usize, ApiError> {
    match value.parse() {
        Ok(top @ 1..) => Ok(LONGEST_PAGE.min(top)),
        _ => Err(ApiError::bad_query("top", value, "send a number from 1 to 1000")),
    }
}

fn instant(name: &str, value: &str) -> Result<Timestamp, ApiError> {
    time::parse(value).ok_or_else(|| ApiError::bad_query(name, value, "send an instant such as 2026-11-23T07:00:00Z"))
}

fn status(name: &str) -> Result<RuntimeStatus, ApiError> {
    let known = RuntimeStatus::ALL.into_iter().find(|status| is(status.name(), name));
    let hint = "send some of Pending, Running, ContinuedAsNew, Suspended, Completed, Failed, Canceled, Terminated";
    known.ok_or_else(|| ApiError::bad_query("runtimeStatus", name, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_booleans_in_any_case() {
        let shown = Show { input: false, history: true, history_output: true };
        assert_eq!(Show::parse("showinput=False&SHOWHISTORY=True&showHistoryOutput=true&code=abc"), Ok(shown));
        assert_eq!(Show::parse("showInput=&x"), Ok(Show { input: true, history: false, history_output: false }));
        assert_eq!(Show::parse("showInput=yes").unwrap_err().code, "bad-query");
    }

    #[test]
    fn statuses_by_comma_and_repeated() {
        use RuntimeStatus::*;
        let filter = filter("runtimeStatus=Running,completed&runtimeStatus=Failed&runtimeStatus=", None).unwrap();
        assert_eq!(filter.statuses, [Running, Completed, Failed]);
    }

    #[test]
    fn the_rest_of_a_filter() {
        let query = "instanceIdPrefix=a%20b+c&createdTimeFrom=2025-11-23T07%3A01%3A02.123Z&top=5000&name=Select&WaitingFor=Paid";
        let filter = filter(query, Some("ff")).unwrap();
        assert_eq!(filter.id_prefix.as_deref(), Some("a b c"));
        assert_eq!(filter.name.as_deref(), Some("Select"));
        assert_eq!(filter.waiting_for.as_deref(), Some("paid"));
        assert_eq!(filter.created_from, Some(Timestamp(1_763_881_262_123_000)));
        assert_eq!((filter.limit, filter.after), (1_000, Some(255)));
        assert_eq!(token(255), "ff");
    }

    #[test]
    fn what_is_asked_of_an_instance() {
        let asked = control("reason=no+more%21&CASCADE=True&code=x").unwrap();
        assert_eq!((asked.reason.as_deref(), asked.cascade), (Some("no more!"), true));
        // Clients do not escape the reason: what follows an ampersand is lost.
        let asked = control("reason=why+not+&+more").unwrap();
        assert_eq!((asked.reason.as_deref(), asked.cascade), (Some("why not "), false));
        assert_eq!(control("reason=").unwrap(), Control::default());
        assert_eq!(control("cascade=all").unwrap_err().code, "bad-query");
        assert_eq!(flag("a=1&Force=true", "force", false), Ok(true));
        assert_eq!(flag("", "restartWithNewInstanceId", true), Ok(true));
    }

    #[test]
    fn a_purge_says_from_when_on() {
        let filter = purge_filter("createdTimeFrom=1970-01-01T00:00:00Z&runtimeStatus=Failed&name=W").unwrap();
        assert_eq!((filter.created_from, &*filter.statuses), (Some(Timestamp(0)), &[RuntimeStatus::Failed][..]));
        for query in ["createdTimeTo=1970-01-01T00:00:00Z", "createdTimeFrom=1970-01-01T00:00:00Z&waitingFor=a"] {
            assert_eq!(purge_filter(query).unwrap_err().code, "bad-query", "{query}");
        }
    }

    #[test]
    fn how_far_to_skip() {
        assert_eq!(seconds("seconds=1.5"), Ok(Span(1_500_000)));
        for query in ["", "seconds=", "seconds=-1", "seconds=NaN", "seconds=1e12", "seconds=a"] {
            assert_eq!(seconds(query).unwrap_err().code, "bad-query", "{query}");
        }
    }

    #[test]
    fn what_can_not_be_read_is_refused() {
        for query in ["top=0", "top=x", "createdTimeTo=now", "runtimeStatus=Done"] {
            assert_eq!(filter(query, None).unwrap_err().code, "bad-query", "{query}");
        }
        assert_eq!(filter("", Some("zz")).unwrap_err().code, "bad-query");
        assert_eq!(filter("", Some("")).unwrap().limit, PAGE);
    }
}
