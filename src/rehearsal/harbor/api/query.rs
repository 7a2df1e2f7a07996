//! Query strings: Harbor's filter language, sorting and pages.

use std::cmp::Ordering;

use super::{Ask, refusal::Refusal};
use crate::rehearsal::{Answer, harbor::state::Moment};

/// The parameters of a query string, decoded, in order.
pub(super) fn parameters(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(super) enum Cell {
    Text(String),
    Number(i64),
    Flag(bool),
    Time(Moment),
}

/// Something that is listed.
pub(super) trait Row {
    /// The value of a column that can be asked for, by its name in the database or
    /// in Harbor's own model.
    fn column(&self, name: &str) -> Option<Cell>;
}

/// What a column is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Exact(String),
    Fuzzy(String),
    Range(Option<String>, Option<String>),
    OneOf(Vec<String>),
    /// A list that all must match; no column of ours can, and Harbor ignores it.
    AllOf,
}

/// What a list is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub(super) keywords: Vec<(String, Pattern)>,
    sorts: Vec<(String, bool)>,
    pub(super) page: i64,
    pub(super) size: i64,
}

impl Query {
    /// Reads `q`, `sort`, `page` and `page_size`.
    pub(super) fn read(ask: &Ask) -> Result<Self, Refusal> {
        let mut query = Self::read_page(ask)?;
        query.keywords = parse_keywords(ask.parameter("q"))?;
        query.sorts = ask
            .parameter("sort")
            .split(',')
            .filter(|key| !key.is_empty())
            .map(|key| {
                key.strip_prefix('-')
                    .map_or((key.to_owned(), false), |key| (key.to_owned(), true))
            })
            .collect();
        Ok(query)
    }

    /// Reads `page` and `page_size` only.
    pub(super) fn read_page(ask: &Ask) -> Result<Self, Refusal> {
        let mut complaints = Vec::new();
        let mut number = |name: &str, default: i64| {
            let text = ask.parameter(name);
            if text.is_empty() {
                return default;
            }
            text.parse().unwrap_or_else(|_| {
                complaints.push(format!("{name} in query must be of type int64: \"{text}\""));
                default
            })
        };
        let (page, size) = (number("page", 1), number("page_size", 10));
        if size > 100 {
            complaints.push("page_size in query should be less than or equal to 100".to_owned());
        }
        if complaints.is_empty() {
            Ok(Self {
                page,
                size,
                ..Self::default()
            })
        } else {
            Err(Refusal::invalid(&complaints))
        }
    }

    /// The pattern of one keyword.
    pub(super) fn keyword(&self, name: &str) -> Option<&Pattern> {
        self.keywords
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, pattern)| pattern)
    }

    /// Takes a keyword out that is not a column.
    pub(super) fn take_keyword(&mut self, name: &str) -> Option<Pattern> {
        let pattern = self.keyword(name).cloned();
        self.keywords.retain(|(key, _)| key != name);
        pattern
    }

    /// Keeps the rows that match all keywords; keywords that are no column are
    /// ignored. Fails like the database when a column's type does not fit.
    pub(super) fn filter<'a, T: Row>(
        &self,
        rows: impl Iterator<Item = &'a T>,
    ) -> Result<Vec<&'a T>, Refusal> {
        let mut kept = Vec::new();
        'rows: for row in rows {
            for (key, pattern) in &self.keywords {
                let Some(cell) = row.column(key) else { continue };
                if !matches(&cell, pattern)? {
                    continue 'rows;
                }
            }
            kept.push(row);
        }
        Ok(kept)
    }

    /// Sorts by the columns asked for; rows that are equal keep their order.
    pub(super) fn sort<T: Row>(&self, rows: &mut [&T]) {
        if self.sorts.is_empty() {
            return;
        }
        rows.sort_by(|one, other| {
            for (key, descending) in &self.sorts {
                let order = one
                    .column(key)
                    .partial_cmp(&other.column(key))
                    .unwrap_or(Ordering::Equal);
                let order = if *descending { order.reverse() } else { order };
                if order != Ordering::Equal {
                    return order;
                }
            }
            Ordering::Equal
        });
    }

    /// The rows of the page asked for. A size of 0 or less is all of them.
    pub(super) fn cut<'a, T>(&self, rows: &'a [T]) -> &'a [T] {
        let Ok(size) = usize::try_from(self.size) else {
            return rows;
        };
        if size == 0 {
            return rows;
        }
        let start = usize::try_from(self.page - 1)
            .unwrap_or(0)
            .saturating_mul(size)
            .min(rows.len());
        &rows[start..start.saturating_add(size).min(rows.len())]
    }

    /// The rows that a search finds, whatever page is asked for: the shortest names of
    /// all that are like the one asked for, no more than a page has.
    pub(super) fn best<'a, T>(
        &self,
        rows: impl Iterator<Item = &'a T>,
        name: impl Fn(&T) -> &str,
        part: &str,
    ) -> Result<Vec<&'a T>, Refusal> {
        let size = usize::try_from(self.size).map_err(|_| Refusal::internal())?;
        let pattern: Vec<char> = format!("%{part}%").chars().collect();
        let characters = |row: &T| name(row).chars().collect::<Vec<char>>();
        let mut found: Vec<&T> = rows.filter(|row| is_like(&characters(row), &pattern)).collect();
        found.sort_by_key(|row| (characters(row).len(), name(row).to_owned()));
        found.truncate(size);
        Ok(found)
    }

    /// Adds the total and the links to the pages before and after.
    pub(super) fn headers(&self, ask: &Ask, total: usize, answer: Answer) -> Answer {
        let mut answer = answer.header("x-total-count", total.to_string());
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        let mut links = Vec::new();
        if self.size != 0 {
            if self.page > 1 && (self.page - 1).saturating_mul(self.size) < total {
                links.push(self.link(ask, self.page - 1, "prev"));
            }
            if self.page.saturating_mul(self.size) < total {
                links.push(self.link(ask, self.page + 1, "next"));
            }
        }
        if !links.is_empty() {
            answer = answer.header("link", links.join(" , "));
        }
        answer
    }

    /// The query of a link is sorted by key and not escaped.
    fn link(&self, ask: &Ask, page: i64, relation: &str) -> String {
        let mut parameters: Vec<(&str, String)> = ask
            .query
            .iter()
            .filter(|(key, _)| key != "page" && key != "page_size")
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();
        parameters.push(("page", page.to_string()));
        parameters.push(("page_size", self.size.to_string()));
        parameters.sort_by_key(|(key, _)| *key);
        let query: Vec<String> = parameters
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        format!("<{}?{}>; rel=\"{relation}\"", ask.path, query.join("&"))
    }
}

/// SQL's LIKE, which a search does not protect itself from.
fn is_like(text: &[char], pattern: &[char]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        (['%', rest @ ..], text) => (0..=text.len()).any(|skipped| is_like(&text[skipped..], rest)),
        ([wanted, rest @ ..], [first, text @ ..]) => {
            (*wanted == '_' || wanted == first) && is_like(text, rest)
        }
        (_, []) => false,
    }
}

/// Reads a filter: `key=value` pairs with commas between.
pub(super) fn parse_keywords(text: &str) -> Result<Vec<(String, Pattern)>, Refusal> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    // A filter may be encoded twice.
    let text = parameters(&format!("q={}", text.replace('&', "%26")))
        .pop()
        .map_or(String::new(), |(_, q)| q);
    text.split(',').map(parse_keyword).collect()
}

fn parse_keyword(pair: &str) -> Result<(String, Pattern), Refusal> {
    let (key, value) = pair
        .split_once('=')
        .filter(|(key, value)| !key.is_empty() && !value.is_empty())
        .ok_or_else(|| {
            Refusal::bad_request("the query string must contain \"=\" and the key/value cannot be empty")
        })?;
    let invalid = || Refusal::bad_request(format!("invalid query string value: {value}"));
    let words = |close: char| {
        let inner = value[1..].strip_suffix(close).ok_or_else(invalid)?;
        let trim = |word: &str| word.trim_matches(['"', '\'']).to_owned();
        Ok::<_, Refusal>(
            inner
                .split(' ')
                .map(trim)
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>(),
        )
    };
    let pattern = match value.chars().next() {
        Some('~') if value.len() > 1 => Pattern::Fuzzy(value[1..].to_owned()),
        Some('~') => return Err(invalid()),
        Some('[') => {
            let inner = value[1..].strip_suffix(']').ok_or_else(invalid)?;
            let (least, most) = inner.split_once('~').ok_or_else(invalid)?;
            if most.contains('~') || (least.trim().is_empty() && most.trim().is_empty()) {
                return Err(invalid());
            }
            let bound = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            Pattern::Range(bound(least), bound(most))
        }
        Some('{') => Pattern::OneOf(words('}')?),
        Some('(') => words(')').map(|_| Pattern::AllOf)?,
        _ => Pattern::Exact(value.strip_prefix('\\').unwrap_or(value).to_owned()),
    };
    Ok((key.to_owned(), pattern))
}

fn matches(cell: &Cell, pattern: &Pattern) -> Result<bool, Refusal> {
    Ok(match pattern {
        Pattern::Exact(value) => *cell == like(cell, value)?,
        Pattern::Fuzzy(part) => match cell {
            Cell::Text(text) => text.to_lowercase().contains(&part.to_lowercase()),
            Cell::Number(number) => number.to_string().contains(part),
            Cell::Flag(_) | Cell::Time(_) => return Err(Refusal::internal()),
        },
        Pattern::Range(least, most) => {
            let above = least.as_ref().map(|bound| like(cell, bound)).transpose()?;
            let below = most.as_ref().map(|bound| like(cell, bound)).transpose()?;
            above.is_none_or(|bound| *cell >= bound) && below.is_none_or(|bound| *cell <= bound)
        }
        Pattern::OneOf(values) if values.is_empty() => true,
        Pattern::OneOf(values) => {
            let mut found = false;
            for value in values {
                found |= *cell == like(cell, value)?;
            }
            found
        }
        Pattern::AllOf => true,
    })
}

/// A text as a value of the cell's type, or what the database says when it is none.
fn like(cell: &Cell, text: &str) -> Result<Cell, Refusal> {
    let misfit = |()| Refusal::internal();
    match cell {
        Cell::Text(_) => Ok(Cell::Text(text.to_owned())),
        Cell::Number(_) => text.parse().map(Cell::Number).map_err(|_| misfit(())),
        Cell::Flag(_) => match text {
            "true" | "t" | "1" => Ok(Cell::Flag(true)),
            "false" | "f" | "0" => Ok(Cell::Flag(false)),
            _ => Err(misfit(())),
        },
        Cell::Time(_) => chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S")
            .map(|time| Cell::Time(time.and_utc()))
            .map_err(|_| misfit(())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_into_its_patterns() {
        let patterns = parse_keywords("a=b,c=~d,e={f g},h=[1~9],i=(j k),l=\\~m").unwrap();
        let patterns: Vec<Pattern> = patterns.into_iter().map(|(_, pattern)| pattern).collect();
        let text = str::to_owned;
        assert_eq!(
            patterns,
            [
                Pattern::Exact(text("b")),
                Pattern::Fuzzy(text("d")),
                Pattern::OneOf(vec![text("f"), text("g")]),
                Pattern::Range(Some(text("1")), Some(text("9"))),
                Pattern::AllOf,
                Pattern::Exact(text("~m")),
            ]
        );
    }

    #[test]
    fn a_search_finds_the_shortest_names_first_and_knows_sql() {
        let names = ["team-ab", "team-a", "a-team", "Team-a", "team_a"].map(str::to_owned);
        let find = |part: &str, size: i64| {
            let query = Query {
                size,
                ..Query::default()
            };
            let found = query.best(names.iter(), String::as_str, part);
            found.map(|found| found.into_iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(find("team-a", 10).unwrap(), ["team-a", "team-ab"]);
        assert_eq!(find("team-a", 1).unwrap(), ["team-a"]);
        assert_eq!(
            find("m_a", 10).unwrap(),
            ["Team-a", "team-a", "team_a", "team-ab"]
        );
        assert_eq!(find("t%b", 10).unwrap(), ["team-ab"]);
        assert!(find("t", 0).unwrap().is_empty() && find("t", -1).is_err());
    }

    #[test]
    fn a_filter_without_key_or_value_is_refused() {
        for text in ["==", "a", "=b", "a=", "a=b,", "a={b", "a=[1]", "a=~"] {
            assert!(parse_keywords(text).is_err(), "{text}");
        }
    }
}
