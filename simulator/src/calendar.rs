//! Unix time as dates and times of day, in UTC, and how EDF writes them.

use components::sample::Timestamp;

const MS_PER_DAY: i64 = 86_400_000;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay {
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
}

impl Date {
    /// The date and the time of day. Days to years by Hinnant, "chrono-compatible low-level date
    /// algorithms" (2013).
    pub fn of(at: Timestamp) -> (Self, TimeOfDay) {
        let (days, ms) = (at.0.div_euclid(MS_PER_DAY), at.0.rem_euclid(MS_PER_DAY));
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let seconds = (ms / 1000) as u32;
        let time =
            TimeOfDay { hour: seconds / 3600, minute: seconds / 60 % 60, second: seconds % 60 };
        (Self { year, month, day }, time)
    }

    /// The beginning of this day's `time`; `None` when there is no such day or time.
    pub(crate) fn at(self, time: TimeOfDay) -> Option<Timestamp> {
        let (m, d) = (i64::from(self.month), i64::from(self.day));
        if !(1..=12).contains(&m) || time.hour > 23 || time.minute > 59 || time.second > 59 {
            return None;
        }
        let year = self.year - i64::from(m <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let seconds = i64::from(time.hour * 3600 + time.minute * 60 + time.second);
        let at = Timestamp(days * MS_PER_DAY + seconds * 1000);
        // The 31st of June would come back as another day.
        (Self::of(at).0 == self).then_some(at)
    }

    /// `dd.mm.yy`, as in every EDF. The century is in [`edf_plus`](Self::edf_plus).
    pub(crate) fn edf(self) -> String {
        format!("{:02}.{:02}.{:02}", self.day, self.month, self.year.rem_euclid(100))
    }

    /// `dd-MMM-yyyy`, as in EDF+.
    pub(crate) fn edf_plus(self) -> String {
        format!("{:02}-{}-{:04}", self.day, MONTHS[self.month as usize - 1], self.year)
    }

    /// Reads [`edf`](Self::edf): 85 to 99 are of the last century.
    pub(crate) fn from_edf(text: &str) -> Option<Self> {
        let [day, month, year] = three(text)?;
        let century = if year >= 85 { 1900 } else { 2000 };
        (year < 100).then_some(Self { year: century + i64::from(year), month, day })
    }
}

impl TimeOfDay {
    pub(crate) fn edf(self) -> String {
        format!("{:02}.{:02}.{:02}", self.hour, self.minute, self.second)
    }

    pub(crate) fn from_edf(text: &str) -> Option<Self> {
        let [hour, minute, second] = three(text)?;
        Some(Self { hour, minute, second })
    }
}

fn three(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.trim().split(['.', ':']);
    let mut next = || parts.next()?.parse().ok();
    let three = [next()?, next()?, next()?];
    parts.next().is_none().then_some(three)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_go_to_dates_and_back() {
        let (date, time) = Date::of(Timestamp(1_795_507_259_999));
        assert_eq!((date.edf(), time.edf()), ("24.11.26".into(), "08.00.59".into()));
        assert_eq!(date.edf_plus(), "24-NOV-2026");
        for day in (-40_000..60_000).step_by(17) {
            let at = Timestamp(day * MS_PER_DAY + 3_661_000);
            let (date, time) = Date::of(at);
            assert_eq!(date.at(time), Some(at));
        }
        assert_eq!(Date::from_edf("29.02.24").unwrap().edf_plus(), "29-FEB-2024");
        let noon = TimeOfDay { hour: 12, minute: 0, second: 0 };
        assert_eq!(Date::from_edf("29.02.23").unwrap().at(noon), None, "no such day");
        assert_eq!(Date::from_edf("31.12.85").unwrap().year, 1985);
        assert_eq!(Date::from_edf("1.2"), None);
        assert_eq!(TimeOfDay::from_edf("a.b.c"), None);
    }
}
