//! Files that are mounted with the component.

use isotherm::host::StoreError;
use wasi::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

/// Where `spin.toml` mounts the files of `query`.
const ASSETS: &str = "/assets";

/// How much of a file is read at once, in bytes.
const ASSET_CHUNK_BYTES: u64 = 64 * 1024;

/// The file `name` of the directory `ASSETS`; `None` if there is none.
pub(crate) fn asset(name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    match mounted(name) {
        Err(ErrorCode::NoEntry) => Ok(None),
        // The names of the other codes would be a tenth of the component.
        other => other.map_err(|_code| StoreError::from_message("a file can't be read")),
    }
}

/// The same without the standard library's file API, which would add 20 KB to the
/// component.
fn mounted(name: &str) -> Result<Option<Vec<u8>>, ErrorCode> {
    let mounts = wasi::filesystem::preopens::get_directories();
    let found = mounts.iter().find_map(|(mount, at)| Some((mount, below(at, name)?)));
    let Some((mount, path)) = found else { return Ok(None) };
    let file =
        mount.open_at(PathFlags::empty(), &path, OpenFlags::empty(), DescriptorFlags::READ)?;
    let mut content = Vec::new();
    loop {
        let offset = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let (chunk, is_end) = file.read(ASSET_CHUNK_BYTES, offset)?;
        content.extend(chunk);
        if is_end {
            return Ok(Some(content));
        }
    }
}

/// The path of the file `name` of `ASSETS` within the mount at `at`. Spin mounts copies
/// of all directories at `/`, or with `--direct-mounts` each at its destination.
fn below(at: &str, name: &str) -> Option<String> {
    match ASSETS.strip_prefix(at.trim_end_matches('/'))? {
        "" => Some(name.to_owned()),
        rest => rest.strip_prefix('/').map(|directory| format!("{directory}/{name}")),
    }
}
