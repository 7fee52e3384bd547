use axum::response::{IntoResponse, Response};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::Value;

use super::request::Page;

/// A body of JSON.
#[derive(Debug)]
pub(super) struct Json(pub(super) Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        let mut response = self.0.to_string().into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        response
    }
}

/// A page of a listing: `items` are ids and what is shown, one more than the page holds when there are more. Where it
/// goes on is in a header.
pub(super) fn listing(item_type: &'static str, page: &Page, mut items: Vec<(String, Value)>) -> Response {
    let more = items.len() > page.count;
    items.truncate(page.count);
    let next = items.last().filter(|_| more).map(|(id, _)| id.clone());
    let mut response = Json(items.into_iter().map(|(_, item)| item).collect()).into_response();
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-ms-item-type"), HeaderValue::from_static(item_type));
    headers.insert(HeaderName::from_static(Page::MAX_ITEM_COUNT), page.count.into());
    if let Some(next) = next.and_then(|id| HeaderValue::try_from(id).ok()) {
        headers.insert(HeaderName::from_static(Page::CONTINUATION), next);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_it_goes_on_if_it_does() {
        for (items, next) in [(["a", "b"].as_slice(), None), (&["a", "b", "c"], Some("b")), (&[], None)] {
            let items = items.iter().map(|id| (String::from(*id), Value::Null)).collect();
            let page = listing("thing", &Page { after: None, count: 2 }, items);
            let header = |name: &str| page.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header(Page::CONTINUATION), next);
            assert_eq!((header("x-ms-item-type"), header(Page::MAX_ITEM_COUNT)), (Some("thing"), Some("2")));
        }
    }
}
