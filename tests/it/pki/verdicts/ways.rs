use super::certificate::{Certificate, NAME_CONSTRAINTS};
use super::der::{CN, UTF8, constraints, directory, name};
use super::judge::Case;
use super::path;

/// Authorities that certify each other, order, and what does not belong there.
pub(super) fn cases() -> Vec<Case> {
    let super::Path { root, middle, leaf } = path();
    let others_root = Certificate::authority("other", "other", 4, 4);
    let crossed = Certificate::authority("other", "middle", 1, 4);
    let upper = Certificate::authority("root", "upper", 3, 0);
    let by_upper = Certificate::authority("upper", "middle", 1, 3);
    let not_for_this = |certificate: Certificate| {
        let device = directory(&name(&[(CN, UTF8, "dev1")]));
        certificate.with(NAME_CONSTRAINTS, true, constraints(&[], &[device]))
    };
    let expired = |mut certificate: Certificate| {
        certificate.validity = ["200101000000Z", "210101000000Z"];
        certificate
    };
    let first_way = "every way up is tried, one that is good is enough; openssl tries one";
    vec![
        Case::new("another root in between", &[&root], &[&leaf, &others_root, &middle]),
        Case::new("upside down", &[&root], &[&leaf, &root, &by_upper, &upper]),
        Case::new("twice", &[&root], &[&leaf, &middle, &middle]),
        Case::new("the leaf twice", &[&root], &[&leaf, &leaf, &middle]),
        Case::new("a root that is not trusted", &[&others_root], &[&leaf, &middle, &root]),
        Case::new("crossed, by the one root", &[&root], &[&leaf, &crossed, &middle]).taken_because(first_way),
        Case::new("crossed, by the other root", &[&others_root], &[&leaf, &middle, &crossed]).taken_because(first_way),
        Case::new("crossed, by both roots", &[&others_root, &root], &[&leaf, &middle, &crossed]),
        Case::new(
            "crossed, the first has expired",
            &[&root, &others_root],
            &[&leaf, &expired(middle.clone()), &crossed],
        ),
        Case::new(
            "crossed, the second has expired",
            &[&root, &others_root],
            &[&leaf, &crossed, &expired(middle.clone())],
        ),
        Case::new(
            "crossed, both have expired",
            &[&root, &others_root],
            &[&leaf, &expired(middle.clone()), &expired(crossed.clone())],
        ),
        Case::new(
            "crossed, the first may not certify this",
            &[&root, &others_root],
            &[&leaf, &not_for_this(middle.clone()), &crossed],
        )
        .taken_because(first_way),
        Case::new(
            "crossed, the second may not certify this",
            &[&root, &others_root],
            &[&leaf, &crossed, &not_for_this(middle.clone())],
        ),
        Case::new(
            "over another authority, which the first way to it may not",
            &[&root],
            &[&leaf, &not_for_this(by_upper.clone()), &by_upper, &upper],
        )
        .taken_because(first_way),
        Case::new(
            "no way may certify this",
            &[&root],
            &[&leaf, &not_for_this(by_upper.clone()), &not_for_this(middle.clone()), &upper],
        ),
        Case::new(
            "a circle with a way out",
            &[&root],
            &[
                &leaf,
                &Certificate::authority("upper", "middle", 1, 3),
                &Certificate::authority("middle", "upper", 3, 1),
                &upper,
            ],
        )
        .taken_because(first_way),
        Case::new(
            "a circle",
            &[&root],
            &[
                &leaf,
                &Certificate::authority("upper", "middle", 1, 3),
                &Certificate::authority("middle", "upper", 3, 1),
            ],
        ),
        Case::new("an authority of itself", &[&root], &[&leaf, &Certificate::authority("middle", "middle", 1, 1)]),
        Case::new(
            "new key of the root by the old one",
            &[&root],
            &[&Certificate::device("root", 2, 5), &Certificate::authority("root", "root", 5, 0)],
        ),
        Case::new("trusted in the middle", &[&middle], &[&leaf, &middle, &root]),
        Case::new("trusted in the middle and expired above", &[&middle], &[&leaf, &middle, &expired(root.clone())])
            .for_services(),
        Case::new("trusted in the middle, which has expired", &[&expired(middle.clone())], &[&leaf]),
        Case::new("the leaf alone is trusted", &[&leaf], &[&leaf]),
    ]
}
