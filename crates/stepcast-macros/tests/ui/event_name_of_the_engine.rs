#[derive(Event, Serialize, Deserialize)]
#[event("inngest/function.failed")]
struct Generate { job: String }
