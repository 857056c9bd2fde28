//! What is known of codes, and taking one back. Source: spec §10.8.

use bellwether_formats::id::Level;
use redb::ReadableTable;

use super::accept::set_code_level;
use super::rows::CodeRow;
use super::{CODES, Store, StoreError, row};

/// What `code list` says of a code.
#[derive(Clone, Debug)]
pub struct CodeStatus {
    /// Its keyed hash.
    pub hash: [u8; 32],
    /// Its row.
    pub row: CodeRow,
}

/// The codes that a professional issued.
#[derive(Clone, Debug, Default)]
pub struct CodesOf {
    /// How many there are.
    pub count: usize,
    /// The most recently issued ones, newest first.
    pub newest: Vec<CodeStatus>,
}

impl Store {
    /// Every code, most recently issued last.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn codes(&self) -> Result<Vec<CodeStatus>, StoreError> {
        self.codes_where(|_| true)
    }

    /// The codes that `issuer` issued at `since` (seconds of UTC) or later: the newest `most`.
    /// Reads every code that there is.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn codes_of(&self, issuer: &str, since: u64, most: usize) -> Result<CodesOf, StoreError> {
        let own =
            |code: &CodeRow| code.issuer.as_deref() == Some(issuer) && code.issued_at >= since;
        let mut newest = self.codes_where(own)?;
        let count = newest.len();
        newest.reverse();
        newest.truncate(most);
        Ok(CodesOf { count, newest })
    }

    /// Takes a code of `issuer` back: unused, it no longer works; used, what it admitted gets the
    /// level `no-alert`, as by [`set_level`](Self::set_level), and the next batch says so. Gives
    /// how many notifications changed; none if `issuer` issued no such code.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing has changed.
    pub fn revoke_code(
        &self,
        code: &[u8; 32],
        issuer: &str,
        now: u64,
    ) -> Result<Option<usize>, StoreError> {
        let tx = self.write()?;
        let found = tx
            .open_table(CODES)?
            .get(code.as_slice())?
            .map(|value| row::<CodeRow>(value.value()));
        let own = found.transpose()?;
        if own.is_none_or(|code| code.issuer.as_deref() != Some(issuer)) {
            return Ok(None);
        }
        let changed = set_code_level(&tx, code, Level::NO_ALERT, |code| {
            if code.used_at.is_none() {
                code.expires_at = code.expires_at.min(now);
            }
        })?;
        tx.commit()?;
        Ok(changed)
    }

    /// The codes that are wanted, most recently issued last.
    fn codes_where(
        &self,
        wanted: impl Fn(&CodeRow) -> bool,
    ) -> Result<Vec<CodeStatus>, StoreError> {
        let tx = self.read()?;
        let mut codes = Vec::new();
        for entry in tx.open_table(CODES)?.iter()? {
            let (hash, value) = entry?;
            let row: CodeRow = row(value.value())?;
            if !wanted(&row) {
                continue;
            }
            let hash = hash.value().try_into();
            let hash = hash.map_err(|_| StoreError::Row {
                error: "a code's hash".to_owned(),
            })?;
            codes.push(CodeStatus { hash, row });
        }
        codes.sort_by_key(|code| code.row.issue);
        Ok(codes)
    }
}
