//! The file in which every instance records what it executed: the proof that nothing was executed
//! twice.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

/// How often each id was executed, by all instances together.
#[derive(Debug, Default)]
pub struct Record(HashMap<String, u64>);

impl Record {
    /// Reads what was recorded so far; nothing, if there is no such file yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let mut executions = HashMap::new();
        for id in text.lines().filter_map(|line| line.split(' ').next()) {
            *executions.entry(id.to_owned()).or_default() += 1;
        }
        Ok(Self(executions))
    }

    /// How often `id` was executed.
    pub fn executions(&self, id: &str) -> u64 {
        self.0.get(id).copied().unwrap_or_default()
    }

    /// Ids that were executed more than once.
    pub fn repeated(&self) -> Vec<&str> {
        let repeated = self.0.iter().filter(|(_, executions)| **executions > 1);
        repeated.map(|(id, _)| id.as_str()).collect()
    }
}
