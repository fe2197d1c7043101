//! What buyers type: what a provider will take, and what is shown again when something was wrong.

use super::{
    extras::{CODE, SPECIAL_CODE},
    page::field_name,
};
use crate::{
    gate::SPECIAL,
    notice::visible::is_invisible,
    sale::{refusal::Refusal, template::Ask},
    view::View,
};

/// The longest answer to a question, in characters.
const ANSWER_CHARS_MAX: usize = 500;

/// The fields of a form, as they came.
pub(super) type Fields = Vec<(String, String)>;

/// A form that was sent and is shown again.
#[derive(Clone, Copy, Default)]
pub(super) struct Sent<'a> {
    /// What was typed and chosen.
    pub(super) fields: &'a [(String, String)],
    /// The field that is to be put right.
    pub(super) wrong: Option<&'a str>,
}

impl Sent<'_> {
    /// What was typed into a field; cut where no field of ours goes on.
    pub(super) fn typed(&self, name: &str) -> Option<String> {
        let (_, value) = self.fields.iter().find(|(key, _)| key == name)?;
        Some(value.chars().take(ANSWER_CHARS_MAX).collect())
    }
}

/// A field that is not empty.
pub(super) fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}

/// The field that a refusal is about.
pub(super) fn wrong_field(refusal: &Refusal, view: &View) -> Option<String> {
    let code = |label: &str| if label == SPECIAL { SPECIAL_CODE } else { CODE };
    let name = match refusal {
        Refusal::MissingAnswer(ask) | Refusal::WrongAnswer { ask, .. } => field_name(*ask),
        Refusal::TooManyUnits { .. } => "units",
        Refusal::UnknownDelivery(_) | Refusal::ChoiceSoldOut { .. } => "delivery",
        Refusal::CodeMissing { label }
        | Refusal::CodeWrong { label }
        | Refusal::CheckAway { label } => code(label),
        Refusal::CodeUsed | Refusal::CodeTries { .. } if view.offers.condition.is_some() => CODE,
        Refusal::CodeUsed | Refusal::CodeTries { .. } => SPECIAL_CODE,
        Refusal::UnknownOption { label, .. } => {
            let choice = view.offers.options.iter().find(|choice| choice.label == *label)?;
            return Some(format!("option.{}", choice.name));
        }
        Refusal::UpsellGone { label } | Refusal::NotInLine { label } => {
            let upsell = view.offers.upsells.iter().find(|upsell| upsell.label == *label)?;
            return Some(format!("upsell.{}", upsell.name));
        }
        _ => return None,
    };
    Some(name.to_owned())
}

/// An answer that a provider will take; what looks wrong is asked again.
pub(super) fn checked(ask: Ask, answer: &str) -> Result<String, Refusal> {
    let wrong = |why| Err(Refusal::WrongAnswer { ask, why });
    if answer.chars().count() > ANSWER_CHARS_MAX {
        return wrong("it is too long");
    }
    let is_control = |c: char| c.is_control() && c != '\n' && c != '\r';
    // In names, some of them join letters.
    let is_line = matches!(ask, Ask::Email | Ask::Phone);
    if answer.chars().any(|c| is_control(c) || (is_line && is_invisible(c))) {
        return wrong("there are characters in it that cannot be seen");
    }
    let why = match ask {
        Ask::Name => (answer.chars().count() > 200).then_some("it is too long"),
        Ask::Email => wrong_in_email(answer),
        Ask::Phone => wrong_in_phone(answer),
        Ask::Address => None,
    };
    why.map_or_else(|| Ok(answer.to_owned()), wrong)
}

/// What is wrong with an e-mail address. Letters of any script may stand in it (RFC 6531).
fn wrong_in_email(answer: &str) -> Option<&'static str> {
    let Some((name, host)) = answer.rsplit_once('@') else {
        return Some("there is no @ in it");
    };
    let odd = |c: char| c.is_whitespace() || "()<>[],;:\\\"".contains(c);
    if answer.chars().any(odd) {
        return Some("a space, bracket, comma, colon or quotation mark has no place in it");
    }
    if name.is_empty() || name.contains('@') {
        return Some("exactly one name and one @ stand before the domain");
    }
    if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Some("a dot stands where there can be none");
    }
    let label = |part: &str| {
        let inside = part.chars().all(|c| c.is_alphanumeric() || c == '-' || is_mark(c));
        !part.is_empty() && inside && !part.starts_with('-') && !part.ends_with('-')
    };
    if !host.contains('.') || !host.split('.').all(label) {
        return Some("what stands behind the @ is no domain, like example.org");
    }
    (answer.len() > 254).then_some("it is too long")
}

/// Marks that belong to the letter before them, as in Hindi or Thai.
fn is_mark(c: char) -> bool {
    !c.is_ascii() && !c.is_whitespace() && !c.is_control()
}

fn wrong_in_phone(answer: &str) -> Option<&'static str> {
    if !answer.chars().all(|c| c.is_ascii_digit() || "+ -()./".contains(c)) {
        return Some("only digits, spaces and + - ( ) . / stand in one");
    }
    let digits = answer.bytes().filter(u8::is_ascii_digit).count();
    (!(7..=15).contains(&digits)).then_some("it has between 7 and 15 digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_script_are_taken_and_what_is_wrong_is_said() {
        for fine in [
            "ana@example.org",
            "jürgen@example.org",
            "ana@bücher.example",
            "用户@例子.广告",
            "अजय@डाटा.भारत",
            "user+tag@sub.example.co.uk",
            "o'brien@example.ie",
            "δοκιμή@παράδειγμα.δοκιμή",
        ] {
            assert_eq!(checked(Ask::Email, fine), Ok(fine.to_owned()), "{fine}");
        }
        for (bad, says) in [
            ("nonsense", "no @"),
            ("@example.org", "one name"),
            ("a@b@example.org", "one @"),
            ("ana@home", "no domain"),
            ("ana@.example", "no domain"),
            ("ana@example.", "no domain"),
            ("a b@example.org", "a space"),
            ("a\u{200B}b@example.org", "cannot be seen"),
            ("a\u{202E}b@example.org", "cannot be seen"),
            (".ana@example.org", "a dot"),
        ] {
            let Err(Refusal::WrongAnswer { why, .. }) = checked(Ask::Email, bad) else {
                panic!("{bad} is taken");
            };
            assert!(why.contains(says), "{bad}: {why}");
        }
        assert!(checked(Ask::Email, &format!("{}@example.org", "a".repeat(300))).is_err());
        assert!(checked(Ask::Phone, "+49 (30) 123-4567").is_ok());
        assert!(checked(Ask::Phone, "030/1234567").is_ok());
        assert!(checked(Ask::Phone, "call me").is_err());
        assert!(checked(Ask::Name, "Zoë Ångström").is_ok());
    }
}
