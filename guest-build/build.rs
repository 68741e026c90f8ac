//! The SDKs are carried in the crate: it is compiled again when one of them changes.

fn main() {
    for path in [
        "../wit",
        "../guest-sdk/js/src",
        "../guest-sdk/js/types",
        "../guest-sdk/js/build",
        "../guest-sdk/python/src",
        "../guest-sdk/python/build.py",
        "../guest-sdk/python/requirements.txt",
    ] {
        println!("cargo:rerun-if-changed={path}");
    }
}
