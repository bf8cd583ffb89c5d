//! Every bound that is part of the world's definition, with its unit and its reason.
//!
//! Bounds that an operator may want to change live in the engine's and the server's
//! configuration; these are the ones that formats and structures rely on.

/// Cells in one shaped sample: the width of a stream is one byte on the wire. A 33-point skeleton with x, y, z and visibility has 132.
pub const SHAPE_CELL_COUNT_MAX: usize = 255;

/// Bytes of one skeleton: a pose with spelt-out keys takes 2 KiB.
pub const SHAPE_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a sensor, connector or other name that a device chooses. Topics in binary v2 frames
/// have one length byte, and the prefix `sensocto:connector:` takes 19 of 255.
pub const NAME_BYTES_MAX: usize = 128;

/// Attributes of one sensor (`reference/reliability.md` T12).
pub const SENSOR_ATTRIBUTE_COUNT_MAX: usize = 64;

/// Bytes of one attribute id: 64 characters, all ASCII (`reference/core.md` 1.1).
pub const ATTRIBUTE_ID_BYTES_MAX: usize = 64;

/// Bytes of one payload kept as text. Larger ones are refused with a reason.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Brackets within brackets in one payload. A viewer that reads JSON by recursion has a stack for
/// hundreds, and what it cannot read is everybody's message, not this sensor's alone.
pub const PAYLOAD_DEPTH_MAX: usize = 64;

/// Samples in one `measurements_batch`.
pub const BATCH_SAMPLE_COUNT_MAX: usize = 4096;

/// Sensor names beginning so are the platform's own (`reference/core.md` 1.1, W31).
pub const RESERVED_NAME_PREFIX: &str = "__";
