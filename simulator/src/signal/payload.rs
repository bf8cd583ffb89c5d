//! How values become payloads: cells, the constant part around them, and the signals that are a
//! number or a few of something.

use std::fmt::Debug;
use std::sync::{Arc, LazyLock};

use components::cell::Cell;
use components::sample::{Payload, Timestamp};
use components::shape::Shape;

use super::{Body, Memory, Signal};
use crate::person::Person;

/// A payload's constant part, made once for all sensors.
pub(super) type Form = LazyLock<Arc<Shape>>;

/// The form of this skeleton; `\x01` stands for a value.
pub(super) fn form(skeleton: &[u8]) -> Arc<Shape> {
    Arc::new(Shape::from_skeleton(skeleton))
}

pub(super) static XYZ: Form = Form::new(|| form(b"{\"x\":\x01,\"y\":\x01,\"z\":\x01}"));

/// Values of models are finite; should one ever not be, it is a null and not a panic.
pub(super) fn cell(value: f64) -> Cell {
    Cell::float(value).unwrap_or(Cell::NULL)
}

/// A whole number, as such.
pub(super) fn whole(value: f64) -> Cell {
    Cell::integer(value as i64).unwrap_or(Cell::NULL)
}

pub(super) fn truth(value: bool) -> Cell {
    if value { Cell::TRUE } else { Cell::FALSE }
}

/// Cells in a form.
pub(super) fn put_cells<const N: usize>(
    form: &Arc<Shape>,
    cells: [Cell; N],
    put: &mut dyn FnMut(Payload<'_>),
) {
    put(Payload::Shaped { shape: form, cells: &cells.map(|cell| cell.0) });
}

/// A number that is read off something.
#[derive(Debug)]
struct Number<S> {
    of: S,
    read: fn(&S, Timestamp, &mut Memory) -> f64,
}

impl<S: Debug + Send + Sync> Signal for Number<S> {
    fn measure(&self, at: Timestamp, memory: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        put(Payload::Scalar(cell((self.read)(&self.of, at, memory))));
    }
}

pub(super) fn number<S: Debug + Send + Sync + 'static>(
    of: S,
    read: fn(&S, Timestamp, &mut Memory) -> f64,
) -> Box<dyn Signal> {
    Box::new(Number { of, read })
}

/// As [`number`], of whole numbers.
#[derive(Debug)]
struct Whole<S> {
    of: S,
    read: fn(&S, Timestamp, &mut Memory) -> f64,
}

impl<S: Debug + Send + Sync> Signal for Whole<S> {
    fn measure(&self, at: Timestamp, memory: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        put(Payload::Scalar(whole((self.read)(&self.of, at, memory))));
    }
}

pub(super) fn whole_number<S: Debug + Send + Sync + 'static>(
    of: S,
    read: fn(&S, Timestamp, &mut Memory) -> f64,
) -> Box<dyn Signal> {
    Box::new(Whole { of, read })
}

/// Several values in a form.
#[derive(Debug)]
struct Several<S, const N: usize> {
    form: Arc<Shape>,
    of: S,
    read: fn(&S, Timestamp, &mut Memory) -> [Cell; N],
}

impl<S: Debug + Send + Sync, const N: usize> Signal for Several<S, N> {
    fn measure(&self, at: Timestamp, memory: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        put_cells(&self.form, (self.read)(&self.of, at, memory), put);
    }
}

pub(super) fn several<S: Debug + Send + Sync + 'static, const N: usize>(
    form: &Arc<Shape>,
    of: S,
    read: fn(&S, Timestamp, &mut Memory) -> [Cell; N],
) -> Box<dyn Signal> {
    Box::new(Several { form: Arc::clone(form), of, read })
}

/// A person, and the seed of one sensor on them.
#[derive(Debug)]
pub(super) struct Worn {
    pub(super) person: Arc<Person>,
    pub(super) seed: u64,
}

impl Worn {
    pub(super) fn new(body: &Body, seed: u64) -> Self {
        Self { person: body.someone(), seed }
    }
}
