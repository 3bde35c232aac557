#[derive(Event, Serialize, Deserialize)]
#[event("a")]
#[event("b")]
struct Generate { job: String }
