//! Whether what is stored fits together, looked at while no host runs.

use std::path::Path;

use fermata::store::embedded::copy::Source;
use fermata::verify::verify;

/// What `fermata verify` looks at is as it must be.
pub fn stored(data: &Path) {
    let source = Source::open(data).expect("the data can be opened");
    let report = verify(&source.picture().expect("the data can be read"));
    assert!(report.is_clean(), "{:#?}", report.problems);
}
