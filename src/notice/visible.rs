//! Text without what cannot be seen: nothing that hides text, turns its direction or pads it. What
//! joins letters or makes an emoji stays where it does that, and nowhere else.

const JOINER: char = '\u{200D}';
const NON_JOINER: char = '\u{200C}';
const BLACK_FLAG: char = '\u{1F3F4}';
const TAG_END: char = '\u{E007F}';
const KEYCAP: char = '\u{20E3}';

/// The longest name of a flag, in tags.
const FLAG_TAGS_MAX: usize = 6;

/// A text without characters that cannot be seen; control characters are left to the caller.
pub fn visible(text: &str) -> String {
    let all: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut before: Option<char> = None;
    let mut flag_until = 0;
    for (n, c) in all.iter().copied().enumerate() {
        if c == BLACK_FLAG {
            flag_until = end_of_flag(&all, n + 1).unwrap_or(0);
        }
        let fits = n < flag_until || belongs(before, c, all.get(n + 1).copied());
        if !is_invisible(c) || fits {
            out.push(c);
            before = Some(c);
        }
    }
    out
}

/// Whether something unseen does its work between these two.
fn belongs(before: Option<char>, c: char, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    match c {
        JOINER if is_pictured(before) || is_emoji_part(before) => after.is_some_and(is_pictured),
        JOINER | NON_JOINER => is_joining(before) && after.is_some_and(is_joining),
        '\u{FE0E}' | '\u{FE0F}' if is_pictured(before) => true,
        '\u{FE0F}' => is_key(before) && after == Some(KEYCAP),
        // Forms of one letter.
        '\u{FE00}'..='\u{FE0E}' | '\u{E0100}'..='\u{E01EF}' => is_han(before),
        '\u{180B}'..='\u{180D}' | '\u{180F}' => matches!(before, '\u{1820}'..='\u{18AA}'),
        _ => false,
    }
}

/// Where the name of a flag ends that begins here.
fn end_of_flag(all: &[char], from: usize) -> Option<usize> {
    let tags = all.get(from..)?.iter().take_while(|c| is_flag_tag(**c)).count();
    let ends = all.get(from + tags) == Some(&TAG_END);
    (ends && (1..=FLAG_TAGS_MAX).contains(&tags)).then_some(from + tags + 1)
}

fn is_flag_tag(c: char) -> bool {
    matches!(c, '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}')
}

fn is_key(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '#' | '*')
}

/// Whether it may be a picture: blocks of symbols in which the emoji are.
fn is_pictured(c: char) -> bool {
    matches!(c,
        '\u{A9}' | '\u{AE}' | '\u{203C}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2190}'..='\u{21FF}' | '\u{2300}'..='\u{23FF}' | '\u{24C2}'
        | '\u{25A0}'..='\u{27BF}' | '\u{2900}'..='\u{297F}' | '\u{2B00}'..='\u{2BFF}'
        | '\u{3030}' | '\u{303D}' | '\u{3297}' | '\u{3299}' | '\u{1F000}'..='\u{1FAFF}')
}

/// Whether it goes on with an emoji: its form.
fn is_emoji_part(c: char) -> bool {
    matches!(c, '\u{FE0E}' | '\u{FE0F}')
}

/// Letters and marks of scripts in which joiners tell words apart: Arabic, Syriac and their
/// neighbours, the scripts of India and Southeast Asia, Mongolian.
fn is_joining(c: char) -> bool {
    matches!(c,
        '\u{0620}'..='\u{08FF}' | '\u{0900}'..='\u{0DFF}' | '\u{0E00}'..='\u{109F}'
        | '\u{1700}'..='\u{18AF}' | '\u{1900}'..='\u{1CFF}' | '\u{A840}'..='\u{ABFF}'
        | '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' | '\u{10A00}'..='\u{11FFF}')
        && !is_invisible(c)
        && c.is_alphanumeric() | is_sign(c)
}

/// Vowel signs and the like count as no letters, but end and begin parts of words.
fn is_sign(c: char) -> bool {
    !c.is_ascii() && !c.is_whitespace() && !c.is_control()
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Characters that take no room, hide text or turn its direction.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_an_emoji_or_a_word_stays() {
        for whole in [
            "👩\u{200D}🌾 Fern",
            "❤\u{FE0F} Fern",
            "👩🏽\u{200D}🚀",
            "🏳\u{FE0F}\u{200D}🌈",
            "👨\u{200D}👩\u{200D}👧\u{200D}👦",
            "1\u{FE0F}\u{20E3}",
            "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
            "می\u{200C}خواهم",
            "क्\u{200D}ष क्\u{200C}ष",
            "ശ്രീ ന്\u{200D}റ",
            "葛\u{E0100}",
            "ᠠ\u{180B}",
        ] {
            assert_eq!(visible(whole), whole);
        }
    }

    #[test]
    fn what_hides_turns_or_pads_goes() {
        for (text, rest) in [
            ("a\u{200D}b", "ab"),
            ("a\u{200C}\u{FE0F}b", "ab"),
            ("\u{200D}👩\u{200D}", "👩"),
            ("👩\u{200D}\u{200D}🌾", "👩\u{200D}🌾"),
            ("❤\u{FE0F}\u{FE0F}\u{FE0F}", "❤\u{FE0F}"),
            ("1\u{FE0F}2", "12"),
            ("می\u{200C}", "می"),
            ("م\u{202E}ن\u{2066}", "من"),
            ("🏴\u{E0067}\u{E0062}", "🏴"),
            ("x\u{E0067}\u{E007F}", "x"),
            ("a\u{200B}\u{00AD}\u{2060}\u{FEFF}b", "ab"),
        ] {
            assert_eq!(visible(text), rest, "{text:?}");
        }
    }
}
