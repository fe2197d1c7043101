//! Several writes in one transaction. Each has a savepoint of its own, so that one that is refused
//! takes nothing else with it.

use sqlx::{AnyConnection, Connection};

use super::{
    StoreError,
    group::{Answer, Job},
    news,
    write::{Write, write},
};
use crate::{id::SaleId, meter};

/// Writes a group in one transaction. `sealing` is set right before the commit: an error after
/// that leaves its outcome open.
pub(super) async fn together(
    db: &mut AnyConnection,
    begin: &'static str,
    group: &[Job],
    speaks: bool,
    sealing: &mut bool,
) -> Result<Vec<Answer>, StoreError> {
    let mut transaction = db.begin_with(begin).await?;
    let mut answers = Vec::with_capacity(group.len());
    for job in group {
        // One write needs no savepoint beside its transaction.
        let answer = if group.len() == 1 {
            write(&mut transaction, &job.write).await
        } else {
            let mut savepoint = transaction.begin().await?;
            let answer = write(&mut savepoint, &job.write).await;
            if keeps(&answer) {
                savepoint.commit().await?;
            } else if !is_fatal(&answer) {
                savepoint.rollback().await?;
            }
            answer
        };
        // Whether the rest can be written is anybody's guess.
        match answer {
            Err(error) if is_fatal_error(&error) => {
                // Also when that fails: a connection lost takes its transaction with it.
                let _ = transaction.rollback().await;
                return Err(error);
            }
            answer => answers.push(answer),
        }
    }
    if !answers.iter().any(keeps) {
        transaction.rollback().await?;
        return Ok(answers);
    }
    if speaks {
        let kept = group.iter().zip(&answers).filter(|(_, answer)| keeps(answer));
        if let Some(text) = news::of(kept.map(|(job, _)| &job.write)) {
            news::tell(&mut transaction, text).await?;
        }
    }
    *sealing = true;
    transaction.commit().await?;
    meter::commit(group.len());
    Ok(answers)
}

impl Write {
    /// The sale that it changes, and the revision that it makes.
    pub(super) fn of_a_sale(&self) -> Option<(SaleId, u64)> {
        match self {
            Self::Commit(step) => step.sale.as_ref().map(|one| (one.head.id, one.head.revision)),
            _ => None,
        }
    }
}

pub(super) fn keeps(answer: &Answer) -> bool {
    matches!(answer, Ok(written) if !written.takes_back())
}

fn is_fatal(answer: &Answer) -> bool {
    matches!(answer, Err(error) if is_fatal_error(error))
}

/// Errors that concern the transaction rather than one write.
fn is_fatal_error(error: &StoreError) -> bool {
    match error {
        StoreError::Away(_)
        | StoreError::Unsure(_)
        | StoreError::Full
        | StoreError::Conflict(_) => true,
        StoreError::Refused(_) | StoreError::Damaged { .. } => false,
    }
}
