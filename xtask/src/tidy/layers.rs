//! Dependencies between the crates go strictly downward.

use super::Violation;

/// The crates, lowest first. A crate may depend on those before it.
const LAYERS: [&str; 5] =
    ["crossdock-sys", "crossdock-core", "crossdock-derive", "crossdock", "crossdock-cli"];

/// Checks the manifest of a crate; any other file breaks no rule here.
pub(super) fn check(path: &str, manifest: &str) -> Vec<Violation> {
    let parts: Vec<_> = path.split('/').collect();
    let ["crates", name, "Cargo.toml"] = parts[..] else { return Vec::new() };
    let Some(layer) = layer(name) else {
        let message = format!("{name} has no layer yet: add it to the table in xtask");
        return vec![Violation::new(path, 1, message)];
    };
    let mut violations = Vec::new();
    for (line, dependency) in own_dependencies(manifest) {
        if layer <= self::layer(dependency).unwrap_or(LAYERS.len()) {
            let message = format!("{name} is below {dependency} and must not depend on it");
            violations.push(Violation::new(path, line, message));
        }
    }
    violations
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|&layer| layer == name)
}

/// The packages of this repository that the manifest depends on, with their lines.
///
/// Development dependencies go where they like: they do not ship.
fn own_dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_dependency = false;
    for (number, line) in (1..).zip(manifest.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        if let Some(header) = line.trim().strip_prefix('[') {
            is_dependency = header.contains("dependencies") && !header.contains("dev-dependencies");
        }
        // A name may be the key, a header, a path or the `package` of a renamed dependency.
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let own = |word: &&str| word.starts_with("crossdock") || *word == "xtask";
        let mut names: Vec<_> = line.split(|c| !is_name(c)).filter(own).collect();
        names.dedup();
        if is_dependency {
            found.extend(names.into_iter().map(|name| (number, name)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependency_downward_is_allowed() {
        let manifest = "[package]\nname = \"crossdock\"\n[dependencies]\n\
                        crossdock-core.workspace = true\nhalf.workspace = true\n\
                        [dev-dependencies]\ncrossdock-cli = { path = \"../crossdock-cli\" }\n";
        assert_eq!(check("crates/crossdock/Cargo.toml", manifest), []);
    }

    #[test]
    fn dependency_upward_is_found_however_it_is_written() {
        let path = "crates/crossdock-core/Cargo.toml";
        let message = "crossdock-core is below crossdock and must not depend on it";
        for manifest in [
            "[dependencies]\ncrossdock.workspace = true\n",
            "[dependencies]\nface = { package = \"crossdock\", version = \"0.1\" }\n",
            "[build-dependencies]\ncrossdock = { path = \"../crossdock\" } # why\n",
            "[target.'cfg(unix)'.dependencies]\ncrossdock = \"0.1\"\n",
            "[features]\n[dependencies.crossdock]\n",
        ] {
            assert_eq!(check(path, manifest), [Violation::new(path, 2, message)], "{manifest}");
        }
    }

    #[test]
    fn published_crate_depends_on_no_tooling() {
        let manifest = "[dependencies]\ncrossdock-examples = { path = \"../../examples\" }\n";
        assert_eq!(check("crates/crossdock-cli/Cargo.toml", manifest).len(), 1);
    }

    #[test]
    fn crate_without_a_layer_is_found() {
        assert_eq!(check("crates/crossdock-extra/Cargo.toml", "").len(), 1);
        assert_eq!(check("examples/Cargo.toml", "[dependencies]\ncrossdock = \"1\"\n"), []);
    }
}
