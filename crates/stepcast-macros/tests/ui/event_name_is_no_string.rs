#[derive(Event, Serialize, Deserialize)]
#[event(app)]
struct Generate { job: String }
