use crate::protocol::mqtt::{QoS, SubscribeFilter, SubscribeReasonCode};
use crate::protocol::topic::filter_matches;

/// The topic filters of a session. Nothing is delivered that none of them matches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subscriptions(Vec<(Box<str>, QoS)>);

impl Subscriptions {
    /// Longest filter in bytes. Those that make sense have a tenth of it; MQTT allows 64 KB, and a session may outlive its
    /// connection.
    const LONGEST: usize = 1024;

    /// Adds a filter at QoS 0 or 1, as the services grant; refuses it when it is too long or there would be more than `max`.
    /// Asking for a filter again changes its QoS.
    pub(crate) fn grant(&mut self, filter: SubscribeFilter, max: usize) -> SubscribeReasonCode {
        let qos = match filter.qos {
            QoS::AtMostOnce => QoS::AtMostOnce,
            QoS::AtLeastOnce | QoS::ExactlyOnce => QoS::AtLeastOnce,
        };
        if let Some((_, held)) = self.0.iter_mut().find(|(path, _)| **path == *filter.path) {
            *held = qos;
        } else if self.0.len() < max && filter.path.len() <= Self::LONGEST {
            self.0.push((filter.path.into(), qos));
        } else {
            return SubscribeReasonCode::Failure;
        }
        SubscribeReasonCode::Success(qos)
    }

    /// Takes filters away.
    pub(crate) fn remove(&mut self, filters: &[String]) {
        self.0.retain(|(held, _)| !filters.iter().any(|filter| **filter == **held));
    }

    /// The QoS at which `topic` is wanted, if it is.
    pub(crate) fn qos(&self, topic: &str) -> Option<QoS> {
        let matching = self.0.iter().filter(|(filter, _)| filter_matches(filter, topic));
        matching.map(|&(_, qos)| qos).max_by_key(|&qos| qos as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(path: &str, qos: QoS) -> SubscribeFilter {
        SubscribeFilter::new(path.to_owned(), qos)
    }

    #[test]
    fn at_most_qos_1_is_granted_and_at_most_the_maximum_held() {
        let mut held = Subscriptions::default();
        assert_eq!(held.grant(filter("a/#", QoS::ExactlyOnce), 1), SubscribeReasonCode::Success(QoS::AtLeastOnce));
        assert_eq!(held.grant(filter("b", QoS::AtMostOnce), 1), SubscribeReasonCode::Failure);
        assert_eq!(held.grant(filter("a/#", QoS::AtMostOnce), 1), SubscribeReasonCode::Success(QoS::AtMostOnce));
        assert_eq!((held.qos("a/b"), held.qos("b")), (Some(QoS::AtMostOnce), None));
        held.remove(&["a/#".to_owned()]);
        assert_eq!(held.qos("a/b"), None);
        let long = |length| filter(&"x".repeat(length), QoS::AtMostOnce);
        assert_eq!(held.grant(long(Subscriptions::LONGEST + 1), 9), SubscribeReasonCode::Failure);
        assert_eq!(held.grant(long(Subscriptions::LONGEST), 9), SubscribeReasonCode::Success(QoS::AtMostOnce));
    }
}
