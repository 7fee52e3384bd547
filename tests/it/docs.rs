//! The documentation as a reader meets it: links lead somewhere, the book names every page, examples name real flags, and
//! what containers are built from exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use fleetstorm::cli::args::Cli;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Markdown file that is written for readers.
fn pages() -> Vec<PathBuf> {
    let in_folder = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect::<Vec<_>>()
    };
    ["", "docs", "dashboards", "results"].into_iter().flat_map(in_folder).collect()
}

/// Without what stands in fenced blocks and between backticks: code has brackets too.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.collect::<Vec<_>>().join("\n").split('`').step_by(2).collect()
}

/// Targets of `[words](target)`.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1);
    targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// As GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let headings = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    let anchor = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&prose(&text)) {
            if link.contains("://") || link.starts_with('<') {
                continue;
            }
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            // Outside of the book there is nothing that a page of it could lead to.
            let outside = page.parent() == Some(&root().join("docs")) && file.starts_with("..");
            let found = !outside
                && target.exists()
                && anchor.is_none_or(|anchor| anchors(&fs::read_to_string(&target).unwrap()).contains(anchor));
            if !found {
                broken.push(format!("{}: {link}", page.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Whoever looks for something by ARCHITECTURE.md finds it where that says.
#[test]
fn every_place_that_the_architecture_names_is_there() {
    let text = read("ARCHITECTURE.md");
    let places = text.split('`').skip(1).step_by(2).filter(|code| !code.contains(['*', ' ', '…']));
    let places = places.filter(|code| ["src/", "tests/", "docs/", "benches/"].iter().any(|top| code.starts_with(top)));
    let absent: Vec<_> =
        places.filter(|place| !root().join(place).exists() && !root().join(format!("{place}.rs")).exists()).collect();
    assert!(absent.is_empty(), "{absent:?}");
}

/// A name without a folder, in the table of places, is of the folder that was named last before it in its row.
#[test]
fn every_file_that_the_architecture_names_alone_is_in_the_folder_named_before() {
    let text = read("ARCHITECTURE.md");
    let rows = text.lines().skip_while(|line| *line != "| for | look into |").map_while(|line| line.strip_prefix('|'));
    let mut absent = Vec::new();
    for row in rows {
        let mut folder = PathBuf::new();
        for code in row.split('`').skip(1).step_by(2).filter(|code| !code.contains([' ', '…'])) {
            let path = Path::new(code);
            if code.starts_with("src/") {
                folder = if code.ends_with('/') { path.to_owned() } else { path.parent().unwrap().to_owned() };
            } else if path.components().count() == 1 && (code.ends_with(".rs") || code.ends_with('/')) {
                absent.extend(Some(folder.join(path)).filter(|path| !root().join(path).exists()));
            }
        }
    }
    assert!(absent.is_empty(), "{absent:?}");
}

/// mdBook is not part of the checks, so its own rule is looked at here: a page that the summary does not name is not built.
#[test]
fn the_book_has_every_page_once_and_includes_what_exists() {
    let summary = links(&read("docs/SUMMARY.md"));
    let named: BTreeSet<_> = summary.iter().cloned().collect();
    assert_eq!(named.len(), summary.len(), "a page is named twice");
    let there = pages().into_iter().filter(|page| page.parent() == Some(&root().join("docs")));
    let there = there.map(|page| page.file_name().unwrap().to_str().unwrap().to_owned());
    let there: BTreeSet<_> = there.filter(|name| name != "SUMMARY.md").collect();
    assert_eq!(named, there);
    let book: toml::Table = read("book.toml").parse().unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some("docs"));

    let mut included = 0;
    for name in there {
        let text = read(Path::new("docs").join(&name));
        for include in text.split("{{#include ").skip(1) {
            let (what, _) = include.split_once("}}").expect("closed");
            let (file, anchor) = what.split_once(':').map_or((what, None), |(file, anchor)| (file, Some(anchor)));
            let content = read(Path::new("docs").join(file));
            for mark in anchor.into_iter().flat_map(|name| [format!("ANCHOR: {name}"), format!("ANCHOR_END: {name}")]) {
                assert!(content.contains(&mark), "{name}: {mark} is missing in {file}");
            }
            included += 1;
        }
    }
    assert_eq!(included, 4);
    for css in book["output"]["html"]["additional-css"].as_array().unwrap() {
        assert!(root().join(css.as_str().unwrap()).is_file(), "{css}");
    }
}

/// `--flags` of all commands.
fn flags(command: &clap::Command, into: &mut BTreeSet<String>) {
    into.extend(command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned));
    command.get_subcommands().for_each(|below| flags(below, into));
}

#[test]
fn every_flag_in_an_example_of_fleetstorm_exists() {
    let mut known = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
    flags(&Cli::command(), &mut known);
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap().replace("\\\n", " ");
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or(line).trim());
        for line in lines.filter(|line| line.starts_with("fleetstorm ")) {
            // Of `fleetstorm … | other …` the first part.
            let own = line.split(" | ").next().unwrap_or(line);
            for flag in own.split_whitespace().filter_map(|word| word.strip_prefix("--")) {
                let flag = flag.split('=').next().unwrap_or(flag);
                assert!(known.contains(flag), "{}: --{flag} in `{line}`", page.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "only {seen} flags were found");
}

#[test]
fn the_readme_names_every_command() {
    let readme = read("README.md");
    for command in Cli::command().get_subcommands() {
        assert!(readme.contains(&format!("`fleetstorm {}", command.get_name())), "{}", command.get_name());
    }
}

#[test]
fn the_image_is_small_and_runs_as_nobody_in_particular() {
    let dockerfile = read("Dockerfile");
    let of = |instruction: &str| {
        let lines = dockerfile.lines().filter_map(|line| line.strip_prefix(instruction));
        lines.map(str::trim).collect::<Vec<_>>()
    };
    let stages = of("FROM ");
    assert_eq!(stages.len(), 2, "built in one stage, shipped in another");
    assert!(stages.iter().all(|image| image.contains(':') && !image.contains(":latest")), "{stages:?}");
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(stages[0].starts_with(&format!("rust:{rust}")), "{stages:?} builds with another Rust than {rust}");
    let user: u32 = of("USER ").last().expect("a user").parse().expect("a number, which Kubernetes can check");
    assert!(user > 0);
    assert_eq!(of("ENTRYPOINT "), [r#"["fleetstorm"]"#]);
    for copied in of("COPY --from=build /src/").iter().filter_map(|line| line.split(' ').next()) {
        assert!(copied.starts_with("target/release/") || root().join(copied).exists(), "{copied}");
    }
}

/// A parser for YAML is no dependency; Python's stands in where there is one.
#[test]
fn services_name_each_other_and_files_that_exist() {
    let compose = read("compose.yaml");
    for file in compose.split_whitespace().filter_map(|word| word.strip_prefix("./")) {
        let file = file.split(':').next().unwrap();
        assert!(root().join(file).exists(), "{file}");
    }
    for name in ["emulator", "storm", "prometheus", "grafana"] {
        assert!(compose.contains(&format!("\n  {name}:\n")), "{name}");
    }
    assert!(!compose.contains('\t') && !compose.contains(":latest") && !compose.contains("privileged: true"));
    for line in compose.lines().filter(|line| line.trim_start().starts_with("command: [")) {
        let line = line.replace([',', '[', ']', '"'], " ");
        let words: Vec<_> = line.split_whitespace().skip(1).collect();
        // What an image of others is told is not ours to know.
        if words.first().is_some_and(|word| !word.starts_with('-')) {
            assert!(Cli::command().try_get_matches_from(std::iter::once("fleetstorm").chain(words)).is_ok(), "{line}");
        }
    }
}
