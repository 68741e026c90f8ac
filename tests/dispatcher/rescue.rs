//! Copies of data with damaged pages: who is whole is there as it was, who is not is named, and a host goes on from it.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use fermata::backup::{BackupError, back_up, rescue};
use fermata::dispatcher::{Output, Services};
use fermata::store::embedded::copy::Source;
use fermata::verify::Report;
use fermata_replay::Control;

use super::damage::{INSTANCES, PAGE, database, id, on_its_own, open_in, undeliver, waiting};
use super::*;

const ROUNDS: usize = 40;
/// Instances with something on a page, at most.
const ON_A_PAGE: usize = 60;

/// All instances, with their histories and what they have not read.
fn instances(dir: &Path) -> BTreeMap<String, String> {
    let source = Source::open(dir).unwrap();
    let picture = source.picture().unwrap();
    let load = |key| picture.load(key).unwrap().unwrap();
    picture
        .keys()
        .unwrap()
        .into_iter()
        .map(load)
        .map(|loaded| (loaded.instance.id.clone(), format!("{loaded:?}")))
        .collect()
}

/// The pages of tables and of indexes that are no root.
fn pages(dir: &Path) -> Vec<(String, usize)> {
    let db = database(dir);
    let query = "SELECT name, pageno FROM dbstat WHERE path != '/' AND name != 'sqlite_schema'";
    let mut query = db.prepare(query).unwrap();
    let pages = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize))).unwrap();
    pages.collect::<Result<_, _>>().unwrap()
}

fn is_index(name: &str) -> bool {
    name.starts_with("sqlite_autoindex") || name.contains("_")
}

fn assert_rescued(whole: &BTreeMap<String, String>, damaged: &[&(String, usize)], report: &Report, copy: &Path) {
    let found = instances(copy);
    let named: BTreeSet<&String> = report.left_out.iter().filter_map(|left| left.instance.as_ref()).collect();
    let unnamed = report.left_out.iter().filter(|left| left.what.contains("its id with it")).count();
    let missing: Vec<&String> = whole.keys().filter(|id| !found.contains_key(*id)).collect();
    let unexplained = missing.iter().filter(|id| !named.contains(**id)).count();
    assert_eq!(unexplained, unnamed, "{missing:?} of {report:?}");
    assert_eq!(missing.len(), named.len() + unnamed, "who is named is not there: {report:?}");
    assert!(missing.len() <= ON_A_PAGE * damaged.len(), "{} are missing", missing.len());
    for (id, loaded) in &found {
        assert_eq!(whole.get(id), Some(loaded));
    }
    if damaged.iter().all(|(name, _)| is_index(name)) {
        assert!(report.left_out.is_empty(), "an index is made anew: {report:?}");
    }
}

#[test]
fn who_is_whole_is_in_a_rescued_copy_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    waiting(dir.path());
    undeliver(dir.path());
    let (pages, all) = (pages(dir.path()), instances(dir.path()));
    let file = std::fs::read(dir.path().join("fermata.db")).unwrap();
    let seed = tests::seed("who_is_whole_is_in_a_rescued_copy_and_goes_on");
    let mut random = Rng::with_seed(seed);
    let mut last = None;
    for _ in 0..ROUNDS {
        let damaged = random.choose_multiple(&pages, random.clone().usize(1..5));
        println!("damaged: {damaged:?}");
        let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut bytes = file.clone();
        damaged.iter().for_each(|(_, page)| bytes[(page - 1) * PAGE + random.usize(0..PAGE)] ^= 1 << random.u8(0..8));
        std::fs::write(dir.path().join("fermata.db"), bytes).unwrap();

        let copy = place.path().join("copy");
        assert!(matches!(back_up(dir.path(), &copy), Err(BackupError::Damaged(_))));
        let report = rescue(dir.path(), &copy).unwrap();
        assert_rescued(&all, &damaged, &report, &copy);
        back_up(&copy, &place.path().join("another")).unwrap();
        last = Some((place, copy, report));
    }
    let (_place, copy, report) = last.unwrap();
    let is_left_out = |id: &str| report.left_out.iter().any(|left| left.instance.as_deref() == Some(id));
    on_its_own(async {
        let dispatcher = open_in(&copy, Services::default()).await;
        let there: Vec<String> =
            (0..INSTANCES).map(|number| id("calls", number)).filter(|id| !is_left_out(id)).collect();
        assert!(!there.is_empty());
        for id in there {
            let Some(_) = see(&dispatcher, &id).await else { continue };
            eventually("it completes", async || see(&dispatcher, &id).await.unwrap().status.is_final()).await;
            assert!(matches!(see(&dispatcher, &id).await.unwrap().output, Some(Output::Result(_))));
        }
        dispatcher.close().await;
    });
}

/// What the host writes meanwhile would be there in part.
#[test]
fn nothing_is_rescued_beside_a_host() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    on_its_own(async {
        let dispatcher = open_in(dir.path(), Services::default()).await;
        dispatcher.start("W", Some("one"), payload("null")).await.unwrap();
        let refused = rescue(dir.path(), &place.path().join("copy"));
        assert!(
            matches!(&refused, Err(BackupError::Store(error)) if error.to_string().contains("end it first")),
            "{refused:?}"
        );
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        dispatcher.suspend("one", Control::default()).await.unwrap();
        dispatcher.close().await;
    });
    rescue(dir.path(), &place.path().join("copy")).unwrap();
    assert_eq!(instances(&place.path().join("copy")), instances(dir.path()));
}
