//! The JSON form of one slice (`docs/wire.md` 2.4): text that is joined into messages as it is.

use crate::delivery::{Deliveries, Digest, DigestNumbers, Form, SampleView, Slice};
use crate::wire::push::{write_integer, write_number, write_string};

/// Writes what a slice contributes to its message: a member of `batch` (`"attribute":M` or
/// `"attribute":[M,..]`), a member of `digests`, or the whole body of a `composite_seed_data`.
/// Nothing when there is nothing to say.
pub fn encode_slice(deliveries: &Deliveries, slice: &Slice, out: &mut Vec<u8>) {
    let mut ids = Ids::default();
    write_string(&slice.card.attribute_id, &mut ids.attribute);
    write_string(&slice.card.sensor_id, &mut ids.sensor);
    let mut samples = deliveries.samples_of(slice);
    match slice.form {
        Form::Raw => {
            out.extend_from_slice(&ids.attribute);
            out.extend_from_slice(b":[");
            for (index, sample) in samples.enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_measurement(&ids, sample, out);
            }
            out.push(b']');
        }
        Form::Latest => {
            if let Some(sample) = samples.next() {
                out.extend_from_slice(&ids.attribute);
                out.push(b':');
                write_measurement(&ids, sample, out);
            }
        }
        Form::Digest => {
            out.extend_from_slice(&ids.attribute);
            out.push(b':');
            write_digest(slice.digest, out);
            match samples.next() {
                Some(sample) => write_measurement(&ids, sample, out),
                None => out.extend_from_slice(b"null"),
            }
            out.push(b'}');
        }
        Form::Seed => {
            out.extend_from_slice(b"{\"sensor_id\":");
            out.extend_from_slice(&ids.sensor);
            out.extend_from_slice(b",\"attribute_id\":");
            out.extend_from_slice(&ids.attribute);
            out.extend_from_slice(b",\"data\":[");
            for (index, sample) in samples.enumerate() {
                out.extend_from_slice(if index > 0 { b",{\"payload\":" } else { b"{\"payload\":" });
                sample.write_payload(out);
                out.extend_from_slice(b",\"timestamp\":");
                write_integer(sample.timestamp.0, out);
                write_extra(sample, out);
                out.push(b'}');
            }
            out.extend_from_slice(b"],\"cursor\":");
            write_integer(slice.to, out);
            out.push(b'}');
        }
    }
}

/// Writes one sample of a slice as a measurement by itself.
pub fn encode_measurement(slice: &Slice, sample: SampleView<'_>, out: &mut Vec<u8>) {
    let mut ids = Ids::default();
    write_string(&slice.card.attribute_id, &mut ids.attribute);
    write_string(&slice.card.sensor_id, &mut ids.sensor);
    write_measurement(&ids, sample, out);
}

/// The names of a slice as JSON strings.
#[derive(Default)]
struct Ids {
    attribute: Vec<u8>,
    sensor: Vec<u8>,
}

/// M.
fn write_measurement(ids: &Ids, sample: SampleView<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"attribute_id\":");
    out.extend_from_slice(&ids.attribute);
    out.extend_from_slice(b",\"payload\":");
    sample.write_payload(out);
    out.extend_from_slice(b",\"timestamp\":");
    write_integer(sample.timestamp.0, out);
    out.extend_from_slice(b",\"sensor_id\":");
    out.extend_from_slice(&ids.sensor);
    write_extra(sample, out);
    out.push(b'}');
}

fn write_extra(sample: SampleView<'_>, out: &mut Vec<u8>) {
    if let Some(text) = sample.text() {
        out.extend_from_slice(text.extra().as_bytes());
    }
}

/// All of a digest but its latest and its closing brace.
fn write_digest(digest: Option<Digest>, out: &mut Vec<u8>) {
    let Digest { count, numbers } = digest.unwrap_or(Digest { count: 0, numbers: None });
    out.extend_from_slice(b"{\"count\":");
    write_integer(count, out);
    match numbers {
        Some(DigestNumbers { avg, min, max }) => {
            for (key, value) in [(",\"avg\":", avg), (",\"min\":", min), (",\"max\":", max)] {
                out.extend_from_slice(key.as_bytes());
                write_number(value, out);
            }
        }
        None => out.extend_from_slice(b",\"avg\":null,\"min\":null,\"max\":null"),
    }
    out.extend_from_slice(b",\"latest\":");
}
