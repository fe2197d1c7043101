//! The packing list.

use super::Report;
use crate::sale::template::Ask;

impl Report {
    /// The packing list for a spreadsheet: UTF-8 with a mark so that it is read as such, CRLF, and no
    /// cell that a spreadsheet would take for a formula.
    ///
    /// # Errors
    /// If `to` cannot be written.
    pub fn write_csv(&self, mut to: impl std::io::Write) -> Result<(), csv::Error> {
        to.write_all("\u{FEFF}".as_bytes())?;
        let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(to);
        csv.write_record([
            "sale", "payment", "order", "link", "paid_at", "hold", "buyer", "units", "delivery",
            "amount", "currency", "fate", "why", "late", "surplus", "name", "email", "phone",
            "address", "options", "upsells", "special",
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
                row.at.clone(),
                row.hold.map(|n| n.to_string()).unwrap_or_default(),
                row.buyer.clone().unwrap_or_default(),
                row.units.map(|n| n.to_string()).unwrap_or_default(),
                row.delivery.clone().unwrap_or_default(),
                row.amount.decimal(),
                row.amount.currency.to_string(),
                row.fate.to_owned(),
                row.why.clone().unwrap_or_default(),
                if row.late { "late" } else { "" }.to_owned(),
                if row.surplus { "surplus" } else { "" }.to_owned(),
                answer(Ask::Name),
                answer(Ask::Email),
                answer(Ask::Phone),
                answer(Ask::Address),
                options.join(", "),
                row.upsells.iter().cloned().collect::<Vec<_>>().join(", "),
                row.special.clone().unwrap_or_default(),
            ];
            csv.write_record(cells.map(harmless))?;
        }
        csv.flush()?;
        Ok(())
    }
}

/// A cell that begins like a formula gets an apostrophe in front, which spreadsheets hide.
fn harmless(cell: String) -> String {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '|') => format!("'{cell}"),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for cell in ["=1+1", "+1", "-1", "@x", "\t=1", "|x"] {
            assert!(harmless(cell.to_owned()).starts_with('\''), "{cell}");
        }
        assert_eq!(harmless("Ana".to_owned()), "Ana");
    }
}
