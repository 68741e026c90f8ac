//! Runs the random programs of the core's tests in wasm. The program is the input; it is run by the code that runs it there, on a host that
//! is the bare contract ([`guest::Ctx`]): where both make different histories, the engine and the core do.

// What links the exports knows of wasm alone.
#![cfg(target_arch = "wasm32")]

mod guest;
#[path = "../../../../host/replay/tests/it/program.rs"]
mod program;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bindings::exports::fermata::orchestration::guest as exported;
use bindings::fermata::orchestration::host;

use guest::{Ctx, Halt};
use program::{Stmt, Taken};

/// What wit-bindgen makes of the contract.
#[allow(unsafe_code)] // to lift and lower at the edge of the module is pointer work; all of it is generated
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "orchestrator" });

    export!(Module with_types_in self);
    use super::Module;
}

struct Module;

impl exported::Guest for Module {
    fn describe() -> exported::Manifest {
        exported::Manifest { orchestrators: vec!["Program".into()], activities: Vec::new() }
    }

    fn run_orchestrator(_: String, input: String) -> Result<String, exported::Failure> {
        let program: Vec<Stmt<String>> = serde_json::from_str(&input).expect("the input is a program of this version");
        let run = pin!(program::run(Ctx::new(&input), &program, Taken::default()));
        let Poll::Ready(ended) = run.poll(&mut Context::from_waker(Waker::noop())) else {
            unreachable!("the host blocks the guest, not its future")
        };
        match ended {
            Ok(output) => Ok(output.as_str().to_owned()),
            Err(Halt::Failed(failure)) => Err(guest::to_wit(failure)),
            Err(Halt::Continued(input)) => {
                host::continue_as_new(input.as_str(), false);
                unreachable!("the host goes on without this guest")
            }
        }
    }

    fn run_activity(name: String, _: String, _: exported::ActivityContext) -> Result<String, exported::Failure> {
        unreachable!("there is no activity {name}")
    }
}
