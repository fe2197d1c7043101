//! Somebody's text as part of a Discord message: nothing in it is markup, a mention or a link.
//!
//! Discord's markdown takes a backslash before any ASCII punctuation as "as it is". Mentions are
//! switched off for every message besides; this keeps them from even looking like one.

use crate::notice::text::plain;

/// A line of ours, with other people's words in it. Words that begin with `own`, the address of
/// our own pages, stay links.
pub(super) fn line(text: &str, own: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (n, word) in plain(text).split(' ').enumerate() {
        if n > 0 {
            out.push(' ');
        }
        if !own.is_empty() && word.starts_with(own) && is_plain_address(word) {
            out.push_str(word);
        } else {
            escape(word, n == 0, &mut out);
        }
    }
    out
}

/// Somebody's words, at most `max` characters of it once escaped.
pub(super) fn words(text: &str, max: usize) -> String {
    clip(&line(text, ""), max)
}

/// Somebody's words where Discord reads no markup (labels of buttons and menus), at most `max`
/// characters; never empty.
pub(super) fn label(text: &str, max: usize) -> String {
    let text = plain(text);
    let text = if text.is_empty() { "-" } else { &text };
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max - 1).chain(['…']).collect()
}

/// Cuts an escaped text without cutting an escape in two.
pub(super) fn clip(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(max - 1).collect();
    let slashes = kept.chars().rev().take_while(|c| *c == '\\').count();
    if slashes % 2 == 1 {
        kept.pop();
    }
    kept.push('…');
    kept
}

/// Lines put together into as few messages as hold them, `max` characters each.
pub(super) fn pages(lines: &[String], own: &str, max: usize) -> Vec<String> {
    let mut pages: Vec<String> = Vec::new();
    for text in lines {
        // The indent of a list survives as spaces that Discord keeps.
        let indent = text.len() - text.trim_start_matches(' ').len();
        let indent = "\u{2003}".repeat(indent.min(4).div_ceil(2));
        let text = clip(&format!("{indent}{}", line(text, own)), max);
        match pages.last_mut() {
            Some(page) if page.chars().count() + 1 + text.chars().count() <= max => {
                page.push('\n');
                page.push_str(&text);
            }
            _ => pages.push(text),
        }
    }
    pages
}

fn escape(word: &str, first: bool, out: &mut String) {
    for (n, c) in word.chars().enumerate() {
        let starts = first && n == 0;
        match c {
            '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' => {
                out.push('\\');
                out.push(c);
            }
            // Headings, lists and small print are markup at the start of a line only.
            '#' | '-' | '+' if starts => {
                out.push('\\');
                out.push(c);
            }
            // "1." at the start of a line is a list.
            '.' if first && word.chars().take(n).all(|c| c.is_ascii_digit()) => out.push_str("\\."),
            // An address is a link as soon as it reads scheme://
            ':' if word.chars().skip(n + 1).take(2).eq(['/', '/']) => out.push_str("\\:"),
            // A mention is one word; a joiner of no width makes it two.
            '@' => out.push_str("@\u{200B}"),
            _ => out.push(c),
        }
    }
}

/// Whether a word can stand unescaped: an address with nothing in it that is markup.
fn is_plain_address(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#=&%+".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_title_is_markup() {
        let cases = [
            ("@everyone **free** _x_", "@\u{200B}everyone \\*\\*free\\*\\* \\_x\\_"),
            ("<@&1> <#2> <t:3:R>", "\\<@\u{200B}&1\\> \\<#2\\> \\<t:3:R\\>"),
            ("[here](https://evil.example)", "\\[here\\](https\\://evil.example)"),
            ("# Big", "\\# Big"),
            ("-# small", "\\-# small"),
            ("1. one", "1\\. one"),
            ("#1 Fern", "\\#1 Fern"),
            ("`a` ||b|| ~~c~~ \\", "\\`a\\` \\|\\|b\\|\\| \\~\\~c\\~\\~ \\\\"),
            ("a\r\nb\u{202E}c", "a bc"),
        ];
        for (text, safe) in cases {
            assert_eq!(line(text, "https://shop.example"), safe);
        }
    }

    #[test]
    fn our_own_link_stays_a_link_and_nobody_elses_does() {
        let own = "https://shop.example/";
        assert_eq!(line("x · https://shop.example/live", own), "x · https://shop.example/live");
        assert_eq!(line("https://shop.example/a_(b)", own), "https\\://shop.example/a\\_(b)");
        assert_eq!(line("https://shop.example.evil/", own), "https\\://shop.example.evil/");
        assert_eq!(line("https://shop.example/live", ""), "https\\://shop.example/live");
    }

    #[test]
    fn cuts_never_leave_half_an_escape() {
        assert_eq!(clip("ab\\*c", 4), "ab…");
        assert_eq!(clip("ab\\\\c", 5), "ab\\\\c");
        assert_eq!(clip("ab\\\\cd", 5), "ab\\\\…");
        assert_eq!(words(&"*".repeat(600), 256).chars().count(), 255);
        assert_eq!(label(&"x".repeat(90), 80).chars().count(), 80);
        assert_eq!(label("\u{200B}", 80), "-");
    }

    #[test]
    fn lines_fill_pages() {
        let lines: Vec<String> = (0..5).map(|n| format!("line {n}")).collect();
        assert_eq!(pages(&lines, "", 13), ["line 0\nline 1", "line 2\nline 3", "line 4"]);
        assert_eq!(pages(&["  hold 1".to_owned()], "", 50), ["\u{2003}hold 1"]);
    }
}
