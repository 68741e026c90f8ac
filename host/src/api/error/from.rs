//! What dispatcher and store refuse, as answers.

use fermata_replay::{InvalidPayload, RuntimeStatus};
use hyper::StatusCode;

use super::ApiError;
use crate::dispatcher::{ControlError, DeployError, MigrateError, PurgeError, RaiseError, Reused, StartError};
use crate::engine::BadModule;
use crate::store::StoreError;

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> ApiError {
        let message = error.to_string();
        match error {
            ControlError::NotFound(id) => ApiError::unknown_instance(&id),
            ControlError::Gone { status, .. } => {
                let hint = match status {
                    RuntimeStatus::Failed => "it can be rewound, restarted or purged",
                    _ => "it can be restarted or purged",
                };
                ApiError::new(StatusCode::GONE, "instance-ended", message, hint)
            }
            ControlError::WrongState { parked, .. } => {
                let hint = if parked {
                    "unpark it, or migrate it to a module that fits its history"
                } else {
                    "its status tells how it stands"
                };
                ApiError::new(StatusCode::CONFLICT, "wrong-state", message, hint)
            }
            ControlError::Busy => {
                let hint = "ask again after the time in Retry-After";
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "host-busy", message, hint).retry_after(1)
            }
            ControlError::Store(error) => error.into(),
        }
    }
}

impl From<PurgeError> for ApiError {
    fn from(error: PurgeError) -> ApiError {
        let message = error.to_string();
        match error {
            PurgeError::NotFound(id) => ApiError::unknown_instance(&id),
            PurgeError::NotEnded { .. } => {
                let hint = "terminate it first, or purge it all the same with force=true";
                ApiError::new(StatusCode::CONFLICT, "instance-not-ended", message, hint)
            }
            PurgeError::Store(error) => error.into(),
        }
    }
}

impl From<MigrateError> for ApiError {
    fn from(error: MigrateError) -> ApiError {
        let message = error.to_string();
        match error {
            MigrateError::NoModule(digest) => ApiError::unknown_module(&digest),
            MigrateError::NoOrchestrator { .. } => {
                let hint = "deploy a module that holds it, and migrate to that one";
                ApiError::new(StatusCode::CONFLICT, "wrong-module", message, hint)
            }
            MigrateError::NotFound(_) => {
                let hint = "only instances that have not ended are moved; ids are case-sensitive";
                ApiError::new(StatusCode::NOT_FOUND, "unknown-instance", message, hint)
            }
            MigrateError::Store(error) => error.into(),
        }
    }
}

impl From<InvalidPayload> for ApiError {
    fn from(error: InvalidPayload) -> ApiError {
        let (code, hint) = match &error {
            InvalidPayload::NotJson(_) => ("bad-json", "send one JSON value; a text needs quotes: \"text\""),
            InvalidPayload::TooDeep => ("json-too-deep", "nest arrays and objects less deeply"),
        };
        ApiError::new(StatusCode::BAD_REQUEST, code, format!("the body is {error}"), hint)
    }
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> ApiError {
        let message = error.to_string();
        let refusal = match error {
            StartError::UnknownOrchestrator { known, .. } => {
                let hint = if known.is_empty() {
                    "deploy one with PUT /modules"
                } else {
                    "use one of these names, or deploy a module"
                };
                ApiError::new(StatusCode::BAD_REQUEST, "unknown-orchestrator", message, hint)
            }
            StartError::BadId(_) => {
                let hint = "send another id, or none: the host makes one then";
                ApiError::new(StatusCode::BAD_REQUEST, "bad-instance-id", message, hint)
            }
            StartError::NotFound(id) => ApiError::unknown_instance(&id),
            StartError::Exists(_) => {
                let hint = "send another id, or wait until that instance has ended";
                ApiError::new(StatusCode::CONFLICT, "instance-exists", message, hint)
            }
            StartError::Busy => {
                let hint = "start it again after the time in Retry-After";
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "host-busy", message, hint).retry_after(1)
            }
            StartError::Enough { .. } => {
                let hint = "wait until some have ended, or terminate some; or raise orchestrator_instances in the configuration";
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too-many-instances", message, hint).retry_after(10)
            }
            StartError::Reused(error) => error.into(),
            StartError::Store(error) => error.into(),
        };
        refusal.of_start()
    }
}

impl From<RaiseError> for ApiError {
    fn from(error: RaiseError) -> ApiError {
        let message = error.to_string();
        match error {
            RaiseError::NotFound(id) => ApiError::unknown_instance(&id),
            RaiseError::Gone(id) => ApiError::instance_ended(&id),
            RaiseError::Busy(_) => {
                let hint = "send the event again after the time in Retry-After";
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "instance-busy", message, hint).retry_after(1)
            }
            RaiseError::Reused(error) => error.into(),
            RaiseError::Store(error) => error.into(),
        }
    }
}

impl From<Reused> for ApiError {
    fn from(_: Reused) -> ApiError {
        ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "this Idempotency-Key was sent to the same instance before, with another request",
            "send a key of its own with each request, and the same key only with the same request again",
        )
    }
}

impl From<DeployError> for ApiError {
    fn from(error: DeployError) -> ApiError {
        match error {
            DeployError::Busy => {
                let hint = "send it again after the time in Retry-After";
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "host-busy", error.to_string(), hint).retry_after(10)
            }
            DeployError::BadModule(bad @ BadModule::NoCompiler(_)) => {
                let hint = "nothing was kept; the log of the host says more";
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no-compiler", bad.to_string(), hint).retry_after(10)
            }
            DeployError::BadModule(bad) if bad.is_of_limits() => {
                let hint = "make it smaller, or split it into several modules";
                ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "module-limit", bad.to_string(), hint)
            }
            DeployError::BadModule(bad) => {
                let hint = "build it with `fermata build`, or with the fermata-guest crate";
                ApiError::new(StatusCode::BAD_REQUEST, "bad-module", bad.to_string(), hint)
            }
            DeployError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        let unavailable =
            |code, hint: &'static str| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string(), hint);
        let broken =
            |code, hint: &'static str| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, code, error.to_string(), hint);
        match &error {
            StoreError::Full => {
                unavailable("storage-full", "nothing was kept; free space on the host's disk").retry_after(10)
            }
            StoreError::Poisoned(_) => {
                unavailable("storage-poisoned", "whether this request took effect is known after a restart")
            }
            StoreError::Fenced(_) => {
                unavailable("not-owner", "another host owns this instance; send the request there").retry_after(1)
            }
            StoreError::Delivered | StoreError::Conflict | StoreError::Repeated => {
                unavailable("conflict", "nothing was kept; send the request again").retry_after(1)
            }
            StoreError::Io(_) => unavailable("storage-failed", "the log of the host says more").retry_after(1),
            StoreError::Exists => {
                let hint = "send another id, or wait until that instance has ended";
                ApiError::new(StatusCode::CONFLICT, "instance-exists", error.to_string(), hint)
            }
            StoreError::Missing => {
                let hint = "it was there a moment ago: it was purged or replaced";
                ApiError::new(StatusCode::NOT_FOUND, "unknown-instance", error.to_string(), hint)
            }
            StoreError::Damaged(_) => broken("storage-damaged", "restore the host's data from a backup"),
            StoreError::NewerFormat { .. } | StoreError::InUse { .. } => {
                broken("storage-failed", "the log of the host says more")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fermata_replay::RuntimeStatus;
    use hyper::header::RETRY_AFTER;

    use super::*;

    fn status(error: impl Into<ApiError>) -> u16 {
        error.into().status.as_u16()
    }

    #[test]
    fn statuses_are_those_of_durable_functions_or_better() {
        let unknown = StartError::UnknownOrchestrator { name: "A".into(), known: vec!["B".into()] };
        assert_eq!(status(unknown), 400);
        assert_eq!(status(StartError::BadId("why".into())), 400);
        assert_eq!(status(StartError::Exists("i".into())), 409);
        assert_eq!(status(RaiseError::NotFound("i".into())), 404);
        assert_eq!(status(RaiseError::Gone("i".into())), 410);
        assert_eq!(status(RaiseError::Busy(3)), 429);
        let id = || "i".to_owned();
        assert_eq!(status(StartError::NotFound(id())), 404);
        assert_eq!(status(ControlError::NotFound(id())), 404);
        assert_eq!(status(ControlError::Gone { id: id(), status: RuntimeStatus::Failed }), 410);
        let (suspended, needs) = (RuntimeStatus::Suspended, "why");
        assert_eq!(status(ControlError::WrongState { id: id(), status: suspended, parked: false, needs }), 409);
        assert_eq!(status(ControlError::Busy), 429);
        assert_eq!(status(PurgeError::NotEnded { id: id(), status: suspended }), 409);
        assert_eq!(status(MigrateError::NoModule("ab".into())), 404);
        assert_eq!(status(InvalidPayload::TooDeep), 400);
        assert_eq!(status(StoreError::Full), 503);
        assert_eq!(status(StoreError::Poisoned("fsync failed".into())), 503);
        assert_eq!(status(StoreError::Damaged("row 7".into())), 500);
    }

    #[test]
    fn a_module_that_asks_too_much_is_told_from_one_that_is_wrong() {
        let bad = |bad: BadModule| status(DeployError::BadModule(bad));
        assert_eq!(bad(BadModule::NotWasm), 400);
        assert_eq!(bad(BadModule::CompileMemory), 422);
        assert_eq!(bad(BadModule::CompileTime(std::time::Duration::from_secs(1))), 422);
        assert_eq!(bad(BadModule::NoCompiler("no such file".into())), 503);
        assert_eq!(status(DeployError::Busy), 429);
    }

    #[tokio::test]
    async fn the_body_of_a_refused_start_is_what_clients_read() {
        use http_body_util::BodyExt as _;
        let unknown = StartError::UnknownOrchestrator { name: "A".into(), known: vec!["B".into(), "C".into()] };
        let answer = ApiError::from(unknown).into_answer();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["ExceptionMessage"], "there is no orchestrator named \"A\"; there are: B, C");
        assert_eq!(body["Message"], body["ExceptionMessage"]);
        assert_eq!(body["code"], "unknown-orchestrator");
        assert!(body["hint"].is_string());
    }

    #[test]
    fn what_passes_says_when_to_try_again() {
        let busy = ApiError::from(RaiseError::Busy(10_000)).into_answer();
        assert_eq!(busy.headers()[RETRY_AFTER], "1");
        assert!(ApiError::from(StoreError::Full).into_answer().headers().contains_key(RETRY_AFTER));
        assert!(!ApiError::from(StoreError::Poisoned("x".into())).into_answer().headers().contains_key(RETRY_AFTER));
    }
}
