//! What an operator may set: defaults, then a TOML file, then `SENSOCTO_*` in the environment,
//! then flags. Checked once, and a mistake is told with its key and where it came from.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use components::class::Class;
use components::load::LoadLevel;
use engine::{EngineConfig, Faults, Settings};
use simulator::nearest::nearest;
use simulator::scenario::{self, Scenario};

use crate::auth::{Auth, Mode, NamedToken};
use crate::history::HISTORY_MIB_MAX;
use crate::intake::{CLASS_MIB_MAX, IntakeLimits};
use crate::listen::ListenLimits;
use crate::origin::{Origin, Origins};
use crate::people::{ACCOUNT_COUNT_MAX, GUEST_IDLE, PeopleConfig};
use crate::post::PostConfig;
use crate::proxies::{Net, Proxies};
use crate::pump::{TICK_HZ_DEFAULT, TICK_HZ_MAX, TICK_HZ_MIN};
use crate::recorder::{RECORDING_MIB_MAX, RECORDINGS_MIB_MAX};
use crate::rooms::RoomId;
use crate::socket::{SocketLimits, sensor_rate};
use crate::store::Place;
use crate::viewer::VIEWER_COUNT_MAX;

/// Every key, as in the file; in the environment in capitals behind `SENSOCTO_`.
pub const KEYS: [&str; 43] = [
    "listen",
    "data",
    "take_over",
    "simulate",
    "simulate_room",
    "replay",
    "auth",
    "allow_remote_unauthenticated",
    "origins",
    "proxies",
    "mail",
    "mail_from",
    "public_url",
    "device_tokens",
    "viewer_tokens",
    "admin_tokens",
    "registration",
    "guests",
    "guest_idle_minutes",
    "accounts_max",
    "connections_max",
    "connections_per_address_max",
    "address_limit_factor",
    "feeds_max",
    "viewers_max",
    "sensors_max",
    "ring_mib_max",
    "tick_hz",
    "load",
    "threads",
    "topics_per_socket_max",
    "class_samples_max",
    "class_mib_max",
    "sensor_bio_samples_per_second",
    "sensor_motion_samples_per_second",
    "sensor_location_samples_per_second",
    "sensor_environment_samples_per_second",
    "sensor_device_samples_per_second",
    "idle_seconds",
    "recording_mib_max",
    "recordings_mib_max",
    "history_mib_max",
    "faults",
];

/// In the environment, beside the keys: where the file is.
const CONFIG_VARIABLE: &str = "SENSOCTO_CONFIG";

/// The whole of it, checked.
#[derive(Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// Where recordings and whatever else is to last are kept.
    pub data: PathBuf,
    /// Where the store is: in that folder if somebody has named it, else in memory. Whoever only
    /// tries this out leaves nothing behind.
    pub store: Place,
    /// Whether the server that has that folder, if one does, is to end, and its listening socket to be
    /// this one's.
    pub take_over: bool,
    /// The scenarios that run within the server from the beginning.
    pub simulate: Vec<Scenario>,
    /// The room that they are for.
    pub simulate_room: Option<RoomId>,
    /// A recording to show from the beginning; then nobody is simulated unless asked for.
    pub replay: Option<PathBuf>,
    pub auth: Auth,
    pub people: PeopleConfig,
    pub origins: Origins,
    pub proxies: Proxies,
    /// Who carries mail to people; `None`: nobody.
    pub post: Option<PostConfig>,
    /// Feeds open at once.
    pub feed_count_max: usize,
    /// Viewer tokens out at once.
    pub viewer_count_max: usize,
    /// Ticks a second.
    pub tick_hz: u32,
    /// The load that the engine is told, whatever is measured; `None`: it judges for itself.
    pub load: Option<LoadLevel>,
    pub engine: EngineConfig,
    pub intake_limits: IntakeLimits,
    pub listen_limits: ListenLimits,
    pub socket_limits: SocketLimits,
    /// Bytes of one recording, and of all of them.
    pub recording_bytes_max: u64,
    pub recordings_bytes_max: u64,
    /// Bytes that the pasts of all sensors may take.
    pub history_bytes_max: u64,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File(PathBuf),
    Environment(String),
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::Flag(flag) => write!(f, "the flag {flag}"),
        }
    }
}

/// A mistake of the operator's, told so that it can be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub key: String,
    pub source: Source,
    pub what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` from {}: {}", self.key, self.source, self.what)
    }
}

impl std::error::Error for ConfigError {}

/// What the three places said, before anything is made of it.
#[derive(Debug, Default)]
pub struct Given {
    values: Vec<(&'static str, toml::Value, Source)>,
}

impl Given {
    /// The file's keys.
    pub fn file(&mut self, path: PathBuf, text: &str) -> Result<(), ConfigError> {
        let source = Source::File(path);
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError {
            key: "config".into(),
            source: source.clone(),
            what: error.to_string(),
        })?;
        for (key, value) in table {
            self.add(&key, value, source.clone())?;
        }
        Ok(())
    }

    /// The variables that begin with `SENSOCTO_`. One that resembles a key is a slip and refused;
    /// one that resembles none is somebody else's (the build's, a test's), and left alone.
    pub fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in variables {
            let Some(key) = name.strip_prefix("SENSOCTO_") else { continue };
            let key = key.to_ascii_lowercase();
            if name == CONFIG_VARIABLE || nearest_key(&key).is_none() {
                continue;
            }
            self.add(&key, toml::Value::String(value), Source::Environment(name.clone()))?;
        }
        Ok(())
    }

    /// A flag that was given.
    pub fn flag(&mut self, key: &str, value: impl Into<toml::Value>) -> Result<(), ConfigError> {
        self.add(key, value.into(), Source::Flag(format!("--{}", key.replace('_', "-"))))
    }

    fn add(&mut self, key: &str, value: toml::Value, source: Source) -> Result<(), ConfigError> {
        let Some(known) = KEYS.into_iter().find(|known| *known == key) else {
            let what = match nearest_key(key) {
                Some(known) => format!("there is no such key; did you mean `{known}`?"),
                None => format!("there is no such key; there are {}", KEYS.join(", ")),
            };
            return Err(ConfigError { key: key.to_owned(), source, what });
        };
        self.values.push((known, value, source));
        Ok(())
    }

    /// The last word on a key.
    fn last(&self, key: &'static str) -> Option<Setting<'_>> {
        let (_, value, source) = self.values.iter().rev().find(|(known, ..)| *known == key)?;
        Some(Setting { key, value, source })
    }

    /// Checks everything.
    pub fn check(&self) -> Result<Config, ConfigError> {
        let listen = self.last("listen");
        let address: SocketAddr = match &listen {
            Some(setting) => setting
                .text()?
                .parse()
                .map_err(|_| setting.error("expected an address and port, as 127.0.0.1:4000"))?,
            None => SocketAddr::from(([127, 0, 0, 1], 4000)),
        };
        let mode_given = self.last("auth");
        let mode = match &mode_given {
            Some(setting) => Mode::from_name(setting.text()?).ok_or_else(|| {
                setting.error(&format!("expected one of {}", Mode::NAMES.join(", ")))
            })?,
            None => Mode::Dev,
        };
        let forced = self
            .last("allow_remote_unauthenticated")
            .map_or(Ok(false), |setting| setting.boolean())?;
        if mode != Mode::Strict && !address.ip().is_loopback() && !forced {
            let source = listen.as_ref().map_or(Source::Default, |setting| setting.source.clone());
            return Err(ConfigError {
                key: "listen".into(),
                source,
                what: format!(
                    "{address} can be reached from elsewhere, and auth `{}` lets anyone in; \
                     set auth to strict, or pass --allow-remote-unauthenticated",
                    mode.name()
                ),
            });
        }
        let faults = match self.last("faults") {
            Some(setting) if setting.boolean()? => match crate::fault::UNARMED {
                Some(why) => return Err(setting.error(why)),
                None if !address.ip().is_loopback() => {
                    let what = format!("failpoints are for loopback, not for {address}");
                    return Err(setting.error(&what));
                }
                None => crate::fault::armed(),
            },
            _ => Faults::default(),
        };
        let tokens = |key| self.last(key).map_or(Ok(Vec::new()), |setting| setting.tokens());
        let number =
            |key, default: usize| self.last(key).map_or(Ok(default), |setting| setting.count());
        let auth = Auth {
            mode,
            device_tokens: tokens("device_tokens")?,
            viewer_tokens: tokens("viewer_tokens")?,
            admin_tokens: tokens("admin_tokens")?,
        };
        let address_limit_factor = number("address_limit_factor", 1)?;
        // Where tokens decide who comes in, accounts are for whom an administrator lets have one.
        let is_open = |key| self.last(key).map_or(Ok(mode != Mode::Strict), |it| it.boolean());
        let people = PeopleConfig {
            is_registration_open: is_open("registration")?,
            lets_guests_in: is_open("guests")?,
            guest_idle: Duration::from_secs(
                60 * number("guest_idle_minutes", GUEST_IDLE.as_secs() as usize / 60)? as u64,
            ),
            account_count_max: number("accounts_max", ACCOUNT_COUNT_MAX)?,
            limit_factor: address_limit_factor,
            mails_links: mode == Mode::Dev || self.last("mail").is_some(),
            ..PeopleConfig::default()
        };
        let take_over = match self.last("take_over") {
            Some(setting) if setting.boolean()? => match self.last("data") {
                Some(_) => true,
                None => {
                    return Err(setting.error("it needs `data`: there one server finds another"));
                }
            },
            _ => false,
        };
        let data = PathBuf::from(self.last("data").map_or(Ok("data"), |setting| setting.text())?);
        let engine = EngineConfig::default();
        let intake_limits = IntakeLimits::default();
        let listen_limits = ListenLimits::default();
        let socket_limits = SocketLimits::default();
        Ok(Config {
            listen: address,
            simulate: self.scenarios(&data.join("scenarios"))?,
            simulate_room: self.last("simulate_room").map(|setting| setting.room()).transpose()?,
            replay: self
                .last("replay")
                .map(|setting| setting.text().map(PathBuf::from))
                .transpose()?,
            store: match self.last("data") {
                Some(_) => Place::Folder(data.clone()),
                None => Place::Memory,
            },
            data,
            take_over,
            auth,
            people,
            proxies: Proxies(
                self.last("proxies").map_or(Ok(Vec::new()), |setting| setting.nets())?,
            ),
            post: self.post()?,
            origins: Origins {
                allowed: self
                    .last("origins")
                    .map_or(Ok(Vec::new()), |setting| setting.origins())?,
            },
            feed_count_max: number("feeds_max", 1_000_000)?,
            viewer_count_max: number("viewers_max", VIEWER_COUNT_MAX)?,
            tick_hz: match number("tick_hz", TICK_HZ_DEFAULT as usize)? as u32 {
                hz @ TICK_HZ_MIN..=TICK_HZ_MAX => hz,
                _ => {
                    let what = format!("expected {TICK_HZ_MIN} to {TICK_HZ_MAX} ticks a second");
                    return Err(self.last("tick_hz").map_or_else(
                        || ConfigError {
                            key: "tick_hz".into(),
                            source: Source::Default,
                            what: what.clone(),
                        },
                        |setting| setting.error(&what),
                    ));
                }
            },
            load: match self.last("load") {
                None => None,
                Some(setting) => match setting.text()? {
                    "measured" => None,
                    name => Some(LoadLevel::from_name(name).ok_or_else(|| {
                        setting.error("expected measured, normal, elevated, high or critical")
                    })?),
                },
            },
            engine: EngineConfig {
                settings: Settings {
                    sensor_count_max: number("sensors_max", engine.settings.sensor_count_max)?,
                    ring_bytes_max: number("ring_mib_max", engine.settings.ring_bytes_max >> 20)?
                        << 20,
                    ..engine.settings
                },
                threads: number("threads", default_threads())?,
                stopwatch: None,
                faults,
            },
            intake_limits: IntakeLimits {
                class_samples: number("class_samples_max", intake_limits.class_samples)?,
                class_bytes: number("class_mib_max", CLASS_MIB_MAX)? << 20,
                ..intake_limits
            },
            listen_limits: ListenLimits {
                connection_count_max: number(
                    "connections_max",
                    listen_limits.connection_count_max,
                )?,
                connection_count_per_address_max: number(
                    "connections_per_address_max",
                    listen_limits.connection_count_per_address_max,
                )?,
                address: listen_limits.address.times(address_limit_factor as f64),
                ..listen_limits
            },
            socket_limits: SocketLimits {
                idle: Duration::from_secs(number("idle_seconds", 60)? as u64),
                topic_count_max: number("topics_per_socket_max", socket_limits.topic_count_max)?,
                sensor_samples: {
                    let mut rates = socket_limits.sensor_samples;
                    for (class, rate) in Class::ALL.into_iter().zip(&mut rates) {
                        let per_second = number(sensor_key(class), rate.per_second as usize)?;
                        *rate = sensor_rate(per_second as f64);
                    }
                    rates
                },
                ..socket_limits
            },
            recording_bytes_max: (number("recording_mib_max", RECORDING_MIB_MAX)? as u64) << 20,
            history_bytes_max: (number("history_mib_max", HISTORY_MIB_MAX)? as u64) << 20,
            recordings_bytes_max: (number("recordings_mib_max", RECORDINGS_MIB_MAX)? as u64) << 20,
        })
    }
}

impl Given {
    /// Who carries mail. What is set of it must be whole.
    fn post(&self) -> Result<Option<PostConfig>, ConfigError> {
        let Some(server) = self.last("mail") else { return Ok(None) };
        let needed = |key: &'static str, what: &str| {
            self.last(key).ok_or_else(|| server.error(&format!("needs `{key}`, too: {what}")))
        };
        let from = needed("mail_from", "the address that mail comes from")?;
        let url = needed("public_url", "the page's address as people know it")?;
        let is_url = |text: &&str| {
            let parsed = url::Url::parse(text).ok();
            parsed.is_some_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.query().is_none()
                    && url.fragment().is_none()
            })
        };
        let public_url = url.text()?.trim_end_matches('/');
        let public_url = Some(public_url)
            .filter(is_url)
            .ok_or_else(|| url.error("expected an address, as https://sensocto.example.org"))?;
        let config = PostConfig {
            server: server.text()?.into(),
            from: from
                .text()?
                .parse()
                .map_err(|_| from.error("expected an address, as Sensocto <mail@example.org>"))?,
            public_url: public_url.into(),
        };
        config.check().map_err(|what| server.error(&what))?;
        Ok(Some(config))
    }

    /// Those to simulate: shipped, of the operator's folder, or files; `none` is nobody.
    fn scenarios(&self, folder: &Path) -> Result<Vec<Scenario>, ConfigError> {
        let setting = self.last("simulate");
        let names = match &setting {
            Some(setting) => setting.list()?,
            None if self.last("replay").is_some() => vec!["none"],
            None => vec![scenario::DEFAULT],
        };
        let error = |what: String| ConfigError {
            key: "simulate".into(),
            source: setting.as_ref().map_or(Source::Default, |setting| setting.source.clone()),
            what,
        };
        let mut scenarios = Vec::new();
        for (index, name) in names.iter().enumerate() {
            match *name {
                "none" if names.len() == 1 => {}
                "none" => return Err(error("`none` is said alone".into())),
                _ if names[..index].contains(name) => {
                    return Err(error(format!("`{name}` is there twice")));
                }
                _ => scenarios.push(
                    Scenario::find(name, Some(folder))
                        .map_err(|problem| error(problem.to_string()))?,
                ),
            }
        }
        Ok(scenarios)
    }
}

/// The key of how much a sensor may send of this class.
fn sensor_key(class: Class) -> &'static str {
    match class {
        Class::Bio => "sensor_bio_samples_per_second",
        Class::Motion => "sensor_motion_samples_per_second",
        Class::Location => "sensor_location_samples_per_second",
        Class::Environment => "sensor_environment_samples_per_second",
        Class::Device => "sensor_device_samples_per_second",
    }
}

/// The key that was probably meant.
fn nearest_key(key: &str) -> Option<&'static str> {
    nearest(key, KEYS)
}

/// One core is for the sockets; a tick that is alone on its core wakes nobody.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

struct Setting<'a> {
    key: &'static str,
    value: &'a toml::Value,
    source: &'a Source,
}

impl<'a> Setting<'a> {
    fn error(&self, what: &str) -> ConfigError {
        ConfigError { key: self.key.into(), source: self.source.clone(), what: what.into() }
    }

    fn text(&self) -> Result<&'a str, ConfigError> {
        self.value.as_str().ok_or_else(|| self.error("expected a string"))
    }

    fn room(&self) -> Result<RoomId, ConfigError> {
        RoomId::parse(self.text()?).ok_or_else(|| self.error("expected the id of a room, a UUID"))
    }

    fn boolean(&self) -> Result<bool, ConfigError> {
        match self.value {
            toml::Value::Boolean(value) => Ok(*value),
            toml::Value::String(text) if text == "true" || text == "1" => Ok(true),
            toml::Value::String(text) if text == "false" || text == "0" => Ok(false),
            _ => Err(self.error("expected true or false")),
        }
    }

    /// From 1 to a million: beyond that, memory is a promise nobody can keep.
    fn count(&self) -> Result<usize, ConfigError> {
        let number = match self.value {
            toml::Value::Integer(number) => Some(*number),
            toml::Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number
            .filter(|number| (1..=1_000_000).contains(number))
            .map(|number| number as usize)
            .ok_or_else(|| self.error("expected a whole number from 1 to 1000000"))
    }

    /// A list of strings; in the environment, separated by commas.
    fn list(&self) -> Result<Vec<&'a str>, ConfigError> {
        match self.value {
            toml::Value::String(text) => {
                Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
            }
            toml::Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().ok_or_else(|| self.error("expected a list of strings")))
                .collect(),
            _ => Err(self.error("expected a list of strings")),
        }
    }

    fn origins(&self) -> Result<Vec<Origin>, ConfigError> {
        self.list()?
            .into_iter()
            .map(|text| {
                Origin::parse(text).ok_or_else(|| {
                    self.error(&format!("`{text}` is not an origin, as https://example.org"))
                })
            })
            .collect()
    }

    fn nets(&self) -> Result<Vec<Net>, ConfigError> {
        let net = |text: &str| {
            let what = format!("`{text}` is not an address, nor a net as 10.0.0.0/8");
            Net::parse(text).ok_or_else(|| self.error(&what))
        };
        self.list()?.into_iter().map(net).collect()
    }

    /// A list of `{name, token}`; in the environment, `name:token` separated by commas. An error
    /// never shows a token.
    fn tokens(&self) -> Result<Vec<NamedToken>, ConfigError> {
        let wrong = || self.error("expected a list of {name, token}, or name:token,name:token");
        let pairs: Vec<(&str, &str)> = match self.value {
            toml::Value::Array(items) => items
                .iter()
                .map(|item| {
                    let table = item.as_table().filter(|table| table.len() == 2)?;
                    Some((table.get("name")?.as_str()?, table.get("token")?.as_str()?))
                })
                .collect::<Option<_>>()
                .ok_or_else(wrong)?,
            _ => self
                .list()?
                .into_iter()
                .map(|item| item.split_once(':'))
                .collect::<Option<_>>()
                .ok_or_else(wrong)?,
        };
        if pairs.iter().any(|(name, token)| name.is_empty() || token.is_empty()) {
            return Err(self.error("a name or a token is empty"));
        }
        if pairs.iter().any(|(name, _)| *name == simulator::fleet::OWNER) {
            let what = format!("the name `{}` is of made-up sensors", simulator::fleet::OWNER);
            return Err(self.error(&what));
        }
        Ok(pairs
            .into_iter()
            .map(|(name, token)| NamedToken { name: name.into(), token: token.into() })
            .collect())
    }
}

/// Where the file is, by the environment.
pub fn file_from_environment() -> Option<PathBuf> {
    std::env::var_os(CONFIG_VARIABLE).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut given = Given::default();
        given.environment(
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )?;
        given.check()
    }

    fn names(config: &Config) -> Vec<&str> {
        config.simulate.iter().map(|scenario| &*scenario.name).collect()
    }

    #[test]
    fn several_scenarios_may_run_from_the_beginning() {
        let config = environment(&[("SENSOCTO_SIMULATE", "few, crowd")]).unwrap();
        assert_eq!(names(&config), ["few", "crowd"]);
        let mut given = Given::default();
        given.file("a.toml".into(), "simulate = [\"crowd\", \"few\"]").unwrap();
        assert_eq!(names(&given.check().unwrap()), ["crowd", "few"]);
        let error_of = |text| environment(&[("SENSOCTO_SIMULATE", text)]).unwrap_err().to_string();
        assert!(error_of("few,few").contains("`few` is there twice"));
        assert!(error_of("few,none").contains("`none` is said alone"));
        assert!(error_of("few,fwe").contains("`fwe`"));
        assert!(environment(&[("SENSOCTO_SIMULATE", "")]).unwrap().simulate.is_empty());
        let error = environment(&[("SENSOCTO_DEVICE_TOKENS", "simulator:x")]).unwrap_err();
        assert!(error.to_string().contains("`simulator` is of made-up sensors"), "{error}");
    }

    #[test]
    fn a_recording_to_show_leaves_nobody_to_simulate_unless_asked() {
        let config = environment(&[("SENSOCTO_REPLAY", "walk.mcap")]).unwrap();
        assert_eq!(config.replay.as_deref(), Some(Path::new("walk.mcap")));
        assert!(config.simulate.is_empty());
        let both = [("SENSOCTO_REPLAY", "walk.mcap"), ("SENSOCTO_SIMULATE", "few")];
        assert_eq!(names(&environment(&both).unwrap()), ["few"]);
    }

    #[test]
    fn nothing_given_listens_on_loopback_in_dev() {
        let config = Given::default().check().unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:4000");
        assert_eq!(config.auth.mode, Mode::Dev);
        assert_eq!(names(&config), ["few"], "the first start shows life");
    }

    #[test]
    fn what_is_to_last_is_kept_where_somebody_has_named_a_folder() {
        assert!(matches!(environment(&[]).unwrap().store, Place::Memory));
        let config = environment(&[("SENSOCTO_DATA", "/srv/sensocto")]).unwrap();
        assert!(matches!(&config.store, Place::Folder(folder) if *folder == config.data));
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let mut given = Given::default();
        given
            .file("a.toml".into(), "listen = \"127.0.0.1:1\"\nfeeds_max = 7\nsimulate = \"crowd\"")
            .unwrap();
        given
            .environment([
                ("SENSOCTO_LISTEN".into(), "127.0.0.1:2".into()),
                ("SENSOCTO_SIMULATE".into(), "none".into()),
            ])
            .unwrap();
        given.flag("listen", "127.0.0.1:3").unwrap();
        let config = given.check().unwrap();
        assert_eq!((config.listen.port(), config.feed_count_max), (3, 7));
        assert!(config.simulate.is_empty());
    }

    #[test]
    fn a_mistake_is_told_with_its_key_and_its_place() {
        let error = environment(&[("SENSOCTO_LISTN", "x")]).unwrap_err().to_string();
        assert!(
            error.contains("SENSOCTO_LISTN") && error.contains("did you mean `listen`?"),
            "{error}"
        );
        assert!(environment(&[("SENSOCTO_BIN", "x")]).is_ok(), "somebody else's");
        let error = environment(&[("SENSOCTO_FEEDS_MAX", "0")]).unwrap_err().to_string();
        let error_of = |pair| environment(&[pair]).unwrap_err().to_string();
        assert!(error_of(("SENSOCTO_SIMULATE", "fwe")).contains("did you mean `few`?"));
        assert!(error_of(("SENSOCTO_TICK_HZ", "10")).contains("50 to 1000"));
        assert!(error.contains("`feeds_max`") && error.contains("SENSOCTO_FEEDS_MAX"), "{error}");
        let mut given = Given::default();
        let error = given.file("s.toml".into(), "orgins = []").unwrap_err().to_string();
        assert!(error.contains("s.toml") && error.contains("`origins`"), "{error}");
    }

    #[test]
    fn an_operator_says_how_much_waits_of_a_class_and_a_sensor_sends_of_it() {
        let usual = environment(&[]).unwrap();
        let rates = |config: &Config| config.socket_limits.sensor_samples.map(|r| r.per_second);
        assert_eq!(rates(&usual), [10_000.0, 10_000.0, 100.0, 10_000.0, 1_000.0]);
        assert_eq!(usual.socket_limits.sensor_samples[2].burst, 4096.0, "one whole batch");
        let config = environment(&[
            ("SENSOCTO_SENSOR_LOCATION_SAMPLES_PER_SECOND", "5000"),
            ("SENSOCTO_CLASS_SAMPLES_MAX", "1000"),
            ("SENSOCTO_CLASS_MIB_MAX", "2"),
            ("SENSOCTO_ADDRESS_LIMIT_FACTOR", "10"),
            ("SENSOCTO_ADMIN_TOKENS", "root:s3cret"),
        ])
        .unwrap();
        assert_eq!(rates(&config), [10_000.0, 10_000.0, 5_000.0, 10_000.0, 1_000.0]);
        assert_eq!(config.socket_limits.sensor_samples[2].burst, 10_000.0, "or two seconds' worth");
        let IntakeLimits { class_samples, class_bytes, .. } = config.intake_limits;
        assert_eq!((class_samples, class_bytes), (1000, 2 << 20));
        let joins = |config: &Config| config.listen_limits.address.0[0].per_second;
        assert_eq!((joins(&usual), joins(&config)), (1_000.0, 10_000.0));
        assert_eq!(&*config.auth.admin_tokens[0].name, "root");
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn open_doors_stay_on_loopback_unless_forced() {
        for auth in ["dev", "open"] {
            let elsewhere = [("SENSOCTO_AUTH", auth), ("SENSOCTO_LISTEN", "0.0.0.0:4000")];
            assert_eq!(environment(&elsewhere).unwrap_err().key, "listen");
            let forced =
                [elsewhere[0], elsewhere[1], ("SENSOCTO_ALLOW_REMOTE_UNAUTHENTICATED", "true")];
            assert!(environment(&forced).is_ok());
        }
        let strict = [
            ("SENSOCTO_AUTH", "strict"),
            ("SENSOCTO_LISTEN", "0.0.0.0:4000"),
            ("SENSOCTO_DEVICE_TOKENS", "a:b:c"),
        ];
        assert_eq!(&*environment(&strict).unwrap().auth.device_tokens[0].token, "b:c");
        // Nobody's token is on the list: nobody comes in, and that is no mistake.
        assert!(environment(&strict[..2]).unwrap().auth.device_tokens.is_empty());
    }

    #[test]
    fn accounts_are_for_everybody_unless_tokens_decide_who_comes_in() {
        let of = |pairs: &[(&str, &str)]| {
            let people = environment(pairs).unwrap().people;
            (people.is_registration_open, people.lets_guests_in)
        };
        assert_eq!(of(&[]), (true, true));
        assert_eq!(of(&[("SENSOCTO_AUTH", "strict")]), (false, false));
        let chosen = [("SENSOCTO_AUTH", "strict"), ("SENSOCTO_REGISTRATION", "true")];
        assert_eq!(of(&chosen), (true, false));
        assert_eq!(of(&[("SENSOCTO_GUESTS", "false")]), (true, false));
        assert!(environment(&[("SENSOCTO_GUESTS", "maybe")]).is_err());
        let idle = environment(&[("SENSOCTO_GUEST_IDLE_MINUTES", "5")]).unwrap().people.guest_idle;
        assert_eq!(idle, Duration::from_secs(300));
        assert_eq!(environment(&[]).unwrap().people.guest_idle, Duration::from_secs(7200));
    }

    #[test]
    fn tokens_are_not_shown_in_errors_or_debug() {
        let error = environment(&[("SENSOCTO_DEVICE_TOKENS", "s3cret")]).unwrap_err();
        assert!(!error.to_string().contains("s3cret"));
        let config = environment(&[("SENSOCTO_DEVICE_TOKENS", "me:s3cret")]).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
