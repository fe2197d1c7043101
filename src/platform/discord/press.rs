//! What our buttons and menus carry in their custom id, and back. Pure.
//!
//! A custom id has at most 100 characters and comes back from the client, so it is parsed like
//! any other text from outside; it grants nothing that the sale would not grant anyway.

use crate::id::SaleId;

/// Characters in a custom id (Discord's reference of *Component Object*).
const ID_MAX: usize = 100;

/// A button or a menu of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Press {
    /// *Get yours*.
    Get(SaleId),
    /// The menu of ways to get the goods; the choice comes as the menu's value.
    Delivery(SaleId),
    /// The menu of how many; the delivery chosen before, if there was a choice.
    Units(SaleId, Option<String>),
    /// *Confirm*, for one person.
    Confirm(u64),
}

impl Press {
    /// The custom id.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Get(sale) => format!("get:{sale}"),
            Self::Delivery(sale) => format!("delivery:{sale}"),
            Self::Units(sale, delivery) => {
                format!("units:{sale}:{}", delivery.as_deref().unwrap_or_default())
            }
            Self::Confirm(user) => format!("yes:{user}"),
        }
    }

    /// Whether it fits into a custom id.
    pub(super) fn fits(&self) -> bool {
        self.id().chars().count() <= ID_MAX
    }

    /// Reads a custom id; `None` if it is none of ours.
    pub(super) fn read(id: &str) -> Option<Self> {
        let (what, rest) = id.split_once(':')?;
        match what {
            "get" => Some(Self::Get(rest.parse().ok()?)),
            "delivery" => Some(Self::Delivery(rest.parse().ok()?)),
            "units" => {
                let (sale, delivery) = rest.split_once(':')?;
                let delivery = Some(delivery.to_owned()).filter(|name| !name.is_empty());
                Some(Self::Units(sale.parse().ok()?, delivery))
            }
            "yes" => Some(Self::Confirm(rest.parse().ok()?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn custom_ids_read_what_they_print() {
        let sale = SaleId::new(Timestamp::from_millis(1), [7; 16]);
        let all = [
            Press::Get(sale),
            Press::Delivery(sale),
            Press::Units(sale, None),
            Press::Units(sale, Some("ship".to_owned())),
            Press::Confirm(77),
        ];
        for press in all {
            assert_eq!(Press::read(&press.id()), Some(press.clone()));
            assert!(press.fits());
        }
        assert!(!Press::Units(sale, Some("x".repeat(90))).fits());
        for bad in ["", "get", "get:7", "units:x", "yes:me", "no:1", "get:"] {
            assert_eq!(Press::read(bad), None, "{bad}");
        }
    }
}
