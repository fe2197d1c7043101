//! Words as Twitch takes them: one line, at most 500 characters, never a command.

use crate::{command::parse::ours, notice::text::plain};

/// Twitch's limit for a message, in characters (its chat documentation). Counted here in UTF-16
/// units, so that an emoji counts twice: whoever counts otherwise counts less.
pub const LINE_MAX: usize = 500;

/// Room kept free for the mark of a repeated line.
const MARK_MAX: usize = 8;

/// Between the parts of a line.
const BETWEEN: &str = " · ";

/// Kept of the end of a part that is cut: where numbers stand.
const TAIL: usize = 60;

/// How many messages an answer may take.
const MESSAGES_MAX: usize = 3;

/// The length in UTF-16 units.
pub fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Any text as one line that Twitch shows as it is.
pub fn fit(text: &str) -> String {
    let clean = harmless(&plain(text));
    let most = LINE_MAX - MARK_MAX;
    if length(&clean) <= most {
        return clean;
    }
    // The longest part is somebody's text; state word, numbers and link are short.
    let parts: Vec<&str> = clean.split(BETWEEN).collect();
    let longest = parts.iter().max_by_key(|part| length(part)).copied().unwrap_or_default();
    let others = length(&clean) - length(longest);
    match most.checked_sub(others) {
        Some(free) if free > 2 * TAIL => {
            let shorter = cut(longest, free);
            let swap =
                |part: &&str| if *part == longest { shorter.clone() } else { (*part).into() };
            parts.iter().map(swap).collect::<Vec<String>>().join(BETWEEN)
        }
        _ => keep_link(&clean, most),
    }
}

/// Nothing in front that Twitch takes for a command.
fn harmless(line: &str) -> String {
    line.trim_start_matches(['/', '.', ' ']).to_owned()
}

/// A line as it is said. None begins like a command of ours: where the bot uses the account of the
/// channel's owner, its own lines must not command it.
pub fn spoken(text: &str) -> String {
    let line = fit(text);
    if ours(&line).is_some() { format!("· {line}") } else { line }
}

/// The head and the tail of a text, cut at words.
fn cut(text: &str, most: usize) -> String {
    let tail_max = TAIL.min(most / 2);
    let mut tail: Vec<&str> = Vec::new();
    let mut used = 0;
    for word in text.rsplit(' ') {
        used += length(word) + 1;
        if used > tail_max {
            break;
        }
        tail.insert(0, word);
    }
    let tail = tail.join(" ");
    let head = start(text, most.saturating_sub(length(&tail) + 3));
    [head.as_str(), "…", tail.as_str()]
        .iter()
        .filter(|s| !s.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(" ")
}

/// As much of a text as fits, up to the end of a word if there is one.
fn start(text: &str, most: usize) -> String {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.len_utf16();
        used > most
    });
    let Some((end, _)) = end else { return text.to_owned() };
    let head = &text[..end];
    let at_word = text[end..].starts_with(' ');
    let end = if at_word { end } else { head.rfind(' ').unwrap_or(end) };
    text[..end].trim_end().to_owned()
}

/// The last resort: as much as fits, and the link at the end.
fn keep_link(line: &str, most: usize) -> String {
    match link_of(line) {
        Some((body, link)) if length(link) + 20 < most => {
            format!("{}… {link}", start(body, most - length(link) - 2))
        }
        _ => format!("{}…", start(line, most - 1)),
    }
}

fn link_of(line: &str) -> Option<(&str, &str)> {
    let (body, last) = line.rsplit_once(' ')?;
    (last.starts_with("http://") || last.starts_with("https://")).then_some((body, last))
}

/// The same line for the `nth` time, different enough for Twitch; the link stays last.
pub fn repeated(line: &str, nth: usize) -> String {
    match link_of(line) {
        Some((body, link)) => {
            let body = body.strip_suffix(" ·").unwrap_or(body);
            format!("{body} ({nth}) · {link}")
        }
        None => format!("{line} ({nth})"),
    }
}

/// Lines as few messages.
pub fn pack(lines: &[String]) -> Vec<String> {
    let mut packed: Vec<String> = Vec::new();
    for line in lines.iter().map(|line| fit(line)).filter(|line| !line.is_empty()) {
        match packed.last_mut() {
            Some(last) if length(last) + length(BETWEEN) + length(&line) <= LINE_MAX - MARK_MAX => {
                last.push_str(BETWEEN);
                last.push_str(&line);
            }
            _ => packed.push(line),
        }
    }
    if packed.len() > MESSAGES_MAX {
        packed.truncate(MESSAGES_MAX);
        if let Some(last) = packed.last_mut() {
            *last = format!("{} …", start(last, LINE_MAX - MARK_MAX - 2));
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command_or_two_lines() {
        for (text, line) in [
            ("/ban ana", "ban ana"),
            (" . /me hops", "me hops"),
            ("a\r\nPRIVMSG #b :c\0", "a PRIVMSG #b :c"),
            ("\u{202E}/ban\u{200B} x\u{E0000}", "ban x"),
            ("\u{1}ACTION waves\u{1}", "ACTION waves"),
            ("SALE OPEN · ./x · 3 left", "SALE OPEN · ./x · 3 left"),
            ("...", ""),
        ] {
            assert_eq!(fit(text), line, "{text:?}");
        }
    }

    #[test]
    fn no_line_of_ours_begins_like_a_command_of_ours() {
        for text in ["!sale start mug 10m", " /!SALE stop", "!sale", "\u{200B}!sale\u{A0}stop"] {
            assert!(ours(&spoken(text)).is_none(), "{text:?}: {}", spoken(text));
        }
        assert_eq!(spoken("!sales are fun"), "!sales are fun");
    }

    #[test]
    fn a_long_title_is_cut_and_the_numbers_and_the_link_stay() {
        let title = "fern ".repeat(120);
        let line = format!("SALE OPEN · {title} · $18 · 3 left · https://shop.example/live");
        let line = fit(&line);
        assert!(length(&line) <= LINE_MAX, "{}", length(&line));
        assert!(line.starts_with("SALE OPEN · fern fern"), "{line}");
        assert!(line.ends_with("fern · $18 · 3 left · https://shop.example/live"), "{line}");
        let stock =
            fit(&format!("{}: 2 of 3 left · 4 min · https://x.example", "Fern ".repeat(200)));
        assert!(stock.ends_with(": 2 of 3 left · 4 min · https://x.example"), "{stock}");
        let solid = fit(&"x".repeat(2000));
        assert!(length(&solid) <= LINE_MAX && solid.len() > 300, "{solid}");
        let emoji = fit(&"🌿".repeat(600));
        assert!(length(&emoji) <= LINE_MAX, "{}", length(&emoji));
        let parts = fit(&format!("{} https://x.example/live", "ab · ".repeat(300)));
        assert!(length(&parts) <= LINE_MAX && parts.ends_with("https://x.example/live"), "{parts}");
    }

    #[test]
    fn a_repeated_line_differs_and_ends_with_its_link() {
        assert_eq!(repeated("Mug: 3 left · https://x.y", 2), "Mug: 3 left (2) · https://x.y");
        assert_eq!(repeated("PAUSED · Mug", 3), "PAUSED · Mug (3)");
        let longest = fit(&"word ".repeat(500));
        assert!(length(&repeated(&longest, 99)) <= LINE_MAX);
    }

    #[test]
    fn lines_share_messages() {
        let lines = ["#1 Mug · open".to_owned(), String::new(), "/x".to_owned()];
        assert_eq!(pack(&lines), ["#1 Mug · open · x"]);
        let many: Vec<String> = (0..100).map(|n| format!("{n} {}", "word ".repeat(20))).collect();
        let packed = pack(&many);
        assert_eq!(packed.len(), MESSAGES_MAX);
        assert!(packed.iter().all(|m| length(m) <= LINE_MAX - MARK_MAX), "{packed:?}");
        assert!(packed[2].ends_with('…'));
    }
}
