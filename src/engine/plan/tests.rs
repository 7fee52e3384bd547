use proptest::prelude::*;

use super::*;

use crate::domain::FleetTime;

fn plan(arrival: &str, devices: u32) -> Plan {
    let text = format!(
        "schema = 1\nname = 'x'\nfleet.devices = {devices}\n[[stage]]\nname = 's'\nkind = 'provision'\n\
         timeout = '10s'\n{arrival}\n"
    );
    Plan::new(&Scenario::parse("x.toml", &text, &[]).unwrap(), 1)
}

#[test]
fn needs_follow_from_arrivals_and_timeout() {
    let all = plan("arrival = 'at-once'", 500);
    assert_eq!((all.needs.keys, all.needs.in_flight), (500, 500));
    assert_eq!(all.stages[0].arrivals, [500]);
    let spread = plan("arrival = { process = 'constant', rate = '20/s' }", 500);
    assert_eq!(spread.needs.in_flight, 200);
    assert_eq!(spread.stages[0].peak_per_second, Some(20));
    assert_eq!(spread.stages[0].last_due, Some(Duration::from_millis(24_950)));
    assert_eq!(spread.stages[0].arrivals.iter().sum::<u32>(), 500);
    let closed = plan("workload = 'closed'\nconcurrency = 8", 500);
    assert_eq!((closed.needs.in_flight, closed.stages[0].last_due), (8, None));
    assert!(closed.schedule.due_offsets(0).is_none() && spread.schedule.due_offsets(1).is_none());
}

proptest! {
    /// Every arrival process, several classes, renewals that follow from certificates.
    #[test]
    fn shards_have_the_devices_of_the_fleet_due_when_they_would_be_without(
        devices in 1u32..400,
        count in 1u32..9,
        arrival in prop_oneof![
            Just("'at-once'"),
            Just("{ process = 'constant', rate = '7/s' }"),
            Just("{ process = 'poisson', rate = '20/s' }"),
            Just("{ process = 'spike', rate = '5/s', peak = '50/s', at = '2s', lasts = '3s' }"),
            Just("{ process = 'spread', over = '1m', jitter = '9s' }"),
        ],
        classes in 1usize..4,
    ) {
        let class = |n| format!("[[fleet.class]]\nname = 'c{n}'\nshare = {}\n", n + 1);
        let text = format!(
            "schema = 1\nname = 'x'\nfleet.devices = {devices}\n{}\n\
             [[stage]]\nname = 's'\nkind = 'provision'\narrival = {arrival}\nclasses = ['c0']\n\
             [[stage]]\nname = 'more'\nkind = 'provision'\narrival = {arrival}\nwith = 's'\ndelay = '1s'\n\
             [[stage]]\nname = 'r'\nkind = 'renew'\nwith = 'more'\ndelay = '1d'\narrival = {{ process = 'from-expiry', strategy = 'uniform' }}\n",
            (0..classes).map(class).collect::<String>()
        );
        let scenario = Scenario::parse("x.toml", &text, &[]).unwrap();
        let whole = Plan::new(&scenario, 3);
        let count = count.min(devices);
        let shards: Vec<Plan> = (1..=count)
            .map(|index| Plan::of_shard(&scenario, 3, Shard::new(index, count).unwrap()).unwrap())
            .collect();
        for stage in 0..3 {
            let of = |plan: &Plan| -> Vec<(u32, FleetTime)> {
                plan.schedule.members(stage).zip(plan.schedule.due_offsets(stage).unwrap()).collect()
            };
            if stage < 2 {
                let mut parts: Vec<_> = shards.iter().flat_map(of).collect();
                parts.sort_unstable();
                prop_assert_eq!(parts, of(&whole));
            }
            let who = |plan: &Plan| plan.schedule.who_is_due(stage).collect::<Vec<_>>();
            let mut parts: Vec<_> = shards.iter().flat_map(who).collect();
            parts.sort_unstable();
            let mut all = who(&whole);
            prop_assert!(all.is_sorted_by_key(|(at, _)| *at));
            all.sort_unstable();
            prop_assert_eq!(parts, all);
            let mut foreseen: Vec<_> = shards.iter().flat_map(|plan| plan.schedule.arrivals(stage)).collect();
            foreseen.sort_unstable();
            prop_assert_eq!(foreseen, whole.schedule.arrivals(stage).collect::<Vec<_>>());
            let planned: u32 = shards.iter().map(|plan| plan.stages[stage].devices).sum();
            prop_assert_eq!(planned, whole.stages[stage].devices);
        }
        prop_assert_eq!(shards.iter().map(|plan| plan.needs.keys).sum::<u64>(), whole.needs.keys);
        prop_assert_eq!(shards.iter().map(Plan::own_devices).sum::<u32>(), devices);
        for plan in &shards {
            prop_assert_eq!(Some(plan.first_device()), plan.shard.devices(devices).next());
        }
    }
}

#[test]
fn a_closed_workload_is_divided_and_a_shard_without_a_part_is_refused() {
    let text = "schema = 1\nname = 'x'\nfleet.devices = 50\n[[stage]]\nname = 's'\nkind = 'provision'\n\
                workload = 'closed'\nconcurrency = 5\n";
    let scenario = Scenario::parse("x.toml", text, &[]).unwrap();
    let shard = |index, count| Plan::of_shard(&scenario, 1, Shard::new(index, count).unwrap());
    let parts = [1, 2, 3].map(|index| shard(index, 3).unwrap().needs.in_flight);
    assert_eq!(parts, [2, 2, 1]);
    assert!(matches!(shard(6, 6), Err(IdleShard::Concurrency { concurrency: 5, .. })));
    assert!(matches!(shard(51, 60), Err(IdleShard::Devices { devices: 50, .. })));
}

#[test]
fn the_same_scenario_and_seed_give_the_same_devices_and_times() {
    let (a, b) = (plan("arrival = 'at-once'", 9), plan("arrival = 'at-once'", 9));
    assert_eq!(a, b);
    assert_eq!(a.registration_id(8).map(|id| id.to_string()).as_deref(), Some("device-000008"));
    assert_eq!(a.registration_id(9), None);
}
