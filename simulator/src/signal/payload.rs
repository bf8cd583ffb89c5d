//! How values become payloads: cells, and the constant part around them.

use std::sync::{Arc, LazyLock};

use components::cell::Cell;
use components::sample::Payload;
use components::shape::Shape;

/// A payload's constant part, made once for all sensors.
pub(super) type Form = LazyLock<Arc<Shape>>;

/// The form of this skeleton; `\x01` stands for a value.
pub(super) fn form(skeleton: &[u8]) -> Arc<Shape> {
    Arc::new(Shape::from_skeleton(skeleton))
}

/// Values of models are finite; should one ever not be, it is a null and not a panic.
pub(super) fn cell(value: f64) -> Cell {
    Cell::float(value).unwrap_or(Cell::NULL)
}

/// A bare number.
pub(super) fn put_number(value: f64, put: &mut dyn FnMut(Payload<'_>)) {
    put(Payload::Scalar(cell(value)));
}

/// Numbers in a form.
pub(super) fn put_numbers<const N: usize>(
    form: &Arc<Shape>,
    values: [f64; N],
    put: &mut dyn FnMut(Payload<'_>),
) {
    put(Payload::Shaped { shape: form, cells: &values.map(|value| cell(value).0) });
}
