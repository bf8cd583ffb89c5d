use std::time::Duration;

use super::*;
use crate::ages::Histogram;

#[test]
fn a_histogram_is_written_as_prometheus_reads_it() {
    let histogram = Histogram::default();
    for ms in [1, 2, 150, 151, 60_000] {
        histogram.record(Duration::from_millis(ms));
    }
    let mut page = Page::default();
    page.head("age_seconds", "histogram", "Ages.");
    page.histogram("age_seconds", &[("class", "bio")], &SHOWN_MICROS, &histogram.counts());
    let expected = "\
# HELP sensocto_age_seconds Ages.
# TYPE sensocto_age_seconds histogram
sensocto_age_seconds_bucket{class=\"bio\",le=\"0.001\"} 1
sensocto_age_seconds_bucket{class=\"bio\",le=\"0.0022\"} 2
sensocto_age_seconds_bucket{class=\"bio\",le=\"0.0047\"} 2
sensocto_age_seconds_bucket{class=\"bio\",le=\"0.01\"} 2
sensocto_age_seconds_bucket{class=\"bio\",le=\"0.022\"} 2
sensocto_age_seconds_bucket{class=\"bio\",le=\"0.047\"} 2
sensocto_age_seconds_bucket{class=\"bio\",le=\"0.1\"} 2
sensocto_age_seconds_bucket{class=\"bio\",le=\"0.15\"} 3
sensocto_age_seconds_bucket{class=\"bio\",le=\"0.22\"} 4
sensocto_age_seconds_bucket{class=\"bio\",le=\"0.47\"} 4
sensocto_age_seconds_bucket{class=\"bio\",le=\"1\"} 4
sensocto_age_seconds_bucket{class=\"bio\",le=\"2.2\"} 4
sensocto_age_seconds_bucket{class=\"bio\",le=\"4.7\"} 4
sensocto_age_seconds_bucket{class=\"bio\",le=\"10\"} 4
sensocto_age_seconds_bucket{class=\"bio\",le=\"+Inf\"} 5
sensocto_age_seconds_sum{class=\"bio\"} 60.304
sensocto_age_seconds_count{class=\"bio\"} 5
";
    assert_eq!(page.text, expected);
}

#[test]
fn every_bound_that_is_shown_is_one_that_is_counted() {
    for micros in SHOWN_MICROS {
        assert!(BOUNDS_MICROS.contains(&micros), "{micros}");
    }
}
