//! A live instance keeps the module it started with.

use tests::guest_bytes;

use super::Fresh;

#[test]
fn an_instance_goes_on_with_its_module_and_a_new_one_gets_the_latest() {
    let mut host = Fresh::with(|settings| settings.modules(&["test-guest-a"]));
    let old = host.start("Versioned", "");
    host.waits_for(&old, &["go"]);
    let deployed = host.put("/modules", &guest_bytes("test-guest-b"));
    assert_eq!(deployed.status, 201, "{deployed:?}");
    let new = host.start("Versioned", "");
    host.raise(&old, "go", "null");
    host.raise(&new, "go", "null");
    assert_eq!(host.output(&old), "A");
    assert_eq!(host.output(&new), "B");

    // `--modules` names module A again at the restart: it is known, and does not become the active one.
    let waiting = host.start("Versioned", "");
    host.kill_and_restart();
    let after = host.start("Versioned", "");
    for id in [&waiting, &after] {
        host.raise(id, "go", "null");
        assert_eq!(host.output(id), "B");
    }

    // Deployed by hand, the older one is active again.
    let again = host.put("/modules", &guest_bytes("test-guest-a"));
    assert_eq!(again.status, 200, "{again:?}");
    let back = host.start("Versioned", "");
    host.raise(&back, "go", "null");
    assert_eq!(host.output(&back), "A");
}
