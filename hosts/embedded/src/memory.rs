//! The memory limit of an instance, and the most memory of each component's instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};

/// The path that reports the most memory of an instance, by component.
pub const MEMORY_PATH: &str = "/.well-known/isotherm-host/memory";

/// The most memory that any instance of a component has had, in bytes.
#[derive(Clone, Default)]
pub(crate) struct Peak(Arc<AtomicUsize>);

impl Peak {
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The memory limits of one instance.
pub(crate) struct Memory {
    limits: StoreLimits,
    peak: Peak,
}

impl Memory {
    /// Allows `bytes_max` at most; an instance that needs more is ended.
    pub(crate) fn new(bytes_max: Option<usize>, peak: Peak) -> Self {
        let mut limits = StoreLimitsBuilder::new().trap_on_grow_failure(true);
        if let Some(bytes) = bytes_max {
            limits = limits.memory_size(bytes);
        }
        Self { limits: limits.build(), peak }
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grows = self.limits.memory_growing(current, desired, maximum)?;
        if grows {
            self.peak.0.fetch_max(desired, Ordering::Relaxed);
        }
        Ok(grows)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.limits.memory_grow_failed(error)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }
}
