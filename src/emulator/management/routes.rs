use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;
use hyper::Uri;
use hyper::http::uri::PathAndQuery;

use super::Plane;

/// Handlers with their paths, which are kept so that [`Paths`] knows them.
#[derive(Debug, Default)]
pub(super) struct Routes {
    router: Router<Plane>,
    paths: Vec<String>,
}

impl Routes {
    /// None.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a path, with ids as `{name}`.
    pub(super) fn route(mut self, path: &str, handlers: MethodRouter<Plane>) -> Self {
        self.paths.push(path.to_owned());
        Self { router: self.router.route(path, handlers), ..self }
    }

    /// Adds those of `other`.
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.paths.extend(other.paths);
        Self { router: self.router.merge(other.router), ..self }
    }

    /// These handlers, behind something.
    pub(super) fn with(self, change: impl FnOnce(Router<Plane>) -> Router<Plane>) -> Self {
        Self { router: change(self.router), ..self }
    }

    /// The router, and what it has.
    pub(super) fn into_parts(self) -> (Router<Plane>, Paths) {
        (self.router, Paths(self.paths.into()))
    }
}

/// The paths of the control plane. The services take fixed words in any case and a slash at the end, and their SDKs make use
/// of both; the router does not. Ids are kept as sent.
#[derive(Debug, Clone)]
pub(super) struct Paths(Arc<[String]>);

impl Paths {
    /// The address as the router knows it; as it was when there is no such path.
    pub(super) fn routed(&self, uri: Uri) -> Uri {
        let Some(path) = self.spelled(uri.path()).filter(|path| path != uri.path()) else { return uri };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let Ok(path_and_query) = PathAndQuery::try_from(format!("{path}{query}")) else { return uri };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(path_and_query);
        Uri::from_parts(parts).unwrap_or(uri)
    }

    /// The path as it was registered, with the ids of this one.
    fn spelled(&self, path: &str) -> Option<String> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let fits = |known: &&String| {
            known.split('/').count() == path.split('/').count()
                && known
                    .split('/')
                    .zip(path.split('/'))
                    .all(|(word, given)| is_id(word) || word.eq_ignore_ascii_case(given))
        };
        // As in the router, a fixed word goes before an id.
        let fixed = |known: &&String| known.split('/').map(|word| !is_id(word)).collect::<Vec<_>>();
        let known = self.0.iter().filter(fits).max_by_key(fixed)?;
        let words = known.split('/').zip(path.split('/'));
        Some(words.map(|(word, given)| if is_id(word) { given } else { word }).collect::<Vec<_>>().join("/"))
    }
}

fn is_id(word: &str) -> bool {
    word.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_words_have_no_case_and_ids_stay() {
        let known = ["/a", "/Groups", "/Groups/{id}", "/Groups/query", "/Groups/{id}/attestationMechanism"];
        let paths = Paths(known.map(str::to_owned).into());
        for (sent, routed) in [
            ("/groups/My-Group?API-version=1", "/Groups/My-Group?API-version=1"),
            ("/GROUPS/?api-version=1", "/Groups?api-version=1"),
            ("/groups/Query", "/Groups/query"),
            ("/groups/Query/attestationmechanism/", "/Groups/Query/attestationMechanism"),
            ("/groups/a%2Fb/", "/Groups/a%2Fb"),
            ("/A", "/a"),
            ("/", "/"),
            ("//", "//"),
            ("/groups//", "/Groups/"),
            ("/other/Word/?x", "/other/Word/?x"),
            ("http://h/A/", "http://h/a"),
        ] {
            assert_eq!(paths.routed(sent.parse().unwrap()), routed.parse::<Uri>().unwrap(), "{sent}");
        }
    }
}
