use super::machine::{Memory, SystemTime};
use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

const QUIET: Seen = Seen {
    backlog: Backlog { age: Duration::ZERO, samples: 0.0, bytes: 0.0, commands: 0.0 },
    late: Duration::ZERO,
    ticks: 0,
    tick_micros: 0,
    line_age: Duration::ZERO,
    lane_bytes: 0,
};

fn reading(process: f64, busy: f64, total: f64) -> Reading {
    Reading {
        process: Some(process),
        system: Some(SystemTime { busy, total, core_count: 4 }),
        cores: 2.0,
        cores_source: Source::CgroupV2,
        memory: Some(Memory { used: 768, limit: 1024, source: Source::CgroupV1 }),
    }
}

fn of(measures: &[Measure; Resource::COUNT], resource: Resource) -> Measure {
    let measure = measures[resource as usize];
    assert_eq!(measure.resource, resource);
    measure
}

#[test]
fn what_counts_up_is_compared_with_what_it_was_a_second_ago() {
    let (mut meter, began) = (Meter::new(MS(4)), Instant::now());
    let mut at = |ms: u64, process: f64, busy: f64, ticks: u64, tick_micros: u64| {
        let seen = Seen { ticks, tick_micros, ..QUIET };
        meter.measure(began + MS(ms), &reading(process, busy, ms as f64 / 250.0), &seen)
    };
    let first = at(0, 10.0, 0.0, 0, 0);
    assert_eq!(of(&first, Resource::Cpu).used, 0.0, "there is nothing to compare with");
    assert_eq!(of(&first, Resource::Memory).used, 0.75);
    for ms in [250, 500, 750] {
        at(ms, 10.0, 0.0, 0, 0);
    }
    // A second and a half of processor time within a second, of two processors; half of the
    // machine's four; 250 ticks of 3 ms each.
    let second = at(1000, 11.5, 2.0, 250, 750_000);
    let cpu = of(&second, Resource::Cpu);
    assert_eq!((cpu.used, cpu.measured, cpu.limit), (0.75, 1.5, 2.0));
    assert_eq!((cpu.unit, cpu.source), ("cores", "cgroup_v2"));
    let system = of(&second, Resource::CpuSystem);
    assert_eq!((system.used, system.measured, system.limit), (0.5, 2.0, 4.0));
    let tick = of(&second, Resource::Tick);
    assert_eq!((tick.used, tick.measured, tick.limit, tick.unit), (0.75, 3.0, 4.0, "ms"));
    // A second later all of that lies behind.
    for ms in [1250, 1500, 1750, 2000] {
        at(ms, 11.5, 2.0, 250, 750_000);
    }
    let third = at(2250, 11.5, 2.0, 250, 750_000);
    for resource in [Resource::Cpu, Resource::CpuSystem, Resource::Tick] {
        assert_eq!(of(&third, resource).used, 0.0, "{}", resource.name());
    }
}

#[test]
fn ticks_that_take_longer_than_there_is_time_for_are_more_than_all() {
    let (mut meter, began) = (Meter::new(MS(4)), Instant::now());
    meter.measure(began, &reading(0.0, 0.0, 0.0), &QUIET);
    let seen = Seen { ticks: 125, tick_micros: 750_000, ..QUIET };
    let measures = meter.measure(began + MS(1000), &reading(0.0, 0.0, 4.0), &seen);
    assert_eq!(of(&measures, Resource::Tick).used, 1.5, "6 ms where there are 4");
}

/// One resource at a time; what it is measured in and where it was found, too.
#[test]
fn the_worst_of_several_queues_is_the_queues_pressure() {
    let (age, late, line) = (MS(50), MS(80), MS(60));
    let cases = [
        (Seen { backlog: Backlog { age, ..QUIET.backlog }, ..QUIET }, 0.5, "intake_age"),
        (
            Seen { late, backlog: Backlog { age, ..QUIET.backlog }, ..QUIET },
            0.8,
            "runtime_lateness",
        ),
        (
            Seen { backlog: Backlog { samples: 0.7, ..QUIET.backlog }, ..QUIET },
            0.7,
            "intake_samples",
        ),
        (Seen { backlog: Backlog { bytes: 0.6, ..QUIET.backlog }, ..QUIET }, 0.6, "intake_bytes"),
        (
            Seen { backlog: Backlog { commands: 1.0, ..QUIET.backlog }, ..QUIET },
            1.0,
            "intake_commands",
        ),
    ];
    for (seen, used, source) in cases {
        let measures = Meter::new(MS(4)).measure(Instant::now(), &reading(0.0, 0.0, 0.0), &seen);
        let queue = of(&measures, Resource::Queue);
        assert_eq!((queue.used, queue.source), (used, source));
        assert_eq!(of(&measures, Resource::Broadcast).used, 0.0);
    }
    let cases = [
        (Seen { line_age: line, ..QUIET }, 0.4, "socket_age"),
        (
            Seen { line_age: line, lane_bytes: LANE_BYTES_MAX as u64 / 2, ..QUIET },
            0.5,
            "lane_bytes",
        ),
    ];
    for (seen, used, source) in cases {
        let measures = Meter::new(MS(4)).measure(Instant::now(), &reading(0.0, 0.0, 0.0), &seen);
        let broadcast = of(&measures, Resource::Broadcast);
        assert_eq!((broadcast.used, broadcast.source), (used, source));
    }
}

#[test]
fn what_the_kernel_does_not_say_presses_nobody() {
    let silent = Reading {
        process: None,
        system: None,
        cores: 1.0,
        cores_source: Source::System,
        memory: None,
    };
    let (mut meter, began) = (Meter::new(MS(4)), Instant::now());
    meter.measure(began, &silent, &QUIET);
    let measures = meter.measure(began + MS(250), &silent, &QUIET);
    for resource in [Resource::Cpu, Resource::CpuSystem, Resource::Memory] {
        let measure = of(&measures, resource);
        assert_eq!((measure.used, measure.source), (0.0, "none"), "{}", resource.name());
    }
}
