#[derive(Event, Serialize, Deserialize)]
#[event("")]
struct Generate { job: String }
