//! How wasmtime is set up, with the reason beside each switch. Two settings that differ here could give the same history two
//! meanings, so there is one constructor.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::limits::{ExecutionLimits, GuestLimits};

/// Core instances, memories and tables that one guest may take: a Rust module with the preview 1 adapter is 4 core instances with 1 memory and
/// 2 tables; a JavaScript engine 9 with 3 and 3; Python 24 and more, one for each of its native libraries, with 1 and 2.
const CORE_INSTANCES_PER_GUEST: u32 = 64;
const MEMORIES_PER_GUEST: u32 = 3;
const TABLES_PER_GUEST: u32 = 6;

/// Of each memory, and of each table, of a guest that has ended so much stays for the next.
const KEPT_BYTES: usize = 512 << 10;

/// Each memory takes up to 6 GiB of address space, of which a process has 128 TiB.
const MEMORIES: u32 = 16_384;

/// `guests`: how many may exist at a time.
pub fn config(limits: &GuestLimits, guests: u32) -> Config {
    let mut config = common(limits);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits, guests)));
    config
}

/// What compiles for an engine of [`config`], and makes no guest.
pub fn compiler() -> Config {
    common(&GuestLimits::default())
}

fn common(limits: &GuestLimits) -> Config {
    let mut config = Config::new();

    // Determinism: the same history must give the same decisions on any machine.
    config.cranelift_nan_canonicalization(true); // the bits of a NaN depend on the processor
    config.wasm_relaxed_simd(false); // its results depend on the processor
    config.wasm_threads(false); // the order of threads is nobody's
    config.shared_memory(false);
    config.max_wasm_stack(limits.stack_bytes); // a guest can see where its stack ends
    config.consume_fuel(true); // the bound on a step that is the same everywhere

    // Operation: no guest may hold up the others.
    config.epoch_interruption(true); // wall time, cheap; never recorded as an outcome

    // Surface: what is off can not be attacked. `check` refuses the same, by name, before wasmtime sees it. Proposals that are not named here are
    // off in wasmtime unless somebody turns them on.
    config.wasm_memory64(false);
    config.wasm_gc(false);
    config.gc_support(false); // externref
    config.wasm_function_references(false);
    config.wasm_exceptions(false);
    config.wasm_tail_call(false);
    config.wasm_stack_switching(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_wide_arithmetic(false);
    config.wasm_shared_everything_threads(false);
    // Several memories in one core module stay on here: wasmtime's own adapters between the core modules of a component need it.
    // Component-model-async, under which replay diverges, is not even compiled in (Cargo.toml).

    // Speed.
    config.concurrency_support(false); // every call would take the slow path of component-model-async
    config.cranelift_opt_level(OptLevel::Speed);
    config.memory_init_cow(true); // instances share the pages of the module's data until they write
    config.async_stack_size(limits.stack_bytes + (512 << 10)); // the rest is for host calls
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(32));
    config
}

/// How many memories there are for so many guests: enough, whatever they are, unless the address space ends before.
fn memories(guests: u32) -> u32 {
    guests.saturating_mul(MEMORIES_PER_GUEST).min(MEMORIES.max(guests))
}

/// How many memories residents may take, where so many of all guests are not resident.
pub fn memories_of_residents(guests: u32, others: u32) -> usize {
    let is_enough = memories(guests) == guests.saturating_mul(MEMORIES_PER_GUEST);
    if is_enough { usize::MAX } else { memories(guests).saturating_sub(others * MEMORIES_PER_GUEST) as usize }
}

fn pool(limits: &GuestLimits, guests: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(guests);
    pool.total_stacks(guests);
    pool.total_core_instances(guests.saturating_mul(CORE_INSTANCES_PER_GUEST)); // a bound, which takes no room
    pool.total_memories(memories(guests));
    pool.total_tables(guests * 3);
    pool.max_core_instances_per_component(CORE_INSTANCES_PER_GUEST);
    pool.max_memories_per_component(MEMORIES_PER_GUEST);
    pool.max_tables_per_component(TABLES_PER_GUEST);
    // What an execution may have is its own limit; here is room for whatever that may be.
    pool.max_memory_size(1 << 32);
    pool.table_elements(limits.execution.table_elements.max(ExecutionLimits::default().table_elements));
    // What a guest has written is put back by hand for the next one, and stays mapped. To unmap it, and to map it again page by page, stops the other
    // processors each time: that was half of what an event cost, and of one in a JavaScript engine nine tenths. So a host keeps up to this
    // much for each guest that it ever had at a time.
    pool.linear_memory_keep_resident(KEPT_BYTES);
    pool.table_keep_resident(KEPT_BYTES);
    pool.pagemap_scan(Enabled::Auto); // finds what was written; without it (Linux before 6.7) whatever lies first is put back
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residents_are_bounded_by_memories_only_where_the_address_space_is() {
        assert_eq!(memories_of_residents(1_400, 376), usize::MAX);
        let (guests, others) = (8_192 + 640, 640);
        let budget = memories_of_residents(guests, others);
        assert!(budget < 3 * 8_192, "{budget}");
        assert_eq!(
            budget + 3 * others as usize,
            memories(guests) as usize,
            "all others have their memories, whatever they are"
        );
    }
}
