//! What reads as a destination, and what is refused because two readers would differ.

use super::*;

#[test]
fn one_reading_or_none() {
    let rows = [
        (DestinationKind::Email, "Ann@Customers.Example", Some("Ann@customers.example")),
        (DestinationKind::Email, "a@b.example, c@evil.example", None),
        (DestinationKind::Email, "a@evil.example@customers.example", None),
        (DestinationKind::Email, "Ann <a@b.example>", None),
        (DestinationKind::Email, "a@b.example\r\nBcc: c@evil.example", None),
        (DestinationKind::Email, "@b.example", None),
        (DestinationKind::Url, "https://Docs.Example:443/x?y#z", Some("docs.example")),
        (DestinationKind::Url, "https://docs.example@evil.example/", None),
        (DestinationKind::Url, "https://docs.example\\@evil.example/", None),
        (DestinationKind::Url, "file:///etc/passwd", None),
        (DestinationKind::Url, "https://docs%2eexample/", None),
        (DestinationKind::Host, "hooks.example", Some("hooks.example")),
        (DestinationKind::Host, "hooks.example.", None),
        (DestinationKind::Host, "höoks.example", None),
    ];
    for (kind, text, want) in rows {
        assert_eq!(read(kind, text).as_deref(), want, "{kind:?} {text}");
    }
}
