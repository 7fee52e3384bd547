/// Declares an enum whose values have names, each name beside its value: `ALL` values in that order, `NAMED` with their names,
/// and between the two `name` and, of a public one, `from_name` and `Display`.
macro_rules! named {
    ($(#[$meta:meta])* pub enum $type:ident { $($(#[$doc:meta])* $value:ident = $name:literal,)+ }) => {
        $crate::domain::named! {
            @declare $(#[$meta])* pub enum $type { $($(#[$doc])* $value = $name,)+ }
        }

        impl $type {
            /// Every value, in the order of documentation.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$value),+];

            /// Every value with its name.
            pub const NAMED: [(&'static str, Self); Self::ALL.len()] = [$(($name, Self::$value)),+];

            /// The name in files, in reports and on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)+ }
            }

            /// The value of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.name() == name)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
    ($(#[$meta:meta])* enum $type:ident { $($(#[$doc:meta])* $value:ident = $name:literal,)+ }) => {
        $crate::domain::named! {
            @declare $(#[$meta])* enum $type { $($(#[$doc])* $value = $name,)+ }
        }

        impl $type {
            const NAMED: [(&'static str, Self); [$($name),+].len()] = [$(($name, Self::$value)),+];
        }
    };
    (@declare $(#[$meta:meta])* $pub:vis enum $type:ident { $($(#[$doc:meta])* $value:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $pub enum $type { $($(#[$doc])* $value,)+ }
    };
}
pub(crate) use named;

#[cfg(test)]
mod tests {
    use crate::domain::QuotaProfile;

    #[test]
    fn values_are_found_by_the_names_that_are_shown_of_them() {
        let shown = QuotaProfile::ALL.map(|profile| profile.to_string());
        assert_eq!(shown, ["unlimited", "dps-default", "hub-s1", "hub-s2", "hub-s3"]);
        for (name, profile) in QuotaProfile::NAMED {
            assert_eq!((QuotaProfile::from_name(name), profile.name()), (Some(profile), name));
        }
        assert_eq!(QuotaProfile::from_name("s1"), None);
    }
}
