//! Tables whose keys are declared once, each with its type, its default and what it takes: the struct, its defaults, its
//! reader and how it is written follow from that.

use std::path::PathBuf;

use super::section::Section;
use super::tree::{Table, Value, ValueKind};
use crate::domain::{QuotaProfile, TimeScale};

/// A table that is read key by key.
pub(crate) trait Declared: Sized {
    /// `None` when a problem was noted.
    fn read_section(section: Section<'_>) -> Option<Self>;

    /// Each table of a list.
    fn read_all(sections: Option<Vec<Section<'_>>>) -> Option<Vec<Self>> {
        // All are read, so that all problems are found.
        let read: Vec<Option<Self>> = sections?.into_iter().map(Self::read_section).collect();
        read.into_iter().collect()
    }
}

/// A value as it is written in a file: what defaults are told as, and what is judged that was not read from one.
pub(crate) trait Written {
    /// `None` is left out.
    fn written(&self) -> Option<ValueKind>;
}

/// Declares a table of settings, or a choice by names of which the first is the default. Of a key it says:
///
/// * `value(default, expect)`: what counts when it is left out, and what it takes;
/// * `optional(expect)`: it may be left out (an `Option`);
/// * `required(expect)`;
/// * `table`: a table that is declared itself;
/// * `tables(how)`: a list of such tables, which may be left out; `how` says how one is written;
/// * `unread`: no key, but a value that comes from elsewhere.
macro_rules! settings {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$doc:meta])* pub $key:ident: $type:ty = $how:ident $(($($args:expr),+))?;)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $($(#[$doc])* pub $key: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $crate::settings::declare::settings!(@default $how $(($($args),+))?),)* }
            }
        }

        impl $crate::settings::declare::Declared for $name {
            fn read_section(mut section: $crate::settings::Section<'_>) -> Option<Self> {
                $(let $key = $crate::settings::declare::settings!(@read section $key $how $(($($args),+))?);)*
                section.finish();
                Some(Self { $($key: $key?,)* })
            }
        }

        impl $crate::settings::declare::Written for $name {
            fn written(&self) -> Option<$crate::settings::ValueKind> {
                let values = [$((stringify!($key), $crate::settings::declare::settings!(@written self $key $how)),)*];
                Some($crate::settings::ValueKind::Table(values.into_iter().collect()))
            }
        }
    };
    ($(#[$meta:meta])* pub enum $name:ident {
        $(#[$usual_doc:meta])* $usual:ident = $usual_text:literal,
        $($(#[$doc:meta])* $choice:ident = $text:literal,)*
    }) => {
        $crate::domain::named! {
            $(#[$meta])*
            #[derive(Default)]
            pub enum $name {
                $(#[$usual_doc])* #[default] $usual = $usual_text,
                $($(#[$doc])* $choice = $text,)*
            }
        }

        impl $crate::settings::declare::Written for $name {
            fn written(&self) -> Option<$crate::settings::ValueKind> {
                Some($crate::settings::ValueKind::Text(self.name().to_owned()))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
    (@default value($default:expr, $expect:expr)) => { $default };
    (@default $other:ident $(($($args:expr),+))?) => { Default::default() };
    (@read $section:ident $key:ident value($default:expr, $expect:expr)) => {
        $section.usual(stringify!($key), $default, &$expect)
    };
    (@read $section:ident $key:ident optional($expect:expr)) => { $section.optional(stringify!($key), &$expect) };
    (@read $section:ident $key:ident required($expect:expr)) => { $section.required(stringify!($key), &$expect) };
    (@read $section:ident $key:ident table) => {
        $crate::settings::declare::Declared::read_section($section.section(stringify!($key)))
    };
    (@read $section:ident $key:ident tables($how:expr)) => {
        $crate::settings::declare::Declared::read_all($section.tables(stringify!($key), $how))
    };
    (@read $section:ident $key:ident unread) => { Some(Default::default()) };
    (@written $self:ident $key:ident unread) => { None };
    (@written $self:ident $key:ident $how:ident) => { $crate::settings::declare::Written::written(&$self.$key) };
}
pub(crate) use settings;

impl Written for bool {
    fn written(&self) -> Option<ValueKind> {
        Some(ValueKind::Boolean(*self))
    }
}

impl Written for f64 {
    fn written(&self) -> Option<ValueKind> {
        Some(ValueKind::Float(*self))
    }
}

macro_rules! whole_numbers {
    ($($number:ty),*) => {
        $(impl Written for $number {
            fn written(&self) -> Option<ValueKind> {
                i128::try_from(*self).ok().map(ValueKind::Integer)
            }
        })*
    };
}
whole_numbers!(u16, u32, u64, usize);

impl Written for String {
    fn written(&self) -> Option<ValueKind> {
        Some(ValueKind::Text(self.clone()))
    }
}

impl Written for PathBuf {
    fn written(&self) -> Option<ValueKind> {
        Some(ValueKind::Text(self.display().to_string()))
    }
}

impl Written for TimeScale {
    fn written(&self) -> Option<ValueKind> {
        Some(ValueKind::Text(self.to_string()))
    }
}

impl Written for QuotaProfile {
    fn written(&self) -> Option<ValueKind> {
        Some(ValueKind::Text(self.name().to_owned()))
    }
}

impl<T: Written> Written for Option<T> {
    fn written(&self) -> Option<ValueKind> {
        self.as_ref().and_then(Written::written)
    }
}

impl<T: Written> Written for Vec<T> {
    fn written(&self) -> Option<ValueKind> {
        Some(ValueKind::Array(self.iter().filter_map(Written::written).map(Value::built_in).collect()))
    }
}

/// Without those that are left out.
impl<'a> FromIterator<(&'a str, Option<ValueKind>)> for Table {
    fn from_iter<I: IntoIterator<Item = (&'a str, Option<ValueKind>)>>(values: I) -> Self {
        let mut table = Self::default();
        for (key, kind) in values {
            if let Some(kind) = kind {
                table.insert(key, Value::built_in(kind));
            }
        }
        table
    }
}
