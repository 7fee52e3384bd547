use crate::scenario::StageKind;
use crate::scenario::stage::order::Origin;

/// What is known of a stage even when something in it is wrong.
#[derive(Debug, Clone)]
pub(in crate::scenario) struct Head {
    pub(in crate::scenario) name: Option<String>,
    pub(in crate::scenario) kind: Option<StageKind>,
    /// Classes that it provisions.
    pub(in crate::scenario) provisions: Vec<usize>,
    /// When it begins, as far as that is known.
    pub(in crate::scenario) origin: Option<Origin>,
}

impl Head {
    /// Of a stage that is known by its name and kind alone.
    pub(in crate::scenario) fn named(name: &str, kind: StageKind) -> Self {
        Self { name: Some(name.to_owned()), kind: Some(kind), provisions: Vec::new(), origin: None }
    }
}
