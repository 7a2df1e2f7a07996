//! The stand-in's HTTP: paths, lists, and which verb does what.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::apply::Apply;
use super::lock;
use super::state::{Kind, KubernetesState};
use super::status::Refusal;
use crate::rehearsal::{Answer, Handler, Request};

/// Answers for a state.
pub(super) struct Service {
    state: Arc<Mutex<KubernetesState>>,
}

/// What a path names.
struct Place {
    kind: Kind,
    /// Empty for what is of the whole cluster.
    namespace: String,
    /// None for a list.
    name: Option<String>,
}

impl Service {
    pub(super) fn new(state: Arc<Mutex<KubernetesState>>) -> Self {
        Self { state }
    }
}

impl Handler for Service {
    fn answer(&self, request: &Request) -> Answer {
        if request.path == "/version" && request.method == "GET" {
            let version = json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"});
            return Answer::new(200).json(&version);
        }
        let mut state = lock(&self.state);
        take(&mut state, request).unwrap_or_else(|refusal| refusal.answer())
    }

    fn route(&self, request: &Request) -> String {
        match place(&request.path) {
            None => request.path.clone(),
            Some(Place {
                kind,
                namespace,
                name,
            }) => {
                let namespace = if namespace.is_empty() {
                    ""
                } else {
                    "namespaces/{namespace}/"
                };
                let name = if name.is_some() { "/{name}" } else { "" };
                format!("/api/v1/{namespace}{}{name}", kind.resource())
            }
        }
    }

    fn subject(&self, request: &Request) -> String {
        // Lists of one name each are different calls on the same path.
        format!(
            "{}?{}",
            request.path,
            parameter(request, "fieldSelector").unwrap_or_default()
        )
    }

    fn refusal(&self, _request: &Request, status: u16) -> Answer {
        Refusal::new(status, "the weather is bad").answer()
    }
}

/// Where a client asks what it may do. There is no authorisation here, so it may do all.
const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

fn take(state: &mut KubernetesState, request: &Request) -> Result<Answer, Refusal> {
    if request.method == "POST" && request.path == ACCESS_REVIEWS {
        let mut review: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        review["status"] = json!({"allowed": true});
        return Ok(Answer::new(201).json(&review));
    }
    let Some(place) = place(&request.path) else {
        return Err(Refusal::not_modelled(&format!("the path {}", request.path)));
    };
    match (request.method.as_str(), &place.name) {
        ("GET", None) => list(state, &place, request),
        ("GET", Some(name)) => {
            let found = state.find(place.kind, &place.namespace, name);
            let found = found.ok_or_else(|| Refusal::not_found(place.kind.resource(), name))?;
            Ok(Answer::new(200).json(found))
        }
        ("POST", None) if place.kind == Kind::Namespace => create_namespace(state, request),
        ("PATCH", Some(name)) => patch(state, &place, name, request),
        ("DELETE", Some(name)) if place.kind == Kind::Secret => delete(state, &place, name, request),
        (method, _) => Err(Refusal::not_modelled(&format!(
            "{method} of {}",
            place.kind.resource()
        ))),
    }
}

fn place(path: &str) -> Option<Place> {
    let segments: Vec<&str> = path.strip_prefix("/api/v1/")?.split('/').collect();
    let place = |resource: &str, namespace: &str, name: Option<&str>| {
        Some(Place {
            kind: Kind::of(resource)?,
            namespace: namespace.to_owned(),
            name: name.map(str::to_owned),
        })
    };
    match segments.as_slice() {
        [resource] => place(resource, "", None),
        ["namespaces", name] => place("namespaces", "", Some(name)),
        ["namespaces", namespace, resource] => place(resource, namespace, None),
        ["namespaces", namespace, resource, name] => place(resource, namespace, Some(name)),
        _ => None,
    }
}

fn parameter(request: &Request, name: &str) -> Option<String> {
    form_urlencoded::parse(request.query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty())
}

fn list(state: &KubernetesState, place: &Place, request: &Request) -> Result<Answer, Refusal> {
    if parameter(request, "watch").is_some_and(|watch| watch != "false" && watch != "0") {
        return Err(Refusal::not_modelled("watches"));
    }
    if parameter(request, "labelSelector").is_some() {
        return Err(Refusal::not_modelled("label selectors"));
    }
    let name = match parameter(request, "fieldSelector") {
        None => None,
        Some(selector) => match selector.strip_prefix("metadata.name=") {
            Some(name) if !name.contains(',') => Some(name.to_owned()),
            _ => return Err(Refusal::not_modelled(&format!("the field selector {selector}"))),
        },
    };
    let limit = parameter(request, "limit")
        .and_then(|limit| limit.parse().ok())
        .filter(|limit| *limit > 0);
    // A list is continued at the version that it began at, though what it shows is of now.
    let (version, after) = match parameter(request, "continue")
        .map(|token| after_token(&token))
        .transpose()?
    {
        None => (state.version(), None),
        Some((version, _, _)) if state.is_expired(&version) => return Err(expired()),
        Some((version, namespace, name)) => (version, Some((namespace, name))),
    };
    let mut found = state.objects.iter().filter(|((kind, namespace, object), _)| {
        *kind == place.kind
            && (place.namespace.is_empty() || *namespace == place.namespace)
            && name.as_ref().is_none_or(|name| name == object)
            && after
                .as_ref()
                .is_none_or(|after| (namespace, object) > (&after.0, &after.1))
    });
    let page: Vec<_> = found.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
    let mut metadata = json!({"resourceVersion": version});
    let remaining = found.count();
    if let Some(((_, namespace, object), _)) = page.last().filter(|_| remaining > 0) {
        metadata["continue"] =
            Value::from(URL_SAFE_NO_PAD.encode(json!([version, namespace, object]).to_string()));
        metadata["remainingItemCount"] = Value::from(remaining);
    }
    let items: Vec<&Value> = page.iter().map(|(_, object)| &object.content).collect();
    Ok(Answer::new(200).json(&json!({
        "kind": format!("{}List", place.kind.name()),
        "apiVersion": "v1",
        "metadata": metadata,
        "items": items,
    })))
}

fn after_token(token: &str) -> Result<(String, String, String), Refusal> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .ok_or_else(|| Refusal::new(400, "continue key is not valid"))
}

fn expired() -> Refusal {
    Refusal::new(
        410,
        "The provided continue parameter is too old to display a consistent list result.",
    )
}

fn body(request: &Request) -> Result<Value, Refusal> {
    serde_json::from_slice(&request.body).map_err(|_| Refusal::new(400, "the body is not JSON"))
}

fn create_namespace(state: &mut KubernetesState, request: &Request) -> Result<Answer, Refusal> {
    let sent = body(request)?;
    let Some(name) = sent["metadata"]["name"].as_str() else {
        return Err(Refusal::new(
            422,
            "Namespace \"\" is invalid: metadata.name: Required value: name or generateName is required",
        ));
    };
    if state.find(Kind::Namespace, "", name).is_some() {
        let mut refusal = Refusal::new(409, format!("namespaces \"{name}\" already exists"));
        refusal.reason = "AlreadyExists";
        return Err(refusal);
    }
    state.add_namespace(name);
    state.edit(Kind::Namespace, "", name, |object| {
        object["metadata"]["labels"] = sent["metadata"]["labels"].clone();
    });
    let created = state.find(Kind::Namespace, "", name).cloned().unwrap_or_default();
    Ok(Answer::new(201).json(&created))
}

fn patch(
    state: &mut KubernetesState,
    place: &Place,
    name: &str,
    request: &Request,
) -> Result<Answer, Refusal> {
    if request.header("content-type") != Some("application/apply-patch+yaml") {
        return Err(Refusal::not_modelled("patches other than server-side apply"));
    }
    if place.namespace.is_empty() {
        return Err(Refusal::not_modelled("an apply of a namespace"));
    }
    let Some(manager) = parameter(request, "fieldManager") else {
        return Err(Refusal::new(
            422,
            "fieldManager: Required value: is required for apply patch",
        ));
    };
    let apply = Apply {
        kind: place.kind,
        namespace: &place.namespace,
        name,
        manager: &manager,
        force: parameter(request, "force").is_some_and(|force| force == "true"),
        sent: body(request)?,
    };
    let (object, created) = state.apply(&apply)?;
    Ok(Answer::new(if created { 201 } else { 200 }).json(&object))
}

fn delete(
    state: &mut KubernetesState,
    place: &Place,
    name: &str,
    request: &Request,
) -> Result<Answer, Refusal> {
    let found = state.find(place.kind, &place.namespace, name);
    let found = found.ok_or_else(|| Refusal::not_found(place.kind.resource(), name))?;
    if !request.body.is_empty() {
        let wanted = &body(request)?["preconditions"];
        for (key, held) in [
            ("uid", &found["metadata"]["uid"]),
            ("resourceVersion", &found["metadata"]["resourceVersion"]),
        ] {
            if !wanted[key].is_null() && wanted[key] != *held {
                return Err(Refusal::new(
                    409,
                    format!(
                        "Operation cannot be fulfilled on {} \"{name}\": the {key} in the precondition does not match",
                        place.kind.resource()
                    ),
                ));
            }
        }
    }
    state.delete_secret(&place.namespace, name);
    Ok(Answer::new(200)
        .json(&json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})))
}
