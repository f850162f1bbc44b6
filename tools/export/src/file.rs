//! The file that an export writes: under a temporary name until it is whole.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::page::{COLUMNS, Reading};
use crate::table::Table;

/// A file that is being written.
pub struct Output {
    path: PathBuf,
    temporary: PathBuf,
    content: Content,
    /// Whether it is to stay when it is dropped.
    stays: bool,
}

enum Content {
    Csv(BufWriter<File>),
    Ndjson(BufWriter<File>),
    Parquet(Box<Table<BufWriter<File>>>),
    /// After its end.
    Ended,
}

impl Output {
    /// Begins the file; its name says the format.
    pub fn create(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let mut name = path.file_name().context("--out has no file's name")?.to_owned();
        name.push(".partial");
        let temporary = path.with_file_name(name);
        let open = || -> Result<BufWriter<File>> {
            let file = File::create(&temporary);
            Ok(BufWriter::new(
                file.with_context(|| format!("can't write {}", temporary.display()))?,
            ))
        };
        let content = match extension {
            Some("csv") => {
                let mut file = open()?;
                write!(file, "{}\r\n", COLUMNS.join(","))?;
                Content::Csv(file)
            }
            Some("ndjson") => Content::Ndjson(open()?),
            Some("parquet") => Content::Parquet(Box::new(Table::new(open()?)?)),
            _ => bail!("{} ends neither in .parquet nor in .csv or .ndjson", path.display()),
        };
        Ok(Self { path: path.to_owned(), temporary, content, stays: false })
    }

    /// Adds a reading.
    pub fn add(&mut self, reading: &Reading<'_>) -> Result<()> {
        let [timestamp, device, region, celsius] = reading.cells;
        match &mut self.content {
            Content::Csv(file) => write!(file, "{timestamp},{device},{region},{celsius}\r\n")?,
            Content::Ndjson(file) => writeln!(
                file,
                "{{\"timestamp\":\"{timestamp}\",\"device_id\":\"{device}\",\
                 \"region\":\"{region}\",\"temperature_c\":{celsius}}}"
            )?,
            Content::Parquet(table) => table.add(reading)?,
            Content::Ended => bail!("the file has ended"),
        }
        Ok(())
    }

    /// Ends the file and syncs it. In Parquet it also has what there is to know of it. It keeps
    /// its temporary name, and stays only if `rename` or `keep` follows.
    pub fn end(&mut self, about: &[(&str, String)]) -> Result<()> {
        let mut file = match std::mem::replace(&mut self.content, Content::Ended) {
            Content::Csv(file) | Content::Ndjson(file) => file,
            Content::Parquet(table) => table.end(about)?,
            Content::Ended => bail!("the file has ended"),
        };
        file.flush()?;
        Ok(file.get_ref().sync_all()?)
    }

    /// Gives the file its name, in the place of what had it before.
    pub fn rename(mut self) -> Result<PathBuf> {
        let renamed = std::fs::rename(&self.temporary, &self.path);
        renamed.with_context(|| format!("can't write {}", self.path.display()))?;
        self.stays = true;
        Ok(self.path.clone())
    }

    /// Leaves the file under its temporary name, which is returned.
    pub fn keep(mut self) -> PathBuf {
        self.stays = true;
        self.temporary.clone()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.stays
            && let Err(error) = std::fs::remove_file(&self.temporary)
        {
            eprintln!("{} was left behind: {error}", self.temporary.display());
        }
    }
}
