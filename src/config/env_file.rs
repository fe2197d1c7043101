//! `livetill.env`: read as shells and Compose read such a file. Where these differ, the line is
//! refused, so that nobody's secret is another one than they think.

use std::collections::HashMap;

/// Reads `KEY=value` lines.
///
/// # Errors
/// Names the line and the mend; never shows the line, which may hold a secret.
pub fn read(text: &str) -> Result<HashMap<String, String>, String> {
    let mut found = HashMap::new();
    let mut lines = HashMap::new();
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = entry(line).map_err(|says| format!("line {}: {says}", n + 1))?;
        if let Some(before) = lines.insert(key, n + 1) {
            let says = format!("{key} is set in line {before} as well: remove one of the two");
            return Err(format!("line {}: {says}", n + 1));
        }
        found.insert(key.to_owned(), value);
    }
    Ok(found)
}

/// A value as it is written into such a file.
pub fn written(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~:/@%+,=?-".contains(c);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let escape = |c: char| match c {
        '"' | '\\' | '$' | '`' => format!("\\{c}"),
        c => c.to_string(),
    };
    format!("\"{}\"", value.chars().map(escape).collect::<String>())
}

fn entry(line: &str) -> Result<(&str, String), String> {
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    };
    let (key, value) = line.split_once('=').ok_or("write KEY=value")?;
    let key = key.trim_end();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if key.is_empty() || !key.chars().all(is_word) {
        return Err("write KEY=value; the key has letters, digits and _ only".to_owned());
    }
    // Behind white space a # begins a note, and then there is no value.
    let spaced = value.starts_with(char::is_whitespace);
    let value = value.trim();
    let value = match value.chars().next() {
        Some('\'') => quoted(value, '\'')?,
        Some('"') => quoted(value, '"')?,
        Some('‘' | '’' | '“' | '”' | '„' | '«' | '»') => {
            return Err("these quotation marks are typographic: write ' instead".to_owned());
        }
        Some('#') if spaced => String::new(),
        Some('#') => return Err(SINGLE.to_owned()),
        _ => bare(value)?,
    };
    Ok((key, value))
}

/// What is read in more than one way.
const SINGLE: &str = "shells and other programs read this value differently: put it in single \
                      quotes, like KEY='value'";

/// A value without quotes: up to a note.
fn bare(value: &str) -> Result<String, String> {
    let note = value.match_indices('#').find(|(at, _)| value[..*at].ends_with(char::is_whitespace));
    let value = note.map_or(value, |(at, _)| &value[..at]).trim_end();
    if value.contains(['\'', '"', '\\', '`']) || is_replaced(value) {
        return Err(SINGLE.to_owned());
    }
    Ok(value.to_owned())
}

/// A value in quotes, and perhaps a note behind it.
fn quoted(value: &str, mark: char) -> Result<String, String> {
    let mut read = String::new();
    let mut chars = value.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == mark => {
                let rest = &value[at + 1..];
                let note = rest.trim_start();
                let ends = note.is_empty() || (note.starts_with('#') && note.len() < rest.len());
                return if ends { Ok(read) } else { Err(SINGLE.to_owned()) };
            }
            '\\' if mark == '"' => match chars.next() {
                Some((_, c @ ('"' | '\\' | '$' | '`'))) => read.push(c),
                _ => return Err(SINGLE.to_owned()),
            },
            '`' if mark == '"' => return Err(SINGLE.to_owned()),
            '$' if mark == '"' && is_replaced(&value[at..]) => return Err(SINGLE.to_owned()),
            c => read.push(c),
        }
    }
    Err("the quotation mark is not closed on this line".to_owned())
}

/// Whether a `$` would be replaced by a variable or a command.
fn is_replaced(text: &str) -> bool {
    text.split('$')
        .skip(1)
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "_{($".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<String, String> {
        let all = read(line)?;
        Ok(all.get("KEY").cloned().unwrap_or_else(|| "nothing".to_owned()))
    }

    #[test]
    fn lines_are_read_as_shells_and_compose_read_them() {
        let cases = [
            ("KEY=v", "v"),
            ("export KEY='v'", "v"),
            ("export\tKEY=\"v\"", "v"),
            ("KEY=v # note", "v"),
            ("KEY=v#note", "v#note"),
            ("KEY='v # no note'   # note", "v # no note"),
            ("KEY=\"v\"", "v"),
            ("KEY='it is \"so\" \\n $HOME'", "it is \"so\" \\n $HOME"),
            (r#"KEY="a \"b\" \$c \\ \`""#, "a \"b\" $c \\ `"),
            ("KEY='  v  '", "  v  "),
            ("  KEY = v  ", "v"),
            ("KEY=a=b==", "a=b=="),
            ("KEY=", ""),
            ("KEY= # note", ""),
            ("KEY=''", ""),
            ("KEY=000123456789", "000123456789"),
            ("KEY=pa$", "pa$"),
            ("\u{FEFF}KEY=v\r\n", "v"),
            ("#KEY=w\r\n\r\nKEY=v\r\n", "v"),
        ];
        for (line, value) in cases {
            assert_eq!(one(line).as_deref(), Ok(value), "{line}");
        }
    }

    #[test]
    fn what_is_read_in_more_than_one_way_is_refused_by_line() {
        for line in [
            "KEY",
            "export KEY",
            "KEY-A=v",
            "=v",
            "KEY='v",
            "KEY=\"v",
            "KEY='v'w",
            "KEY='v'#w",
            "KEY=a'b'",
            "KEY=a\"b",
            "KEY=a\\b",
            "KEY=pa$word",
            "KEY=pa$$word",
            "KEY=\"pa$word\"",
            "KEY=\"${X}\"",
            "KEY=`ls`",
            "KEY=\"a\\nb\"",
            "KEY=“v”",
            "KEY=#v",
        ] {
            let error = read(&format!("A=secret\n\n{line}\n")).expect_err(line);
            assert!(error.starts_with("line 3: ") && !error.contains("secret"), "{line}: {error}");
        }
    }

    #[test]
    fn a_key_that_is_set_twice_is_named_with_both_lines() {
        let error = read("A=1\n\nB=secret\nexport A=2\n").expect_err("twice");
        assert_eq!(error, "line 4: A is set in line 1 as well: remove one of the two");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for value in ["v", "", "a b", "pa$word", "it's", "it's \"$5\" `\\`", "000", "a#b", " x "] {
            assert_eq!(one(&format!("KEY={}", written(value))).as_deref(), Ok(value));
        }
    }
}
