//! A client, who starts instances, sends them errands, and now and then suspends or terminates one. What it asks for is noted as `Maybe`
//! before; the answer makes it known.

use std::mem::replace;
use std::time::Duration;

use serde_json::{Value, json};

use super::account::{Account, Errand, How, Known};
use super::effects::Effects;
use super::group::Group;
use super::history::History;
use super::ledger::Ledger;
use super::verdict;
use crate::{Answer, BASE, Host};

pub struct Client<'a> {
    pub host: &'a Host,
    pub ledger: &'a Ledger,
    pub effects: &'a Effects,
    pub random: fastrand::Rng,
    /// Nothing more than what there is to be done is begun.
    pub settling: bool,
}

/// The host did not answer.
#[derive(Debug)]
pub struct Gone;

type Heard<T> = Result<T, Gone>;

/// How long a client leaves an instance that had not ended alone, when it has nothing else to do.
const PAUSE: Duration = Duration::from_millis(3);

impl Client<'_> {
    /// Does the next thing for a group; returns whether it was the last.
    pub fn go_on(&mut self, group: &mut Group) -> Heard<bool> {
        if group.started != Known::Yes {
            self.start("Mailbox", &group.mailbox, &json!([]), true, &mut group.started)?;
            return Ok(false);
        }
        let open: Vec<usize> = (0..group.accounts.len()).filter(|number| !group.accounts[*number].settled).collect();
        match self.random.choice(open) {
            Some(number) => self.attend(group, number).map(|()| false),
            None => self.close(group),
        }
    }

    fn attend(&mut self, group: &mut Group, number: usize) -> Heard<()> {
        let account = &mut group.accounts[number];
        if account.started != Known::Yes {
            let input = json!({"wanted": account.wanted, "mailbox": group.mailbox, "taken": []});
            return self.start("Errands", &account.id, &input, account.keyed, &mut account.started);
        }
        let is_due = account.is_served() || self.random.u8(..4) == 0;
        if account.suspended != Known::No && is_due && !account.refused {
            return self.resume(account);
        }
        if account.is_served() {
            return self.look(group, number);
        }
        if account.doomed.is_some_and(|sent| account.errands.len() >= sent) {
            return self.terminate(account);
        }
        if account.suspended == Known::No && !self.settling && self.random.u8(..50) == 0 {
            return self.suspend(account);
        }
        self.send(account)
    }

    fn start(&self, name: &str, id: &str, input: &Value, keyed: bool, started: &mut Known) -> Heard<()> {
        let before = replace(started, Known::Maybe);
        let answer = self.post(&format!("orchestrators/{name}/{id}"), keyed.then_some(id), &input.to_string())?;
        match (answer.status, before) {
            (202, _) => {}
            // It is there already.
            (409, Known::Maybe) if !keyed => {}
            _ => panic!("a start of {id} after {before:?}: {answer:?}"),
        }
        *started = Known::Yes;
        self.ledger.tally.starts.add();
        Ok(())
    }

    /// Sends the next errand, or the last one again where no answer came and it has a key.
    fn send(&mut self, account: &mut Account) -> Heard<()> {
        let sent_before = account.errands.last().filter(|last| last.keyed && last.accepted == Known::Maybe).cloned();
        let errand = sent_before.clone().unwrap_or_else(|| self.draw());
        let Errand { number, how, keyed, .. } = errand;
        if sent_before.is_none() {
            account.errands.push(errand);
        } else {
            self.ledger.tally.sent_again.add();
        }
        let wait = if account.suspended == Known::No && self.random.u8(..8) == 0 { "?wait=1" } else { "" };
        let path = format!("instances/{}/raiseEvent/errand{wait}", account.id);
        let key = keyed.then(|| number.to_string());
        let answer = self.post(&path, key.as_deref(), &json!({"number": number, "how": how}).to_string());
        let answer = answer.inspect_err(|_| self.ledger.tally.unknown.add())?;
        match answer.status {
            // Who waited is told that it has ended since.
            202 | 200 if answer.header("fermata-sequence").is_some() => {
                let last = account.errands.last_mut().expect("it was sent");
                last.accepted = Known::Yes;
                self.ledger.tally.acknowledged.add();
            }
            410 => {
                assert!(account.errands.pop().is_some() && account.may_have_ended(), "{answer:?} for {account:#?}");
                account.refused = true;
            }
            _ => panic!("an errand for {account:#?}: {answer:?}"),
        }
        Ok(())
    }

    fn draw(&mut self) -> Errand {
        let how = match self.random.u8(..16) {
            0..4 => How::Keep,
            4 | 5 => How::Double,
            6 => How::Spread,
            7 | 8 => How::Remote,
            9 => How::Delegate,
            10 | 11 => How::Wait(self.random.u64(1..60)),
            12 | 13 => How::Tell,
            _ => How::Renew,
        };
        Errand { number: self.ledger.number(), how, keyed: self.random.bool(), accepted: Known::Maybe }
    }

    fn suspend(&self, account: &mut Account) -> Heard<()> {
        account.suspended = Known::Maybe;
        let answer = self.control(account, "suspend")?;
        account.suspended = if answer.status == 202 { Known::Yes } else { Known::No };
        self.judge(account, &answer, false)
    }

    fn resume(&self, account: &mut Account) -> Heard<()> {
        let before = replace(&mut account.suspended, Known::Maybe);
        let answer = self.control(account, "resume")?;
        account.suspended = Known::No;
        self.judge(account, &answer, before == Known::Maybe)
    }

    fn terminate(&self, account: &mut Account) -> Heard<()> {
        account.terminated = Known::Maybe;
        let answer = self.control(account, "terminate")?;
        if answer.status == 202 {
            account.terminated = Known::Yes;
            self.ledger.tally.terminated.add();
        }
        self.judge(account, &answer, false)
    }

    fn control(&self, account: &Account, verb: &str) -> Heard<Answer> {
        self.post(&format!("instances/{}/{verb}", account.id), None, "")
    }

    /// 409 is an answer only where what is asked for may have been so before, 410 only where it may have ended.
    fn judge(&self, account: &mut Account, answer: &Answer, may_be_so: bool) -> Heard<()> {
        match answer.status {
            202 => {}
            409 if may_be_so => {}
            410 if account.may_have_ended() => account.refused = true,
            _ => panic!("{answer:?} for {account:#?}"),
        }
        Ok(())
    }

    /// Looks whether an instance has ended that has all it needs, and if so what became of all that it got.
    fn look(&self, group: &mut Group, number: usize) -> Heard<()> {
        let account = &mut group.accounts[number];
        let Some(history) = self.ended(&account.id)? else { return Ok(()) };
        let done = verdict::errands(account, &history, self.effects);
        self.ledger.note_end(&account.id, history.status);
        group.settle(number, &done);
        Ok(())
    }

    /// Closes the mailbox when it has got all letters; returns whether it has ended, and was as it must be.
    fn close(&self, group: &mut Group) -> Heard<bool> {
        let id = &group.mailbox;
        if group.closed != Known::Yes {
            let history = self.history(id)?;
            if !group.has_all(&verdict::letters(&history)) {
                self.rest();
                return Ok(false);
            }
            group.closed = Known::Maybe;
            let answer = self.post(&format!("instances/{id}/raiseEvent/close"), Some("close"), "null")?;
            assert_eq!(answer.status, 202, "{answer:?} for the mailbox of {group:#?}");
            group.closed = Known::Yes;
        }
        let Some(history) = self.ended(id)? else { return Ok(false) };
        verdict::mailbox(group, &history);
        self.ledger.note_end(id, history.status);
        Ok(true)
    }

    /// The history of an instance that has ended.
    fn ended(&self, id: &str) -> Heard<Option<History>> {
        let history = self.history(id)?;
        if history.status.is_final() {
            return Ok(Some(history));
        }
        self.rest();
        Ok(None)
    }

    fn history(&self, id: &str) -> Heard<History> {
        let request = ureq::http::Request::get(self.host.url(&format!("{BASE}/instances/{id}/history")));
        let answer = self.host.try_send(request.body(String::new()).expect("it is a request")).ok_or(Gone)?;
        assert_eq!(answer.status, 200, "the history of {id}: {answer:?}");
        Ok(History::of(&answer.body))
    }

    fn rest(&self) {
        if self.settling {
            std::thread::sleep(PAUSE);
        }
    }

    fn post(&self, path: &str, key: Option<&str>, body: &str) -> Heard<Answer> {
        let request = ureq::http::Request::post(self.host.url(&format!("{BASE}/{path}")));
        let request = request.header("content-type", "application/json");
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        self.host.try_send(request.body(body.to_owned()).expect("it is a request")).ok_or(Gone)
    }
}
