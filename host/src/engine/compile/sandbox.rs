//! What a process that compiles gives up before it looks at a module. All of it holds until the process ends, and for every thread that it
//! starts. The bounds of memory and time are kept by any system; the rest where the kernel can.

use rlimit::Resource;

use crate::limits::ModuleLimits;

/// How much later than others it is given the processor: an upload can wait, requests can not.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Gives up what is not needed, and says what that was.
pub fn enter(limits: &ModuleLimits) -> String {
    // Whole seconds, and so never less than what was asked for.
    let seconds = limits.compile_time.as_secs() + 1;
    let memory = limits.compile_memory_bytes;
    let bounds = [
        ("memory", Resource::AS, memory, memory),
        // A process is told at the first, by the signal that its parent knows, and killed at the second.
        ("processor time", Resource::CPU, seconds, seconds + 1),
        ("no files written", Resource::FSIZE, 0, 0),
        ("no files opened", Resource::NOFILE, 0, 0),
        ("no core dumps", Resource::CORE, 0, 0),
    ];
    let mut applied = Vec::new();
    // The kernel's means need a file, so that comes before none can be opened any more.
    #[cfg(target_os = "linux")]
    applied.extend(linux::enter());
    for (name, resource, soft, hard) in bounds {
        if resource.set(soft, hard).is_ok() {
            applied.push(name);
        }
    }
    #[cfg(target_os = "linux")]
    applied.extend(linux::filter());
    applied.join(", ")
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope};
    use rustix::process::{Signal, nice, set_parent_process_death_signal};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    use super::NICENESS;

    /// Ends with its parent, and sees no file, no network and no other process.
    pub fn enter() -> Vec<&'static str> {
        let mut applied = Vec::new();
        if set_parent_process_death_signal(Some(Signal::KILL)).is_ok() {
            applied.push("ends with its parent");
        }
        if nice(NICENESS).is_ok() {
            applied.push("low priority");
        }
        if let Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) = landlock() {
            applied.push("Landlock");
        }
        applied
    }

    fn landlock() -> Result<RulesetStatus, landlock::RulesetError> {
        // The newest that this library knows; an older kernel takes what it knows of it.
        let abi = ABI::V6;
        let rules = Ruleset::default()
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .scope(Scope::from_all(abi))?;
        Ok(rules.create()?.restrict_self()?.ruleset)
    }

    /// Lets through only the system calls that compiling takes; any other fails as if it were not allowed. Reading and writing go by the
    /// descriptors that the parent gave, so that one which was inherited by accident is good for nothing.
    pub fn filter() -> Option<&'static str> {
        let any = |calls: &[i64]| calls.iter().map(|call| (*call, Vec::new())).collect::<BTreeMap<_, _>>();
        // A filter can not look into what `clone3` is told: without it threads are made by `clone`.
        let older = program(any(&[libc::SYS_clone3]), SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?;
        let mut calls = any(CALLS);
        calls.insert(libc::SYS_read, vec![first(SeccompCmpOp::Eq, 0)?]);
        for call in [libc::SYS_write, libc::SYS_writev] {
            calls.insert(call, vec![first(SeccompCmpOp::Eq, 1)?, first(SeccompCmpOp::Eq, 2)?]);
        }
        let thread = libc::CLONE_THREAD as u64;
        calls.insert(libc::SYS_clone, vec![first(SeccompCmpOp::MaskedEq(thread), thread)?]);
        let only = program(calls, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?;
        seccompiler::apply_filter(&older).ok()?;
        seccompiler::apply_filter(&only).ok()?;
        Some("seccomp")
    }

    fn program(
        calls: BTreeMap<i64, Vec<SeccompRule>>,
        others: SeccompAction,
        these: SeccompAction,
    ) -> Option<BpfProgram> {
        let architecture = std::env::consts::ARCH.try_into().ok()?;
        SeccompFilter::new(calls, others, these, architecture).ok()?.try_into().ok()
    }

    /// Holds where the first argument of a call is so.
    fn first(compare: SeccompCmpOp, value: u64) -> Option<SeccompRule> {
        let is = SeccompCondition::new(0, SeccompCmpArgLen::Dword, compare, value).ok()?;
        SeccompRule::new(vec![is]).ok()
    }

    /// Memory, threads of this process, its end, and the time.
    const CALLS: &[i64] = &[
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_clone3,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_tgkill,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_getcpu,
        libc::SYS_membarrier,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_close,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
    ];
}
