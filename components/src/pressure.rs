//! How hard each resource of the machine is pressed, as measured at the server's edge or made up
//! by a simulation (`reference/core.md` 8.1, W11). The engine judges, it does not measure.

use crate::id::ViewerId;

/// What can run out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(usize)]
pub enum Resource {
    /// Processor time of this process, of what it may use.
    Cpu,
    /// Processor time of the whole machine.
    CpuSystem,
    /// Age and depth of what waits to be taken in: the worst of all internal queues.
    Queue,
    /// Time that ticks take, of the time there is for them.
    Tick,
    /// Age and bytes of what waits at viewers' sockets, at most of them: one slow viewer is its
    /// own trouble.
    Broadcast,
    /// Memory, of what this process may use (cgroup v2, cgroup v1, the machine).
    Memory,
}

impl Resource {
    pub const COUNT: usize = 6;
    pub const ALL: [Self; Self::COUNT] =
        [Self::Cpu, Self::CpuSystem, Self::Queue, Self::Tick, Self::Broadcast, Self::Memory];

    /// The word in `/metrics` and `/api/system`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CpuSystem => "cpu_system",
            Self::Queue => "queue",
            Self::Tick => "tick",
            Self::Broadcast => "broadcast",
            Self::Memory => "memory",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.name() == name)
    }
}

/// The seed's weights (layer 2) of processor, broadcast, queues and memory.
pub const WEIGHTS: [(&str, f64); 4] =
    [("cpu", 0.45), ("broadcast", 0.30), ("queue", 0.15), ("memory", 0.10)];

/// One measurement of everything, several times a second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Pressures {
    /// By [`Resource`]: the fraction of its own limit that is used. At 1 it is exhausted; more
    /// than 1 means that something already waits. Not a number counts as 0.
    pub used: [f32; Resource::COUNT],
    /// The 99th percentile of delivery ages in the last seconds, in ms; `None` when nothing was
    /// delivered.
    pub age_p99_ms: Option<f32>,
    /// The hour where the machine stands: unix milliseconds and minutes east of Greenwich.
    pub unix_ms: i64,
    pub utc_offset_minutes: i16,
}

impl Pressures {
    pub fn of(&self, resource: Resource) -> f64 {
        let used = f64::from(self.used[resource as usize]);
        if used.is_finite() { used.max(0.0) } else { 0.0 }
    }

    /// The same, with one resource pressed so much: for whoever makes one up.
    #[must_use]
    pub fn with(mut self, resource: Resource, used: f32) -> Self {
        self.used[resource as usize] = used;
        self
    }

    /// The weighted mean of the seed: of several signals of one kind the worse counts.
    pub fn weighted(&self) -> f64 {
        let [(_, cpu), (_, broadcast), (_, queue), (_, memory)] = WEIGHTS;
        cpu * self.of(Resource::Cpu).max(self.of(Resource::CpuSystem))
            + broadcast * self.of(Resource::Broadcast)
            + queue * self.of(Resource::Queue).max(self.of(Resource::Tick))
            + memory * self.of(Resource::Memory)
    }

    /// The resource that is pressed hardest, and how hard. Of equals the first.
    pub fn worst(&self) -> (Resource, f64) {
        let mut worst = (Resource::Cpu, self.of(Resource::Cpu));
        for resource in Resource::ALL {
            if self.of(resource) > worst.1 {
                worst = (resource, self.of(resource));
            }
        }
        worst
    }
}

/// What waits at one viewer's socket. Reported while something does, and once when nothing does
/// any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketReport {
    pub viewer: ViewerId,
    /// How long the oldest of it has waited.
    pub age_ms: u32,
    pub bytes: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_weights_make_one_and_the_worst_is_found() {
        let full = Resource::ALL
            .into_iter()
            .fold(Pressures::default(), |pressures, resource| pressures.with(resource, 1.0));
        assert!((full.weighted() - 1.0).abs() < 1e-12);
        let memory = Pressures::default().with(Resource::Memory, 1.0);
        assert!((memory.weighted() - 0.10).abs() < 1e-12, "what W11 laughs at");
        assert_eq!(memory.worst(), (Resource::Memory, 1.0));
    }

    #[test]
    fn what_is_no_number_presses_nobody() {
        let broken = Pressures::default()
            .with(Resource::Cpu, f32::NAN)
            .with(Resource::Queue, f32::INFINITY)
            .with(Resource::Tick, -3.0);
        assert_eq!((broken.worst().1, broken.weighted()), (0.0, 0.0));
    }
}
