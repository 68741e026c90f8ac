//! History as Durable Functions show it: what was scheduled is merged into its completion. Entries for waits and cancelled tasks are
//! ours: Durable Functions do not record them.

use std::collections::HashMap;

use fermata_replay::{Decision, Failure, MessageBody, Outcome, Payload, RuntimeStatus, Step, TaskId, Timestamp};
use serde::Serialize;

use super::query::Show;
use super::time::Micros;
use super::wire::Text;

/// An entry of `historyEvents`; keys in the order of the alphabet, but the type is first.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event<'a> {
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestration_status: Option<RuntimeStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_time: Option<Micros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<TaskId>,
    timestamp: Micros,
}

/// What a task was created as.
struct Created<'a> {
    name: &'a str,
    input: Option<&'a Payload>,
    at: Timestamp,
}

struct Events<'a> {
    show: Show,
    created: HashMap<TaskId, Created<'a>>,
    events: Vec<Event<'a>>,
}

/// The entries of a whole history.
pub fn events<'a>(steps: &'a [Step], show: Show) -> Vec<Event<'a>> {
    let mut events = Events { show, created: created(steps), events: Vec::new() };
    let ended: Vec<TaskId> = steps.iter().filter_map(ended_activity).collect();
    for step in steps {
        events.message(step);
        for decision in &step.decisions {
            events.decision(decision, step.at, &ended);
        }
    }
    events.events
}

fn created(steps: &[Step]) -> HashMap<TaskId, Created<'_>> {
    let decisions = steps.iter().flat_map(|step| step.decisions.iter().map(move |decision| (step.at, decision)));
    let created = decisions.filter_map(|(at, decision)| match decision {
        Decision::WaitStarted { task, name } => Some((*task, Created { name, input: None, at })),
        Decision::ActivityScheduled { task, name, input } => Some((*task, Created { name, input: Some(input), at })),
        _ => None,
    });
    created.collect()
}

fn ended_activity(step: &Step) -> Option<TaskId> {
    match step.message {
        MessageBody::ActivityEnded { task, .. } => Some(task),
        _ => None,
    }
}

impl<'a> Events<'a> {
    fn message(&mut self, step: &'a Step) {
        let input = |input: &'a Payload| self.show.input.then_some(input);
        let event = match &step.message {
            MessageBody::Started(start) => Event {
                function_name: Some(&start.name),
                input: input(&start.input),
                ..event("ExecutionStarted", step.at)
            },
            MessageBody::EventRaised { name, input: raised } => {
                Event { name: Some(name), input: input(raised), ..event("EventRaised", step.at) }
            }
            MessageBody::ActivityEnded { task, outcome } => self.activity_ended(*task, outcome, step.at),
        };
        self.events.push(event);
    }

    fn activity_ended(&self, task: TaskId, outcome: &'a Outcome, at: Timestamp) -> Event<'a> {
        let created = self.created.get(&task);
        let scheduled = Event {
            function_name: created.map(|created| created.name),
            input: created.and_then(|created| created.input).filter(|_| self.show.input),
            scheduled_time: created.map(|created| Micros(created.at)),
            task_id: Some(task),
            ..event("TaskCompleted", at)
        };
        match outcome {
            Outcome::Succeeded(result) => Event { result: self.result(Text::Json(result)), ..scheduled },
            Outcome::Failed(Failure { message, details, .. }) => Event {
                event_type: "TaskFailed",
                reason: Some(message),
                details: Some(&**details).filter(|details| !details.is_empty()),
                ..scheduled
            },
        }
    }

    fn decision(&mut self, decision: &'a Decision, at: Timestamp, ended: &[TaskId]) {
        let event = match decision {
            Decision::WaitStarted { task, name } => {
                Event { name: Some(name), task_id: Some(*task), ..event("ExternalEventWaitStarted", at) }
            }
            // Merged into its completion.
            Decision::ActivityScheduled { task, .. } if ended.contains(task) => return,
            Decision::ActivityScheduled { task, name, input } => Event {
                name: Some(name),
                input: self.show.input.then_some(input),
                task_id: Some(*task),
                ..event("TaskScheduled", at)
            },
            Decision::TaskCancelled { task, .. } => Event {
                name: self.created.get(task).map(|created| created.name),
                task_id: Some(*task),
                ..event("TaskCancelled", at)
            },
            Decision::Blocked { .. } => return,
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
        };
        self.events.push(event);
    }

    fn result(&self, result: Text<'a>) -> Option<Text<'a>> {
        self.show.history_output.then_some(result)
    }
}

fn event<'a>(event_type: &'static str, at: Timestamp) -> Event<'a> {
    Event {
        event_type,
        details: None,
        function_name: None,
        input: None,
        name: None,
        orchestration_status: None,
        reason: None,
        result: None,
        scheduled_time: None,
        task_id: None,
        timestamp: Micros(at),
    }
}

#[cfg(test)]
mod tests {
    use fermata_replay::{BlockedOn, Start};

    use super::*;

    fn step(at: i64, message: MessageBody, decisions: Vec<Decision>) -> Step {
        Step { seq: at as u64, at: Timestamp(at), message, decisions, custom_status: None }
    }

    fn history() -> Vec<Step> {
        let start = Start {
            name: "Permit".into(),
            input: Payload::parse("1").unwrap(),
            execution: "x".into(),
            module: "m".into(),
            seed: "00".into(),
        };
        let text = |text: &str| Payload::string(text);
        vec![
            step(
                1,
                MessageBody::Started(Box::new(start)),
                vec![
                    Decision::WaitStarted { task: 0, name: "Approval".into() },
                    Decision::ActivityScheduled { task: 1, name: "Issue".into(), input: text("in") },
                    Decision::ActivityScheduled { task: 2, name: "Open".into(), input: text("in") },
                    Decision::Blocked { on: BlockedOn::Task(1) },
                ],
            ),
            step(2, MessageBody::ActivityEnded { task: 1, outcome: Outcome::Succeeded(text("out")) }, vec![]),
            step(
                3,
                MessageBody::EventRaised { name: "approval".into(), input: Payload::null() },
                vec![Decision::Completed { output: text("done") }],
            ),
        ]
    }

    fn shown(show: Show) -> Vec<String> {
        events(&history(), show).iter().map(|event| serde_json::to_string(event).unwrap()).collect()
    }

    #[test]
    fn what_was_scheduled_is_merged_into_its_completion() {
        assert_eq!(
            shown(Show { input: true, history: true, history_output: true }),
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
        let all = shown(Show { input: false, history: true, history_output: false }).concat();
        assert!(!all.contains("Input") && !all.contains("\"Result\""), "{all}");
    }
}
