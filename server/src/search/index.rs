//! Which entries have words like these, at once and kept current one entry at a time.
//!
//! A dictionary of all words, sorted, has for each the entries that it is in. What is asked for is looked
//! up by exact word and by beginning; if that finds too little, by a bounded edit distance as well, of
//! which a mask of letters spares almost every word. Every word that is asked for must be in an entry;
//! if no entry has them all, those that have most come.

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::hash::Hash;
use std::ops::Bound;

/// Letters of a word that are looked at.
const WORD_LETTERS_MAX: usize = 32;

/// Words of one entry.
const ENTRY_WORD_COUNT_MAX: usize = 48;

/// Words of one question; more are not looked at.
const QUESTION_WORD_COUNT_MAX: usize = 8;

/// Where a word is in an entry. The better place is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Other,
    Id,
    Name,
}

/// How a question's words are found in an entry: by the least of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Some of the words only.
    Some,
    Typo,
    Beginning,
    Exact,
}

impl Likeness {
    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Some => "some",
            Self::Typo => "typo",
            Self::Beginning => "prefix",
            Self::Exact => "exact",
        }
    }

    /// Of one word. The least exact is worth more than the best beginning, and so on.
    fn worth(self, field: Field) -> u8 {
        let likeness = match self {
            Self::Some => 0,
            Self::Typo => 1,
            Self::Beginning => 4,
            Self::Exact => 8,
        };
        likeness + field as u8
    }

    fn of_worth(worth: u8) -> Self {
        match worth {
            0 => Self::Some,
            1..4 => Self::Typo,
            4..8 => Self::Beginning,
            _ => Self::Exact,
        }
    }
}

/// What is asked for, cut into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question(Vec<Asked>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    text: String,
    letters: Vec<char>,
    mask: u64,
    /// Letters that may be wrong, missing, too many or exchanged with the next.
    typos: u32,
}

impl Question {
    pub fn new(text: &str) -> Self {
        let mut words: Vec<String> = words(text).take(QUESTION_WORD_COUNT_MAX).collect();
        words.sort();
        words.dedup();
        let asked = words.into_iter().map(|text| {
            let letters: Vec<char> = text.chars().collect();
            let typos = match letters.len() {
                0..4 => 0,
                4..8 => 1,
                _ => 2,
            };
            Asked { mask: mask(&text), text, letters, typos }
        });
        Self(asked.collect())
    }

    /// There is no letter in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An entry that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit<K> {
    pub key: K,
    pub likeness: Likeness,
}

#[derive(Debug)]
struct Word {
    text: Box<str>,
    /// Where it is, by slot.
    places: Vec<Place>,
}

/// A slot, and in two bits the best field there.
#[derive(Debug, Clone, Copy)]
struct Place(u32);

impl Place {
    fn new(slot: u32, field: Field) -> Self {
        Self(slot << 2 | field as u32)
    }

    fn slot(self) -> u32 {
        self.0 >> 2
    }
}

#[derive(Debug)]
struct Entry<K> {
    key: K,
    words: Box<[u32]>,
}

/// See the module.
#[derive(Debug)]
pub struct Index<K> {
    slots: HashMap<K, u32>,
    entries: Vec<Option<Entry<K>>>,
    /// By slot: letters of its name.
    name_letters: Vec<u8>,
    free_slots: Vec<u32>,
    dictionary: BTreeMap<Box<str>, u32>,
    words: Vec<Word>,
    /// By word: which letters it has. None of a word that is not used.
    masks: Vec<u64>,
    free_words: Vec<u32>,
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
            entries: Vec::new(),
            name_letters: Vec::new(),
            free_slots: Vec::new(),
            dictionary: BTreeMap::new(),
            words: Vec::new(),
            masks: Vec::new(),
            free_words: Vec::new(),
        }
    }
}

impl<K: Clone + Eq + Hash> Index<K> {
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.slots.keys()
    }

    /// Puts an entry there, or other words of one that is.
    pub fn put<'a>(&mut self, key: K, fields: impl IntoIterator<Item = (Field, &'a str)>) {
        self.remove(&key);
        let mut found: BTreeMap<String, Field> = BTreeMap::new();
        let mut name_letters = 0;
        for (field, text) in fields {
            if field == Field::Name {
                name_letters = text.chars().count().min(usize::from(u8::MAX)) as u8;
            }
            for word in words(text) {
                for part in parts(&word) {
                    if found.len() < ENTRY_WORD_COUNT_MAX || found.contains_key(part) {
                        let best = found.entry(part.to_owned()).or_insert(field);
                        *best = field.max(*best);
                    }
                }
            }
        }
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.name_letters.push(0);
            self.entries.len() as u32 - 1
        });
        let mut own = Vec::with_capacity(found.len());
        for (text, field) in found {
            let word = self.word(text);
            let places = &mut self.words[word as usize].places;
            let at = places.partition_point(|place| place.slot() < slot);
            places.insert(at, Place::new(slot, field));
            own.push(word);
        }
        self.slots.insert(key.clone(), slot);
        self.name_letters[slot as usize] = name_letters;
        self.entries[slot as usize] = Some(Entry { key, words: own.into() });
    }

    /// Takes an entry away, if it is there.
    pub fn remove(&mut self, key: &K) {
        let Some(slot) = self.slots.remove(key) else { return };
        let Some(entry) = self.entries[slot as usize].take() else { return };
        self.free_slots.push(slot);
        for word in entry.words {
            let known = &mut self.words[word as usize];
            if let Ok(at) = known.places.binary_search_by_key(&slot, |place| place.slot()) {
                known.places.remove(at);
            }
            if known.places.is_empty() {
                self.dictionary.remove(&known.text);
                known.text = Box::default();
                known.places = Vec::new();
                self.masks[word as usize] = 0;
                self.free_words.push(word);
            }
        }
    }

    fn word(&mut self, text: String) -> u32 {
        if let Some(word) = self.dictionary.get(&*text) {
            return *word;
        }
        let text: Box<str> = text.into();
        let (mask, known) = (mask(&text), Word { text: text.clone(), places: Vec::new() });
        let word = match self.free_words.pop() {
            Some(word) => {
                self.words[word as usize] = known;
                self.masks[word as usize] = mask;
                word
            }
            None => {
                self.words.push(known);
                self.masks.push(mask);
                self.words.len() as u32 - 1
            }
        };
        self.dictionary.insert(text, word);
        word
    }

    /// The best entries of those that `may` be seen, the best first, and whether there are more of them.
    pub fn find(
        &self,
        question: &Question,
        limit: usize,
        mut may: impl FnMut(&K) -> bool,
    ) -> (Vec<Hit<K>>, bool) {
        if question.is_empty() {
            return (Vec::new(), false);
        }
        let asked = &question.0;
        let mut tallies: Vec<Tally> = asked.iter().map(|word| self.begins_with(word)).collect();
        let exact = self.best(&tallies, asked.len(), limit, &mut may);
        if exact.0.len() >= limit || asked.iter().all(|word| word.typos == 0) {
            return self.or_some(exact, &tallies, limit, &mut may);
        }
        asked.iter().zip(&mut tallies).for_each(|(word, tally)| self.is_like(word, tally));
        let like = self.best(&tallies, asked.len(), limit, &mut may);
        self.or_some(like, &tallies, limit, &mut may)
    }

    /// These, or if there are none those that have some of the words.
    fn or_some(
        &self,
        found: (Vec<Hit<K>>, bool),
        tallies: &[Tally],
        limit: usize,
        may: &mut impl FnMut(&K) -> bool,
    ) -> (Vec<Hit<K>>, bool) {
        if !found.0.is_empty() || tallies.len() == 1 {
            return found;
        }
        self.best(tallies, 1, limit, may)
    }

    fn begins_with(&self, asked: &Asked) -> Tally {
        let mut tally = Tally::new(self.entries.len());
        let from = Bound::Included(&*asked.text);
        let after = successor(&asked.text);
        let to = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        for (text, word) in self.dictionary.range::<str, _>((from, to)) {
            let is_all = text.len() == asked.text.len();
            let likeness = if is_all { Likeness::Exact } else { Likeness::Beginning };
            tally.count(&self.words[*word as usize].places, likeness);
        }
        tally
    }

    fn is_like(&self, asked: &Asked, tally: &mut Tally) {
        if asked.typos == 0 {
            return;
        }
        let pattern = Pattern::new(asked);
        let bytes_min = asked.letters.len() - asked.typos as usize;
        for (word, mask) in self.masks.iter().enumerate() {
            if (asked.mask & !mask).count_ones() > asked.typos {
                continue;
            }
            let Word { text, places } = &self.words[word];
            if text.len() >= bytes_min && pattern.begins(text) {
                tally.count(places, Likeness::Typo);
            }
        }
    }

    /// Of who has at least so many of the words.
    fn best(
        &self,
        tallies: &[Tally],
        at_least: usize,
        limit: usize,
        may: &mut impl FnMut(&K) -> bool,
    ) -> (Vec<Hit<K>>, bool) {
        let rank = |slot: u32| self.rank(tallies, at_least, slot);
        // Who has all of them is among those that have the rarest.
        let rarest = tallies.iter().min_by_key(|tally| tally.touched.len());
        let ranked: Vec<Rank> = match rarest {
            Some(rarest) if at_least == tallies.len() => {
                rarest.touched.iter().filter_map(|slot| rank(*slot)).collect()
            }
            _ => {
                let mut any: Vec<u32> =
                    tallies.iter().flat_map(|tally| tally.touched.iter().copied()).collect();
                any.sort_unstable();
                any.dedup();
                any.into_iter().filter_map(rank).collect()
            }
        };
        let mut ranked = BinaryHeap::from(ranked);
        let mut hits = Vec::new();
        let mut asked_count = 0;
        while let Some(Rank(rank)) = ranked.pop() {
            let slot = !(rank as u32);
            let Some(Entry { key, .. }) = &self.entries[slot as usize] else { continue };
            if !may(key) {
                asked_count += 1;
                if asked_count == HIDDEN_COUNT_PATIENCE {
                    ranked.retain(|Rank(rank)| {
                        let entry = &self.entries[!(*rank as u32) as usize];
                        entry.as_ref().is_some_and(|entry| may(&entry.key))
                    });
                }
                continue;
            }
            if hits.len() == limit {
                return (hits, true);
            }
            let worths = tallies.iter().map(|tally| tally.worth[slot as usize]);
            let likeness = Likeness::of_worth(worths.min().unwrap_or_default());
            hits.push(Hit { key: key.clone(), likeness });
        }
        (hits, false)
    }

    fn rank(&self, tallies: &[Tally], at_least: usize, slot: u32) -> Option<Rank> {
        let mut found = 0;
        let mut worth = 0;
        for tally in tallies {
            let own = u64::from(tally.worth[slot as usize]);
            found += u64::from(own > 0);
            worth += own;
        }
        let name_letters = self.name_letters[slot as usize];
        let rank = found << 56 | worth << 48 | u64::from(!name_letters) << 40 | u64::from(!slot);
        (found >= at_least as u64).then_some(Rank(rank))
    }
}

/// So many that may not be seen are met on the way to those that may, before all are looked through.
const HIDDEN_COUNT_PATIENCE: usize = 64;

/// How good an entry is: words of the question that it has, what they are worth, how short its name
/// is; then who has been there longer. The slot's complement is its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u64);

/// Where one word of the question was found.
struct Tally {
    /// By slot: what it is worth there.
    worth: Vec<u8>,
    touched: Vec<u32>,
}

impl Tally {
    fn new(slot_count: usize) -> Self {
        Self { worth: vec![0; slot_count], touched: Vec::new() }
    }

    fn count(&mut self, places: &[Place], likeness: Likeness) {
        let worths = [Field::Other, Field::Id, Field::Name].map(|field| likeness.worth(field));
        for place in places {
            let here = &mut self.worth[place.slot() as usize];
            if *here == 0 {
                self.touched.push(place.slot());
            }
            *here = worths[(place.0 & 3) as usize].max(*here);
        }
    }
}

/// The words of a text: small letters and digits, without their accents.
fn words(text: &str) -> impl Iterator<Item = String> {
    let pieces = text.split(|c: char| !c.is_alphanumeric()).filter(|piece| !piece.is_empty());
    pieces.map(|piece| {
        let small = piece.chars().flat_map(char::to_lowercase);
        let mut word = String::with_capacity(piece.len());
        for letter in small.take(WORD_LETTERS_MAX) {
            match plain(letter) {
                Some(letters) => word.push_str(letters),
                None => word.push(letter),
            }
        }
        word
    })
}

/// A word, and what it has behind letters that go over to digits, or the other way: `7` of `belt7`.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    let mut letters = word.char_indices().zip(word.chars().skip(1));
    let borders = std::iter::from_fn(move || {
        letters.find_map(|((at, this), next)| {
            (this.is_numeric() != next.is_numeric()).then_some(at + this.len_utf8())
        })
    });
    std::iter::once(word).chain(borders.map(|border| &word[border..]))
}

/// Which letters there are once, and in the upper half more than once. Different ones may share a bit.
fn mask(word: &str) -> u64 {
    word.chars().fold(0, |mask, letter| {
        let bit = match letter {
            'a'..='z' => letter as u32 - 'a' as u32,
            _ => 26 + letter as u32 % 6,
        };
        mask | (mask & 1 << bit) << 32 | 1 << bit
    })
}

/// The first text behind all that begin with this one.
fn successor(text: &str) -> Option<String> {
    let mut letters: Vec<char> = text.chars().collect();
    while let Some(last) = letters.pop() {
        let next = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

/// What is asked for, by letter: bits where it has it.
struct Pattern<'a> {
    asked: &'a Asked,
    latin: [u64; 26],
}

impl<'a> Pattern<'a> {
    fn new(asked: &'a Asked) -> Self {
        let mut latin = [0; 26];
        for (at, letter) in asked.letters.iter().enumerate() {
            if letter.is_ascii_lowercase() {
                latin[*letter as usize - 'a' as usize] |= 1 << at;
            }
        }
        Self { asked, latin }
    }

    fn bits(&self, letter: char) -> u64 {
        if letter.is_ascii_lowercase() {
            return self.latin[letter as usize - 'a' as usize];
        }
        let letters = self.asked.letters.iter().enumerate();
        letters.fold(0, |bits, (at, own)| bits | u64::from(*own == letter) << at)
    }

    /// Whether a word begins with it but for so many typos: optimal string alignment, all rows of the
    /// table at once in the bits of a number (H. Hyyrö, A bit-vector algorithm for computing
    /// Levenshtein and Damerau edit distances, 2003).
    fn begins(&self, word: &str) -> bool {
        let Asked { letters, typos, .. } = self.asked;
        let last = 1 << (letters.len() - 1);
        let mut distance = letters.len() as u32;
        let (mut plus, mut minus, mut diagonal, mut before) = (u64::MAX, 0_u64, 0_u64, 0_u64);
        for letter in word.chars().take(letters.len() + *typos as usize) {
            let here = self.bits(letter);
            let turned = (!diagonal & here) << 1 & before;
            diagonal = ((here & plus).wrapping_add(plus) ^ plus) | here | minus | turned;
            let up = minus | !(diagonal | plus);
            let down = diagonal & plus;
            distance += u32::from(up & last != 0);
            distance -= u32::from(down & last != 0);
            if distance <= *typos {
                return true;
            }
            let (up, down) = (up << 1 | 1, down << 1);
            plus = down | !(diagonal | up);
            minus = up & diagonal;
            before = here;
        }
        false
    }
}

/// A Latin letter without what is above or below it.
fn plain(letter: char) -> Option<&'static str> {
    let letters = match letter {
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' => "t",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        // What `İ` becomes in small letters, and other accents of their own.
        '\u{300}'..='\u{36f}' => "",
        _ => return None,
    };
    Some(letters)
}

#[cfg(test)]
#[path = "index/tests.rs"]
mod tests;
