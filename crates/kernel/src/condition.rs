//! Conditions: `PATH op PATH|literal`, joined by `and`. They hold, or do not, or nobody knows.
//!
//! Integers, strings and booleans are compared with their own kind; anything else is unknown, and so is what is
//! missing. Paths begin with `args`, `deed`, `result` or `before`; see `template::Values`.

use std::str::FromStr;

use serde_json::Value;

use crate::template::Values;

const CLAUSES_MAX: usize = 16;
const ROOTS: [&str; 4] = ["args", "deed", "result", "before"];
// Longer ones first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Less),
    (">", Operator::More),
];

/// A condition, parsed.
#[derive(Clone, PartialEq, Debug)]
pub struct Condition(Vec<Clause>);

#[derive(Clone, PartialEq, Debug)]
struct Clause {
    left: Term,
    operator: Operator,
    right: Term,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Operator {
    Equal,
    Unequal,
    AtMost,
    AtLeast,
    Less,
    More,
}

#[derive(Clone, PartialEq, Debug)]
enum Term {
    Path(String),
    Literal(Value),
}

/// A word of the text.
#[derive(Clone, PartialEq, Debug)]
enum Word {
    Term(Term),
    Operator(Operator),
    And,
}

impl Condition {
    /// The error says what is wrong, and where in the text.
    pub fn parse(text: &str) -> Result<Condition, String> {
        let words = words(text)?;
        let mut clauses = Vec::new();
        for clause in words.split(|word| *word == Word::And) {
            let [Word::Term(left @ Term::Path(_)), Word::Operator(operator), Word::Term(right)] = clause
            else {
                let expected =
                    "expected `PATH op VALUE`, joined by `and`, as in `result.count >= args.count`";
                return Err(format!(
                    "{expected}; `and` number {} is not between two of these",
                    clauses.len() + 1
                ));
            };
            clauses.push(Clause { left: left.clone(), operator: *operator, right: right.clone() });
        }
        if clauses.len() > CLAUSES_MAX {
            return Err(format!("at most {CLAUSES_MAX} comparisons fit into one condition"));
        }
        Ok(Condition(clauses))
    }

    /// Every path that it names.
    pub fn paths(&self) -> Vec<String> {
        let terms = self.0.iter().flat_map(|clause| [&clause.left, &clause.right]);
        let path = |term: &Term| match term {
            Term::Path(path) => Some(path.clone()),
            Term::Literal(_) => None,
        };
        terms.filter_map(path).collect()
    }

    /// None: nobody knows. What is known not to hold does not, whatever else is unknown.
    pub fn holds(&self, values: &Values<'_>) -> Option<bool> {
        let mut known = Some(true);
        for clause in &self.0 {
            match clause.holds(values) {
                Some(false) => return Some(false),
                Some(true) => {}
                None => known = None,
            }
        }
        known
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Condition, String> {
        Condition::parse(text)
    }
}

impl Clause {
    fn holds(&self, values: &Values<'_>) -> Option<bool> {
        let (left, right) = (self.left.value(values)?, self.right.value(values)?);
        let order = match (left, right) {
            (Value::String(left), Value::String(right)) => left.cmp(right),
            (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => left.as_u64()?.cmp(&right.as_u64()?),
            },
            (Value::Bool(left), Value::Bool(right)) => {
                return match self.operator {
                    Operator::Equal => Some(left == right),
                    Operator::Unequal => Some(left != right),
                    _ => None,
                };
            }
            _ => return None,
        };
        Some(match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::Unequal => order.is_ne(),
            Operator::AtMost => order.is_le(),
            Operator::AtLeast => order.is_ge(),
            Operator::Less => order.is_lt(),
            Operator::More => order.is_gt(),
        })
    }
}

impl Term {
    fn value<'a>(&'a self, values: &Values<'a>) -> Option<&'a Value> {
        match self {
            Term::Path(path) => values.get(path),
            Term::Literal(value) => Some(value),
        }
    }
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let column = text.len() - rest.len() + 1;
        let (word, length) = word(rest).map_err(|why| format!("{why} at column {column}"))?;
        words.push(word);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(words)
}

fn word(text: &str) -> Result<(Word, usize), String> {
    if let Some((sign, operator)) = OPERATORS.iter().find(|(sign, _)| text.starts_with(sign)) {
        return Ok((Word::Operator(*operator), sign.len()));
    }
    for quote in ['\'', '"'] {
        if let Some(rest) = text.strip_prefix(quote) {
            let end = rest.find(quote).ok_or("a string without its end")?;
            let value = rest.get(..end).unwrap_or_default().to_owned();
            return Ok((Word::Term(Term::Literal(Value::String(value))), end + 2));
        }
    }
    let length =
        text.find(|letter: char| letter.is_whitespace() || "=!<>'\"".contains(letter)).unwrap_or(text.len());
    let name = text.get(..length).unwrap_or_default();
    let term = match name {
        "and" => return Ok((Word::And, length)),
        "true" => Term::Literal(Value::Bool(true)),
        "false" => Term::Literal(Value::Bool(false)),
        "" => return Err("a sign that is no comparison".to_owned()),
        name => match (name.parse::<i64>(), name.split_once('.')) {
            (Ok(number), _) => Term::Literal(number.into()),
            (_, Some((root, rest))) if ROOTS.contains(&root) && !rest.is_empty() => {
                Term::Path(name.to_owned())
            }
            _ => {
                return Err(format!(
                    "`{}` is no whole number, no quoted string, and no path that begins with {}",
                    name.chars().take(40).collect::<String>(),
                    ROOTS.map(|root| format!("`{root}.`")).join(", ")
                ));
            }
        },
    };
    Ok((Word::Term(term), length))
}

#[cfg(test)]
mod tests;
