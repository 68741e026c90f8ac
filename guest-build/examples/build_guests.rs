//! Builds packages from the command line: `cargo run -p fermata-guest-build --example build_guests -- MANIFEST_DIR TARGET_DIR OUT_DIR
//! [PACKAGE…]`.

use anyhow::{Context, Result};
use fermata_guest_build::{BuildRequest, Toolchain};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut folder = |what: &str| arguments.next().with_context(|| format!("the folder {what} is missing"));
    let (manifest_dir, target_dir, out_dir) = (folder("MANIFEST_DIR")?, folder("TARGET_DIR")?, folder("OUT_DIR")?);
    let request = BuildRequest {
        manifest_dir: manifest_dir.into(),
        packages: arguments.collect(),
        target_dir: target_dir.into(),
        out_dir: out_dir.into(),
    };
    let toolchain = Toolchain::find_or_install(&mut |line| eprintln!("{line}"))?;
    for module in toolchain.build(&request)? {
        println!("{}", module.display());
    }
    Ok(())
}
