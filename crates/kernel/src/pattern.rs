//! Patterns: what a text holds that should not pass. They know forms, not meanings: what is spelt out or encoded
//! passes them by.

mod number;
mod secret;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::contract::Pattern;

/// After so many passes a text in which finds still arise from what is left is blotted out as a whole.
const PASSES_MAX: usize = 4;

impl Pattern {
    pub const ALL: [Pattern; 5] =
        [Pattern::Secrets, Pattern::Email, Pattern::CreditCard, Pattern::Iban, Pattern::Phone];

    /// The name that a configuration writes.
    pub fn name(self) -> &'static str {
        match self {
            Pattern::Secrets => "secrets",
            Pattern::Email => "email",
            Pattern::CreditCard => "credit_card",
            Pattern::Iban => "iban",
            Pattern::Phone => "phone",
        }
    }

    fn mask(self) -> &'static str {
        match self {
            Pattern::Secrets => "[secret]",
            Pattern::Email => "[email]",
            Pattern::CreditCard => "[credit card]",
            Pattern::Iban => "[iban]",
            Pattern::Phone => "[phone]",
        }
    }

    pub fn holds(self, text: &str) -> bool {
        !self.finds(text).is_empty()
    }

    /// The same for the value of a member, whose name can tell a secret that has no form of its own.
    pub fn holds_under(self, name: &str, text: &str) -> bool {
        self.holds(text) || (self == Pattern::Secrets && secret::is_named(name, text))
    }

    /// The text with each find replaced. What comes back holds none.
    pub fn blot(self, text: &str) -> Cow<'_, str> {
        let mut clean = Cow::Borrowed(text);
        for _ in 0..PASSES_MAX {
            let finds = self.finds(&clean);
            if finds.is_empty() {
                return clean;
            }
            clean = Cow::Owned(replaced(&clean, &finds, self.mask()));
        }
        if self.holds(&clean) { Cow::Borrowed(self.mask()) } else { clean }
    }

    pub fn blot_under<'a>(self, name: &str, text: &'a str) -> Cow<'a, str> {
        let named = self == Pattern::Secrets && secret::is_named(name, text);
        if named { Cow::Borrowed(self.mask()) } else { self.blot(text) }
    }

    /// In order, without overlap.
    fn finds(self, text: &str) -> Vec<Range<usize>> {
        match self {
            Pattern::Secrets => secret::finds(text),
            Pattern::Email => emails(text),
            Pattern::CreditCard => number::cards(text),
            Pattern::Iban => number::ibans(text),
            Pattern::Phone => number::phones(text),
        }
    }
}

fn replaced(text: &str, finds: &[Range<usize>], mask: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    for find in finds {
        clean.push_str(text.get(from..find.start).unwrap_or_default());
        clean.push_str(mask);
        from = find.end;
    }
    clean.push_str(text.get(from..).unwrap_or_default());
    clean
}

/// The expressions are constants, and a test compiles each.
#[expect(clippy::expect_used, reason = "a constant expression, which the tests compile")]
pub(crate) fn constant(expression: &str) -> Regex {
    Regex::new(expression).expect("the expression compiles")
}

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    // Beyond ASCII every character may stand in a domain; of ASCII letters, digits, dash and dot.
    constant(concat!(
        r"[A-Za-z0-9._%+'\-]+(?:@|%40)",
        r"[^\x00-\x2c/\x3a-\x40\[-`\x7b-\x7f]+\.[A-Za-z]{2,24}"
    ))
});

/// What follows an `@` in the names of pictures for finer screens, such as `icon@2x.png`.
const PICTURES: [&str; 6] = [".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp"];

pub(crate) fn emails(text: &str) -> Vec<Range<usize>> {
    let picture = |found: &str| {
        let found = found.to_ascii_lowercase();
        found.contains("x.") && PICTURES.iter().any(|ending| found.ends_with(ending))
    };
    EMAIL.find_iter(text).filter(|found| !picture(found.as_str())).map(|found| found.range()).collect()
}

#[cfg(test)]
mod tests;
