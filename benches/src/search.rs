//! Search among many: how long somebody waits for what they type, and how long a change takes.

use std::time::Instant;

use server::search::index::{Field, Index, Question};

/// What people type: a letter, a word as it grows, several, with typos, and what is not there.
pub const QUESTIONS: [&str; 14] = [
    "p",
    "1",
    "person",
    "anna",
    "anna ecg",
    "person-01234:ecg",
    "temprature",
    "haertrate anna 77",
    "respration",
    "zzzzzzzz",
    "person 00123 battery",
    "conducttance skni 12",
    "xqj",
    "Anna Bert Clara Dieter Emil Frida Gustav Hanna",
];

const SIGNALS: [&str; 8] = [
    "ecg",
    "respiration",
    "heartrate",
    "temperature",
    "imu",
    "eye_gaze",
    "skin conductance",
    "battery",
];

const NAMES: [&str; 16] = [
    "Anna", "Bert", "Clara", "Dieter", "Emil", "Frida", "Gustav", "Hanna", "Ida", "Jakob", "Karla",
    "Ludwig", "Marta", "Nils", "Olga", "Paul",
];

#[derive(Debug, Clone)]
pub struct Figures {
    pub question: &'static str,
    /// Entries that the asker may see, of all: one in so many.
    pub seen_one_in: usize,
    pub median_ms: f64,
    pub max_ms: f64,
    pub hits: usize,
}

fn put(index: &mut Index<usize>, n: usize) {
    let (person, signal) = (n / SIGNALS.len(), SIGNALS[n % SIGNALS.len()]);
    let id = format!("person-{person:05}:{signal}");
    let name = format!("{} {signal} {}", NAMES[person % NAMES.len()], person / NAMES.len());
    let fields = [(Field::Name, &*name), (Field::Id, &id), (Field::Other, signal)];
    index.put(n, fields);
}

/// As many sensors of as many people as that takes, eight of each.
pub fn filled(count: usize) -> Index<usize> {
    let mut index = Index::default();
    (0..count).for_each(|n| put(&mut index, n));
    index
}

/// Each question so many times, by who sees all, and by who sees one entry of a thousand.
pub fn ask(index: &Index<usize>, times: usize) -> Vec<Figures> {
    let all = QUESTIONS.iter().flat_map(|question| [1, 1000].map(|one_in| (*question, one_in)));
    let asked = all.map(|(question, seen_one_in)| {
        let words = Question::new(question);
        let find = || index.find(&words, 10, |n| n % seen_one_in == seen_one_in / 2).0.len();
        let hits = find();
        let mut waits: Vec<f64> = (0..times)
            .map(|_| {
                let began = Instant::now();
                assert_eq!(find(), hits);
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        waits.sort_by(f64::total_cmp);
        let (median_ms, max_ms) = (waits[times / 2], waits[times - 1]);
        Figures { question, seen_one_in, median_ms, max_ms, hits }
    });
    asked.collect()
}

/// Microseconds that an entry takes to be put there anew.
pub fn change(index: &mut Index<usize>, count: usize) -> f64 {
    let began = Instant::now();
    (0..count).for_each(|n| put(index, n));
    began.elapsed().as_secs_f64() * 1e6 / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bench_runs() {
        let mut index = filled(4000);
        let figures = ask(&index, 1);
        assert_eq!(figures.len(), 2 * QUESTIONS.len());
        let hits = |question| figures.iter().find(|it| it.question == question).unwrap().hits;
        assert_eq!((hits("temprature"), hits("zzzzzzzz")), (10, 0));
        assert!(change(&mut index, 10) > 0.0 && index.len() == 4000);
    }
}
