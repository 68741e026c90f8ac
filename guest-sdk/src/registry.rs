//! What the module holds: the entries that the attributes submit, and how what a function returns becomes a payload.

use std::cell::Cell;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::pin::Pin;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::{ActivityContext, Context, payload};

/// An orchestrator under way; its output is JSON text.
pub type Root = Pin<Box<dyn Future<Output = Result<String>>>>;

/// An entry for an `#[orchestrator]`.
pub struct Orchestrator {
    pub name: &'static str,
    pub start: fn(Context) -> Root,
}

/// An entry for an `#[activity]`.
pub struct Activity {
    pub name: &'static str,
    pub run: fn(ActivityContext) -> Result<String>,
}

inventory::collect!(Orchestrator);
inventory::collect!(Activity);

pub(crate) fn orchestrators() -> Vec<&'static str> {
    sorted("orchestrators", inventory::iter::<Orchestrator>().map(|entry| entry.name))
}

pub(crate) fn activities() -> Vec<&'static str> {
    sorted("activities", inventory::iter::<Activity>().map(|entry| entry.name))
}

pub(crate) fn orchestrator(name: &str) -> Option<&'static Orchestrator> {
    inventory::iter::<Orchestrator>().find(|entry| entry.name == name)
}

pub(crate) fn activity(name: &str) -> Option<&'static Activity> {
    inventory::iter::<Activity>().find(|entry| entry.name == name)
}

/// The entries come in the order of linking, which means nothing.
fn sorted(what: &str, names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        panic!("two {what} of this module are named `{}`: give one of them another name", pair[0]);
    }
    names
}

/// What a registered function returned, on its way to becoming a payload.
///
/// A function may return a value or a `Result`, and a macro cannot tell which. Method resolution can: `payload` of
/// [`ReturnsResult`] is found for a `&Returned<Result<…>>` before that of [`ReturnsValue`], which needs one more `&`.
pub struct Returned<T>(Cell<Option<T>>);

impl<T> Returned<T> {
    pub fn new(value: T) -> Self {
        Self(Cell::new(Some(value)))
    }

    fn take(&self) -> T {
        self.0.take().expect("a returned value is turned into a payload once")
    }
}

pub trait ReturnsResult {
    fn payload(self) -> Result<String>;
}

impl<T: Serialize, E: Display + Debug + 'static> ReturnsResult for &Returned<Result<T, E>> {
    fn payload(self) -> Result<String> {
        match self.take() {
            Ok(value) => payload::encode(&value),
            Err(error) => Err(Error::of_guest(error)),
        }
    }
}

pub trait ReturnsValue {
    fn payload(self) -> Result<String>;
}

impl<T: Serialize> ReturnsValue for &&Returned<T> {
    fn payload(self) -> Result<String> {
        payload::encode(&self.take())
    }
}
