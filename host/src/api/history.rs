//! History as Durable Functions show it: what was scheduled is merged into its completion. Entries for waits, timeouts, cancelled tasks
//! and changes of the module are ours: Durable Functions do not record them.

use std::collections::{HashMap, HashSet};

use fermata_replay::{
    Control, Deadline, Decision, Failure, MessageBody, OpenKind, Outcome, Payload, RuntimeStatus, State, Step,
    TaskEnded, TaskId, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::query::Show;
use super::time::Micros;
use super::wire::{Text, runtime_status};

/// An entry of `historyEvents`; keys in the order of the alphabet, but the type is first.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Event<'a> {
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Micros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fire_at: Option<Micros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    input: Option<&'a Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "runtime_status")]
    orchestration_status: Option<RuntimeStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    result: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_time: Option<Micros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<TaskId>,
    timestamp: Micros,
}

/// A task as far as its later entries show it.
#[derive(Default)]
struct Task<'a> {
    name: Option<&'a str>,
    input: Option<&'a Payload>,
    /// Of a child.
    instance: Option<&'a str>,
    /// When its latest attempt began, and which one that is.
    began: Timestamp,
    attempt: u32,
    /// It may have more attempts than one, so that each entry says which it is about.
    is_retried: bool,
    /// When it is due, or times out.
    due: Option<Timestamp>,
}

struct Events<'a> {
    show: Show,
    tasks: HashMap<TaskId, Task<'a>>,
    /// The attempts that are shown by their end alone.
    ended: HashSet<(TaskId, u32)>,
    events: Vec<Event<'a>>,
}

/// The entries of a whole history.
pub fn events(steps: &[Step], show: Show) -> Vec<Event<'_>> {
    entries(steps, show, steps.iter().filter_map(ended_attempt).collect())
}

/// The entries of a history that goes on: none of them changes with what comes later, so what was scheduled stays beside its completion.
pub fn as_it_grows(steps: &[Step], show: Show) -> Vec<Event<'_>> {
    entries(steps, show, HashSet::new())
}

fn entries<'a>(steps: &'a [Step], show: Show, ended: HashSet<(TaskId, u32)>) -> Vec<Event<'a>> {
    let mut events = Events { show, tasks: HashMap::new(), ended, events: Vec::new() };
    for (index, step) in steps.iter().enumerate() {
        events.message(step);
        if matches!(step.message, MessageBody::Rewound(_)) {
            events.attempts_after_rewind(&State::of(&steps[..=index]), step.at);
        }
        for decision in &step.decisions {
            events.decision(decision, step.at);
        }
    }
    events.events
}

fn ended_attempt(step: &Step) -> Option<(TaskId, u32)> {
    match &step.message {
        MessageBody::ActivityEnded(ended) | MessageBody::ChildEnded(ended) => Some((ended.task, ended.attempt)),
        _ => None,
    }
}

impl<'a> Events<'a> {
    fn message(&mut self, step: &'a Step) {
        let at = step.at;
        let event = match &step.message {
            MessageBody::Started(start) => Event {
                function_name: Some(&start.name),
                input: self.input(&start.input),
                ..event("ExecutionStarted", at)
            },
            MessageBody::EventRaised { name, input } => {
                Event { name: Some(name), input: self.input(input), ..event("EventRaised", at) }
            }
            MessageBody::ActivityEnded(ended) => self.attempt_ended(ended, ["TaskCompleted", "TaskFailed"], at),
            MessageBody::ChildEnded(ended) => {
                let types = ["SubOrchestrationInstanceCompleted", "SubOrchestrationInstanceFailed"];
                self.attempt_ended(ended, types, at)
            }
            MessageBody::TimerFired { task, deadline: Deadline::Due } => {
                Event { fire_at: self.due(*task), task_id: Some(*task), ..event("TimerFired", at) }
            }
            MessageBody::TimerFired { task, deadline: Deadline::Timeout } => {
                Event { fire_at: self.due(*task), ..self.of_task("TaskTimedOut", *task, at) }
            }
            MessageBody::TimerFired { task, deadline: Deadline::Retry } => {
                let attempt = self.tasks.get(task).map_or(1, |task| task.attempt + 1);
                return self.attempt_begins(*task, attempt, at);
            }
            MessageBody::Terminated(control) => of_control("ExecutionTerminated", control, at),
            MessageBody::Suspended(control) => of_control("ExecutionSuspended", control, at),
            MessageBody::Resumed(control) => of_control("ExecutionResumed", control, at),
            MessageBody::Rewound(control) => of_control("ExecutionRewound", control, at),
            MessageBody::Migrated { module } => Event { module: Some(module), ..event("ModuleChanged", at) },
        };
        self.events.push(event);
    }

    fn decision(&mut self, decision: &'a Decision, at: Timestamp) {
        let event = match decision {
            Decision::WaitStarted { task, name } => {
                self.created(*task, Task { name: Some(name), ..Task::default() });
                self.of_task("ExternalEventWaitStarted", *task, at)
            }
            Decision::ActivityScheduled { task, name, input } => {
                self.created(*task, Task { name: Some(name), input: Some(input), ..Task::default() });
                return self.attempt_begins(*task, 1, at);
            }
            Decision::ChildStarted { task, name, instance, input } => {
                let (name, input, instance) = (Some(&**name), Some(input), Some(&**instance));
                self.created(*task, Task { name, input, instance, ..Task::default() });
                return self.attempt_begins(*task, 1, at);
            }
            Decision::TimerCreated { task, due } => {
                self.created(*task, Task { due: Some(*due), ..Task::default() });
                Event { fire_at: Some(Micros(*due)), task_id: Some(*task), ..event("TimerCreated", at) }
            }
            Decision::TimeoutSet { task, due, .. } => {
                if let Some(task) = self.tasks.get_mut(task) {
                    task.due = Some(*due);
                }
                Event { fire_at: Some(Micros(*due)), ..self.of_task("TimeoutSet", *task, at) }
            }
            Decision::RetrySet { task, .. } => {
                if let Some(task) = self.tasks.get_mut(task) {
                    task.is_retried = true;
                }
                return;
            }
            Decision::TaskCancelled { task, .. } => self.of_task("TaskCancelled", *task, at),
            Decision::InstanceStarted { name, instance, input } => Event {
                function_name: Some(name),
                instance_id: Some(instance),
                input: self.input(input),
                ..event("InstanceStarted", at)
            },
            Decision::EventSent { instance, name, input } => Event {
                name: Some(name),
                instance_id: Some(instance),
                input: self.input(input),
                ..event("EventSent", at)
            },
            // Who may look at a history may not therefore answer: the URL is not shown.
            Decision::CallbackUrlMade { event: name, expires, url: _ } => {
                Event { name: Some(name), expires: Some(Micros(*expires)), ..event("CallbackUrlMade", at) }
            }
            Decision::Completed { output } => Event {
                orchestration_status: Some(RuntimeStatus::Completed),
                result: self.result(Text::Json(output)),
                ..event("ExecutionCompleted", at)
            },
            Decision::Failed { failure } => Event {
                orchestration_status: Some(RuntimeStatus::Failed),
                result: self.result(Text::Plain(&failure.message)),
                ..event("ExecutionCompleted", at)
            },
            Decision::ContinuedAsNew { input, .. } => {
                Event { result: self.result(Text::Json(input)), ..event("ContinueAsNew", at) }
            }
            Decision::Blocked { .. } | Decision::Undone { .. } => return,
        };
        self.events.push(event);
    }

    /// A rewind undoes steps: a task of theirs that is created anew has the same number.
    fn created(&mut self, id: TaskId, task: Task<'a>) {
        self.tasks.insert(id, task);
    }

    /// An entry of its own only while the attempt is under way: then it is merged into its completion.
    fn attempt_begins(&mut self, id: TaskId, attempt: u32, at: Timestamp) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        (task.attempt, task.began) = (attempt, at);
        if self.ended.contains(&(id, attempt)) {
            return;
        }
        let task = &self.tasks[&id];
        let event_type = if task.instance.is_some() { "SubOrchestrationInstanceCreated" } else { "TaskScheduled" };
        let input = task.input.and_then(|input| self.input(input));
        self.events.push(Event {
            attempt: (attempt > 1).then_some(attempt),
            instance_id: task.instance,
            input,
            ..self.of_task(event_type, id, at)
        });
    }

    /// A rewind has open activities begin another attempt.
    fn attempts_after_rewind(&mut self, state: &State, at: Timestamp) {
        for open in state.open_tasks() {
            let known = self.tasks.get(&open.task).map(|task| task.attempt);
            if let OpenKind::Activity { attempt, retry: None, .. } = open.kind
                && known.is_some_and(|known| known < attempt)
            {
                self.attempt_begins(open.task, attempt, at);
            }
        }
    }

    /// `types`: for a success, for a failure.
    fn attempt_ended(&self, ended: &'a TaskEnded, types: [&'static str; 2], at: Timestamp) -> Event<'a> {
        let unknown = Task::default();
        let task = self.tasks.get(&ended.task).unwrap_or(&unknown);
        let merged = Event {
            attempt: (task.is_retried || ended.attempt > 1).then_some(ended.attempt),
            function_name: task.name,
            input: task.input.and_then(|input| self.input(input)),
            instance_id: task.instance,
            scheduled_time: Some(Micros(task.began)),
            task_id: Some(ended.task),
            ..event(types[0], at)
        };
        match &ended.outcome {
            Outcome::Succeeded(result) => Event { result: self.result(Text::Json(result)), ..merged },
            Outcome::Failed(Failure { message, details, .. }) => Event {
                event_type: types[1],
                reason: Some(message),
                details: Some(&**details).filter(|details| !details.is_empty()),
                ..merged
            },
        }
    }

    fn of_task(&self, event_type: &'static str, task: TaskId, at: Timestamp) -> Event<'a> {
        let name = self.tasks.get(&task).and_then(|task| task.name);
        Event { name, task_id: Some(task), ..event(event_type, at) }
    }

    fn due(&self, task: TaskId) -> Option<Micros> {
        self.tasks.get(&task)?.due.map(Micros)
    }

    fn input(&self, input: &'a Payload) -> Option<&'a Payload> {
        self.show.input.then_some(input)
    }

    fn result(&self, result: Text<'a>) -> Option<Text<'a>> {
        self.show.history_output.then_some(result)
    }
}

fn of_control<'a>(event_type: &'static str, control: &'a Control, at: Timestamp) -> Event<'a> {
    Event { reason: control.reason.as_deref(), ..event(event_type, at) }
}

fn event<'a>(event_type: &'static str, at: Timestamp) -> Event<'a> {
    Event { event_type, timestamp: Micros(at), ..Event::default() }
}

#[cfg(test)]
mod tests {
    use fermata_replay::{BlockedOn, RetryPolicy, Span, Start};

    use super::*;

    const ALL: Show = Show { input: true, history: true, history_output: true };

    fn step(at: i64, message: MessageBody, decisions: Vec<Decision>) -> Step {
        Step { seq: at as u64, at: Timestamp(at), accepted: None, message, decisions, custom_status: None }
    }

    fn text(text: &str) -> Payload {
        Payload::string(text)
    }

    fn started() -> MessageBody {
        MessageBody::Started(Box::new(Start {
            name: "Permit".into(),
            input: Payload::parse("1").unwrap(),
            execution: "x".into(),
            module: "m".into(),
            seed: "00".into(),
            parent: None,
            generation: 0,
            carried: Vec::new(),
            limits: Default::default(),
        }))
    }

    fn ended(task: TaskId, attempt: u32, outcome: Outcome) -> TaskEnded {
        TaskEnded { task, outcome, execution: "x".into(), attempt }
    }

    fn failed(message: &str) -> Outcome {
        Outcome::Failed(Failure::new("application", message))
    }

    fn activity(task: TaskId) -> Decision {
        Decision::ActivityScheduled { task, name: "Issue".into(), input: text("in") }
    }

    fn history() -> Vec<Step> {
        let decisions = vec![
            Decision::WaitStarted { task: 0, name: "Approval".into() },
            activity(1),
            Decision::ActivityScheduled { task: 2, name: "Open".into(), input: text("in") },
            Decision::Blocked { on: BlockedOn::Task(1) },
        ];
        let approval = MessageBody::EventRaised { name: "approval".into(), input: Payload::null() };
        vec![
            step(1, started(), decisions),
            step(2, MessageBody::ActivityEnded(ended(1, 1, Outcome::Succeeded(text("out")))), vec![]),
            step(3, approval, vec![Decision::Completed { output: text("done") }]),
        ]
    }

    fn shown(steps: &[Step], show: Show) -> Vec<String> {
        events(steps, show).iter().map(|event| serde_json::to_string(event).unwrap()).collect()
    }

    /// The entries after the first, without what all have.
    fn short(steps: &[Step]) -> Vec<String> {
        let cut = |entry: &String| {
            let entry = entry.replace("1970-01-01T00:00:00.00000", "").replace("\"EventType\":", "");
            entry.trim_matches(['{', '}']).replace('"', "")
        };
        shown(steps, ALL)[1..].iter().map(cut).collect()
    }

    #[test]
    fn what_was_scheduled_is_merged_into_its_completion() {
        assert_eq!(
            shown(&history(), ALL),
            [
                r#"{"EventType":"ExecutionStarted","FunctionName":"Permit","Input":1,"Timestamp":"1970-01-01T00:00:00.000001Z"}"#,
                r#"{"EventType":"ExternalEventWaitStarted","Name":"Approval","TaskId":0,"Timestamp":"1970-01-01T00:00:00.000001Z"}"#,
                r#"{"EventType":"TaskScheduled","Input":"in","Name":"Open","TaskId":2,"Timestamp":"1970-01-01T00:00:00.000001Z"}"#,
                r#"{"EventType":"TaskCompleted","FunctionName":"Issue","Input":"in","Result":"out","ScheduledTime":"1970-01-01T00:00:00.000001Z","TaskId":1,"Timestamp":"1970-01-01T00:00:00.000002Z"}"#,
                r#"{"EventType":"EventRaised","Input":null,"Name":"approval","Timestamp":"1970-01-01T00:00:00.000003Z"}"#,
                r#"{"EventType":"ExecutionCompleted","OrchestrationStatus":"Completed","Result":"done","Timestamp":"1970-01-01T00:00:00.000003Z"}"#,
            ]
        );
    }

    #[test]
    fn inputs_and_results_only_when_asked_for() {
        let all = shown(&history(), Show { input: false, history: true, history_output: false }).concat();
        assert!(!all.contains("Input") && !all.contains("\"Result\""), "{all}");
    }

    #[test]
    fn each_attempt_has_an_entry() {
        let policy = RetryPolicy {
            max_attempts: 3,
            first_interval: Span(1),
            backoff_coefficient: 1.0,
            max_interval: None,
            timeout: None,
            attempt_timeout: None,
            non_retryable: Vec::new(),
        };
        let retry = |at| step(at, MessageBody::TimerFired { task: 0, deadline: Deadline::Retry }, vec![]);
        let steps = [
            step(1, started(), vec![activity(0), Decision::RetrySet { task: 0, policy }]),
            step(2, MessageBody::ActivityEnded(ended(0, 1, failed("no"))), vec![]),
            retry(3),
            step(4, MessageBody::ActivityEnded(ended(0, 2, failed("never"))), vec![]),
            retry(5),
        ];
        assert_eq!(
            short(&steps),
            [
                "TaskFailed,Attempt:1,FunctionName:Issue,Input:in,Reason:no,ScheduledTime:1Z,TaskId:0,Timestamp:2Z",
                "TaskFailed,Attempt:2,FunctionName:Issue,Input:in,Reason:never,ScheduledTime:3Z,TaskId:0,Timestamp:4Z",
                "TaskScheduled,Attempt:3,Input:in,Name:Issue,TaskId:0,Timestamp:5Z",
            ]
        );
    }

    #[test]
    fn timers_and_timeouts_say_when_they_are_due() {
        let fired = |task, deadline| MessageBody::TimerFired { task, deadline };
        let steps = [
            step(
                1,
                started(),
                vec![
                    Decision::TimerCreated { task: 0, due: Timestamp(3) },
                    Decision::WaitStarted { task: 1, name: "Approval".into() },
                    Decision::TimeoutSet { task: 1, due: Timestamp(4), default: None },
                ],
            ),
            step(5, fired(0, Deadline::Due), vec![]),
            step(6, fired(1, Deadline::Timeout), vec![]),
        ];
        assert_eq!(
            short(&steps),
            [
                "TimerCreated,FireAt:3Z,TaskId:0,Timestamp:1Z",
                "ExternalEventWaitStarted,Name:Approval,TaskId:1,Timestamp:1Z",
                "TimeoutSet,FireAt:4Z,Name:Approval,TaskId:1,Timestamp:1Z",
                "TimerFired,FireAt:3Z,TaskId:0,Timestamp:5Z",
                "TaskTimedOut,FireAt:4Z,Name:Approval,TaskId:1,Timestamp:6Z",
            ]
        );
    }

    #[test]
    fn children_and_other_instances() {
        let child = |task, instance: &str| Decision::ChildStarted {
            task,
            name: "Child".into(),
            instance: instance.into(),
            input: text("in"),
        };
        let sent = Decision::EventSent { instance: "other".into(), name: "Go".into(), input: text("now") };
        let detached = Decision::InstanceStarted { name: "Log".into(), instance: "log".into(), input: text("in") };
        let url = "https://secret".into();
        let callback = Decision::CallbackUrlMade { event: "Go".into(), expires: Timestamp(9), url };
        let steps = [
            step(1, started(), vec![child(0, "a"), child(1, "b"), child(2, "c"), sent, detached, callback]),
            step(2, MessageBody::ChildEnded(ended(0, 1, Outcome::Succeeded(text("out")))), vec![]),
            step(3, MessageBody::ChildEnded(ended(1, 1, failed("no"))), vec![]),
        ];
        assert_eq!(
            short(&steps),
            [
                "SubOrchestrationInstanceCreated,Input:in,InstanceId:c,Name:Child,TaskId:2,Timestamp:1Z",
                "EventSent,Input:now,InstanceId:other,Name:Go,Timestamp:1Z",
                "InstanceStarted,FunctionName:Log,Input:in,InstanceId:log,Timestamp:1Z",
                "CallbackUrlMade,Expires:9Z,Name:Go,Timestamp:1Z",
                "SubOrchestrationInstanceCompleted,FunctionName:Child,Input:in,InstanceId:a,Result:out,ScheduledTime:1Z,TaskId:0,Timestamp:2Z",
                "SubOrchestrationInstanceFailed,FunctionName:Child,Input:in,InstanceId:b,Reason:no,ScheduledTime:1Z,TaskId:1,Timestamp:3Z",
            ]
        );
    }

    #[test]
    fn what_an_operator_asked_has_its_reason() {
        let control = |reason: &str| Control { reason: Some(reason.into()), ..Control::default() };
        let steps = [
            step(1, started(), vec![]),
            step(2, MessageBody::Suspended(control("lunch")), vec![]),
            step(3, MessageBody::Resumed(Control::default()), vec![]),
            step(4, MessageBody::Migrated { module: "n".into() }, vec![]),
            step(5, MessageBody::Terminated(control("enough")), vec![]),
        ];
        assert_eq!(
            short(&steps),
            [
                "ExecutionSuspended,Reason:lunch,Timestamp:2Z",
                "ExecutionResumed,Timestamp:3Z",
                "ModuleChanged,Module:n,Timestamp:4Z",
                "ExecutionTerminated,Reason:enough,Timestamp:5Z",
            ]
        );
    }

    #[test]
    fn a_rewind_begins_another_attempt() {
        let no = Failure::new("application", "no");
        let undone = Decision::Undone { from: 1, attempts: Vec::new() };
        let steps = [
            step(1, started(), vec![activity(0), Decision::Blocked { on: BlockedOn::Task(0) }]),
            step(2, MessageBody::ActivityEnded(ended(0, 1, failed("no"))), vec![Decision::Failed { failure: no }]),
            step(3, MessageBody::Rewound(Control::default()), vec![undone]),
            step(4, MessageBody::ActivityEnded(ended(0, 2, Outcome::Succeeded(text("out")))), vec![]),
        ];
        assert_eq!(
            short(&steps),
            [
                "TaskFailed,FunctionName:Issue,Input:in,Reason:no,ScheduledTime:1Z,TaskId:0,Timestamp:2Z",
                "ExecutionCompleted,OrchestrationStatus:Failed,Result:no,Timestamp:2Z",
                "ExecutionRewound,Timestamp:3Z",
                "TaskCompleted,Attempt:2,FunctionName:Issue,Input:in,Result:out,ScheduledTime:3Z,TaskId:0,Timestamp:4Z",
            ]
        );
        assert_eq!(short(&steps[..3])[3], "TaskScheduled,Attempt:2,Input:in,Name:Issue,TaskId:0,Timestamp:3Z");
    }
}
