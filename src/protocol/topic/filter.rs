/// Whether a topic matches a subscription's filter (MQTT 3.1.1, section 4.7). Unlike general brokers, DPS and IoT Hub
/// have only topics whose filters name their first level, so topics that begin with `$` need no exception.
pub fn filter_matches(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// Whether a filter is well formed: `#` only as the last level, `+` and `#` only as whole levels, not empty.
pub fn filter_is_valid(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if (level.contains(['#', '+']) && level.len() > 1) || (level == "#" && levels.peek().is_some()) {
            return false;
        }
    }
    !filter.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("$dps/registrations/res/#", "$dps/registrations/res/202/?$rid=1", true),
            ("$dps/registrations/res/#", "$dps/registrations/res", true),
            ("$dps/registrations/res/#", "$dps/registrations", false),
            ("devices/+/messages/devicebound/#", "devices/d/messages/devicebound/", true),
            ("devices/+/messages", "devices/d/e/messages", false),
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("ä/b", "ö/b", false),
        ] {
            assert_eq!(filter_matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn filters_are_well_formed_or_not() {
        for (filter, expected) in
            [("a/+/#", true), ("#", true), ("/", true), ("", false), ("a#", false), ("#/a", false), ("a/b+", false)]
        {
            assert_eq!(filter_is_valid(filter), expected, "{filter}");
        }
    }
}
