//! When a scheduled job runs next. Pure: the time is handed in. All times are UTC, so no hour is skipped or comes twice.

use std::str::FromStr as _;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// When a job runs, as a job file says it.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    times: cron::Schedule,
}

/// A schedule that can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScheduleError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: &'static str,
}

impl Schedule {
    /// Reads five fields as in a crontab (minute, hour, day, month, weekday), six with seconds first, or
    /// `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. `now` tells whether it ever comes.
    ///
    /// # Errors
    /// When it has other fields, means different things to different programs, or never comes.
    pub fn parse(text: &str, now: DateTime<Utc>) -> Result<Self, ScheduleError> {
        let wrong = |message: String, hint| Err(ScheduleError { message, hint });
        let text = text.trim();
        let fields: Vec<&str> = text.split_whitespace().collect();
        let expression = match fields.as_slice() {
            [word] if word.starts_with('@') => (*word).to_owned(),
            [minute, hour, day, month, weekday] => {
                format!("0 {minute} {hour} {day} {month} {}", named_weekdays(weekday)?)
            }
            [second, minute, hour, day, month, weekday] => {
                format!(
                    "{second} {minute} {hour} {day} {month} {}",
                    named_weekdays(weekday)?
                )
            }
            _ => {
                return wrong(
                    format!("{text:?} has {} fields", fields.len()),
                    "write five, as in \"*/30 * * * *\": minute, hour, day, month, weekday",
                );
            }
        };
        let free = |field: &str| field == "*" || field == "?";
        if let [.., day, _, weekday] = fields.as_slice()
            && fields.len() >= 5
            && !free(day)
            && !free(weekday)
        {
            return wrong(
                format!("{text:?} names days and weekdays"),
                "crontab takes either of them and others take both: name one, and * for the other",
            );
        }
        let Ok(times) = cron::Schedule::from_str(&expression) else {
            return wrong(
                format!("{text:?} is no schedule"),
                "write it like \"*/30 * * * *\" or @hourly",
            );
        };
        if times.after(&now).next().is_none() {
            return wrong(format!("{text:?} never comes"), "look at the day and the month");
        }
        Ok(Self {
            text: text.to_owned(),
            times,
        })
    }

    /// The schedule as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The next time after the last run and now. However many times were missed, they are made up for by one.
    /// `random` is uniform in `0.0..1.0` and spreads the time over `jitter` after the schedule's own.
    #[must_use]
    pub fn next(
        &self,
        last: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        jitter: Duration,
        random: f64,
    ) -> Option<DateTime<Utc>> {
        let missed = last
            .and_then(|last| self.times.after(&last).next())
            .filter(|due| *due <= now);
        if missed.is_some() {
            return Some(now);
        }
        let next = self.times.after(&now).next()?;
        let spread = jitter.mul_f64(if random.is_finite() {
            random.clamp(0.0, 1.0)
        } else {
            0.0
        });
        next.checked_add_signed(chrono::Duration::from_std(spread).ok()?)
    }
}

/// The cron library counts weekdays from Sunday = 1 and refuses 0, crontabs from Sunday = 0 (or 7). Names
/// mean the same to both.
fn named_weekdays(field: &str) -> Result<String, ScheduleError> {
    const NAMES: [&str; 8] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
    let mut named = String::new();
    let mut rest = field;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let length = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (digits, after) = from.split_at(length);
        named.push_str(before);
        if before.ends_with('/') {
            named.push_str(digits);
        } else {
            let name = digits.parse::<usize>().ok().and_then(|number| NAMES.get(number));
            let Some(name) = name else {
                return Err(ScheduleError {
                    message: format!("{digits} is no weekday"),
                    hint: "write Mon to Sun, or 0 to 7 with Sunday as 0 or 7",
                });
            };
            named.push_str(name);
        }
        rest = after;
    }
    named.push_str(rest);
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
    }

    fn next(schedule: &str, now: &str) -> String {
        let now = at(now);
        let schedule = Schedule::parse(schedule, now).unwrap();
        schedule
            .next(None, now, Duration::ZERO, 0.5)
            .unwrap()
            .to_rfc3339()
    }

    #[test]
    fn crontabs_mean_what_they_mean_everywhere() {
        // 2026-11-24 is a Tuesday.
        let now = "2026-11-24T10:07:30Z";
        assert_eq!(next("*/30 * * * *", now), "2026-11-24T10:30:00+00:00");
        assert_eq!(next("0 */30 * * * *", now), "2026-11-24T10:30:00+00:00");
        assert_eq!(next("15 3 * * *", now), "2026-11-25T03:15:00+00:00");
        for sunday in ["0 0 * * 0", "0 0 * * 7", "0 0 * * Sun"] {
            assert_eq!(next(sunday, now), "2026-11-29T00:00:00+00:00", "{sunday}");
        }
        assert_eq!(
            next("0 12 * * 1-5", "2026-11-27T13:00:00Z"),
            "2026-11-30T12:00:00+00:00"
        );
        assert_eq!(next("0 0 1 * *", now), "2026-12-01T00:00:00+00:00");
        assert_eq!(next("@hourly", now), "2026-11-24T11:00:00+00:00");
    }

    #[test]
    fn what_can_not_be_followed_is_refused() {
        let now = at("2026-11-24T10:00:00Z");
        for (text, word) in [
            ("", "fields"),
            ("* * *", "fields"),
            ("61 * * * *", "no schedule"),
            ("0 0 31 2 *", "never comes"),
            ("0 0 1 * 1", "days and weekdays"),
            ("0 0 * * 8", "no weekday"),
            ("@often", "no schedule"),
        ] {
            let error = Schedule::parse(text, now).unwrap_err();
            assert!(error.message.contains(word), "{text:?}: {error}");
        }
    }

    #[test]
    fn missed_times_are_made_up_for_by_one() {
        let now = at("2026-11-24T10:07:30Z");
        let schedule = Schedule::parse("*/30 * * * *", now).unwrap();
        let long_ago = Some(at("2026-11-20T10:00:00Z"));
        assert_eq!(
            schedule.next(long_ago, now, Duration::from_secs(60), 0.9),
            Some(now)
        );
        let lately = Some(at("2026-11-24T10:00:05Z"));
        let next = schedule.next(lately, now, Duration::from_secs(60), 0.5).unwrap();
        assert_eq!(next, at("2026-11-24T10:30:30Z"));
    }
}
