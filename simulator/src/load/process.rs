//! A server as the machine sees it: started, its CPU time and memory, stopped.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use components::class::Class;

/// Ticks of `utime` and `stime` a second: fixed on Linux, whatever the kernel's own rate.
const TICKS_PER_SECOND: f64 = 100.0;

/// Connections that it takes from this machine: more than it has ports for.
const CONNECTIONS_MAX: &str = "65536";

/// Samples a second that it takes of one class of one sensor: as many as may be asked for.
const SAMPLES_PER_SECOND_MAX: &str = "1000000";

/// A server that was started for one run and ends with it.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
    folder: PathBuf,
    cage: Option<Cage>,
}

/// Over which a process may use its part of a core, µs: a tenth of what a viewer would notice.
const CAGE_PERIOD_US: f64 = 10_000.0;

/// A control group whose processes may use so much of the machine (cgroups(7), version 1 or 2).
/// Removed when dropped, by when nothing may run in it.
#[derive(Debug)]
struct Cage {
    folder: PathBuf,
}

impl Cage {
    fn new(name: &str, cores: f64) -> Result<Self, String> {
        let root = Path::new("/sys/fs/cgroup");
        let quota = (cores * CAGE_PERIOD_US).round();
        let (parent, files) = if root.join("cgroup.controllers").exists() {
            (root.to_owned(), vec![("cpu.max", format!("{quota} {CAGE_PERIOD_US}"))])
        } else {
            let period = ("cpu.cfs_period_us", CAGE_PERIOD_US.to_string());
            (root.join("cpu"), vec![period, ("cpu.cfs_quota_us", quota.to_string())])
        };
        let cage = Self { folder: parent.join(name) };
        let failed = |path: &Path, error: std::io::Error| {
            format!(
                "--server-cores: {}: {error}; it takes the right to make a control group",
                path.display()
            )
        };
        std::fs::create_dir(&cage.folder).map_err(|error| failed(&cage.folder, error))?;
        for (file, text) in files {
            let path = cage.folder.join(file);
            std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
        }
        Ok(cage)
    }

    /// Runs in here, from its first instruction.
    fn around(&self, command: &Command) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]);
        shell.arg(self.folder.join("cgroup.procs")).arg(command.get_program());
        shell.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}

impl Child {
    /// Starts `sensocto serve` on this port of loopback, with nobody in it and a folder of its own;
    /// with so much of the machine, if that is said.
    pub fn sensocto(program: &Path, port: u16, cores: Option<f64>) -> Result<Self, String> {
        Self::start_in(port, cores, |folder| {
            let mut command = Command::new(program);
            command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
            command.args(["--simulate", "none", "--auth", "open", "--data"]).arg(folder);
            // All the load comes from here.
            for limit in ["CONNECTIONS_MAX", "CONNECTIONS_PER_ADDRESS_MAX"] {
                command.env(format!("SENSOCTO_{limit}"), CONNECTIONS_MAX);
            }
            // What the machine bears is to be found, not what a sensor may send.
            for class in Class::ALL.map(Class::name) {
                let limit = format!("SENSOR_{class}_SAMPLES_PER_SECOND").to_ascii_uppercase();
                command.env(format!("SENSOCTO_{limit}"), SAMPLES_PER_SECOND_MAX);
            }
            Ok(command)
        })
    }

    /// Starts what `command` makes of a new empty folder.
    pub fn start(
        port: u16,
        command: impl FnOnce(&Path) -> Result<Command, String>,
    ) -> Result<Self, String> {
        Self::start_in(port, None, command)
    }

    fn start_in(
        port: u16,
        cores: Option<f64>,
        command: impl FnOnce(&Path) -> Result<Command, String>,
    ) -> Result<Self, String> {
        let name = format!("sensocto-load-{}-{port}", std::process::id());
        let cage = cores.map(|cores| Cage::new(&name, cores)).transpose()?;
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let command = command(&folder)?;
        let program = command.get_program().to_string_lossy().into_owned();
        let mut command = match &cage {
            Some(cage) => cage.around(&command),
            None => command,
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        Ok(Self { child, folder, cage })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until something listens at `authority`.
    pub fn wait_for(&self, authority: &str, at_most: Duration) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < at_most {
            if TcpStream::connect(authority).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{authority}: the server that was started does not answer"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself; its folder is ours either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
        drop(self.cage.take());
    }
}

/// A port of loopback that was free a moment ago.
pub fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// In user and kernel, of all threads.
    pub cpu_seconds: f64,
    pub resident_kib: u64,
}

/// `None` when there is no such process, or no `/proc`.
pub fn usage(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage { cpu_seconds: cpu_seconds(&stat)?, resident_kib: resident_kib(&status)? })
}

/// proc_pid_stat(5): fields 14 and 15; the name, field 2, may hold blanks and brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_are_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 5 0 0 0 150 50 9 9 20 0 1 0 100 1 1";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(resident_kib("Name:\tx\nVmRSS:\t  1234 kB\n"), Some(1234));
        assert_eq!(cpu_seconds(""), None);
        assert_eq!(resident_kib(""), None);
    }
}
