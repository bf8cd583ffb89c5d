use super::*;

/// Read on the machine this was written on: version 1, and version 2 without controllers.
const HERE: &[(&str, &str)] = &[
    (
        "/proc/self/mountinfo",
        "23 1 254:0 / / rw,relatime - ext4 /dev/root rw\n\
         31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
         32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
         33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n\
         35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
         41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
    ),
    (
        "/proc/self/cgroup",
        "9:name=systemd:/\n5:devices:/\n4:memory:/process_api/ee1a6fde\n2:cpuacct:/\n1:cpu:/\n0::/\n",
    ),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
    ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
    ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "3531579392\n"),
    ("/sys/fs/cgroup/memory/process_api/ee1a6fde/memory.limit_in_bytes", "9223372036854771712\n"),
    ("/sys/fs/cgroup/memory/process_api/ee1a6fde/memory.usage_in_bytes", "33579392\n"),
    (
        "/proc/self/stat",
        "23343 (a (strange) name) R 23336 23336 15098 0 -1 4194304 2840 6530 0 0 3 2 6 0 20 0 1 0 \
         121949 16961536 3373 18446744073709551615 94838274961408 94838274961749 140734146203104 0 \
         0 0 0 16781312 2 0 0 0 17 1 0 0 0 0 0 94838274973104\n",
    ),
    (
        "/proc/stat",
        "cpu  123999 5 12750 14250 613 0 214 1044 0 0\n\
         cpu0 62163 0 5943 7660 145 0 20 519 0 0\n\
         cpu1 61836 5 6807 6590 467 0 193 525 0 0\n\
         intr 6116302 0 0\nctxt 2114022\nbtime 1795909187\n",
    ),
    (
        "/proc/self/status",
        "Name:\tsensocto\nUmask:\t0022\nState:\tR (running)\nCpus_allowed:\t3\n\
         Cpus_allowed_list:\t0-1\nMems_allowed_list:\t0\n",
    ),
    (
        "/proc/meminfo",
        "MemTotal:       24684096 kB\nMemFree:        20833816 kB\nMemAvailable:   23116276 kB\n\
         Buffers:           18564 kB\n",
    ),
];

/// Docker on a machine with version 2: the container's own group is all it sees.
const DOCKER_V2: &[(&str, &str)] = &[
    (
        "/proc/self/mountinfo",
        "1107 1101 0:131 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k\n\
         1112 1104 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate,memory_recursiveprot\n",
    ),
    ("/proc/self/cgroup", "0::/\n"),
    ("/sys/fs/cgroup/cpu.max", "150000 100000\n"),
    ("/sys/fs/cgroup/memory.max", "536870912\n"),
    ("/sys/fs/cgroup/memory.current", "402653184\n"),
    (
        "/sys/fs/cgroup/memory.stat",
        "anon 251658240\nfile 150994944\nkernel 2097152\ninactive_anon 251650048\nactive_anon 8192\n\
         inactive_file 134217728\nactive_file 16777216\n",
    ),
    ("/proc/self/status", "Cpus_allowed_list:\t0-7\n"),
    ("/proc/meminfo", "MemTotal:       16252928 kB\nMemAvailable:   12582912 kB\n"),
];

/// Version 2 under systemd: the service has no limit, the slice above it has.
const SYSTEMD_V2: &[(&str, &str)] = &[
    (
        "/proc/self/mountinfo",
        "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
    ),
    ("/proc/self/cgroup", "0::/small.slice/sensocto.service\n"),
    ("/sys/fs/cgroup/small.slice/sensocto.service/cpu.max", "max 100000\n"),
    ("/sys/fs/cgroup/small.slice/sensocto.service/memory.max", "max\n"),
    ("/sys/fs/cgroup/small.slice/sensocto.service/memory.current", "1048576\n"),
    ("/sys/fs/cgroup/small.slice/cpu.max", "50000 100000\n"),
    ("/sys/fs/cgroup/small.slice/memory.max", "1000000\n"),
    ("/sys/fs/cgroup/small.slice/memory.current", "250000\n"),
    ("/proc/self/status", "Cpus_allowed_list:\t0-3,8,10-11\n"),
];

/// Docker on a machine with version 1: the group's path is the host's, what is mounted is not.
const DOCKER_V1: &[(&str, &str)] = &[
    (
        "/proc/self/mountinfo",
        "1470 1465 0:33 /docker/9a5b /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:18 - cgroup cgroup rw,memory\n\
         1475 1465 0:38 /docker/9a5b /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime master:23 - cgroup cgroup rw,cpu,cpuacct\n",
    ),
    ("/proc/self/cgroup", "9:memory:/docker/9a5b\n4:cpu,cpuacct:/docker/9a5b\n"),
    ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n"),
    ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
    ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "900000000\n"),
    (
        "/sys/fs/cgroup/memory/memory.stat",
        "cache 5\ninactive_file 7\ntotal_cache 9\ntotal_inactive_file 100000000\n",
    ),
    ("/proc/self/status", "Cpus_allowed_list:\t0-7\n"),
    ("/proc/meminfo", "MemTotal:       16252928 kB\nMemAvailable:   12582912 kB\n"),
];

fn file(files: &[(&str, &str)], path: &Path) -> Option<String> {
    files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned())
}

#[test]
fn a_machine_without_limits_is_read_as_a_whole() {
    let reading = Machine::new(|path| file(HERE, path)).read();
    assert_eq!(reading.process, Some(0.05), "3 + 2 ticks, behind a strange name");
    assert_eq!((reading.cores, reading.cores_source), (2.0, Source::System));
    let system = reading.system.unwrap();
    assert_eq!(system.core_count, 2);
    assert_eq!(system.busy, (123_999 + 12_750 + 214 + 1044) as f64 / 100.0);
    assert_eq!(system.total, system.busy + (5 + 14_250 + 613) as f64 / 100.0);
    let memory = reading.memory.unwrap();
    assert_eq!(memory.source, Source::System, "a limit of 8 EiB is none");
    assert_eq!((memory.used, memory.limit), ((24_684_096 - 23_116_276) << 10, 24_684_096 << 10));
}

#[test]
fn a_container_is_held_to_its_own_limits() {
    let reading = Machine::new(|path| file(DOCKER_V2, path)).read();
    assert_eq!((reading.cores, reading.cores_source), (1.5, Source::CgroupV2));
    // 384 MiB of 512, 128 of which are files that nobody reads.
    let memory = Memory { used: 256 << 20, limit: 512 << 20, source: Source::CgroupV2 };
    assert_eq!(reading.memory, Some(memory));
    assert_eq!((reading.process, reading.system), (None, None), "what is missing is told");

    let reading = Machine::new(|path| file(DOCKER_V1, path)).read();
    assert_eq!((reading.cores, reading.cores_source), (2.0, Source::CgroupV1));
    let memory = Memory { used: 800_000_000, limit: 1 << 30, source: Source::CgroupV1 };
    assert_eq!(reading.memory, Some(memory));
}

#[test]
fn a_limit_on_a_group_above_counts_too() {
    let reading = Machine::new(|path| file(SYSTEMD_V2, path)).read();
    assert_eq!((reading.cores, reading.cores_source), (0.5, Source::CgroupV2));
    let memory = Memory { used: 250_000, limit: 1_000_000, source: Source::CgroupV2 };
    assert_eq!(reading.memory, Some(memory));
}

#[test]
fn processors_that_it_may_run_on_are_counted() {
    assert_eq!(allowed_core_count("Cpus_allowed_list:\t0-3,8,10-11\n"), Some(7));
    assert_eq!(allowed_core_count("Cpus_allowed_list:\t5\n"), Some(1));
    for strange in ["", "Cpus_allowed_list:\t\n", "Cpus_allowed_list:\t3-1\n"] {
        assert_eq!(allowed_core_count(strange), None, "{strange:?}");
    }
}

#[test]
fn what_is_not_there_or_not_understood_is_told_and_panics_nobody() {
    let nothing = Machine::new(|_| None).read();
    assert_eq!((nothing.process, nothing.system, nothing.memory), (None, None, None));
    assert_eq!(nothing.cores_source, Source::System);
    assert!(nothing.cores >= 1.0, "what the runtime says of the processors");
    for strange in ["", "\n", "cpu", "cpu \n", "1 (x) R 1", "1 (x", "- - -", "0::", "::::", "a - b"]
    {
        assert_eq!(process_seconds(strange), None, "{strange:?}");
        assert_eq!(system_time(strange), None, "{strange:?}");
        assert_eq!(machine_memory(strange), None, "{strange:?}");
        assert_eq!(group_folders(strange, strange, ""), Vec::<PathBuf>::new(), "{strange:?}");
        assert_eq!((cpu_max(strange), bytes(strange)), (None, None), "{strange:?}");
    }
    assert_eq!(cpu_max("0 0"), None);
    assert_eq!(machine_memory("MemTotal: 0 kB\nMemAvailable: 0 kB\n"), None);
}

#[test]
fn a_group_outside_of_what_is_mounted_is_what_is_mounted() {
    let mounts = "1 0 0:1 / /cg rw - cgroup2 cgroup2 rw\n";
    let folders = |group: &str| group_folders(mounts, group, "");
    assert_eq!(folders("0::/../../other\n"), [Path::new("/cg")]);
    assert_eq!(folders("0::/a/b\n"), ["/cg/a/b", "/cg/a", "/cg"].map(PathBuf::from));
    assert_eq!(group_folders(mounts, "0::/a\n", "memory"), Vec::<PathBuf>::new());
}
