#[derive(Event, Serialize, Deserialize)]
struct Generate { job: String }
