//! The application's components. The code of each is loaded when a request asks for it first, or at
//! the start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};
use tokio::task::block_in_place;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::bindings::{self, Grants, Instance};
use crate::faults::Faults;
use crate::key_value::KeyValueStore;
use crate::manifest::{self, Application};
use crate::memory::Peak;
use crate::opened::{databases, granted};
use crate::prepared::Prepared;
use crate::runtime_config::Stores;

/// What gives the code of a component.
pub type Load = Box<dyn Fn(&Engine, &manifest::Component) -> Result<Component> + Send + Sync>;

/// The components, by their names.
pub(crate) struct Components {
    engine: Engine,
    linker: Linker<Instance>,
    load: Load,
    slots: BTreeMap<String, Slot>,
}

struct Slot {
    component: manifest::Component,
    grants: Arc<Grants>,
    prepared: OnceLock<Prepared>,
    /// Held while it is loaded.
    loading: Mutex<()>,
}

impl Components {
    /// Of an application, with these stores. No code is loaded yet.
    pub(crate) fn new(
        engine: Engine,
        load: Load,
        application: &Application,
        key_value: &BTreeMap<String, KeyValueStore>,
        stores: &Stores,
        faults: &Arc<Faults>,
    ) -> Result<Self> {
        let mut linker = Linker::new(&engine);
        bindings::add_to_linker(&mut linker)?;
        let mut slots = BTreeMap::new();
        for component in &application.components {
            // A component has several routes.
            if slots.contains_key(&component.id) {
                continue;
            }
            let grants = Grants {
                key_value: granted(&component.key_value_stores, key_value)?,
                sqlite: databases(&component.sqlite_databases, &stores.sqlite)?,
                outbound: component.outbound.clone(),
                files: component.files.clone(),
                variables: component.variables.clone(),
                faults: faults.clone(),
            };
            let slot = Slot {
                component: component.clone(),
                grants: Arc::new(grants),
                prepared: OnceLock::new(),
                loading: Mutex::new(()),
            };
            slots.insert(component.id.clone(), slot);
        }
        Ok(Self { engine, linker, load, slots })
    }

    /// Loads the code of all.
    ///
    /// # Errors
    ///
    /// What is no component, or none for this machine.
    pub(crate) fn load_all(&self) -> Result<()> {
        self.slots.keys().try_for_each(|id| self.get(id).map(drop))
    }

    /// Loads the code of one, for what is wrong with all of them, such as another processor.
    ///
    /// # Errors
    ///
    /// The same.
    pub(crate) fn load_one(&self) -> Result<()> {
        self.slots.keys().next().map_or(Ok(()), |id| self.get(id).map(drop))
    }

    /// The component of this name. The first call loads its code, and may take some milliseconds.
    ///
    /// # Errors
    ///
    /// There is none, or it can't be loaded.
    pub(crate) fn get(&self, id: &str) -> Result<&Prepared> {
        let slot = self.slots.get(id).with_context(|| format!("there is no component {id}"))?;
        if let Some(prepared) = slot.prepared.get() {
            return Ok(prepared);
        }
        // Requests that come meanwhile wait for the first one.
        let _loading = slot.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = slot.prepared.get() {
            return Ok(prepared);
        }
        let compiled = (self.load)(&self.engine, &slot.component)?;
        let instance = ProxyPre::new(self.linker.instantiate_pre(&compiled)?)?;
        let (grants, peak) = (slot.grants.clone(), Peak::default());
        Ok(slot.prepared.get_or_init(|| Prepared { instance, grants, peak }))
    }

    /// The same for a request: other tasks go on while it is loaded.
    ///
    /// # Errors
    ///
    /// The same.
    pub(crate) fn get_for_request(&self, id: &str) -> Result<&Prepared> {
        match self.slots.get(id).and_then(|slot| slot.prepared.get()) {
            Some(prepared) => Ok(prepared),
            None => block_in_place(|| self.get(id)),
        }
    }

    /// The most memory that any instance of each component has had, in bytes.
    pub(crate) fn peaks(&self) -> serde_json::Value {
        let peak = |(id, slot): (&String, &Slot)| {
            let bytes = slot.prepared.get().map_or(0, |prepared| prepared.peak.bytes());
            (id.clone(), bytes.into())
        };
        serde_json::Value::Object(self.slots.iter().map(peak).collect())
    }
}
