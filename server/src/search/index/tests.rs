use super::*;

fn index(names: &[&'static str]) -> Index<&'static str> {
    let mut index = Index::default();
    for name in names {
        index.put(*name, [(Field::Name, *name)]);
    }
    index
}

fn found<'a>(index: &Index<&'a str>, question: &str) -> Vec<(&'a str, &'static str)> {
    let (hits, more) = index.find(&Question::new(question), 10, |_| true);
    assert!(!more);
    hits.into_iter().map(|hit| (hit.key, hit.likeness.name())).collect()
}

#[test]
fn the_exact_word_comes_before_its_beginning_and_that_before_a_typo() {
    let index = index(&["temperature", "temper", "temp", "tempo rubato", "tmep", "stamp"]);
    let all = [
        ("temp", "exact"),
        ("temper", "prefix"),
        ("temperature", "prefix"),
        ("tempo rubato", "prefix"),
    ];
    let strict: Vec<_> = found(&index, "temp").into_iter().filter(|it| it.1 != "typo").collect();
    assert_eq!(strict, all);
    assert_eq!(found(&index, "temp").last(), Some(&("tmep", "typo")));
    assert_eq!(found(&index, "TEMPER").first(), Some(&("temper", "exact")));
    // As it is typed.
    for question in ["t", "te", "tem"] {
        assert_eq!(
            found(&index, question).iter().filter(|it| it.1 == "prefix").count(),
            4 + usize::from(question == "t"),
            "{question}"
        );
    }
}

#[test]
fn typos_are_forgiven_by_length() {
    let index = index(&["heartrate", "skin", "respiration"]);
    for (question, wanted) in [
        ("heartrate", "exact"),
        ("haertrate", "typo"),
        ("hartrate", "typo"),
        ("heartrat", "prefix"),
        ("heeartratte", "typo"),
        ("hertrat", "typo"),
    ] {
        assert_eq!(found(&index, question), [("heartrate", wanted)], "{question}");
    }
    assert_eq!(found(&index, "xxartrate"), [("heartrate", "typo")], "two of nine");
    assert_eq!(found(&index, "xxxrtrate"), [], "three are too many");
    assert_eq!(found(&index, "skim"), [("skin", "typo")]);
    assert_eq!(found(&index, "qkmi"), [], "two of four are too many");
    assert_eq!(found(&index, "ski"), [("skin", "prefix")]);
    assert_eq!(found(&index, "sni"), [], "three letters are meant as they are");
}

#[test]
fn all_words_are_wanted_and_if_nothing_has_them_most() {
    let index = index(&["anna ecg left", "anna pulse", "bert ecg"]);
    assert_eq!(found(&index, "ecg anna"), [("anna ecg left", "exact")]);
    assert_eq!(found(&index, "ann ec"), [("anna ecg left", "prefix")]);
    assert_eq!(found(&index, "bert pulse"), [("bert ecg", "some"), ("anna pulse", "some")]);
    assert_eq!(found(&index, "anna anna pulse"), [("anna pulse", "exact")]);
    assert_eq!(found(&index, "zzz"), []);
    for nothing in ["", "  -_ ", "!?"] {
        assert_eq!(found(&index, nothing), []);
    }
}

#[test]
fn words_are_cut_at_signs_and_digits_and_lose_their_accents() {
    let index = index(&["Person-07:ECG", "belt12", "Chör Straße", "Łódź", "日本"]);
    assert_eq!(found(&index, "ecg"), [("Person-07:ECG", "exact")]);
    assert_eq!(found(&index, "07"), [("Person-07:ECG", "exact")]);
    assert_eq!(found(&index, "person_07"), [("Person-07:ECG", "exact")]);
    assert_eq!(found(&index, "12"), [("belt12", "exact")]);
    assert_eq!(found(&index, "belt12"), [("belt12", "exact")]);
    assert_eq!(found(&index, "chor strasse"), [("Chör Straße", "exact")]);
    assert_eq!(found(&index, "CHÖR"), [("Chör Straße", "exact")]);
    assert_eq!(found(&index, "lodz"), [("Łódź", "exact")]);
    assert_eq!(found(&index, "日"), [("日本", "prefix")]);
}

#[test]
fn a_name_counts_more_than_what_else_there_is() {
    let mut index = Index::default();
    index.put("a", [(Field::Name, "Wrist"), (Field::Other, "pulse")]);
    index.put("b", [(Field::Name, "Pulse"), (Field::Other, "wrist")]);
    assert_eq!(found(&index, "pulse").iter().map(|it| it.0).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(found(&index, "wrist").iter().map(|it| it.0).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn what_may_not_be_seen_is_not_counted_either() {
    let index = index(&["pulse 1", "pulse 2", "pulse 3", "pulse 4"]);
    let question = Question::new("pulse");
    let (hits, more) = index.find(&question, 2, |key| key.ends_with(['2', '4']));
    assert_eq!(hits.iter().map(|hit| hit.key).collect::<Vec<_>>(), ["pulse 2", "pulse 4"]);
    assert!(!more, "there are two for them");
    let (hits, more) = index.find(&question, 2, |_| true);
    assert_eq!((hits.len(), more), (2, true));
    // What is like it comes if what is meant is not for them.
    let index = self::index(&["pulse", "pulze"]);
    let (hits, _) = index.find(&question, 10, |key| *key == "pulze");
    assert_eq!(hits, [Hit { key: "pulze", likeness: Likeness::Typo }]);
}

#[test]
fn what_changes_is_found_as_it_is_now_and_what_has_gone_leaves_nothing() {
    let mut index = index(&["alpha", "beta", "gamma"]);
    index.put("beta", [(Field::Name, "delta")]);
    assert_eq!(found(&index, "beta"), []);
    assert_eq!(found(&index, "delta"), [("beta", "exact")]);
    index.remove(&"alpha");
    index.remove(&"alpha");
    assert_eq!(found(&index, "alpha"), []);
    // Its place is taken by another.
    index.put("epsilon", [(Field::Name, "epsilon")]);
    assert_eq!(found(&index, "alpha"), []);
    assert_eq!(found(&index, "epsilom"), [("epsilon", "typo")]);
    for key in ["beta", "gamma", "epsilon"] {
        index.remove(&key);
    }
    assert!(index.is_empty() && index.dictionary.is_empty());
    assert_eq!(index.words.len(), index.free_words.len());
    assert_eq!(index.entries.len(), index.free_slots.len());
}

/// Against asking every entry in turn.
#[test]
fn what_is_found_is_what_is_there() {
    let mut seed = 7_u64;
    let mut chance = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut word = |letters: u64| -> String {
        (0..=chance(letters)).map(|_| char::from(b'a' + chance(4) as u8)).collect()
    };
    let mut index: Index<u32> = Index::default();
    let mut names: HashMap<u32, String> = HashMap::new();
    for round in 0..2000_u32 {
        let key = round * 7 % 300;
        if round % 5 == 0 {
            index.remove(&key);
            names.remove(&key);
        } else {
            let name = format!("{} {}", word(9), word(3));
            index.put(key, [(Field::Name, &*name)]);
            names.insert(key, name);
        }
        if round % 20 != 0 {
            continue;
        }
        let asked = word(9);
        let question = Question::new(&asked);
        let (hits, _) = index.find(&question, 1000, |_| true);
        let typos = question.0[0].typos;
        let like = |name: &str| {
            name.split(' ').any(|word| {
                let beginnings = (0..=word.len()).map(|end| &word[..end]);
                word.starts_with(&*asked)
                    || beginnings.into_iter().any(|it| distance(it, &asked) <= typos as usize)
            })
        };
        let mut found: Vec<u32> = hits.into_iter().map(|hit| hit.key).collect();
        let mut wanted: Vec<u32> =
            names.iter().filter(|(_, name)| like(name)).map(|(key, _)| *key).collect();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{asked} in {names:?}");
    }
}

/// Optimal string alignment, all of the table.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = match (i, j) {
                (0, _) => j,
                (_, 0) => i,
                _ => {
                    let swap = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let mut cost = swap.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        cost = cost.min(table[i - 2][j - 2] + 1);
                    }
                    cost
                }
            };
        }
    }
    table[a.len()][b.len()]
}
