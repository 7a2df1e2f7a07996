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

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The weekdays of a field, each by its name: names mean the same to everyone. The cron library counts from
/// Sunday = 1 and refuses 0 and ranges that end on a Sunday, crontabs count from Sunday = 0 (or 7).
fn named_weekdays(field: &str) -> Result<String, ScheduleError> {
    if matches!(field, "*" | "?") {
        return Ok("*".to_owned());
    }
    let mut wanted = [false; 7];
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| (1..=7).contains(step))),
            None => (part, Some(1)),
        };
        let step: usize = step.ok_or_else(|| no_weekday(part))?;
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (0, 6),
            Some((from, to)) => (weekday(from)?, weekday(to)?),
            // As in a crontab, a step from a single day runs to the end of the week.
            None if part.contains('/') => (weekday(range)?, 6),
            None => (weekday(range)?, weekday(range)?),
        };
        // A range over the end of the week, as Fri-Sun or 5-7, goes on into the next.
        let to = if to < from { to + 7 } else { to };
        for day in (from..=to).step_by(step) {
            wanted[day % 7] = true;
        }
    }
    let names = WEEKDAYS
        .iter()
        .zip(wanted)
        .filter_map(|(name, wanted)| wanted.then_some(*name));
    Ok(names.collect::<Vec<_>>().join(","))
}

/// The number of a weekday, with Sunday as 0 or 7.
fn weekday(text: &str) -> Result<usize, ScheduleError> {
    let named = WEEKDAYS.iter().position(|name| name.eq_ignore_ascii_case(text));
    let number = text.parse().ok().filter(|number| *number <= 7);
    named.or(number).ok_or_else(|| no_weekday(text))
}

fn no_weekday(text: &str) -> ScheduleError {
    ScheduleError {
        message: format!("{text:?} is no weekday"),
        hint: "write Mon to Sun, or 0 to 7 with Sunday as 0 or 7",
    }
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
    fn every_spelling_of_weekdays_is_understood() {
        for (field, days) in [
            ("*", "*"),
            ("5-7", "SUN,FRI,SAT"),
            ("Fri-Sun", "SUN,FRI,SAT"),
            ("0-6", "SUN,MON,TUE,WED,THU,FRI,SAT"),
            ("1-7", "SUN,MON,TUE,WED,THU,FRI,SAT"),
            ("sat-mon", "SUN,MON,SAT"),
            ("1-5/2", "MON,WED,FRI"),
            ("*/2", "SUN,TUE,THU,SAT"),
            ("3/2", "WED,FRI"),
            ("7,mon", "SUN,MON"),
        ] {
            assert_eq!(named_weekdays(field).as_deref(), Ok(days), "{field}");
            assert!(Schedule::parse(&format!("0 4 * * {field}"), at("2026-11-24T10:00:00Z")).is_ok());
        }
        for field in ["8", "", "1,", "mon-", "1/0", "*/x", "-", "monday", "1-5-6"] {
            assert!(named_weekdays(field).is_err(), "{field:?}");
        }
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
