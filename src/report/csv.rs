//! The packing list.

use super::Report;
use crate::{money::Money, notice::text::plain, sale::template::Ask};

impl Report {
    /// The packing list for a spreadsheet: UTF-8 with a mark so that it is read as such, CRLF, no cell
    /// that a spreadsheet would take for a formula, and nothing invisible in any.
    ///
    /// # Errors
    /// If `to` cannot be written.
    pub fn write_csv(
        &self,
        mut to: impl std::io::Write,
        columns: Columns,
    ) -> Result<(), csv::Error> {
        to.write_all("\u{FEFF}".as_bytes())?;
        let mut csv = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .delimiter(if columns == Columns::Semicolon { b';' } else { b',' })
            .from_writer(to);
        let number = |money: Money| match columns {
            Columns::Comma => money.decimal(),
            Columns::Semicolon => money.decimal().replace('.', ","),
        };
        csv.write_record([
            "sale", "payment", "order", "link", "paid_at", "hold", "buyer", "units", "delivery",
            "amount", "currency", "fate", "why", "late", "surplus", "name", "email", "phone",
            "address", "options", "upsells", "special", "refunded", "fee", "refund",
        ])?;
        for row in &self.payments {
            let answer = |ask| row.answers.get(&ask).cloned().unwrap_or_default();
            let options = row.options.iter().map(|(option, value)| format!("{option}: {value}"));
            let options: Vec<String> = options.collect();
            let cells = [
                self.number.to_string(),
                row.payment.clone(),
                row.order.clone().unwrap_or_default(),
                row.link.clone().unwrap_or_default(),
                moment(&row.at),
                row.hold.map(|n| n.to_string()).unwrap_or_default(),
                row.buyer.clone().unwrap_or_default(),
                row.units.map(|n| n.to_string()).unwrap_or_default(),
                row.delivery.clone().unwrap_or_default(),
                number(row.amount),
                row.amount.currency.to_string(),
                row.fate.to_owned(),
                row.why.clone().unwrap_or_default(),
                if row.late { "late" } else { "" }.to_owned(),
                if row.surplus { "surplus" } else { "" }.to_owned(),
                answer(Ask::Name),
                answer(Ask::Email),
                phone(&answer(Ask::Phone)),
                answer(Ask::Address),
                options.join(", "),
                row.upsells.iter().cloned().collect::<Vec<_>>().join(", "),
                row.special.clone().unwrap_or_default(),
                number(row.refunded),
                row.fee.map(number).unwrap_or_default(),
                row.refund.unwrap_or_default().to_owned(),
            ];
            csv.write_record(cells.map(|cell| harmless(plain(&cell))))?;
        }
        csv.flush()?;
        Ok(())
    }
}

/// What stands between the cells, and with it how numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// `18.00,USD`
    Comma,
    /// `18,00;USD`, for spreadsheets that write decimal commas.
    Semicolon,
}

impl std::str::FromStr for Columns {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "comma" => Ok(Self::Comma),
            "semicolon" => Ok(Self::Semicolon),
            _ => Err("write comma or semicolon"),
        }
    }
}

/// A moment in UTC that spreadsheets read as a date, and that sorts even where they do not.
fn moment(rfc3339: &str) -> String {
    rfc3339.get(..19).unwrap_or(rfc3339).replace('T', " ")
}

/// A telephone number as text: a spreadsheet would calculate with `+49 30`, and drop the 0 of `030`.
fn phone(number: &str) -> String {
    if number.is_empty() { String::new() } else { format!("tel:{number}") }
}

/// A cell that begins like a formula gets an apostrophe in front; a number is none, below zero too.
fn harmless(cell: String) -> String {
    let is_number = cell.strip_prefix('-').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',')
    });
    match cell.chars().next() {
        _ if is_number => cell,
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '|' | '＝' | '＋' | '－' | '＠') => {
            format!("'{cell}")
        }
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for cell in ["=1+1", "+1", "-1+1", "-x", "--1", "@x", "\t=1", "|x", "＝1", "-1=2", "-"] {
            assert!(harmless(cell.to_owned()).starts_with('\''), "{cell}");
        }
        for number in ["-1", "-18.00", "-18,00", "7"] {
            assert_eq!(harmless(number.to_owned()), number);
        }
        assert_eq!(harmless(phone("+49 30 1-2")), "tel:+49 30 1-2");
        assert_eq!(harmless(phone("=1")), "tel:=1");
        assert_eq!(moment("2026-01-01T00:09:08.070Z"), "2026-01-01 00:09:08");
        assert_eq!(harmless("Ana".to_owned()), "Ana");
    }
}
