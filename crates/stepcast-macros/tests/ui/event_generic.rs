#[derive(Event, Serialize, Deserialize)]
#[event("app/generate")]
struct Generate<T> { job: T }
