//! What the kernel says of processor and memory: reads `/proc` and the control groups, and says
//! where each figure came from. Whatever is missing or is written in another way than we know is
//! passed over for the next best source, and in the end for none.

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// Ticks a second in `/proc/*/stat`: `USER_HZ`, which is 100 on every processor this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads a file whole. A test's is made up.
pub type Read = fn(&Path) -> Option<String>;

/// The machine's own files.
pub fn read_file(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Where a figure came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    CgroupV2,
    CgroupV1,
    /// The machine as a whole.
    System,
    /// There is no such figure here.
    None,
}

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Self::CgroupV2 => "cgroup_v2",
            Self::CgroupV1 => "cgroup_v1",
            Self::System => "system",
            Self::None => "none",
        }
    }
}

/// Bytes in use, of how many there may be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Memory {
    pub used: u64,
    pub limit: u64,
    pub source: Source,
}

/// Time that all processors have spent, in seconds since the machine began.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SystemTime {
    pub busy: f64,
    pub total: f64,
    pub core_count: usize,
}

/// One reading. What could not be read is `None`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reading {
    /// Seconds of processor time that this process has used.
    pub process: Option<f64>,
    pub system: Option<SystemTime>,
    /// Processors this process may use at once, perhaps a fraction, and who says so.
    pub cores: f64,
    pub cores_source: Source,
    pub memory: Option<Memory>,
}

/// Knows which files to read: the groups that this process is in, from its own up to the root.
#[derive(Debug)]
pub struct Machine {
    read: Read,
    v2: Vec<PathBuf>,
    v1_cpu: Vec<PathBuf>,
    v1_memory: Vec<PathBuf>,
}

impl Machine {
    pub fn new(read: Read) -> Self {
        let text = |path: &str| read(Path::new(path)).unwrap_or_default();
        let (mounts, groups) = (text("/proc/self/mountinfo"), text("/proc/self/cgroup"));
        let folders = |controller: &str| group_folders(&mounts, &groups, controller);
        Self { read, v2: folders(""), v1_cpu: folders("cpu"), v1_memory: folders("memory") }
    }

    pub fn read(&self) -> Reading {
        let text = |path: &str| (self.read)(Path::new(path));
        let system = text("/proc/stat").as_deref().and_then(system_time);
        let (cores, cores_source) = self.cores();
        Reading {
            process: text("/proc/self/stat").as_deref().and_then(process_seconds),
            system,
            cores,
            cores_source,
            memory: self.memory(),
        }
    }

    /// The tightest quota, if it is tighter than the processors this process may run on.
    fn cores(&self) -> (f64, Source) {
        let status = (self.read)(Path::new("/proc/self/status"));
        let allowed = status.as_deref().and_then(allowed_core_count);
        let cores = allowed.or_else(|| available_parallelism().ok().map(usize::from));
        let mut tightest = (cores.unwrap_or(1) as f64, Source::System);
        let v2 =
            self.v2.iter().filter_map(|folder| cpu_max(&(self.read)(&folder.join("cpu.max"))?));
        let v1 = self.v1_cpu.iter().filter_map(|folder| {
            let text = |name: &str| (self.read)(&folder.join(name));
            cfs_quota(&text("cpu.cfs_quota_us")?, &text("cpu.cfs_period_us")?)
        });
        let v2 = v2.map(|quota| (quota, Source::CgroupV2));
        for (quota, source) in v2.chain(v1.map(|quota| (quota, Source::CgroupV1))) {
            if quota < tightest.0 {
                tightest = (quota, source);
            }
        }
        tightest
    }

    /// The group that is nearest to its limit; without any that has one, the machine.
    fn memory(&self) -> Option<Memory> {
        let machine = (self.read)(Path::new("/proc/meminfo")).as_deref().and_then(machine_memory);
        let v2 = ["memory.current", "memory.max", "inactive_file"];
        let v1 = ["memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"];
        let groups = [(&self.v2, v2, Source::CgroupV2), (&self.v1_memory, v1, Source::CgroupV1)];
        for (folders, [current, limit, inactive], source) in groups {
            let figures = folders.iter().filter_map(|folder| {
                let text = |name: &str| (self.read)(&folder.join(name));
                let limit = bytes(&text(limit)?)?;
                // A limit beyond what the machine has limits nothing.
                if machine.is_some_and(|machine| limit >= machine.limit) || limit == 0 {
                    return None;
                }
                // The kernel gives up what it keeps of files that nobody reads before it gives up
                // anything else; who records for an hour is not short of memory.
                let stat = text("memory.stat").unwrap_or_default();
                let idle = field(&stat, inactive).unwrap_or(0);
                let used = bytes(&text(current)?)?.saturating_sub(idle);
                Some(Memory { used, limit, source })
            });
            let part = |memory: &Memory| memory.used as f64 / memory.limit as f64;
            let nearest = figures.max_by(|a, b| part(a).total_cmp(&part(b)));
            if nearest.is_some() {
                return nearest;
            }
        }
        machine
    }
}

/// `/proc/self/stat`: user and system time, which are fields 14 and 15. The second is the name, in
/// brackets, and may hold anything.
fn process_seconds(stat: &str) -> Option<f64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

/// `/proc/stat`. What runs `nice` gives way to us and counts as idle, as does waiting for a disk;
/// what a hypervisor took for others is gone, and counts as busy.
fn system_time(stat: &str) -> Option<SystemTime> {
    let mut lines = stat.lines();
    let first = lines.next()?.strip_prefix("cpu ")?;
    let times: Vec<u64> =
        first.split_ascii_whitespace().map_while(|field| field.parse().ok()).take(8).collect();
    let &[user, nice, system, idle, ref rest @ ..] = &times[..] else { return None };
    let at = |index: usize| rest.get(index).copied().unwrap_or(0);
    let (wait, interrupts, stolen) = (at(0), at(1) + at(2), at(3));
    let busy = user + system + interrupts + stolen;
    let core_count = lines.take_while(|line| line.starts_with("cpu")).count();
    Some(SystemTime {
        busy: busy as f64 / TICKS_PER_SECOND,
        total: (busy + nice + idle + wait) as f64 / TICKS_PER_SECOND,
        core_count: core_count.max(1),
    })
}

/// `/proc/self/status`: how many are in `Cpus_allowed_list`, as `0-3,6`.
fn allowed_core_count(status: &str) -> Option<usize> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut count = 0;
    for range in list.trim().split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
        count += to.checked_sub(from)?.checked_add(1)?;
    }
    (count > 0).then_some(count)
}

/// `/proc/meminfo`: what is not available, of all there is.
fn machine_memory(meminfo: &str) -> Option<Memory> {
    let kib = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let limit = kib("MemTotal:")?.checked_mul(1024)?;
    let available = kib("MemAvailable:")?.checked_mul(1024)?;
    let used = limit.saturating_sub(available);
    (limit > 0).then_some(Memory { used, limit, source: Source::System })
}

/// `cpu.max`: a quota and its period in microseconds, or `max`; as processors.
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    cfs_quota(quota, period)
}

/// A quota and its period, as processors. None when it is `max` or -1.
fn cfs_quota(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (u64, u64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

/// A number of bytes; `max` is none.
fn bytes(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// A figure of `memory.stat`.
fn field(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// The folders of this process's group and of all above it, from `/proc/self/mountinfo` and
/// `/proc/self/cgroup`. `controller` is empty for the one hierarchy of version 2.
fn group_folders(mounts: &str, groups: &str, controller: &str) -> Vec<PathBuf> {
    let group = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        controllers.split(',').any(|name| name == controller).then_some(path)
    });
    let mount = mounts.lines().find_map(|line| {
        let (before, behind) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?, before.next()?);
        let mut behind = behind.split(' ');
        let (kind, options) = (behind.next()?, behind.nth(1)?);
        let is_it = match controller {
            "" => kind == "cgroup2",
            _ => kind == "cgroup" && options.split(',').any(|option| option == controller),
        };
        is_it.then_some((root, Path::new(point)))
    });
    let (Some(group), Some((root, point))) = (group, mount) else { return Vec::new() };
    // Seen from within a container the group may lie outside of what is mounted: what is mounted is
    // the container's then.
    let below = Path::new(group).strip_prefix(root).ok();
    let below = below.filter(|path| path.components().all(|part| part.as_os_str() != ".."));
    let own = below.map_or_else(|| point.to_path_buf(), |below| point.join(below));
    own.ancestors().take_while(|folder| folder.starts_with(point)).map(Path::to_path_buf).collect()
}

#[cfg(test)]
mod tests;
