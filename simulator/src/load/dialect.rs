//! What a server must be spoken to in, as far as load is concerned; one for each kind of server.

use std::net::TcpStream;

use components::command::Attention;
use components::viewer::Quality;

use super::world::World;
use crate::batcher::Pacing;

/// One sample on its way out.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// Which of the world's.
    pub stream: usize,
    /// Unix ms, as the device's clock says.
    pub unix_ms: i64,
    /// JSON.
    pub payload: &'a str,
    /// Further members of the measurement, `,"key":value`, or nothing.
    pub extra: &'a str,
}

/// A viewer before it comes.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Which of the run's.
    pub number: usize,
    /// Sensors of the world that it may look at; `None`: all that the server has.
    pub lens: Option<Vec<usize>>,
    /// Those that it sees as it comes; `None`: all of the lens.
    pub visible: Option<Vec<usize>>,
    pub quality: Quality,
    /// In the binary form, where there is one.
    pub binary: bool,
}

/// What a value was heard as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Said<'a> {
    /// JSON text.
    Json(&'a str),
    /// The numbers of a payload, NaN for null, and the text around them.
    Cells { cells: &'a [f64], shape: &'a str },
}

/// How a sample came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// One after the other: none may be missing.
    Raw,
    /// The newest, standing for all before it.
    Latest,
    /// As a beginning.
    Seed,
}

/// Something a viewer was told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Heard<'a> {
    Sample {
        stream: usize,
        unix_ms: i64,
        said: Said<'a>,
        how: How,
    },
    /// The stream begins anew, with what comes next of it.
    Begun {
        stream: usize,
    },
    /// The server says that so many of a stream were lost to this viewer.
    Missed {
        stream: usize,
        count: u64,
    },
    /// The server has taken what the viewer said last of what it looks at.
    Attended,
    /// A message is over.
    End,
}

/// Something a device was told.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// An error, by its reason.
    Refused(String),
    /// How the server would like this sensor of the world to send.
    Paced { sensor: usize, pacing: Paced },
    /// The connection, or a channel on it, is over.
    Over(String),
}

/// What a `backpressure_config` says; what it leaves out stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paced(pub(crate) Pacing);

/// The language of one kind of server. Opening may block; the sockets are made non-blocking
/// afterwards.
pub trait Dialect: Send + Sync {
    /// Connects a device of the world and waits until the server has taken all its sensors.
    fn open_device(&self, world: &World, device: usize) -> Result<TcpStream, String>;
    /// Adds the bytes of these samples, all of one sensor, to `wire`.
    fn write(&self, world: &World, samples: &[Sample<'_>], wire: &mut Vec<u8>);
    /// Adds the bytes of a sign of life.
    fn heartbeat(&self, wire: &mut Vec<u8>);
    /// Adds rubbish, of a kind that `chance` picks, as from a broken device with this sensor.
    fn garbage(&self, world: &World, sensor: usize, chance: u64, wire: &mut Vec<u8>);
    /// Takes whole messages to a device from the beginning of `wire`, tells `answered` what
    /// matters, and returns how many bytes they were.
    fn answers(
        &self,
        world: &World,
        wire: &[u8],
        answered: &mut dyn FnMut(Answer),
    ) -> Result<usize, String>;
    /// Connects a viewer, and gives an ear for it.
    fn open_viewer(
        &self,
        world: &World,
        guest: &Guest,
    ) -> Result<(TcpStream, Box<dyn Ear>), String>;
}

/// Makes sense of what one viewer receives, and finds the words for what it does.
pub trait Ear: Send {
    /// Takes whole messages from the beginning of `wire`, tells each to `heard` and returns how
    /// many bytes they were.
    fn hear(
        &mut self,
        world: &World,
        wire: &[u8],
        heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<usize, String>;
    /// Adds what the viewer looks at from now on. A language without words for it adds nothing.
    fn attend(&mut self, _attention: &Attention, _wire: &mut Vec<u8>) {}
    /// Adds a wish for another quality.
    fn set_quality(&mut self, _quality: &str, _wire: &mut Vec<u8>) {}
    /// Adds a sign of life.
    fn heartbeat(&mut self, wire: &mut Vec<u8>);
}
