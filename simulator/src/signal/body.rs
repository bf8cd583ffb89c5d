//! What is measured of a person at rest: heart, breath, skin, and the wearable itself.

use std::sync::Arc;

use components::attribute::AttributeType;
use components::sample::{Payload, Timestamp};

use super::payload::{Form, form, put_number, put_numbers};
use super::{Memory, Model, Signal};
use crate::person::Person;

static HRV: Form = Form::new(|| form(b"{\"rmssd\":\x01,\"sdnn\":\x01}"));
static BATTERY: Form = Form::new(|| form(b"{\"level\":\x01,\"charging\":\"no\"}"));
static IMU: Form = Form::new(|| {
    form(
        b"{\"accelerometer\":{\"x\":\x01,\"y\":\x01,\"z\":\x01},\
          \"gyroscope\":{\"x\":\x01,\"y\":\x01,\"z\":\x01}}",
    )
});

/// A number that is read off a person.
#[derive(Debug)]
struct Number {
    person: Arc<Person>,
    read: fn(&Person, Timestamp, &mut Memory) -> f64,
}

impl Signal for Number {
    fn measure(&self, at: Timestamp, memory: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        put_number((self.read)(&self.person, at, memory), put);
    }
}

#[derive(Debug)]
struct Hrv(Arc<Person>);

impl Signal for Hrv {
    fn measure(&self, at: Timestamp, memory: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        let hrv = self.0.hrv(at, memory);
        put_numbers(&HRV, [hrv.rmssd, hrv.sdnn], put);
    }
}

#[derive(Debug)]
struct Battery(Arc<Person>);

impl Signal for Battery {
    fn measure(&self, at: Timestamp, _memory: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        put_numbers(&BATTERY, [self.0.battery_percent(at)], put);
    }
}

#[derive(Debug)]
struct Imu(Arc<Person>);

impl Signal for Imu {
    fn measure(&self, at: Timestamp, _memory: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        let motion = self.0.motion(at);
        let ([ax, ay, az], [gx, gy, gz]) = (motion.accelerometer, motion.gyroscope);
        put_numbers(&IMU, [ax, ay, az, gx, gy, gz], put);
    }
}

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "ecg",
        kind: AttributeType::Ecg,
        unit: "mV",
        rate_hz: 250.0,
        rate_hz_max: 1000.0,
        parameters: &[],
        source: "McSharry, Clifford, Tarassenko, Smith 2003, IEEE Trans. Biomed. Eng. 50(3)",
        sentence: "One lead of the ECG, with its peaks at the person's beats.",
        build: |_, body, _| {
            Box::new(Number {
                person: body.someone(),
                read: |person, at, memory| person.ecg_mv(at, memory),
            })
        },
    },
    Model {
        name: "respiration",
        kind: AttributeType::Respiration,
        unit: "%",
        rate_hz: 25.0,
        rate_hz_max: 100.0,
        parameters: &[],
        source: "reference/collab.md 21.4",
        sentence: "A chest belt, in percent of its range.",
        build: |_, body, _| {
            Box::new(Number {
                person: body.someone(),
                read: |person, at, _| person.respiration_percent(at),
            })
        },
    },
    Model {
        name: "heartrate",
        kind: AttributeType::HeartRate,
        unit: "1/min",
        rate_hz: 1.0,
        rate_hz_max: 10.0,
        parameters: &[],
        source: "the mean of the last four intervals, as chest straps show it",
        sentence: "Beats per minute.",
        build: |_, body, _| {
            Box::new(Number {
                person: body.someone(),
                read: |person, at, memory| person.heart_rate_bpm(at, memory),
            })
        },
    },
    Model {
        name: "hrv",
        kind: AttributeType::Hrv,
        unit: "ms, ms",
        rate_hz: 0.2,
        rate_hz_max: 1.0,
        parameters: &[],
        source: "Task Force of the ESC and NASPE 1996, over one minute",
        sentence: "RMSSD and SDNN of the last minute's beats.",
        build: |_, body, _| Box::new(Hrv(body.someone())),
    },
    Model {
        name: "spo2",
        kind: AttributeType::SpO2,
        unit: "%",
        rate_hz: 1.0,
        rate_hz_max: 10.0,
        parameters: &[],
        source: "reference/collab.md 21.4",
        sentence: "Oxygen saturation.",
        build: |_, body, _| {
            Box::new(Number {
                person: body.someone(),
                read: |person, at, _| person.spo2_percent(at),
            })
        },
    },
    Model {
        name: "temperature",
        kind: AttributeType::Temperature,
        unit: "°C",
        rate_hz: 0.2,
        rate_hz_max: 10.0,
        parameters: &[],
        source: "reference/collab.md 21.4",
        sentence: "Skin temperature, lowest in the small hours.",
        build: |_, body, _| {
            Box::new(Number {
                person: body.someone(),
                read: |person, at, _| person.skin_temperature_c(at),
            })
        },
    },
    Model {
        name: "battery",
        kind: AttributeType::Battery,
        unit: "%",
        rate_hz: 0.05,
        rate_hz_max: 1.0,
        parameters: &[],
        source: "reference/collab.md 21.6",
        sentence: "Charge of the wearable.",
        build: |_, body, _| Box::new(Battery(body.someone())),
    },
    Model {
        name: "imu",
        kind: AttributeType::Imu,
        unit: "m/s², rad/s",
        rate_hz: 25.0,
        rate_hz_max: 200.0,
        parameters: &[],
        source: "rigid body: the gyroscope is the derivative of the lean that turns gravity",
        sentence: "Acceleration with gravity, and turning, on the chest.",
        build: |_, body, _| Box::new(Imu(body.someone())),
    },
];
