//! A report as the files people take with them.

use super::report::Report;

/// A name, and what is in it.
pub type NamedFile = (&'static str, Vec<u8>);

impl Report {
    /// `report.json`, `report.csv`, `signals.csv` and `report.html`.
    ///
    /// # Panics
    ///
    /// Never: what is in a report can be said in each of them.
    pub fn files(&self) -> [NamedFile; 4] {
        [
            ("report.json", self.json()),
            ("report.csv", self.csv()),
            ("signals.csv", self.signals_csv()),
            ("report.html", self.page().into_bytes()),
        ]
    }

    /// Every figure.
    pub fn json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("names and numbers")
    }

    /// Step by step: `t` in seconds from the first, R, kappa, what strangers' R stays below, how
    /// many were measurable, and the phase of each (radians; empty: not measurable).
    pub fn csv(&self) -> Vec<u8> {
        let series = self.series();
        let mut head: Vec<String> =
            ["t", "R", "kappa", "null95", "measurable"].map(String::from).into();
        head.extend(self.people.iter().map(|person| format!("phase {}", person.name)));
        self.table(&head, |step, row| {
            let order = series.orders[step];
            row.push(order.map_or(String::new(), |order| format!("{:.6}", order.r)));
            row.push(order.map_or(String::new(), |order| format!("{:.6}", order.kappa)));
            row.push(order.map_or(String::new(), |order| format!("{:.4}", order.null95)));
            row.push(series.measurable[step].to_string());
            row.extend(series.phasors.iter().map(|run| match run[step].unit() {
                Some(phasor) => format!("{:.6}", phasor.angle()),
                None => String::new(),
            }));
        })
    }

    /// What was measured of each, on the common grid: what everything else was computed from.
    pub fn signals_csv(&self) -> Vec<u8> {
        let series = self.series();
        let mut head = vec!["t".to_owned()];
        head.extend(self.people.iter().map(|person| person.name.clone()));
        self.table(&head, |step, row| {
            row.extend(series.signals.iter().map(|cells| match cells[step] {
                cell if cell.is_nan() => String::new(),
                // It was kept in single precision: these are all of its digits.
                cell => format!("{}", cell as f32),
            }));
        })
    }

    fn table(&self, head: &[String], mut row: impl FnMut(usize, &mut Vec<String>)) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(head).expect("memory takes it");
        for step in 0..self.steps {
            let mut fields = vec![format!("{:.1}", step as f64 * self.step_s)];
            row(step, &mut fields);
            writer.write_record(&fields).expect("as many fields as the head has");
        }
        writer.into_inner().expect("memory takes it")
    }
}
