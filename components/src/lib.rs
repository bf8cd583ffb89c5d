//! The glossary of Sensocto: what exists, as plain data, in reading order.
//!
//! - **Sample**: one measured value at one device time ([`sample`]); numbers live in [`cell`]s,
//!   composite payloads in cells under a [`shape`].
//! - **Feed**: one device connection's hold on one sensor. A sensor lives while it has a feed,
//!   and a little longer ([`id::FeedId`]).
//! - **Sensor**: what measures; an entity. It has **attributes** ([`attribute`]), each with one
//!   resolved type and a **ring** of the recent past ([`ring`], [`sensor`]).
//! - **Viewer**: who looks; an entity. It holds a **lens** (which sensors, how fast) and
//!   **claims** on their attention ([`viewer`], [`attention`]).
//! - **Quality**: how often and in what form a lens delivers ([`viewer::Quality`]).
//! - **Group**: people looked at together; its **readings** say how their rhythms lie to each
//!   other ([`group`]).
//! - **Room**: what is measured together, and looked into as one ([`room`]).
//! - **Class**: which kind of thing an attribute is about, for shares and queues ([`class`]).
//! - **Pressure**: how much of each resource is used, as measured at the edge ([`pressure`]).
//! - **Load**: how hard-pressed the machine is, as judged from that ([`load`]).
//! - **Budget**: what may be spent, and on whom; one decision a tick ([`budget`]).
//! - **Ledger**: what became of every sample ([`ledger`]).
//! - **Wire**: the words of the outside world, translated by hand ([`wire`]).
//!
//! Nothing here acts, and nothing here knows a clock, a socket or a file.

pub mod attention;
pub mod attribute;
pub mod budget;
pub mod cell;
pub mod class;
pub mod command;
pub mod delivery;
pub mod fault;
pub mod group;
pub mod id;
pub mod ledger;
pub mod limits;
pub mod load;
pub mod pressure;
pub mod ring;
pub mod room;
pub mod sample;
pub mod sensor;
pub mod shape;
pub mod supervision;
pub mod viewer;
pub mod wire;
